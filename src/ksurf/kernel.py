"""A kernel's identity: what distribution, release, version, flavor and architecture it is, and its order.

Architectures go by Debian's names (``amd64``, ``arm64``, ``ppc64el``). The flavor is ``generic`` for the one
that a distribution installs when nothing else is asked for, whatever that distribution calls it.
"""

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering
from typing import NamedTuple

__all__ = [
    "GENERIC",
    "Kernel",
    "ParsedRelease",
    "arch_name",
    "extends",
    "file_safe",
    "parse_release",
    "stable_step",
    "upstream_version",
    "version_key",
]

GENERIC = "generic"
"""The flavor of a distribution's default kernel."""

# ``uname -m`` and other spellings, to Debian's. Debian's own names map to themselves.
_ARCH_NAMES = {
    "aarch64": "arm64",
    "alpha": "alpha",
    "amd64": "amd64",
    "arm64": "arm64",
    "armel": "armel",
    "armhf": "armhf",
    "armmp": "armhf",
    "armv5tel": "armel",
    "armv6l": "armel",
    "armv7": "armhf",
    "armv7hl": "armhf",
    "armv7l": "armhf",
    "hppa": "hppa",
    "i386": "i386",
    "i486": "i386",
    "i586": "i386",
    "i686": "i386",
    "loong64": "loong64",
    "loongarch64": "loong64",
    "m68k": "m68k",
    "mips64el": "mips64el",
    "mipsel": "mipsel",
    "parisc": "hppa",
    "parisc64": "hppa",
    "powerpc64le": "ppc64el",
    "ppc64": "ppc64",
    "ppc64el": "ppc64el",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "sparc64": "sparc64",
    "x86_64": "amd64",
}

# The architecture part of Debian's releases. Longest first: ``686-pae`` is a default flavor, ``686`` is not.
_DEBIAN_PARTS = {
    "686-pae": "i386",
    "powerpc64le": "ppc64el",
    "loong64": "loong64",
    "riscv64": "riscv64",
    "amd64": "amd64",
    "arm64": "arm64",
    "armmp": "armhf",
    "s390x": "s390x",
}

_DEBIAN_FLAVORS = {"", "16k", "64k", "cloud", "lpae", "rt"}
_UBUNTU_FLAVORS = "generic|lowlatency|aws|azure|gcp|gke|gkeop|oracle|kvm|ibm|raspi|nvidia|oem|intel|xilinx"

_UPSTREAM = re.compile(r"(\d+(?:\.\d+)*)(?:[-~](rc\d+))?")
_BASE = re.compile(r"\d+\.\d+")
# What follows the version and still belongs to the build's number, not to its flavor: ``-46``, ``-0.bpo.3``,
# ``-0.deb11.48``, ``+deb13.1``, ``-trunk``, ``-300.fc39``, ``-150600.21``; but not ``-64k`` and ``-686``.
_ABI = re.compile(r"(?:\+[A-Za-z]\w*(?:\.\d+)*|-trunk|-(?!\d+k(?:-|$)|686(?:-|$))\d[\w.]*)(?=-|$)")
_MACHINE_SUFFIX = re.compile(r"[.](x86_64|aarch64|ppc64le|riscv64|s390x|armv7hl|i686)(?:\+([\w.-]+))?$")
_LOCAL_BUILD = re.compile(r"(?:-g[0-9a-f]{7,}|-dirty|\+)+$")


def arch_name(word: str) -> str | None:
    """Return Debian's name of the architecture that ``word`` spells in any common way, else ``None``."""
    return _ARCH_NAMES.get(word.lower())


@lru_cache(maxsize=4096)
def version_key(version: str) -> tuple[tuple[int, ...] | int, ...]:
    """Return a key that sorts as Debian Policy 5.6.12 orders versions (epoch, upstream version, revision).

    Unlike a parser of valid versions it takes any text, since a hand-made kernel's release is any text.
    """
    epoch, colon, rest = version.partition(":")
    if not (colon and epoch.isdecimal()):
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return (int(epoch), _part_key(upstream), _part_key(revision))  # type: ignore[return-value]


def _part_key(part: str) -> tuple[tuple[int, ...] | int, ...]:
    pairs = re.findall(r"([^0-9]*)([0-9]*)", part)
    # The last match is empty. An empty part counts as "0", so that there it stays.
    if len(pairs) > 1:
        pairs.pop()
    key: list[tuple[int, ...] | int] = []
    for text, number in pairs:
        key += [(*map(_character_order, text), 0), int(number or 0)]
    # The end of a part sorts after "~" and before everything else.
    return (*key, (0,))


def _character_order(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isascii() and character.isalpha() else ord(character) + 256


@lru_cache(maxsize=4096)
def upstream_version(version: str) -> str | None:
    """Return the kernel's own version inside a package's or a release's: ``6.12.117``, ``7.3-rc7``."""
    found = _UPSTREAM.match(version.partition(":")[2] if re.match(r"\d+:", version) else version)
    return None if found is None else "-".join(part for part in found.groups() if part)


def stable_step(upstream: str) -> int:
    """The place of an upstream version in its stable series: its third number; candidates come before the
    first."""
    plain, _, candidate = upstream.partition("-rc")
    third = (*plain.split("."), "0", "0")[2]
    return int(third) - (100 - int(candidate) if candidate.isdecimal() else 0)


class ParsedRelease(NamedTuple):
    """What a release (``uname -r``) tells by itself; ``None`` is what it does not."""

    base_version: str
    flavor: str
    arch: str | None
    distro: str | None


def parse_release(release: str) -> ParsedRelease:
    """Read a release as distributions spell it.

    Debian's forms over the years are known exactly; of others the flavor is what is left after the version,
    the build number and the machine. Raises ``ValueError`` if the release does not begin with a version.
    """
    base, version = _BASE.match(release), _UPSTREAM.match(release)
    if base is None or version is None:
        raise ValueError(f"the release {release!r} does not begin with a version such as 6.12")
    rest = _LOCAL_BUILD.sub("", release[version.end() :])
    arch = flavor = None
    if machine := _MACHINE_SUFFIX.search(rest):
        arch, flavor = arch_name(machine[1]), machine[2]
        rest = rest[: machine.start()]
    abi = _ABI.match(rest)
    if flavor is None:
        flavor = (rest[abi.end() :] if abi else rest).lstrip("-")
    distro = _guess_distro(release)
    for part, part_arch in _DEBIAN_PARTS.items():
        without = re.sub(rf"(?:^|-){part}(?=-|$)", "", flavor).lstrip("-")
        if without != flavor:
            if distro is None and without in _DEBIAN_FLAVORS:
                distro = "debian"
            flavor, arch = without, part_arch
            break
    else:
        if flavor.split("-")[-1] == "686":
            arch, distro = "i386", distro or "debian"
    return ParsedRelease(base[0], flavor if flavor not in {"", "default"} else GENERIC, arch, distro)


def _guess_distro(release: str) -> str | None:
    if re.search(r"[+.-](?:deb\d|bpo)", release):
        return "debian"
    if re.search(rf"-\d+-(?:{_UBUNTU_FLAVORS})\b", release):
        return "ubuntu"
    if re.search(r"\.fc\d", release):
        return "fedora"
    return "rhel" if re.search(r"\.el\d", release) else None


@total_ordering
@dataclass(frozen=True)
class Kernel:
    """One build of the kernel. Kernels sort by base version, then by their version in Debian's order."""

    distro: str
    """``debian``, ``ubuntu``, ...; ``custom`` for one that nobody ships."""
    release: str
    """What ``uname -r`` says on it."""
    version: str | None
    """The version of the package it came from; ``None`` if it came from none."""
    base_version: str
    """``6.12``: what its release is compared with others by."""
    flavor: str
    """``generic``, ``cloud``, ``rt``, ``64k``, ``lpae``, ``aws``, ..."""
    arch: str
    """Debian's name of the architecture."""

    @classmethod
    def from_release(
        cls,
        release: str,
        *,
        version: str | None = None,
        distro: str | None = None,
        arch: str | None = None,
        flavor: str | None = None,
    ) -> "Kernel":
        """Make a kernel of its release; what is named wins over what the release tells.

        Raises ``ValueError`` if the release has no version, or nothing tells the architecture.
        """
        parsed = parse_release(release)
        known_arch = (arch_name(arch) or arch) if arch else parsed.arch
        if known_arch is None:
            raise ValueError(f"the release {release!r} does not tell the architecture")
        return cls(
            distro=distro or parsed.distro or "custom",
            release=release,
            version=version,
            base_version=parsed.base_version,
            flavor=flavor or parsed.flavor,
            arch=known_arch,
        )

    @property
    def id(self) -> str:
        """A unique name, safe as a file name: distro, release, version (if any) and arch, joined by ``_``."""
        parts = (self.distro, self.release, self.version, self.arch)
        return "_".join(file_safe(part) for part in parts if part is not None)

    @property
    def upstream(self) -> str:
        """The kernel's full version, ``6.12.117``, ``7.3-rc7``, which a package's version tells best."""
        own = upstream_version(self.version or "")
        if own is None or not extends(own, self.base_version):
            own = upstream_version(self.release)
        return own or self.base_version

    def is_version(self, text: str) -> bool:
        """Tell if ``text`` is this kernel's base version, its full version, or a dotted beginning of that."""
        return text == self.base_version or extends(self.upstream, text) or extends(self.release, text)

    def __lt__(self, other: object) -> bool:
        """Order by base version, then by full version as Debian compares them; the rest only breaks ties."""
        return self._key() < other._key() if isinstance(other, Kernel) else NotImplemented

    def _key(self) -> tuple[object, ...]:
        names = (self.distro, self.arch, self.flavor, self.release, self.version or "", self.base_version)
        return (version_key(self.base_version), version_key(self.version or self.release), *names)

    def __str__(self) -> str:
        """Return the id."""
        return self.id


def extends(version: str, prefix: str) -> bool:
    """Tell if ``prefix`` is the version, or a dotted beginning of it."""
    return version.startswith(prefix) and not re.match(r"[0-9A-Za-z]", version[len(prefix) :])


@lru_cache(maxsize=4096)
def file_safe(part: str) -> str:
    """Return any text as a part of a file's name, without ``_``."""
    # A leading dot would make a hidden file, or climb out of a directory.
    return re.sub(r"[^A-Za-z0-9.+~-]|^\.", lambda c: "".join(f"%{byte:02x}" for byte in c[0].encode()), part)
