"""The running kernel: its debug files where they are installed, else what it shows of itself."""

import os
import re
from pathlib import Path

from ksurf.acquire.local import modules_below
from ksurf.acquire.source import ConfigSource, FilesSource, HostSource, Identity
from ksurf.errors import InputError
from ksurf.kernel import parse_release

__all__ = ["host_source"]

# Where distributions install a kernel's debug information, and where a kernel of one's own was built.
_TREES = ("usr/lib/debug/lib/modules", "usr/lib/debug/usr/lib/modules", "lib/modules")
_VMLINUX = (
    "usr/lib/debug/boot/vmlinux-{release}",
    "usr/lib/debug/lib/modules/{release}/vmlinux",
    "usr/lib/debug/usr/lib/modules/{release}/vmlinux",
    "lib/modules/{release}/build/vmlinux",
)
_CONFIGS = ("proc/config.gz", "boot/config-{release}", "lib/modules/{release}/config")


def host_source(root: Path = Path("/"), uname: os.uname_result | None = None) -> FilesSource | HostSource:
    """Return the running kernel.

    Its package's version is left unknown, so that it is never taken for the kernel as its package has it.
    """
    system = uname or os.uname()
    release = system.release
    try:
        told = parse_release(release)
    except ValueError as error:
        raise InputError(f"the running kernel: {error}") from error
    identity = Identity(
        release=release, distro=told.distro or _distro(root), arch=told.arch or system.machine
    )
    configs = (root / path.format(release=release) for path in _CONFIGS)
    config = next((ConfigSource(path) for path in configs if path.is_file()), None)
    for vmlinux in (root / path.format(release=release) for path in _VMLINUX):
        if vmlinux.is_file():
            trees = (modules_below(root / tree / release) for tree in _TREES)
            return FilesSource(vmlinux, next((modules for modules in trees if modules), ()), identity, config)
    return HostSource(identity, config)


def _distro(root: Path) -> str | None:
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"""(?m)^ID=["']?([a-z0-9._-]+)""", text)
    return found[1] if found else None
