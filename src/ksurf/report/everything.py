"""Two kernels compared in everything.

Keys and names are compared as Arrow has them; Python objects are made for what differs, and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ksurf.dataset.lookup import definitions_of, read_tables
from ksurf.dataset.lookup.table import in_parallel, stored_columns, values_of
from ksurf.dataset.rows import (
    BtfId,
    ConfigOption,
    Definition,
    Export,
    Function,
    Syscall,
    Tracepoint,
    TracepointField,
)
from ksurf.kernel import Kernel
from ksurf.surface.config import compare_options, judge_option
from ksurf.surface.diff import KindDiff, diff_kind, diff_statuses
from ksurf.surface.export import compare_exports, judge_export
from ksurf.surface.kfunc import compare_kfuncs, is_kfunc, judge_kfunc
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED, HOOKS_UNION, compare_hooks, hooks, judge_hook
from ksurf.surface.prototype import compare_definitions
from ksurf.surface.rename import Whole
from ksurf.surface.symbol import SymbolStatus, compare_statuses, found
from ksurf.surface.syscall import compare_syscalls, judge_syscall
from ksurf.surface.tracepoint import (
    BTF_TRACE,
    TRACEITER,
    compare_tracepoints,
    judge_tracepoint,
    prototype_names,
)
from ksurf.surface.type_change import compare_types, type_whole
from ksurf.surface.types import enumerators

__all__ = ["DIFF_KINDS", "POOLED_KINDS", "differences"]

T = TypeVar("T")

_TYPES = ("struct", "union", "enum", "typedef", "var")
DIFF_KINDS = ("function", *_TYPES, "tracepoint", "syscall", "lsm", "kfunc", "export", "config")
"""The kinds that are compared, in the order of a report."""
POOLED_KINDS = frozenset((*_TYPES, "tracepoint", "lsm", "kfunc"))
"""Those that need definitions: reading these takes about as long as comparing all other kinds."""

_COLUMNS: dict[str, tuple[str, ...]] = {
    "images": ("name",),
    "types": ("name", "kind", "image", "definition"),
    "functions": ("name", "decl_file", "prototype"),
    "instances": ("function", "out_of_line"),
    "symbols": ("function",),
    "call_sites": ("caller", "callee"),
    "tracepoints": ("id", "image", "system", "name", "class", "tracepoint", "print_format"),
    "tracepoint_fields": ("tracepoint", "name", "type", "byte_offset", "byte_size", "signed"),
    "syscalls": ("abi", "number", "name", "entry"),
    "exports": ("name", "image", "gpl", "namespace", "crc"),
    "btf_ids": tuple(stored_columns("btf_ids")),
    "config": ("name", "value"),
}
_TABLES = {
    "function": ("functions", "instances", "symbols", "call_sites"),
    **dict.fromkeys(_TYPES, ("images", "types")),
    "tracepoint": ("images", "tracepoints", "tracepoint_fields", "types"),
    "syscall": ("syscalls",),
    "lsm": ("images", "types", "btf_ids"),
    "kfunc": ("images", "types", "btf_ids"),
    "export": ("images", "exports"),
    "config": ("config",),
}
_NAMED = {"lsm": ("union", HOOKS_UNION), "kfunc": ("enum", "bpf_prog_type")}
"""The type by whose members a kind is judged."""


def differences(
    old: tuple[Kernel, Path], new: tuple[Kernel, Path], kinds: Collection[str] = DIFF_KINDS
) -> list[KindDiff]:
    """What differs between two kernels, each with its directory: of each kind, in the usual order."""
    tables = {table for kind in kinds for table in _TABLES[kind]}
    columns = {table: own for table, own in _COLUMNS.items() if table in tables}
    sides = [
        _Side(kernel, directory, held)
        for (kernel, directory), held in zip((old, new), read_tables([old[1], new[1]], columns), strict=True)
    ]
    pair = _Pair(sides[0], sides[1], kinds)
    return [pair.diff(kind) for kind in DIFF_KINDS if kind in kinds]


class _Side:
    """One kernel's tables, as Arrow has them."""

    def __init__(self, kernel: Kernel, directory: Path, tables: Mapping[str, Any]) -> None:
        self.kernel = kernel
        self.directory = directory
        self.tables = tables

    @cached_property
    def images(self) -> list[str]:
        names: list[str] = self.tables["images"]["name"].to_pylist()
        return names

    def rows(self, table: Any) -> Iterable[dict[str, Any]]:
        """A table's rows, with images by name."""
        for row in table.to_pylist():
            if "image" in row:
                row["image"] = self.images[row["image"]]
            yield row


class _Pair:
    """Two kernels."""

    def __init__(self, old: _Side, new: _Side, kinds: Collection[str]) -> None:
        self._sides = (old, new)
        self._kinds = kinds

    def diff(self, kind: str) -> KindDiff:
        if kind in _TYPES:
            return self._types(kind)
        by_kind: dict[str, Callable[[], KindDiff]] = {
            "function": self._functions,
            "tracepoint": self._tracepoints,
            "syscall": self._syscalls,
            "lsm": self._lsm,
            "kfunc": self._kfuncs,
            "export": self._exports,
            "config": self._config,
        }
        return by_kind[kind]()

    # Types

    @cached_property
    def _different(self) -> list[dict[tuple[str, str], list[tuple[int, str]]]]:
        """Of each side the definitions and images of every name that may differ, but for prototypes.

        Such a name has a definition that one side has not. What else is under it is there, too.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        types = [
            side.tables["types"].filter(pc.not_equal(side.tables["types"]["kind"], "func"))
            for side in self._sides
        ]
        keys = [table["definition"].unique() for table in types]
        only = [
            table.filter(pc.invert(pc.is_in(table["definition"], value_set=other)))
            for table, other in zip(types, reversed(keys), strict=True)
        ]
        names = pa.concat_tables([table.select(["name"]) for table in only])["name"].unique()
        result = []
        for side, table in zip(self._sides, types, strict=True):
            held: dict[tuple[str, str], list[tuple[int, str]]] = {}
            rows = table.filter(pc.is_in(table["name"], value_set=names))
            columns = (values_of(rows[column]) for column in ("kind", "name", "definition", "image"))
            for kind, name, key, image in zip(*columns, strict=True):
                held.setdefault((kind, name), []).append((key, side.images[image]))
            result.append(held)
        return result

    @cached_property
    def _definitions(self) -> dict[int, Definition]:
        """All definitions that are needed, which are read from the pool once: of types those that only one
        side has.
        """
        keys: set[int] = set()
        if not set(_TYPES).isdisjoint(self._kinds):
            old, new = ({key for rows in held.values() for key, _ in rows} for held in self._different)
            keys |= old ^ new
        if not {"tracepoint", "kfunc"}.isdisjoint(self._kinds):
            keys.update(key for own in self._prototype_keys for key in own.values())
        for kind, named in _NAMED.items():
            if kind in self._kinds:
                keys.update(key for key in self._keys_named(*named) if key is not None)
        return definitions_of(keys, [(side.kernel, side.directory) for side in self._sides])

    def _keys_named(self, kind: str, name: str) -> list[int | None]:
        """The key of the definition of vmlinux that each side has under a name, whether or not it differs."""
        import pyarrow.compute as pc

        keys: list[int | None] = []
        for side in self._sides:
            types = side.tables["types"]
            rows = types.filter(pc.equal(types["name"], name))
            rows = rows.filter(pc.equal(rows["kind"], kind))
            keys.append(rows["definition"][0].as_py() if rows.num_rows else None)
        return keys

    def _types(self, kind: str) -> KindDiff:
        old, new = (
            {name: rows for (own, name), rows in held.items() if own == kind} for held in self._different
        )
        changed = []
        for name in old.keys() & new.keys():
            if len(old[name]) == len(new[name]) == 1:  # nearly always
                (before_key, _), (after_key, _) = old[name][0], new[name][0]
                if before_key != after_key:
                    changed.append((name, self._compare_keys(before_key, after_key)))
                continue
            before, after = (
                found(side.kernel, name, ((key, key, image, None) for key, image in rows))
                for side, rows in zip(self._sides, (old[name], new[name]), strict=True)
            )
            changed.append((name, compare_statuses(before, after, self._compare_keys)))
        added, removed = new.keys() - old.keys(), old.keys() - new.keys()
        wholes = (
            [type_whole(self._definitions[old[name][0][0]]) for name in sorted(removed)],
            [type_whole(self._definitions[new[name][0][0]]) for name in sorted(added)],
        )
        return diff_kind(kind, added, removed, changed, wholes)

    def _compare_keys(self, old: int, new: int) -> Sequence[Any]:
        return compare_types(self._definitions[old], self._definitions[new])

    @cached_property
    def _prototype_keys(self) -> list[dict[str, int]]:
        """Of each side the keys of the prototypes by which tracepoints and kfuncs are called, by the name of
        a function or, where a tracepoint has none, of a typedef.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        keys: list[dict[str, int]] = []
        for side in self._sides:
            types = side.tables["types"]
            functions = types.filter(pc.equal(types["kind"], "func"))
            wanted = pc.starts_with(functions["name"], TRACEITER)
            if "btf_ids" in side.tables:
                listed = pa.array({row.name for row in self._ids(side) if is_kfunc(row)}, pa.string())
                wanted = pc.or_(wanted, pc.is_in(functions["name"], value_set=listed))
            typedefs = types.filter(pc.equal(types["kind"], "typedef"))
            typedefs = typedefs.filter(pc.starts_with(typedefs["name"], BTF_TRACE))
            own: dict[str, int] = {}
            for rows in (functions.filter(wanted), typedefs):
                names, found = (values_of(rows[column]) for column in ("name", "definition"))
                for name, key in zip(names, found, strict=True):
                    # Of several the first, which is that of vmlinux.
                    if name.replace(BTF_TRACE, TRACEITER, 1) not in own:
                        own.setdefault(name, key)
            keys.append(own)
        return keys

    @cached_property
    def _prototypes(self) -> list[dict[str, Definition]]:
        return [{name: self._definitions[key] for name, key in own.items()} for own in self._prototype_keys]

    # Functions

    def _functions(self) -> KindDiff:
        import pyarrow as pa
        import pyarrow.compute as pc

        present, coded = zip(*in_parallel(_present_and_coded, self._sides), strict=True)
        added, removed = _only_in(present[1], present[0])
        touched = pa.chunked_array(_names_to_compare(*coded))
        near = [rows.filter(pc.is_in(rows["name"], value_set=touched)) for rows in coded]
        # What is declared in the same words on both sides has not changed; the words have the name in them.
        differing = pa.concat_tables(
            table.filter(pc.invert(pc.is_in(table["prototype"], value_set=other["prototype"])))
            for table, other in zip(near, reversed(near), strict=True)
        )["name"]
        old, new = (
            _functions_by_name(side, rows.filter(pc.is_in(rows["name"], value_set=differing)))
            for side, rows in zip(self._sides, near, strict=True)
        )
        changed = [(name, compare_definitions(old[name], new[name])) for name in old if name in new]
        gone, come = (
            _with_files(side, rows.filter(pc.is_in(rows["name"], value_set=own)))
            for side, rows, own in zip(self._sides, coded, (removed, added), strict=True)
        )
        wholes = (
            _function_wholes(self._sides[0], gone, come),
            _function_wholes(self._sides[1], come, gone),
        )
        return diff_kind("function", added.to_pylist(), removed.to_pylist(), changed, wholes)

    # What kernels offer

    def _tracepoints(self) -> KindDiff:
        old, new = (_events(side) for side in self._sides)
        before, after = self._prototypes
        same = {
            name
            for name, rows in old.items()
            if new.get(name) == rows and all(_called(row, before) == _called(row, after) for row in rows)
        }
        statuses = [
            {
                name: judge_tracepoint(side.kernel, name, rows, prototypes)
                for name, rows in events.items()
                if name not in same
            }
            for side, events, prototypes in zip(self._sides, (old, new), self._prototypes, strict=True)
        ]
        return diff_statuses("tracepoint", statuses[0], statuses[1], compare_tracepoints, _event_whole)

    def _syscalls(self) -> KindDiff:
        return self._by_name("syscall", "syscalls", Syscall, judge_syscall, compare_syscalls, scoped=True)

    def _exports(self) -> KindDiff:
        return self._by_name("export", "exports", Export, judge_export, compare_exports)

    def _config(self) -> KindDiff:
        unknown = tuple(side.kernel.id for side in self._sides if not side.tables["config"].num_rows)
        if unknown:
            return KindDiff("config", (), (), (), unknown=unknown)
        return self._by_name("config", "config", ConfigOption, judge_option, compare_options)

    def _by_name(
        self,
        kind: str,
        table: str,
        row_type: Callable[..., T],
        judge: Callable[[Kernel, str, list[T]], SymbolStatus[T]],
        compare: Callable[[T, T], Sequence[Any]],
        *,
        scoped: bool = False,
    ) -> KindDiff:
        """Compare rows of the type's columns; ``scoped`` if it takes the judgement to tell their scope."""
        old, new = (_rows_by_name(side, side.tables[table]) for side in self._sides)
        changed: list[tuple[str, Sequence[Any]]] = []
        for name in old.keys() & new.keys():
            if old[name] == new[name]:
                continue
            before, after = ([row_type(*row) for row in rows] for rows in (old[name], new[name]))
            if len(before) == len(after) == 1 and not scoped:  # nearly always
                changed.append((name, compare(before[0], after[0])))
                continue
            was, now = (
                judge(side.kernel, name, rows)
                for side, rows in zip(self._sides, (before, after), strict=True)
            )
            changed.append((name, compare_statuses(was, now, compare)))
        return diff_kind(kind, new.keys() - old.keys(), old.keys() - new.keys(), changed)

    def _ids(self, side: _Side) -> list[BtfId]:
        return [BtfId(**row) for row in side.rows(side.tables["btf_ids"])]

    def _named_definitions(self, kind: str) -> list[Definition | None]:
        keys = self._keys_named(*_NAMED[kind])
        return [None if key is None else self._definitions[key] for key in keys]

    def _lsm(self) -> KindDiff:
        statuses = []
        unions = self._named_definitions("lsm")
        for side, union in zip(self._sides, unions, strict=True):
            sets = {BPF_HOOKS, BPF_HOOKS_DISABLED}
            held = hooks(union, [row for row in self._ids(side) if row.set in sets])
            statuses.append({name: judge_hook(side.kernel, name, held) for name in held})
        old, new = statuses
        return diff_statuses("lsm", old, new, compare_hooks)

    def _kfuncs(self) -> KindDiff:
        statuses = []
        enums = self._named_definitions("kfunc")
        for index, (side, enum) in enumerate(zip(self._sides, enums, strict=True)):
            by_name: dict[str, list[BtfId]] = {}
            for row in filter(is_kfunc, self._ids(side)):
                by_name.setdefault(row.name, []).append(row)
            kinds = {value: name for name, value in enumerators(enum).items()} if enum else {}
            statuses.append(
                {
                    name: judge_kfunc(side.kernel, name, rows, self._prototypes[index], kinds)
                    for name, rows in by_name.items()
                }
            )
        old, new = statuses
        return diff_statuses("kfunc", old, new, compare_kfuncs)


def _present_and_coded(side: _Side) -> tuple[Any, Any]:
    """The names of the functions that left something in an image, and those that have code of their own, by
    name and prototype, with their numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    functions, instances = side.tables["functions"], side.tables["instances"]
    # Functions stand in the order of their names: each run is one.
    present = functions["name"].filter(_owned(side, instances))
    names = pc.run_end_encode(present.combine_chunks()).values
    own_code = _owned(side, instances.filter(instances["out_of_line"]))
    texts = (functions[column].filter(own_code).combine_chunks() for column in ("name", "prototype"))
    coded = pa.table([pc.indices_nonzero(own_code), *texts], ["number", "name", "prototype"])
    return names, coded


def _owned(side: _Side, instances: Any) -> Any:
    """Of each function whether it has one of these instances, or a symbol."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Ids are row numbers, and marking them takes a fifth of the time of looking each up in a set. Instances
    # stand in the order of their functions: each run is one.
    marks = bytearray(side.tables["functions"].num_rows)
    runs = pc.run_end_encode(instances["function"].combine_chunks()).values
    for owner in values_of(pa.chunked_array([runs])):
        marks[owner] = 1
    for owner in values_of(pc.drop_null(side.tables["symbols"]["function"])):
        marks[owner] = 1
    return _as_mask(marks)


def _as_mask(marks: bytearray) -> Any:
    import pyarrow as pa

    return pa.Array.from_buffers(pa.uint8(), len(marks), [None, pa.py_buffer(marks)]).cast(pa.bool_())


def _only_in(own: Any, other: Any) -> tuple[Any, Any]:
    """The names that only the one has, and those that only the other has; each has a name once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(own, value_set=other)
    rest = bytearray(b"\x01") * len(other)
    for place in values_of(pa.chunked_array([pc.drop_null(places)])):
        rest[place] = 0
    return own.filter(pc.is_null(places)), other.filter(_as_mask(rest))


def _names_to_compare(old: Any, new: Any) -> list[Any]:
    """The names behind which not both sides have one function, declared in the same words."""
    import pyarrow.compute as pc

    names = [table["name"].combine_chunks() for table in (old, new)]
    several = [own[1:].filter(pc.equal(own[1:], own[:-1])) if len(own) else own for own in names]
    places = pc.index_in(new["name"], value_set=old["name"])
    same = pc.equal(new["prototype"], old["prototype"].take(places))
    # Of one that cannot be told, a prototype is missing, or the other side.
    return [*several, names[1].filter(pc.fill_null(pc.invert(same), False))]


def _with_files(side: _Side, rows: Any) -> Any:
    """Some of a side's functions, with the files that declare them."""
    return rows.append_column("decl_file", side.tables["functions"]["decl_file"].take(rows["number"]))


def _functions_by_name(side: _Side, rows: Any) -> dict[str, list[Function]]:
    result: dict[str, list[Function]] = {}
    table = _with_files(side, rows)
    columns = [values_of(table[column]) for column in ("number", "name", "decl_file", "prototype")]
    for number, name, file, prototype in zip(*columns, strict=True):
        function = Function(number, name, None, file, None, None, None, prototype)
        result.setdefault(name, []).append(function)
    return result


def _function_wholes(side: _Side, own: Any, other: Any) -> list[Whole]:
    """Functions of a table, as far as the other has some that are declared in the same file."""
    import pyarrow.compute as pc

    rows = own.filter(pc.is_in(own["decl_file"], value_set=pc.drop_null(other["decl_file"])))
    callers = _callers(side, rows["number"])
    columns = [values_of(rows[column]) for column in ("number", "name", "decl_file", "prototype")]
    wholes: dict[str, Whole] = {}
    for number, name, file, prototype in zip(*columns, strict=True):
        wholes[name] = _function_whole(name, file, prototype, callers.get(number, ()))
    return [wholes[name] for name in sorted(wholes)]


def _callers(side: _Side, functions: Any) -> dict[int, set[str]]:
    """Of each of these functions the names of those whose code calls it, or holds a copy of it."""
    import pyarrow.compute as pc

    calls = side.tables["call_sites"]
    calls = calls.filter(pc.is_in(calls["callee"], value_set=functions.cast(calls["callee"].type)))
    owners = side.tables["instances"]["function"].take(calls["caller"])
    names = side.tables["functions"]["name"].take(owners)
    callers: dict[int, set[str]] = {}
    for callee, name in zip(values_of(calls["callee"]), values_of(names), strict=True):
        callers.setdefault(callee, set()).add(name)
    return callers


def _function_whole(name: str, file: str | None, prototype: str | None, callers: Iterable[str]) -> Whole:
    shape: frozenset[str] = frozenset()
    if prototype is not None:
        # Taken apart at its commas: enough to see how much two have in common, in a tenth of the time.
        result, _, parameters = prototype.partition(f"{name}(")
        shape = frozenset((result, *parameters.split(", ")))
    return Whole(name, name, file, shape, frozenset(callers))


def _values(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist() if str(column.type) == "bool" else values_of(column)
    return values


def _rows_by_name(side: _Side, table: Any) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each name, in the order of the columns, with images by name."""
    columns = [_values(column) for column in table.columns]
    if "image" in table.column_names:
        index = table.column_names.index("image")
        columns[index] = [side.images[image] for image in columns[index]]
    place = table.column_names.index("name")
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for row in zip(*columns, strict=True):
        rows.setdefault(row[place], []).append(row)
    return rows


def _events(side: _Side) -> dict[str, list[Tracepoint]]:
    """The events and bare tracepoints by name, with the system where there is one."""
    fields: dict[int, list[TracepointField]] = {}
    table = side.tables["tracepoint_fields"]
    for owner, *values in zip(*map(_values, table.columns), strict=True):
        fields.setdefault(owner, []).append(TracepointField(*values))
    result: dict[str, list[Tracepoint]] = {}
    table = side.tables["tracepoints"]
    columns = map(_values, table.columns)
    for number, image, system, name, class_, tracepoint, print_format in zip(*columns, strict=True):
        own = tuple(fields.get(number, ()))
        event = Tracepoint(side.images[image], system, name, class_, tracepoint, print_format, own)
        result.setdefault(name if system is None else f"{system}:{name}", []).append(event)
    return result


def _called(row: Tracepoint, prototypes: Mapping[str, Definition]) -> int | None:
    """The key of what a tracepoint is called with."""
    names = prototype_names(row.tracepoint) if row.tracepoint else ()
    return next((prototypes[name].key for name in names if name in prototypes), None)


def _event_whole(name: str, event: Any) -> Whole:
    row = event.row
    return Whole(name, name, row.system, frozenset(f"{field.type} {field.name}" for field in row.fields))
