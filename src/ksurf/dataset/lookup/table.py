"""Parquet files whose rows can be had by value and by number, and what all look-ups share.

Where a kernel is unpacked (:mod:`ksurf.dataset.unpacked`) and the caller wants that, its unpacked tables take
the place of the files.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from ksurf.dataset.lookup.kept import Kept, kept
from ksurf.dataset.schema import TABLES
from ksurf.dataset.unpacked.cache import unpacked
from ksurf.dataset.unpacked.file import UnpackedFile
from ksurf.dataset.unpacked.table import UnpackedTable
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Directory",
    "Table",
    "TableFile",
    "directory_at",
    "file_at",
    "in_parallel",
    "names_of",
    "rows_of",
    "stored_columns",
    "unique",
    "unpacked_at",
    "values_of",
]

_KEPT = {"definitions", "functions", "images", "members", "tracepoints", "types"}
"""The tables of which columns are kept (:mod:`~ksurf.dataset.lookup.kept`): those that are asked by name."""
_LONG = {"prototype", "print_format"}
"""Their columns that are not: texts that take more room than all the rest, and are asked for once."""
_CODED = {
    "call_sites": ["file"],
    "definitions": ["kind", "tags"],
    "functions": ["decl_file"],
    "members": ["tags"],
    "types": ["evidence", "kind"],
}
"""Their columns of a few different texts."""
_IDS_LIMIT = 1 << 24
"""Ids are the numbers of rows; the largest kernels have some 10^6 functions."""

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """The work's results, in the order of the items."""
    import pyarrow.parquet  # noqa: F401  # once, before the threads, which would wait for each other's imports

    # What is unpacked is found in less time than threads are started.
    count = 1 if unpacked() is not None else min(len(items), os.cpu_count() or 1)
    if count < 2:
        return [work(item) for item in items]
    # The threads keep what they read where this one does.
    contexts = [copy_context() for _ in items]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda context, item: context.run(work, item), contexts, items))


def names_of(kernels: Sequence[tuple[Kernel, Path]], table: str, column: str) -> pa.StringArray:
    """Every value of a column of the kernels, once."""
    return unique(in_parallel(lambda one: directory_at(one[1]).table(table).read([column])[column], kernels))


def unique(columns: Iterable[pa.ChunkedArray]) -> pa.StringArray:
    """Every text of the columns, once: as Arrow has them, since Python's own take several times longer."""
    import pyarrow as pa

    chunks = [chunk for column in columns for chunk in column.chunks]
    return pa.chunked_array(chunks, pa.string()).unique().drop_null()


def stored_columns(table: str) -> list[str]:
    """The names of a table's columns."""
    return [column.name for column in TABLES[table].columns]


def rows_of(table: Any) -> list[dict[str, Any]]:
    """An Arrow table's rows by column."""
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def values_of(column: Any) -> list[Any]:
    """An Arrow column's values, several times faster than ``to_pylist`` makes them where there are many."""
    import pyarrow as pa

    values: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_string(chunk.type) or pa.types.is_dictionary(chunk.type):
            coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
            words = [*coded.dictionary.to_pylist(), None]
            codes = coded.indices.fill_null(len(words) - 1)
            values += map(words.__getitem__, _numbers(codes))
        elif chunk.null_count == len(chunk):
            values += [None] * len(chunk)
        elif pa.types.is_boolean(chunk.type):
            values += chunk.to_pylist()
        elif chunk.null_count:
            present = _numbers(chunk.is_valid().cast(pa.uint8()))
            filled = _numbers(chunk.fill_null(0))
            values += [value if here else None for value, here in zip(filled, present, strict=True)]
        else:
            values += _numbers(chunk)
    return values


_WIDTHS: dict[str, tuple[int, Literal["B", "i", "I", "q", "Q"]]]
_WIDTHS = {"uint8": (1, "B"), "int32": (4, "i"), "uint32": (4, "I"), "int64": (8, "q"), "uint64": (8, "Q")}


def _numbers(array: Any) -> list[int]:
    """The values of an array of integers without nulls, from its memory as it is."""
    width, code = _WIDTHS[str(array.type)]
    start = array.offset * width
    memory = memoryview(array.buffers()[1]).cast("B")[start : start + len(array) * width]
    return memory.cast(code).tolist()


class Directory:
    """One kernel's tables, each opened when first needed."""

    def __init__(self, path: Path, unpacked: UnpackedFile | None = None) -> None:
        """Name the directory, and its unpacked file if it has one; nothing is read yet."""
        self.path = path
        self._unpacked = unpacked
        self._opened: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """The table of that name."""
        found = self._opened.get(name)
        if found is None:
            own = None if self._unpacked is None else self._unpacked.table(name)
            found = self._opened[name] = own or file_at(self.path / f"{name}.parquet")
        return found

    @cached_property
    def images(self) -> list[tuple[str, str]]:
        """The name and the evidence of each image."""
        images = self.table("images").read(["name", "evidence"])
        return list(zip(images["name"].to_pylist(), images["evidence"].to_pylist(), strict=True))


class TableFile:
    """A Parquet file whose rows can be had by number."""

    def __init__(self, path: Path, *, coded: bool = False) -> None:
        """Open the file; :class:`~ksurf.errors.DatasetError` if it is gone or damaged.

        If ``coded``, columns of few different texts are read as the dictionaries that they are in the file,
        which takes a third of the time and of the room.
        """
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path, read_dictionary=_CODED.get(path.stem) if coded else None)
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: gone while it was read", "run the command again") from error
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(path, error) from error
        self._path = path
        self._coded = coded
        self._schema = self._file.schema_arrow
        self._bounds: dict[str, list[tuple[Any, Any] | None]] = {}
        # A file is read by one thread at a time; which kernel's thread that is does not matter.
        self._turn = Lock()
        metadata = self._file.metadata
        self.groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        self.starts = [0]
        for group in self.groups:
            self.starts.append(self.starts[-1] + group.num_rows)

    def read(self, columns: list[str], groups: Sequence[int] | None = None) -> Any:
        """The columns of all or some row groups."""
        chosen = list(range(len(self.groups)) if groups is None else groups)
        # What is kept is coded: the two do not go together in one column.
        store, table = kept() if self._coded else None, self._path.stem
        if store is not None and table not in _KEPT and not store.keeps(table, columns):
            store = None
        with self._turn:
            return self._read(columns, chosen) if store is None else self._read_once(columns, chosen, store)

    def _read(self, columns: list[str], groups: list[int]) -> Any:
        try:
            return self._file.read_row_groups(groups, columns=columns, use_threads=False)
        except (OSError, ValueError) as error:
            raise _damaged(self._path, error) from error

    def _read_once(self, columns: list[str], groups: list[int], store: Kept) -> Any:
        import pyarrow as pa

        parts: dict[str, list[Any]] = {name: [] for name in columns}
        for group in groups:
            found = {name: store.column(self._path, name, group) for name in columns}
            missing = [name for name, column in found.items() if column is None]
            if missing:
                read = self._read(missing, [group])
                for name in missing:
                    found[name] = read[name]
                    if name not in _LONG:
                        store.keep(self._path, name, group, read[name])
            for name, column in found.items():
                parts[name] += column.chunks
        schema = pa.schema([self._schema.field(name) for name in columns])
        arrays = [pa.chunked_array(parts[field.name], field.type) for field in schema]
        return pa.table(arrays, schema=schema)

    def overlapping(self, column: str, values: Iterable[Any]) -> list[int]:
        """The row groups that may hold one of the values."""
        if column not in self._bounds:
            position = self._schema.get_field_index(column)
            statistics = [group.column(position).statistics for group in self.groups]
            self._bounds[column] = [
                (own.min, own.max) if own is not None and own.has_min_max else None for own in statistics
            ]
        ordered = sorted(values)
        chosen = []
        for index, bounds in enumerate(self._bounds[column]):
            # The first value that is not below the group: there is one in it if that is not above.
            at = 0 if bounds is None else bisect_left(ordered, bounds[0])
            if bounds is None or (at < len(ordered) and ordered[at] <= bounds[1]):
                chosen.append(index)
        return chosen

    def where(self, column: str, values: Iterable[Any], columns: list[str]) -> tuple[list[int], Any]:
        """The numbers and the columns of the rows whose ``column`` is one of the values.

        Only row groups that hold such a row are read beyond that one column.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(values), self._schema.field(column).type)
        groups = self.overlapping(column, wanted.to_pylist())
        key = self.read([column], groups)[column]
        mask = _among(key, wanted, [self._bounds[column][group] for group in groups])
        others = [name for name in columns if name != column]
        schema = pa.schema([self._schema.field(name) for name in columns])
        numbers: list[int] = []
        parts = [schema.empty_table()]
        start = 0
        for group in groups:
            rows = self.groups[group].num_rows
            hits = pc.indices_nonzero(mask.slice(start, rows))
            if len(hits):
                numbers += [self.starts[group] + hit for hit in hits.to_pylist()]
                read = self.read(others, [group])
                taken = [
                    (key.slice(start, rows) if name == column else read[name]).take(hits) for name in columns
                ]
                parts.append(pa.table(taken, schema=schema))
            start += rows
        return numbers, pa.concat_tables(parts)

    def rows(
        self, column: str, values: Iterable[Any], columns: Sequence[str]
    ) -> tuple[Sequence[int], list[tuple[Any, ...]]]:
        """The same as numbers and rows of Python's values."""
        numbers, found = self.where(column, values, list(columns))
        return numbers, list(zip(*(values_of(found[name]) for name in columns), strict=True))

    def at(self, numbers: Iterable[int], columns: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """The columns of the rows of these numbers."""
        import pyarrow as pa

        by_group: dict[int, list[int]] = defaultdict(list)
        for number in sorted(set(numbers)):
            by_group[bisect_right(self.starts, number) - 1].append(number)
        rows: dict[int, tuple[Any, ...]] = {}
        for group, members in by_group.items():
            taken = self.read(list(columns), [group]).take(
                pa.array([n - self.starts[group] for n in members])
            )
            values = zip(*(taken[column].to_pylist() for column in columns), strict=True)
            rows.update(zip(members, values, strict=True))
        return rows


def _among(column: Any, wanted: Any, bounds: Sequence[tuple[Any, Any] | None]) -> Any:
    """Which values of a column are among others, given the least and the largest of its parts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # One value is the usual case, and comparing is several times faster than looking up in a set.
    if len(wanted) == 1:
        return pc.equal(column, wanted[0])
    known = [pair for pair in bounds if pair is not None]
    # Ids are dense: what stands at their place in a row of bits is found three times faster.
    if pa.types.is_int32(column.type) and known and len(known) == len(bounds):
        least, largest = min(pair[0] for pair in known), max(pair[1] for pair in known)
        if least >= 0 and largest < _IDS_LIMIT:
            marks = bytearray(largest + 1)
            for value in wanted.to_pylist():
                if 0 <= value <= largest:
                    marks[value] = 1
            bits = pa.Array.from_buffers(pa.uint8(), len(marks), [None, pa.py_buffer(marks)]).cast(pa.bool_())
            return pa.chunked_array([bits.take(chunk) for chunk in column.chunks], pa.bool_())
    return pc.is_in(column, value_set=wanted)


Table: TypeAlias = TableFile | UnpackedTable
"""A table, from wherever its rows are read."""


def file_at(path: Path) -> Table:
    """The table whose file is at a path: unpacked if that is wanted and there, else the file, opened, or as
    it was opened before if what is read is kept.
    """
    if (found := unpacked_at(path)) is not None:
        return found
    store = kept()
    return TableFile(path) if store is None else store.once(path, partial(TableFile, coded=True))


def unpacked_at(path: Path) -> UnpackedTable | None:
    """The unpacked table whose file is at a path, if that is wanted and there."""
    active = unpacked()
    file = None if active is None else active.file(path.parent)
    return None if file is None else file.table(path.stem)


def directory_at(path: Path) -> Directory:
    """A kernel's tables: unpacked if that is wanted and they are, else those that were opened before if what
    is read is kept.
    """
    active = unpacked()
    if active is not None and (found := active.once(path, Directory)) is not None:
        return found
    store = kept()
    return Directory(path) if store is None else store.once(path, Directory)


def _damaged(path: Path, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split())
    return DatasetError(f"{path}: cannot be read: {reason}", "ksurf rm the kernel, and pull or add it again")
