"""What a kernel is made from: a debug package, image files, or the running kernel."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ksurf.errors import InputError
from ksurf.kernel import Kernel

__all__ = ["UNKNOWN", "ConfigSource", "FilesSource", "HostSource", "Identity", "PackageSource", "Source"]


class Identity(NamedTuple):
    """What is known of a kernel without looking inside; what is ``None`` is not known."""

    release: str | None = None
    version: str | None = None
    distro: str | None = None
    arch: str | None = None
    flavor: str | None = None

    def over(self, other: "Identity") -> "Identity":
        """Return this identity, with what it does not know from the other."""
        return Identity(*(own if own is not None else its for own, its in zip(self, other, strict=True)))

    def kernel(self) -> Kernel:
        """Return the kernel; raises :class:`~ksurf.errors.InputError` where something is missing."""
        if self.release is None:
            hint = "name it with --release, as uname -r spells it"
            raise InputError("nothing tells the kernel's release", hint)
        try:
            return Kernel.from_release(
                self.release, version=self.version, distro=self.distro, arch=self.arch, flavor=self.flavor
            )
        except ValueError as error:
            raise InputError(str(error), "name it with --release and --arch") from error


UNKNOWN = Identity()
"""The identity that says nothing."""


@dataclass(frozen=True)
class ConfigSource:
    """A file with a kernel's configuration, compressed or not, or a package that has it."""

    path: Path
    sha256: str | None = None
    """As it was checked; ``None`` if nobody has."""
    is_named: bool = False
    """Whether the user named it: then it must be what it was named for."""


@dataclass(frozen=True)
class PackageSource:
    """A debug package on disk; ``sha256`` is ``None`` if nobody has checked it."""

    path: Path
    identity: Identity = UNKNOWN
    sha256: str | None = None
    url: str | None = None
    config: ConfigSource | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return self.path.name


@dataclass(frozen=True)
class FilesSource:
    """Image files: a ``vmlinux``, and the modules that belong to it."""

    vmlinux: Path
    modules: tuple[Path, ...] = ()
    identity: Identity = UNKNOWN
    config: ConfigSource | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return str(self.vmlinux)


@dataclass(frozen=True)
class HostSource:
    """The running kernel, as it shows itself under ``/sys`` and ``/proc``."""

    identity: Identity
    config: ConfigSource | None = None

    @property
    def name(self) -> str:
        """What to call it."""
        return "the running kernel"


Source = PackageSource | FilesSource | HostSource
