"""Look-ups of functions, with instances, symbols and callers.

In Parquet callers are found by scanning ``callee``, four bytes a call.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from ksurf.dataset.lookup.calls import CallMaker, unit_paths
from ksurf.dataset.lookup.table import (
    TableFile,
    directory_at,
    in_parallel,
    names_of,
    rows_of,
    stored_columns,
)
from ksurf.dataset.rows import CallSite, CallSites, Frame, Function, FunctionRows, Instance, Symbol
from ksurf.dataset.unpacked.table import UnpackedTable
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["function_names", "functions_named", "reading_ahead"]


def functions_named(
    names: Sequence[str], kernels: Sequence[tuple[Kernel, Path]], *, chains: bool = False
) -> dict[str, list[FunctionRows]]:
    """The rows about each name, from each kernel and its directory, in their order.

    With ``chains`` each call site has its file, its line and the inlined calls around it, which costs as many
    more reads as there are places of calls.
    """
    found = in_parallel(lambda kernel: _Tables(*kernel).functions_named(names, chains=chains), kernels)
    return {name: [rows[index] for rows in found] for index, name in enumerate(names)}


def function_names(kernels: Sequence[tuple[Kernel, Path]]) -> pa.StringArray:
    """Every function name of the kernels."""
    return names_of(kernels, "functions", "name")


@contextmanager
def reading_ahead(kernels: Sequence[tuple[Kernel, Path]]) -> Iterator[None]:
    """Read the names of functions, in which every look-up of functions begins, beside what is done inside.

    That is of use where they are kept (:func:`~ksurf.dataset.lookup.reading_once`).
    """
    import pyarrow.parquet  # noqa: F401  # before the thread, as in in_parallel

    stopped = Event()

    def read() -> None:
        # What is damaged is told to the one who asks for it.
        with suppress(DatasetError):
            for _, directory in kernels:
                if stopped.is_set():
                    return
                directory_at(directory).table("functions").read(["name"])

    thread = Thread(target=copy_context().run, args=(read,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


class _Tables:
    """The tables that tell of one kernel's functions."""

    def __init__(self, kernel: Kernel, directory: Path) -> None:
        self._kernel = kernel
        self._tables = directory_at(directory)

    def functions_named(self, names: Sequence[str], *, chains: bool) -> list[FunctionRows]:
        _, rows = self._tables.table("functions").rows("name", set(names), stored_columns("functions"))
        functions: dict[str, list[Function]] = {name: [] for name in names}
        for row in rows:
            functions[row[1]].append(Function(*row))
        # What is found of all names at once, by the name that it belongs to.
        name_of = {function.id: function.name for own in functions.values() for function in own}
        instances: dict[str, list[Instance]] = {name: [] for name in names}
        symbols: dict[str, list[Symbol]] = {name: [] for name in names}
        sites: Mapping[str, Sequence[CallSite]] = {}
        if name_of:
            for instance in self._instances(name_of):
                instances[name_of[instance.function]].append(instance)
            for function, symbol in self._symbols(name_of):
                symbols[name_of[function]].append(symbol)
            sites = self._call_sites(name_of, chains=chains)
        return [
            FunctionRows(
                self._kernel,
                name,
                tuple(functions[name]),
                tuple(instances[name]),
                sites.get(name, ()),
                tuple(symbols[name]),
            )
            for name in names
        ]

    def _instances(self, functions: Collection[int]) -> Iterator[Instance]:
        _, rows = self._tables.table("instances").rows("function", functions, stored_columns("instances"))
        units = unit_paths(self._tables, {row[3] for row in rows})
        images = self._tables.images
        for number, function, image, unit, *rest in rows:
            yield Instance._make((number, function, *images[image], units[unit], unit, *rest))

    def _symbols(self, functions: Collection[int]) -> Iterator[tuple[int, Symbol]]:
        _, rows = self._tables.table("symbols").rows("function", functions, stored_columns("symbols"))
        for name, function, instance, image, *rest in rows:
            yield function, Symbol(name, function, instance, self._tables.images[image][0], *rest)

    def _call_sites(self, name_of: Mapping[int, str], *, chains: bool) -> Mapping[str, Sequence[CallSite]]:
        """The calls of functions, by the functions' names."""
        table = self._tables.table("call_sites")
        if isinstance(table, UnpackedTable):
            ids: dict[str, list[int]] = {}
            for function, name in name_of.items():
                ids.setdefault(name, []).append(function)
            maker = CallMaker(self._tables, table, chains=chains)
            return {name: CallSites(table.numbers("callee", own), maker) for name, own in ids.items()}
        sites: dict[str, list[CallSite]] = {}
        for site in self._read_sites(table, name_of, chains=chains):
            sites.setdefault(name_of[site.callee], []).append(site)
        return {name: tuple(own) for name, own in sites.items()}

    def _read_sites(self, table: TableFile, callees: Collection[int], *, chains: bool) -> Iterator[CallSite]:
        columns = ["caller", "callee", "callee_instance", "inline", "depth"]
        if chains:
            columns += ["file", "line"]
        numbers, found = table.where("callee", callees, columns)
        sites = rows_of(found)
        enclosing = self._enclosing(table, numbers, sites) if chains else []
        callers = self._tables.table("instances").at(
            {s["caller"] for s in sites}, ["function", "image", "unit"]
        )
        named = {function for function, _, _ in callers.values()}
        named |= {callee for chain in enclosing for callee, _, _ in chain}
        names = self._tables.table("functions").at(named, ["name", "decl_file"] if chains else ["name"])
        units = unit_paths(self._tables, {unit for _, _, unit in callers.values()})
        for index, site in enumerate(sites):
            function, image, unit = callers[site.pop("caller")]
            file, line = site.pop("file", None), site.pop("line", None)
            chain = None
            if chains:
                around = names[function][1]
                frames = []
                for callee, frame_file, frame_line in enclosing[index]:
                    frames.append(Frame(names[callee][0], frame_file or around, frame_line))
                    around = names[callee][1]
                file, chain = file or around, tuple(frames)
            yield CallSite(
                caller=names[function][0],
                image=self._tables.images[image][0],
                unit=units[unit],
                unit_id=unit,
                file=file,
                line=line,
                chain=chain,
                **site,
            )

    def _enclosing(
        self, table: TableFile, numbers: Sequence[int], sites: Sequence[dict[str, Any]]
    ) -> list[list[tuple[int, str | None, int | None]]]:
        """For each site the inlined calls around it, outermost first: callee, file and line."""
        code = _Code(table)
        chains = [code.enclosing(number, site["depth"]) for number, site in zip(numbers, sites, strict=True)]
        rows = table.at({n for chain in chains for n in chain}, ["callee", "file", "line"])
        return [[rows[number] for number in chain] for chain in chains]


class _Code:
    """``call_sites`` as what it is, the code in order, to be walked backwards."""

    def __init__(self, table: TableFile) -> None:
        self._table = table
        self._groups: dict[int, tuple[memoryview, memoryview]] = {}

    def enclosing(self, number: int, depth: int) -> list[int]:
        """The rows of the inlined calls around a row: each is the nearest before whose depth is one less."""
        chain: list[int] = []
        group = bisect_right(self._table.starts, number) - 1
        while depth > 0:
            start = self._table.starts[group]
            depths, inlines = self._columns(group)
            index = number - start - 1
            while index >= 0 and not (depths[index] == depth - 1 and inlines[index]):
                index -= 1
            if index >= 0:
                number = start + index
                chain.append(number)
                depth -= 1
            elif group > 0:
                number = start
                group -= 1
            else:
                break
        return chain[::-1]

    def _columns(self, group: int) -> tuple[memoryview, memoryview]:
        if group not in self._groups:
            import pyarrow as pa

            rows = self._table.read(["depth", "inline"], [group]).combine_chunks()
            depth, inline = (rows[name].chunk(0) for name in ("depth", "inline"))
            # Memory as it is: Python objects of a whole row group would take longer than the walk.
            self._groups[group] = (
                memoryview(depth.buffers()[1]).cast("B").cast("i"),
                memoryview(inline.cast(pa.uint8()).buffers()[1]).cast("B"),
            )
        return self._groups[group]
