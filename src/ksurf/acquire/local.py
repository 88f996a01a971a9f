"""Kernels on this machine's disk, recognised by content and then by name."""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from ksurf.acquire.source import ConfigSource, FilesSource, Identity, PackageSource
from ksurf.errors import InputError
from ksurf.kernel import parse_release

__all__ = ["control_identity", "local_sources", "modules_below"]

# That of Debian's headers, that of an installed kernel, and that of a folder where a kernel was built.
_CONFIG = re.compile(
    r".*?/(?:linux-headers-(?P<headers>\d[^/]*)/\.config|modules/(?P<modules>\d[^/]*)/config"
    r"|config-(?P<boot>\d[^/]*)|\.config)"
)
_MODULE = re.compile(r"(.+)\.ko(?:\.xz|\.zst|\.gz)?(?:\.debug)?")
_DEBUG_PACKAGE = re.compile(r"linux-image-(?:unsigned-)?(?:debug-)?(\d.*?)(?:-dbg|-dbgsym)?")
# What boot images begin with: EFI executables, and the raw results of gzip, xz and zstd.
_COMPRESSED = (b"MZ", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")
_ET_REL, _ET_EXEC, _ET_DYN = 1, 2, 3


def local_sources(path: Path) -> list[PackageSource | FilesSource]:
    """Return the kernels that a path means: a package, a ``vmlinux``, or those of a directory tree.

    Raises :class:`~ksurf.errors.InputError` if there is none.
    """
    try:
        if path.is_dir():
            return list(_tree_sources(path))
        with path.open("rb") as file:
            start = file.read(0x208)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if start.startswith(b"!<arch>\n"):
        return [PackageSource(path)]
    elf_type = _elf_type(start)
    if elf_type in {_ET_EXEC, _ET_DYN}:
        return [FilesSource(path, identity=Identity(release=_release_of(path)))]
    if elf_type == _ET_REL:
        raise InputError(
            f"{path}: a module or an object file, not a kernel",
            "give the directory that holds vmlinux and its modules",
        )
    if start[0x202:0x206] == b"HdrS" or start.startswith(_COMPRESSED):
        raise InputError(
            f"{path}: a compressed image, without debug information",
            "what is needed is the vmlinux of the kernel's debug package",
        )
    raise InputError(f"{path}: not a kernel: neither a package, nor an ELF file, nor a directory")


def control_identity(control: str, name: str) -> Identity:
    """Read a kernel's identity from a package's ``control``; ``name`` is what errors call the package."""
    fields = dict(re.findall(r"(?m)^(\S+?):[ \t]*(.*?)[ \t]*$", control))
    package = fields.get("Package", "")
    found = _DEBUG_PACKAGE.fullmatch(package)
    if found is None:
        raise InputError(f"{name}: {package or 'it'} is no kernel's package", "ksurf takes linux-image-*-dbg")
    if not package.endswith(("-dbg", "-dbgsym")) and "-debug-" not in package:
        raise InputError(
            f"{name}: {package} has no debug information", f"what is needed is {package}-dbg, or -dbgsym"
        )
    maintainer = fields.get("Maintainer", "").lower()
    distro = next((distro for distro in ("ubuntu", "debian") if distro in maintainer), None)
    return Identity(found[1], fields.get("Version") or None, distro, fields.get("Architecture") or None)


def _elf_type(start: bytes) -> int | None:
    if not start.startswith(b"\x7fELF") or len(start) < 18:
        return None
    (elf_type,) = struct.unpack_from(">H" if start[5] == 2 else "<H", start, 16)
    return int(elf_type)


def _release_of(vmlinux: Path) -> str | None:
    """The release that a path tells: ``vmlinux-REL``, ``.../modules/REL/vmlinux``, ``REL/vmlinux``."""
    name = vmlinux.name.removeprefix("vmlinux-")
    if name == vmlinux.name:
        name = vmlinux.parent.name
    try:
        parse_release(name)
    except ValueError:
        return None
    return name


def _tree_sources(root: Path) -> Iterator[FilesSource]:
    kernels: dict[str | None, Path] = {}
    modules: list[Path] = []
    configs: list[Path] = []
    seen: set[Path] = set()
    real_root = root.resolve()
    for path in sorted(_files(root), key=_preference):
        real = path.resolve()
        # The same file by another name; or something that is not in the tree, or nowhere.
        if real in seen or not real.is_relative_to(real_root) or not real.is_file():
            continue
        if _CONFIG.fullmatch(path.as_posix()):
            seen.add(real)
            configs.append(path)
        elif _MODULE.fullmatch(path.name):
            seen.add(real)
            modules.append(path)
        elif _is_vmlinux(real):
            seen.add(real)
            # In a build tree, arch/*/boot/compressed has a vmlinux too: it is the deeper one.
            kernels.setdefault(_release_of(path) or _release_of(real), path)
    if not kernels:
        raise InputError(f"{root}: no vmlinux in it", "a kernel's tree has a vmlinux, or a vmlinux-RELEASE")
    if any(path.parent == root for path in kernels.values()):
        kernels = {release: path for release, path in kernels.items() if path.parent == root}
    for release, vmlinux in sorted(kernels.items(), key=lambda one: str(one[1])):
        own = modules if len(kernels) == 1 else [path for path in modules if release in path.parts]
        config = _config_of(release, vmlinux, configs)
        yield FilesSource(vmlinux, tuple(_one_of_each(own)), Identity(release=release), config)


def _config_of(release: str | None, vmlinux: Path, configs: list[Path]) -> ConfigSource | None:
    """The configuration that names the release; else what lies beside the vmlinux and names no other."""
    named = {path: found for path in configs if (found := _CONFIG.fullmatch(path.as_posix()))}
    for kind in ("headers", "modules", "boot"):
        for path, found in named.items():
            if release is not None and found[kind] == release:
                return ConfigSource(path)
    beside = [path for path in configs if path.parent == vmlinux.parent]
    fitting = [path for path in beside if release is None or not any(named[path].groups())]
    return ConfigSource(fitting[0]) if len(fitting) == 1 else None


def modules_below(folder: Path) -> tuple[Path, ...]:
    """Return the modules of a directory tree, one of each name."""
    found = sorted(_files(folder), key=_preference)
    return tuple(_one_of_each([path for path in found if _MODULE.fullmatch(path.name) and path.is_file()]))


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            is_image = name == "vmlinux" or name.startswith("vmlinux-") or _MODULE.fullmatch(name)
            if is_image or (name.startswith(("config", ".config")) and _CONFIG.fullmatch(f"{folder}/{name}")):
                yield Path(folder, name)


def _preference(path: Path) -> tuple[bool, bool, int, str]:
    """Where a file is there twice, stripped and not, the one with the debug information comes first."""
    stripped = path.suffix != ".debug" and "usr/lib/debug/" not in path.as_posix()
    return path.is_symlink(), stripped, len(path.parts), str(path)


def _is_vmlinux(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _elf_type(file.read(18)) in {_ET_EXEC, _ET_DYN}
    except OSError:
        return False


def _one_of_each(modules: list[Path]) -> list[Path]:
    named: dict[str, Path] = {}
    for path in modules:
        if found := _MODULE.fullmatch(path.name):
            named.setdefault(found[1].replace("-", "_"), path)
    return sorted(named.values())
