"""The functions that a source file writes, and what became of each call in their text, in one look-up.

The text of a function stands in its own code and in every copy that the compiler put into others. A call
that is written once makes as many call sites as there are such places: they are counted here, since
a function of a header may have thousands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ksurf.dataset.lookup.brief import symbols_in_brief
from ksurf.dataset.lookup.kept import reading_once
from ksurf.dataset.lookup.table import Table, TableFile, directory_at, in_parallel, values_of
from ksurf.dataset.rows import Caller, FileRows, Function, Instance, WrittenCall
from ksurf.dataset.unpacked.table import UnpackedTable
from ksurf.kernel import Kernel

__all__ = ["callees_of", "functions_written"]

_HOLDERS = 8
"""Functions that are named of those whose code holds copies of a call; the rest is counted."""
_GROUPS = 8
"""Row groups of ``call_sites`` that are held at once, of some 1.5 MB each."""

Kernels = Sequence[tuple[Kernel, Path]]


def functions_written(file: str, names: Collection[str], kernels: Kernels) -> list[FileRows]:
    """What each kernel says of a file's functions, who has them, and the calls in their text.

    ``names`` are functions that belong to the file too, wherever the kernel's debug information puts them:
    a file may have had another name when that kernel was built.
    """
    with reading_once():
        return in_parallel(lambda kernel: _Text(*kernel).of_file(file, names), kernels)


def callees_of(names: Collection[str], kernels: Kernels) -> list[FileRows]:
    """The functions of these names on each kernel, and all calls in their code or in copies of it.

    With those of the functions that are inlined there, which have these around them in their chain.
    """
    with reading_once():
        return in_parallel(lambda kernel: _Text(*kernel).of_names(names), kernels)


class _Text:
    """The tables of a kernel, as the text of its functions sees them."""

    def __init__(self, kernel: Kernel, directory: Path) -> None:
        self._kernel = kernel
        self._tables = directory_at(directory)
        # What is called, and by whom, is anywhere in these: they are read whole, and once.
        self._functions = self._tables.table("functions").read(["name", "decl_file", "decl_line"])

    def of_file(self, file: str, names: Collection[str]) -> FileRows:
        # Names that are no UTF-8 are in no table; they become one that is in none either.
        file = file.encode("utf-8", "replace").decode()
        return self._rows(file, self._declared_in(file) | self._named(names), nested=False)

    def of_names(self, names: Collection[str]) -> FileRows:
        return self._rows(None, self._named(names), nested=True)

    def _declared_in(self, file: str) -> set[int]:
        import pyarrow.compute as pc

        found: set[int] = set()
        start = 0
        for chunk in self._functions["decl_file"].chunks:
            code = chunk.dictionary.index(file).as_py()
            if code >= 0:
                found.update(
                    start + row for row in pc.indices_nonzero(pc.equal(chunk.indices, code)).to_pylist()
                )
            start += len(chunk)
        return found

    def _named(self, names: Collection[str]) -> set[int]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not names:
            return set()
        table = self._tables.table("functions")
        if isinstance(table, UnpackedTable):
            return set(table.numbers("name", names))
        wanted = pa.array([name.encode("utf-8", "replace").decode() for name in names], pa.string())
        return set(pc.indices_nonzero(pc.is_in(self._functions["name"], value_set=wanted)).to_pylist())

    def _rows(self, file: str | None, ids: set[int], *, nested: bool) -> FileRows:
        units = self._units_of(file)
        if not ids:
            return FileRows(self._kernel, file, units)
        tables = self._tables
        functions = self._function_rows(ids)
        instances, code = self._instances(ids)
        symbols = tuple(symbols_in_brief(tables, ids))
        own = {one.id: one.function for one in instances}
        counted = _Calls(tables.table("call_sites"), ids, own, nested=nested)
        held = {caller for _, caller, _ in counted.callers}
        held |= {caller for count in counted.calls.values() for caller in count.holders}
        holders = _taken(code, ["function", "image", "unit"], held)
        wanted = {function for function, _, _ in holders.values()}
        wanted |= {key[1] for key in counted.calls} | {one for key in counted.calls for one in key[5]}
        called = _taken(self._functions, ["name", "decl_file", "decl_line"], wanted)
        paths = self._paths({unit for _, _, unit in holders.values()})
        callers: dict[tuple[int, str, str, str | None, bool], int] = {}
        for (callee, caller, inline), number in counted.callers.items():
            function, image, unit = holders[caller]
            one = callee, called[function][0], tables.images[image][0], paths[unit], inline
            callers[one] = callers.get(one, 0) + number
        calls = tuple(
            WrittenCall(
                function=function,
                callee=called[callee][0],
                callee_file=called[callee][1],
                callee_line=called[callee][2],
                inline=inline,
                file=call_file,
                line=line,
                chain=tuple(called[one][0] for one in chain),
                copies=count.copies,
                holders=tuple(dict.fromkeys(called[holders[caller][0]][0] for caller in count.holders)),
            )
            for (function, callee, inline, call_file, line, chain), count in counted.calls.items()
        )
        return FileRows(
            self._kernel,
            file,
            units,
            functions,
            instances,
            symbols,
            tuple(Caller(*one, number) for one, number in callers.items()),
            calls,
        )

    def _function_rows(self, ids: set[int]) -> tuple[Function, ...]:
        rest = self._tables.table("functions").at(
            ids, ["linkage_name", "external", "declared_inline", "prototype"]
        )
        known = _taken(self._functions, ["name", "decl_file", "decl_line"], ids)
        return tuple(
            Function(number, name, linkage_name, file, line, external, declared_inline, prototype)
            for number, (linkage_name, external, declared_inline, prototype) in rest.items()
            for name, file, line in [known[number]]
        )

    def _units_of(self, file: str | None) -> int | None:
        import pyarrow.compute as pc

        paths = self._tables.table("units").read(["path"])["path"]
        if not len(paths):
            return None
        return int(pc.sum(pc.equal(paths, file or "")).as_py() or 0)

    def _paths(self, units: set[int | None]) -> dict[int | None, str | None]:
        numbers = [unit for unit in units if unit is not None]
        found: dict[int | None, str | None] = {None: None}
        found.update(
            (unit, path) for unit, (path,) in self._tables.table("units").at(numbers, ["path"]).items()
        )
        return found

    def _instances(self, functions: set[int]) -> tuple[tuple[Instance, ...], Any]:
        """The functions' instances without their addresses, and what was read to find them."""
        import pyarrow as pa
        import pyarrow.compute as pc

        code = self._tables.table("instances").read(["function", "image", "unit", "inlined", "out_of_line"])
        table = self._tables.table("instances")
        numbers: Sequence[int]
        if isinstance(table, UnpackedTable):
            numbers = table.numbers("function", functions)
        else:
            wanted = pa.array(sorted(functions), pa.int32())
            numbers = pc.indices_nonzero(pc.is_in(code["function"], value_set=wanted)).to_pylist()
        rows = _taken(code, ["function", "image", "unit", "inlined", "out_of_line"], numbers)
        paths = self._paths({unit for _, _, unit, _, _ in rows.values()})
        result = []
        for number, (function, image, unit, inlined, out_of_line) in rows.items():
            name, evidence = self._tables.images[image]
            result.append(
                Instance(
                    number,
                    function,
                    name,
                    evidence,
                    paths[unit],
                    unit,
                    inlined,
                    out_of_line,
                    address=None,
                    byte_size=None,
                    section=None,
                    inline_address=None,
                )
            )
        return tuple(result), code


def _taken(table: Any, columns: list[str], numbers: Iterable[int]) -> dict[int, tuple[Any, ...]]:
    """The columns of the rows of these numbers, of a table that was read whole."""
    import pyarrow as pa

    ordered = sorted(set(numbers))
    taken = table.select(columns).take(pa.array(ordered, pa.int64()))
    return dict(zip(ordered, zip(*(values_of(taken[name]) for name in columns), strict=True), strict=True))


_NO_LINE = -1

_Key = tuple[int, int, bool, str | None, int | None, tuple[int, ...]]
"""Function, callee, inline, file, line, and the functions in between."""


@dataclass(slots=True)
class _Count:
    copies: int = 0
    holders: dict[int, None] = field(default_factory=dict)


class _Calls:
    """The rows of ``call_sites`` that are written in some functions, and those that call them, counted."""

    def __init__(self, table: Table, functions: set[int], instances: dict[int, int], *, nested: bool) -> None:
        self.calls: dict[_Key, _Count] = {}
        self.callers: dict[tuple[int, int, bool], int] = {}
        """By callee, the instance whose code holds the call, and whether it is inlined."""
        self._table = table
        self._instances = instances
        self._nested = nested
        self._groups: dict[int, _Group | _UnpackedGroup] = {}
        own = [*instances] if instances else []
        in_own, _ = table.rows("caller", own, ["caller"]) if own else ([], None)
        roots = []
        for number, row in zip(*table.rows("callee", functions, ["callee", "caller", "inline"]), strict=True):
            self.callers[row] = self.callers.get(row, 0) + 1
            if row[2]:
                roots.append((number, row[0]))
        self._own_code(in_own)
        for number, callee in roots:
            self._below(number, callee)

    def _own_code(self, numbers: Iterable[int]) -> None:
        """Count what is written in the instances' own code: it is at depth 0, or in copies that it holds."""
        chain: list[int] = []
        before = -1
        for number in numbers:
            group, index = self._at(number)
            depth, caller = group.depths[index], group.callers[index]
            if caller != before:
                chain, before = [], caller
            del chain[depth:]
            if depth == 0 or (self._nested and len(chain) == depth):
                self._count(self._instances[caller], group, index, tuple(chain))
            if group.inlines[index] and len(chain) == depth:
                chain.append(group.callees[index])

    def _below(self, number: int, function: int) -> None:
        """Count what is written in a copy of a function, which are the rows after its own that are deeper."""
        group, index = self._at(number)
        caller, root = group.callers[index], group.depths[index]
        chain: list[int] = []
        end = self._table.starts[-1]
        while (number := number + 1) < end:
            index += 1
            if index == len(group.depths):
                group, index = self._at(number)
            depth = group.depths[index] - root - 1
            if depth < 0 or group.callers[index] != caller:
                return
            del chain[depth:]
            if depth == 0 or (self._nested and len(chain) == depth):
                self._count(function, group, index, tuple(chain))
            if self._nested and group.inlines[index] and len(chain) == depth:
                chain.append(group.callees[index])

    def _count(
        self, function: int, group: _Group | _UnpackedGroup, index: int, chain: tuple[int, ...]
    ) -> None:
        key = (
            function,
            group.callees[index],
            bool(group.inlines[index]),
            group.file(index),
            group.line(index),
            chain,
        )
        count = self.calls.get(key)
        if count is None:
            count = self.calls[key] = _Count()
        count.copies += 1
        if len(count.holders) < _HOLDERS:
            count.holders[group.callers[index]] = None

    def _at(self, number: int) -> tuple[_Group | _UnpackedGroup, int]:
        at = bisect_right(self._table.starts, number) - 1
        if at not in self._groups:
            # The walk goes on from group to group, and a step back at times.
            while len(self._groups) >= _GROUPS:
                del self._groups[next(iter(self._groups))]
            if isinstance(self._table, UnpackedTable):
                self._groups[at] = _UnpackedGroup(self._table)
            else:
                self._groups[at] = _Group(self._table, at)
        return self._groups[at], number - self._table.starts[at]


class _Group:
    """A row group of ``call_sites``, as memory: objects of all rows would take longer than the walk."""

    def __init__(self, table: TableFile, group: int) -> None:
        import pyarrow as pa

        read = table.read(["caller", "depth", "callee", "inline", "file", "line"], [group])
        self.callers = _memory(read["caller"])
        self.depths = _memory(read["depth"])
        self.callees = _memory(read["callee"])
        self.inlines = _memory(read["inline"].cast(pa.int32()))
        self._lines = _memory(read["line"].fill_null(_NO_LINE))
        coded = _whole(read["file"])
        if not pa.types.is_dictionary(coded.type):
            coded = coded.dictionary_encode()
        self._names: list[str | None] = [*coded.dictionary.to_pylist(), None]
        self._files = _memory(coded.indices.fill_null(len(self._names) - 1))

    def file(self, index: int) -> str | None:
        """The file that is named, which is rare."""
        return self._names[self._files[index]]

    def line(self, index: int) -> int | None:
        """The line, if it is known."""
        line = self._lines[index]
        return None if line == _NO_LINE else line


class _UnpackedGroup:
    """The same of an unpacked table, all of whose rows are one group."""

    def __init__(self, table: UnpackedTable) -> None:
        self.callers, self.depths, self.callees, self.inlines = map(
            table.column, ("caller", "depth", "callee", "inline")
        )
        self.file, self.line = (table.column(name).value for name in ("file", "line"))


def _whole(column: Any) -> Any:
    import pyarrow as pa

    array = column.combine_chunks()
    return array.chunk(0) if isinstance(array, pa.ChunkedArray) else array


def _memory(column: Any) -> memoryview:
    """The values of a column of 32 bits without nulls."""
    import pyarrow as pa

    array = _whole(column) if isinstance(column, pa.ChunkedArray) else column
    return memoryview(array.buffers()[1]).cast("B").cast("i")[array.offset : array.offset + len(array)]
