"""Look-ups of functions, with instances, symbols and callers.

Callers are found by scanning ``callee``, four bytes a call.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import cached_property
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from ksurf.dataset.lookup.table import (
    Directory,
    TableFile,
    directory_at,
    in_parallel,
    names_of,
    rows_of,
    stored_columns,
)
from ksurf.dataset.rows import CallSite, Frame, Function, FunctionRows, Instance, Symbol
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


class _Tables(Directory):
    """The tables that tell of one kernel's functions."""

    def __init__(self, kernel: Kernel, directory: Path) -> None:
        super().__init__(directory)
        self._kernel = kernel

    @cached_property
    def _units(self) -> Any:
        return self.table("units").read(["path"])["path"]

    def _unit(self, unit: int | None) -> str | None:
        path: str | None = None if unit is None else self._units[unit].as_py()
        return path

    def functions_named(self, names: Sequence[str], *, chains: bool) -> list[FunctionRows]:
        _, found = self.table("functions").where("name", set(names), stored_columns("functions"))
        functions = [Function(**row) for row in rows_of(found)]
        ids = {function.id for function in functions}
        instances = self._instances(ids) if ids else []
        symbols = self._symbols(ids) if ids else []
        sites = self._call_sites(ids, chains=chains) if ids else []
        result = []
        for name in names:
            own = tuple(function for function in functions if function.name == name)
            own_ids = {function.id for function in own}
            result.append(
                FunctionRows(
                    self._kernel,
                    name,
                    own,
                    tuple(instance for instance in instances if instance.function in own_ids),
                    tuple(site for site in sites if site.callee in own_ids),
                    tuple(symbol for symbol in symbols if symbol.function in own_ids),
                )
            )
        return result

    def _instances(self, functions: set[int]) -> list[Instance]:
        _, found = self.table("instances").where("function", functions, stored_columns("instances"))
        result = []
        for row in rows_of(found):
            (image, evidence), unit = self.images[row.pop("image")], row.pop("unit")
            result.append(
                Instance(image=image, evidence=evidence, unit=self._unit(unit), unit_id=unit, **row)
            )
        return result

    def _symbols(self, functions: set[int]) -> list[Symbol]:
        _, found = self.table("symbols").where("function", functions, stored_columns("symbols"))
        return [Symbol(image=self.images[row.pop("image")][0], **row) for row in rows_of(found)]

    def _call_sites(self, callees: set[int], *, chains: bool) -> list[CallSite]:
        columns = ["caller", "callee", "callee_instance", "inline", "depth"]
        if chains:
            columns += ["file", "line"]
        numbers, found = self.table("call_sites").where("callee", callees, columns)
        sites = rows_of(found)
        enclosing = self._enclosing(numbers, sites) if chains else []
        callers = self.table("instances").at({s["caller"] for s in sites}, ["function", "image", "unit"])
        named = {function for function, _, _ in callers.values()}
        named |= {callee for chain in enclosing for callee, _, _ in chain}
        names = self.table("functions").at(named, ["name", "decl_file"] if chains else ["name"])
        result = []
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
            result.append(
                CallSite(
                    caller=names[function][0],
                    image=self.images[image][0],
                    unit=self._unit(unit),
                    unit_id=unit,
                    file=file,
                    line=line,
                    chain=chain,
                    **site,
                )
            )
        return result

    def _enclosing(
        self, numbers: Sequence[int], sites: Sequence[dict[str, Any]]
    ) -> list[list[tuple[int, str | None, int | None]]]:
        """For each site the inlined calls around it, outermost first: callee, file and line."""
        code = _Code(self.table("call_sites"))
        chains = [code.enclosing(number, site["depth"]) for number, site in zip(numbers, sites, strict=True)]
        rows = self.table("call_sites").at({n for chain in chains for n in chain}, ["callee", "file", "line"])
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
