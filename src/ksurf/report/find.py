"""Symbols by name: the rows about them looked up, and judged, for each kind."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ksurf.dataset import lookup
from ksurf.dataset.rows import Definition
from ksurf.kernel import Kernel
from ksurf.report.near import near
from ksurf.surface.config import judge_option
from ksurf.surface.export import judge_export
from ksurf.surface.field import Types, by_name, judge_field, owner_and_path, types_on_the_way
from ksurf.surface.kfunc import is_kfunc, judge_kfunc
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED, HOOKS_UNION, Hook, hooks, judge_hook
from ksurf.surface.symbol import SymbolStatus
from ksurf.surface.syscall import judge_syscall
from ksurf.surface.tracepoint import judge_tracepoint, prototype_names
from ksurf.surface.types import enumerators, fields, judge_type

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Kernels", "near_names", "statuses_of"]

Kernels = Sequence[tuple[Kernel, Path]]
"""Kernels, each with the directory of its tables."""
Found = dict[str, list[SymbolStatus[Any]]]
"""Statuses by name, in the order of the kernels."""

_TYPES = ("struct", "union", "enum", "typedef")
_OWNERS = ("struct", "union", "typedef")


def statuses_of(kind: str, names: Sequence[str], kernels: Kernels) -> Found:
    """What each of the names is on each of the kernels, as a symbol of that kind."""
    return _FIND[kind](names, kernels) if kind in _FIND else _types(kind, names, kernels)


Names: TypeAlias = Callable[[Collection[str]], "pa.StringArray | Iterable[str]"]
"""What knows all names of some kinds."""


def near_names(kind: str, kernels: Kernels, name: str, known: Names | None = None) -> list[str]:
    """The names of that kind which the kernels have and which are near ``name``, the nearest first.

    ``known`` has the kernels' names, if somebody has gathered them.
    """
    if kind == "field":
        types = partial(lookup.type_names, kernels, kinds=_OWNERS)
        return _near_fields(name, kernels, types if known is None else partial(known, _OWNERS))
    return near(name, _names_of(kind, kernels) if known is None else known((kind,)))


def _names_of(kind: str, kernels: Kernels) -> pa.StringArray | Iterable[str]:
    if kind in _TYPES:
        return lookup.type_names(kernels, kinds=(kind,))
    match kind:
        case "function":
            return lookup.function_names(kernels)
        case "tracepoint":
            return lookup.tracepoint_names(kernels)
        case "syscall":
            return lookup.syscall_names(kernels)
        case "export":
            return lookup.export_names(kernels)
        case "config":
            return lookup.config_names(kernels)
        case "lsm":
            return {hook for held in _hooks(kernels) for hook in held}
        case _:
            return {row.name for rows in lookup.btf_ids(kernels) for row in rows if is_kfunc(row)}


def _types(kind: str, names: Sequence[str], kernels: Kernels) -> Found:
    found = lookup.types_named(names, kernels, kinds=(kind,))
    return {name: [judge_type(rows) for rows in found[name]] for name in names}


def _tracepoints(names: Sequence[str], kernels: Kernels) -> Found:
    found = lookup.tracepoints_named(names, kernels)
    behind = {row.tracepoint for held in found.values() for rows in held for row in rows if row.tracepoint}
    known_by = sorted(one for tracepoint in behind for one in prototype_names(tracepoint))
    prototypes = _prototypes(known_by, kernels, kinds=("func", "typedef"))
    return {
        name: [
            judge_tracepoint(kernel, name, rows, own)
            for (kernel, _), rows, own in zip(kernels, found[name], prototypes, strict=True)
        ]
        for name in names
    }


def _prototypes(
    names: Sequence[str], kernels: Kernels, kinds: Collection[str] = ("func",)
) -> list[dict[str, Definition]]:
    """Prototypes of functions by name, on each kernel; of several the first."""
    found = lookup.types_named(names, kernels, kinds=kinds)
    result: list[dict[str, Definition]] = [{} for _ in kernels]
    for name in names:
        for held, rows in zip(result, found[name], strict=True):
            if rows.types:
                held[name] = rows.types[0].definition
    return result


def _syscalls(names: Sequence[str], kernels: Kernels) -> Found:
    return _plainly(judge_syscall, lookup.syscalls_named(names, kernels), kernels)


def _exports(names: Sequence[str], kernels: Kernels) -> Found:
    return _plainly(judge_export, lookup.exports_named(names, kernels), kernels)


def _config(names: Sequence[str], kernels: Kernels) -> Found:
    return _plainly(judge_option, lookup.config_named(names, kernels), kernels)


def _plainly(
    judge: Callable[[Kernel, str, Any], SymbolStatus[Any]], found: dict[str, list[Any]], kernels: Kernels
) -> Found:
    return {
        name: [judge(kernel, name, rows) for (kernel, _), rows in zip(kernels, held, strict=True)]
        for name, held in found.items()
    }


def _lsm(names: Sequence[str], kernels: Kernels) -> Found:
    held = _hooks(kernels)
    return {
        name: [judge_hook(kernel, name, own) for (kernel, _), own in zip(kernels, held, strict=True)]
        for name in names
    }


def _hooks(kernels: Kernels) -> list[dict[str, Hook]]:
    unions = lookup.types_named([HOOKS_UNION], kernels, kinds=("union",))[HOOKS_UNION]
    ids = lookup.btf_ids(kernels, sets={BPF_HOOKS, BPF_HOOKS_DISABLED})
    return [
        hooks(rows.types[0].definition if rows.types else None, own)
        for rows, own in zip(unions, ids, strict=True)
    ]


def _kfuncs(names: Sequence[str], kernels: Kernels) -> Found:
    ids = lookup.btf_ids(kernels, names=set(names))
    prototypes = _prototypes(names, kernels)
    enums = lookup.types_named(["bpf_prog_type"], kernels, kinds=("enum",))["bpf_prog_type"]
    kinds = [
        {value: key for key, value in enumerators(rows.types[0].definition).items()} if rows.types else {}
        for rows in enums
    ]
    return {
        name: [
            judge_kfunc(kernel, name, rows, own, known)
            for (kernel, _), rows, own, known in zip(kernels, ids, prototypes, kinds, strict=True)
        ]
        for name in names
    }


def _fields(names: Sequence[str], kernels: Kernels) -> Found:
    """Fields, whose way may lead through other structs: those are looked up until it ends."""
    known: list[Types] = [{} for _ in kernels]
    while missing := sorted(
        {one for types in known for name in names for one in types_on_the_way(name, types)}
    ):
        found = lookup.types_named(missing, kernels, kinds=_OWNERS)
        known = [
            {**types, **by_name([found[name][index] for name in missing])}
            for index, types in enumerate(known)
        ]
    return {
        name: [judge_field(kernel, name, types) for (kernel, _), types in zip(kernels, known, strict=True)]
        for name in names
    }


def _near_fields(
    name: str, kernels: Kernels, types: Callable[[], pa.StringArray | Iterable[str]]
) -> list[str]:
    """The fields of the struct that the name begins with; without such a struct, those of structs near it, or
    these structs if none of them has such a field.
    """
    parts = owner_and_path(name)
    if parts is None:
        return []
    owner, path = parts
    if paths := _paths([owner], kernels)[owner]:
        return [f"{owner}::{one}" for one in near(path, paths)]
    owners = near(owner, types())
    of_each = _paths(owners, kernels)
    found = [f"{other}::{one}" for other in owners for one in near(path, of_each[other], limit=1)]
    return found or owners


def _paths(owners: Sequence[str], kernels: Kernels) -> dict[str, set[str]]:
    """The fields of each of these structs, on whichever kernel."""
    found = lookup.types_named(owners, kernels, kinds=_OWNERS)
    return {
        owner: {field for rows in held for row in rows.types for field in fields(row.definition)}
        for owner, held in found.items()
    }


_FIND: dict[str, Callable[[Sequence[str], Kernels], Found]] = {
    "tracepoint": _tracepoints,
    "syscall": _syscalls,
    "lsm": _lsm,
    "kfunc": _kfuncs,
    "export": _exports,
    "config": _config,
    "field": _fields,
}
