"""Point look-ups: the rows about a few function names, from many kernels, in a fraction of a second.

Arrow reads what is needed and nothing else: row groups are chosen by their statistics, columns by name, and
rows by their number, since ids are row numbers. Callers are found by scanning ``callee``, four bytes a call.
DuckDB does as well on large questions (:mod:`ksurf.dataset.query`), and takes longer to start.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ksurf.dataset.rows import CallSite, Frame, Function, FunctionRows, Instance, Symbol
from ksurf.dataset.schema import TABLES
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

__all__ = ["function_names", "functions_named"]

_T = TypeVar("_T")
_R = TypeVar("_R")


def functions_named(
    names: Sequence[str], kernels: Sequence[tuple[Kernel, Path]], *, chains: bool = False
) -> dict[str, list[FunctionRows]]:
    """The rows about each name, from each kernel and its directory, in their order.

    With ``chains`` each call site has its file, its line and the inlined calls around it, which costs as many
    more reads as there are places of calls.
    """
    found = _in_parallel(lambda kernel: _Tables(*kernel).functions_named(names, chains=chains), kernels)
    return {name: [rows[index] for rows in found] for index, name in enumerate(names)}


def function_names(kernels: Sequence[tuple[Kernel, Path]]) -> set[str]:
    """Every function name of the kernels."""
    columns = _in_parallel(
        lambda kernel: _Tables(*kernel).table("functions").read(["name"])["name"].unique().to_pylist(),
        kernels,
    )
    return {name for names in columns for name in names}


def _in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    import pyarrow.parquet  # noqa: F401  # once, before the threads, which would wait for each other's imports

    with ThreadPoolExecutor(max(1, min(len(items), os.cpu_count() or 1))) as pool:
        return list(pool.map(work, items))


class _Table:
    """A Parquet file whose rows can be had by number."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path)
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: gone while it was read", "run the command again") from error
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error
        self._path = path
        metadata = self._file.metadata
        self.groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        self.starts = [0]
        for group in self.groups:
            self.starts.append(self.starts[-1] + group.num_rows)

    def read(self, columns: list[str], groups: Sequence[int] | None = None) -> Any:
        """The columns of all or some row groups."""
        chosen = range(len(self.groups)) if groups is None else groups
        try:
            return self._file.read_row_groups(list(chosen), columns=columns, use_threads=False)
        except (OSError, ValueError) as error:
            raise _damaged(self._path, error) from error

    def overlapping(self, column: str, values: Iterable[Any]) -> list[int]:
        """The row groups that may hold one of the values."""
        values = list(values)
        position = self._file.schema_arrow.get_field_index(column)
        chosen = []
        for index, group in enumerate(self.groups):
            bounds = group.column(position).statistics
            if (
                bounds is None
                or not bounds.has_min_max
                or any(bounds.min <= value <= bounds.max for value in values)
            ):
                chosen.append(index)
        return chosen

    def where(self, column: str, values: Iterable[Any], columns: list[str]) -> tuple[list[int], Any]:
        """The numbers and the columns of the rows whose ``column`` is one of the values.

        Only row groups that hold such a row are read beyond that one column.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(values), self._file.schema_arrow.field(column).type)
        groups = self.overlapping(column, wanted.to_pylist())
        key = self.read([column], groups)[column]
        # One value is the usual case, and comparing is several times faster than looking up in a set.
        mask = pc.equal(key, wanted[0]) if len(wanted) == 1 else pc.is_in(key, value_set=wanted)
        numbers: list[int] = []
        parts = []
        start = 0
        for group in groups:
            rows = self.groups[group].num_rows
            hits = pc.indices_nonzero(mask.slice(start, rows))
            start += rows
            if len(hits):
                numbers += [self.starts[group] + hit for hit in hits.to_pylist()]
                parts.append(self.read(columns, [group]).take(hits))
        empty = self._file.schema_arrow.empty_table().select(columns)
        return numbers, pa.concat_tables([empty, *parts])

    def at(self, numbers: Iterable[int], columns: list[str]) -> dict[int, tuple[Any, ...]]:
        """The columns of the rows of these numbers."""
        import pyarrow as pa

        by_group: dict[int, list[int]] = defaultdict(list)
        for number in sorted(set(numbers)):
            by_group[bisect_right(self.starts, number) - 1].append(number)
        rows: dict[int, tuple[Any, ...]] = {}
        for group, members in by_group.items():
            taken = self.read(columns, [group]).take(pa.array([n - self.starts[group] for n in members]))
            values = zip(*(taken[column].to_pylist() for column in columns), strict=True)
            rows.update(zip(members, values, strict=True))
        return rows


def _damaged(path: Path, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split())
    return DatasetError(f"{path}: cannot be read: {reason}", "ksurf rm the kernel, and pull or add it again")


def _columns(table: str) -> list[str]:
    return [column.name for column in TABLES[table].columns]


def _rows(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


class _Tables:
    """One kernel's tables, each opened when first needed."""

    def __init__(self, kernel: Kernel, directory: Path) -> None:
        self._kernel = kernel
        self._directory = directory
        self._opened: dict[str, _Table] = {}

    def table(self, name: str) -> _Table:
        if name not in self._opened:
            self._opened[name] = _Table(self._directory / f"{name}.parquet")
        return self._opened[name]

    @cached_property
    def _images(self) -> list[tuple[str, str]]:
        images = self.table("images").read(["name", "evidence"])
        return list(zip(images["name"].to_pylist(), images["evidence"].to_pylist(), strict=True))

    @cached_property
    def _units(self) -> Any:
        return self.table("units").read(["path"])["path"]

    def _unit(self, unit: int | None) -> str | None:
        path: str | None = None if unit is None else self._units[unit].as_py()
        return path

    def functions_named(self, names: Sequence[str], *, chains: bool) -> list[FunctionRows]:
        _, found = self.table("functions").where("name", set(names), _columns("functions"))
        functions = [Function(**row) for row in _rows(found)]
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
        _, found = self.table("instances").where("function", functions, _columns("instances"))
        result = []
        for row in _rows(found):
            (image, evidence), unit = self._images[row.pop("image")], row.pop("unit")
            result.append(
                Instance(image=image, evidence=evidence, unit=self._unit(unit), unit_id=unit, **row)
            )
        return result

    def _symbols(self, functions: set[int]) -> list[Symbol]:
        _, found = self.table("symbols").where("function", functions, _columns("symbols"))
        return [Symbol(image=self._images[row.pop("image")][0], **row) for row in _rows(found)]

    def _call_sites(self, callees: set[int], *, chains: bool) -> list[CallSite]:
        columns = ["caller", "callee", "callee_instance", "inline", "depth"]
        if chains:
            columns += ["file", "line"]
        numbers, found = self.table("call_sites").where("callee", callees, columns)
        sites = _rows(found)
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
                    image=self._images[image][0],
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

    def __init__(self, table: _Table) -> None:
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
