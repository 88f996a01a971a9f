"""What a kernel module needs: the symbols that it imports, the kernel's types that it was compiled with.

Source: kernel/module/main.c, include/linux/license.h. The module is only read, never loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Guard, Kind, Use
from ksurf.check.module_types import ModuleTypes, module_types

if TYPE_CHECKING:
    from ksurf._core import ModuleNeeds

__all__ = ["ModuleInfo", "is_gpl_compatible", "module_info", "read_module"]

_GPL_COMPATIBLE = frozenset(
    {"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"}
)
"""``license_is_gpl_compatible`` of include/linux/license.h."""

_OF_THE_LOADER = frozenset({"__this_module", "_GLOBAL_OFFSET_TABLE_", ".TOC."})
_OF_THE_COMPILER = ("_restgpr", "_savegpr", "_restfpr", "_savefpr", "_restvr_", "_savevr_")
"""Undefined symbols that the kernel does not export, and the loader or the compiler's own functions (powerpc)
stand for: ``ignore_undef_symbol`` of scripts/mod/modpost.c."""

_COMPRESSED = frozenset({".xz", ".zst", ".gz"})
_WEAK = Guard("__weak")


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """What a module says of itself (``.modinfo``)."""

    name: str | None
    license: str | None
    namespaces: tuple[str, ...]
    """Those that it imports (``MODULE_IMPORT_NS``)."""
    depends: tuple[str, ...]
    """Modules that have to be loaded before it."""
    vermagic: str | None
    """Release and options of the kernel that it was built for."""


def is_gpl_compatible(license: str | None) -> bool:
    """Whether the kernel lets a module of that license use symbols that are for the GPL only.

    A module without a license counts as proprietary.
    """
    return license in _GPL_COMPATIBLE


def module_info(needs: ModuleNeeds) -> ModuleInfo:
    """What a module that was read says of itself."""
    values: dict[str, list[str]] = {}
    for key, value in needs.modinfo:
        values.setdefault(key, []).append(value)

    def first(key: str) -> str | None:
        return next(iter(values.get(key, ())), None)

    depends = first("depends") or ""
    return ModuleInfo(
        name=first("name"),
        license=first("license"),
        namespaces=tuple(dict.fromkeys(values.get("import_ns", ()))),
        depends=tuple(name for name in depends.split(",") if name),
        vermagic=first("vermagic"),
    )


def read_module(path: str, called: str | None = None) -> Consumer:
    """What the module at ``path`` needs, which may be compressed.

    Of one that cannot be read only the reason is told. ``called`` is the path whose name it bears, where that
    is not the one at which it lies.
    """
    import pyarrow as pa

    from ksurf import _core

    name = _file_name(called or path)
    try:
        needs = _core.module_needs(path)
    except (_core.ReadError, OSError) as error:
        return Consumer(ConsumerKind.MODULE, name, path, incomplete=(str(error),))
    info = module_info(needs)
    gpl = is_gpl_compatible(info.license)
    rows = pa.RecordBatchReader.from_stream(needs.imports).read_all().to_pylist()
    types, incomplete = _types(path) if needs.dwarf else (ModuleTypes(), ())
    dependencies = tuple(
        Dependency(
            Kind.EXPORT,
            row["name"],
            uses=(Use(guard=_WEAK if row["weak"] else None),),
            crc=row["crc"],
            gpl=gpl,
            namespaces=(*info.namespaces, f"module:{info.name or name}"),
            expected=types.prototypes.get(row["name"]),
        )
        for row in rows
        if row["name"] not in _OF_THE_LOADER and not row["name"].startswith(_OF_THE_COMPILER)
    )
    if info.license is None and not needs.modinfo:
        incomplete += (f"{path}: it has no .modinfo: its license and its namespaces are not known",)
        dependencies = tuple(replace(one, gpl=None, namespaces=None) for one in dependencies)
    if info.vermagic and info.vermagic.strip():
        crc = next((row["crc"] for row in rows if row["crc"] is not None), None)
        dependencies += (Dependency(Kind.VERMAGIC, info.vermagic.strip(), uses=(Use(),), crc=crc),)
    layouts = tuple(
        Dependency(Kind(one[0].kind), one[0].name, uses=(Use(),), layout=one) for one in types.layouts
    )
    return Consumer(
        ConsumerKind.MODULE,
        info.name or name,
        path,
        dependencies=dependencies + layouts,
        incomplete=incomplete,
    )


def _types(path: str) -> tuple[ModuleTypes, tuple[str, ...]]:
    """What it was compiled with, and what of that could not be read."""
    from ksurf import _core

    try:
        types = module_types(path) or ModuleTypes()
    except (_core.ReadError, OSError) as error:
        return ModuleTypes(), (str(error),)
    return types, () if types.incomplete is None else (f"{path}: {types.incomplete}",)


def _file_name(path: str) -> str:
    file = PurePath(path)
    if file.suffix in _COMPRESSED:
        file = file.with_suffix("")
    return file.name.removesuffix(".ko").replace("-", "_")
