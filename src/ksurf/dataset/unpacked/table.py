"""A table of an unpacked file: what :class:`~ksurf.dataset.lookup.table.TableFile` does, without decoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ksurf.dataset.unpacked.column import Column, column_of
from ksurf.dataset.unpacked.layout import PLAIN

__all__ = ["UnpackedTable"]


class UnpackedTable:
    """Rows of one table, in memory that is mapped from a file."""

    def __init__(self, batch: Any, orders: Mapping[str, Any], name: str) -> None:
        """Take the record batch of a table, and the orders of its rows by columns."""
        self._batch = batch
        self._orders: dict[str, Sequence[int]] = {
            name: range(batch.num_rows) if rows is None else _memory(rows) for name, rows in orders.items()
        }
        self._plain = frozenset(PLAIN.get(name, ()))
        self._columns: dict[str, Column] = {}
        self.groups = [batch] if batch.num_rows else []
        """As a Parquet file has row groups: all rows are one."""
        self.starts = [0, batch.num_rows] if batch.num_rows else [0]

    def column(self, name: str) -> Column:
        """A column, as Python reads it."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = column_of(self._batch.column(name))
        return found

    def read(self, columns: list[str], groups: Sequence[int] | None = None) -> Any:
        """The columns of all rows, as Arrow has them; of none if no group is asked for."""
        import pyarrow as pa

        arrays = [self._array(name) for name in columns]
        table = pa.table(arrays, names=columns)
        return table if groups is None or len(groups) else table.slice(0, 0)

    def _array(self, name: str) -> Any:
        array = self._batch.column(name)
        return array.dictionary_decode() if name in self._plain else array

    def overlapping(self, column: str, values: Iterable[Any]) -> list[int]:
        """The row groups that may hold one of the values: all rows are one."""
        return list(range(len(self.groups)))

    def where(self, column: str, values: Iterable[Any], columns: list[str]) -> tuple[list[int], Any]:
        """The numbers and the columns of the rows whose ``column`` is one of the values."""
        import pyarrow as pa

        numbers = self.numbers(column, values)
        if isinstance(numbers, range):
            return list(numbers), self.read(columns).slice(numbers.start, len(numbers))
        return numbers, self.read(columns).take(pa.array(numbers, pa.int64()))

    def rows(
        self, column: str, values: Iterable[Any], columns: Sequence[str]
    ) -> tuple[Sequence[int], list[tuple[Any, ...]]]:
        """The same as numbers and rows of Python's values."""
        numbers = self.numbers(column, values)
        return numbers, self._taken(numbers, columns)

    def at(self, numbers: Iterable[int], columns: Sequence[str]) -> dict[int, tuple[Any, ...]]:
        """The columns of the rows of these numbers."""
        ordered = sorted(set(numbers))
        return dict(zip(ordered, self._taken(ordered, columns), strict=True))

    def numbers(self, column: str, values: Iterable[Any]) -> range | list[int]:
        """The numbers of the rows whose ``column`` is one of the values, in their order."""
        if column not in self._orders:
            return self._scanned(column, values)
        order, own = self._orders[column], self.column(column)
        spans = [own.span(value, order) for value in set(values)]
        if isinstance(order, range):
            if len(spans) == 1:
                return range(*spans[0])
            return _joined([number for first, end in sorted(spans) for number in range(first, end)])
        # Rows of one value stand in the order of their numbers.
        found = [number for first, end in spans for number in order[first:end]]
        return _joined(found if len(spans) == 1 else sorted(found))

    def _scanned(self, column: str, values: Iterable[Any]) -> list[int]:
        """The same by looking at every row."""
        import pyarrow as pa
        import pyarrow.compute as pc

        array = self._batch.column(column)
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        wanted = pa.array(sorted(values), array.type)
        found: list[int] = pc.indices_nonzero(pc.is_in(array, value_set=wanted)).to_pylist()
        return found

    def _taken(self, numbers: Sequence[int], columns: Sequence[str]) -> list[tuple[Any, ...]]:
        if not len(numbers):
            return []
        return list(zip(*(self.column(name).values(numbers) for name in columns), strict=True))


def _joined(numbers: list[int]) -> range | list[int]:
    """The same as a range, if there is no gap."""
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        return range(numbers[0], numbers[-1] + 1)
    return numbers


def _memory(numbers: Any) -> Sequence[int]:
    """An array of numbers of 32 bits, which begins with its memory; that may be longer."""
    return memoryview(numbers.buffers()[1]).cast("B").cast("i")[: len(numbers)]
