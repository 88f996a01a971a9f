"""Parquet files whose rows can be had by value and by number, and what all look-ups share."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ksurf.dataset.schema import TABLES
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "Directory",
    "TableFile",
    "in_parallel",
    "names_of",
    "rows_of",
    "stored_columns",
    "unique",
    "values_of",
]

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_parallel(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """The work's results, in the order of the items."""
    import pyarrow.parquet  # noqa: F401  # once, before the threads, which would wait for each other's imports

    with ThreadPoolExecutor(max(1, min(len(items), os.cpu_count() or 1))) as pool:
        return list(pool.map(work, items))


def names_of(kernels: Sequence[tuple[Kernel, Path]], table: str, column: str) -> pa.StringArray:
    """Every value of a column of the kernels, once."""
    return unique(in_parallel(lambda one: Directory(one[1]).table(table).read([column])[column], kernels))


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
        if pa.types.is_string(chunk.type):
            coded = chunk.dictionary_encode()
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

    def __init__(self, path: Path) -> None:
        """Name the directory; nothing is read yet."""
        self.path = path
        self._opened: dict[str, TableFile] = {}

    def table(self, name: str) -> TableFile:
        """The table of that name."""
        if name not in self._opened:
            self._opened[name] = TableFile(self.path / f"{name}.parquet")
        return self._opened[name]

    @cached_property
    def images(self) -> list[tuple[str, str]]:
        """The name and the evidence of each image."""
        images = self.table("images").read(["name", "evidence"])
        return list(zip(images["name"].to_pylist(), images["evidence"].to_pylist(), strict=True))


class TableFile:
    """A Parquet file whose rows can be had by number."""

    def __init__(self, path: Path) -> None:
        """Open the file; :class:`~ksurf.errors.DatasetError` if it is gone or damaged."""
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
