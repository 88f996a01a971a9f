"""Look-ups of tracepoints, system calls, exports, sets of BTF ids, and options of the configuration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ksurf.dataset.lookup.table import directory_at, in_parallel, names_of, rows_of, stored_columns
from ksurf.dataset.rows import BtfId, ConfigOption, Export, Syscall, Tracepoint, TracepointField
from ksurf.dataset.unpacked.cache import unpacked
from ksurf.dataset.unpacked.file import UnpackedFile
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "btf_id_names",
    "btf_ids",
    "config_named",
    "config_names",
    "export_names",
    "exports_named",
    "syscall_abis",
    "syscall_names",
    "syscalls_named",
    "tracepoint_names",
    "tracepoints_named",
]

_Row = TypeVar("_Row")
_Kernels = Sequence[tuple[Kernel, Path]]


def tracepoints_named(names: Sequence[str], kernels: _Kernels) -> dict[str, list[tuple[Tracepoint, ...]]]:
    """The events and bare tracepoints of each name, ``sched_switch`` or ``sched:sched_switch``."""

    def read(directory: Path) -> list[Tracepoint]:
        return _tracepoints(directory, {name.rpartition(":")[2] for name in names})

    return _by_name(names, kernels, read, lambda row: {row.name, f"{row.system}:{row.name}"})


def syscalls_named(names: Sequence[str], kernels: _Kernels) -> dict[str, list[tuple[Syscall, ...]]]:
    """The system calls of each name, in all tables."""
    return _by_name(
        names,
        kernels,
        lambda directory: [Syscall(**row) for row in _where(directory, "syscalls", names)],
        lambda row: (row.name,),
    )


def syscall_abis(kernels: _Kernels) -> list[set[str]]:
    """The tables of system calls that each kernel has."""
    return in_parallel(
        lambda kernel: set(
            directory_at(kernel[1]).table("syscalls").read(["abi"])["abi"].unique().to_pylist()
        ),
        kernels,
    )


def exports_named(names: Sequence[str], kernels: _Kernels) -> dict[str, list[tuple[Export, ...]]]:
    """The exported symbols of each name."""
    return _by_name(
        names,
        kernels,
        lambda directory: [Export(**row) for row in _where(directory, "exports", names)],
        lambda row: (row.name,),
    )


def config_named(names: Sequence[str], kernels: _Kernels) -> dict[str, list[tuple[ConfigOption, ...]]]:
    """The options of each name, ``CONFIG_BPF`` or ``BPF``; none where a configuration lacks it."""
    full = [name if name.startswith("CONFIG_") else f"CONFIG_{name}" for name in names]
    found = _by_name(
        full,
        kernels,
        lambda directory: [ConfigOption(**row) for row in _where(directory, "config", full)],
        lambda row: (row.name,),
    )
    return {name: found[option] for name, option in zip(names, full, strict=True)}


def btf_ids(
    kernels: _Kernels, *, sets: Collection[str] | None = None, names: Collection[str] | None = None
) -> list[tuple[BtfId, ...]]:
    """The entries of these sets, or of all, that have one of these names, or any: of each kernel."""

    def read(kernel: tuple[Kernel, Path]) -> tuple[BtfId, ...]:
        if sets is None:
            return _btf_ids(kernel[1], "name", names)
        active = unpacked()
        told = None if active is None else active.once(kernel[1], _told_ids, frozenset(sets))
        rows = _btf_ids(kernel[1], "set", sets) if told is None else told
        return rows if names is None else tuple(row for row in rows if row.name in names)

    return in_parallel(read, kernels)


def _told_ids(directory: Path, _: UnpackedFile, sets: frozenset[str]) -> tuple[BtfId, ...]:
    return _btf_ids(directory, "set", sets)


def _btf_ids(directory: Path, column: str, values: Collection[str] | None) -> tuple[BtfId, ...]:
    return tuple(BtfId(**row) for row in _where(directory, "btf_ids", values, column))


def tracepoint_names(kernels: _Kernels) -> set[str]:
    """Every name of an event, with its system, and of a bare tracepoint."""

    def read(kernel: tuple[Kernel, Path]) -> list[str]:
        table = directory_at(kernel[1]).table("tracepoints").read(["system", "name"])
        pairs = zip(table["system"].to_pylist(), table["name"].to_pylist(), strict=True)
        return [name if system is None else f"{system}:{name}" for system, name in pairs]

    return {name for names in in_parallel(read, kernels) for name in names}


def syscall_names(kernels: _Kernels) -> pa.StringArray:
    """Every name of a system call."""
    return names_of(kernels, "syscalls", "name")


def export_names(kernels: _Kernels) -> pa.StringArray:
    """Every name of an exported symbol."""
    return names_of(kernels, "exports", "name")


def btf_id_names(kernels: _Kernels) -> pa.StringArray:
    """Every name in a set of BTF ids."""
    return names_of(kernels, "btf_ids", "name")


def config_names(kernels: _Kernels) -> pa.StringArray:
    """Every name of an option."""
    return names_of(kernels, "config", "name")


def _by_name(
    names: Sequence[str],
    kernels: _Kernels,
    read: Callable[[Path], list[_Row]],
    names_of_row: Callable[[_Row], Iterable[str]],
) -> dict[str, list[tuple[_Row, ...]]]:
    """What ``read`` finds in each kernel's directory, by name and kernel."""
    found = []
    for rows in in_parallel(lambda kernel: read(kernel[1]), kernels):
        own: dict[str, list[_Row]] = defaultdict(list)
        for row in rows:
            for name in names_of_row(row):
                own[name].append(row)
        found.append(own)
    return {name: [tuple(own.get(name, ())) for own in found] for name in names}


def _where(
    directory: Path, table: str, values: Collection[str] | None, column: str = "name"
) -> list[dict[str, Any]]:
    """The rows of a table that have one of the values, or all; images by name."""
    tables = directory_at(directory)
    columns = stored_columns(table)
    file = tables.table(table)
    if values is None:
        rows = rows_of(file.read(columns))
    else:
        rows = [dict(zip(columns, row, strict=True)) for row in file.rows(column, set(values), columns)[1]]
    if "image" in columns:
        for row in rows:
            row["image"] = tables.images[row["image"]][0]
    return rows


def _tracepoints(directory: Path, names: Collection[str]) -> list[Tracepoint]:
    rows = _where(directory, "tracepoints", names)
    fields = defaultdict(list)
    if rows:
        columns = ["tracepoint", *TracepointField.__slots__]
        table = directory_at(directory).table("tracepoint_fields")
        for tracepoint, *field in table.rows("tracepoint", {row["id"] for row in rows}, columns)[1]:
            fields[tracepoint].append(TracepointField(*field))
    return [Tracepoint(class_=row.pop("class"), fields=tuple(fields[row.pop("id")]), **row) for row in rows]
