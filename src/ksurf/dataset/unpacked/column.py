"""The columns of an unpacked table, read from their memory as it is.

For a few rows that takes a tenth of the time that Arrow needs to prepare the question. Python checks every
index, so that a damaged offset is an error and never a crash.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

__all__ = ["Column", "column_of"]

_CODES = {"uint8": "B", "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q"}


class Column(ABC):
    """The values of a column by the numbers of their rows."""

    length = 0

    def __len__(self) -> int:
        """How many rows there are."""
        return self.length

    def __getitem__(self, number: int) -> Any:
        """The value of one row."""
        return self.value(number)

    @abstractmethod
    def value(self, number: int) -> Any:
        """The value of one row."""

    def values(self, numbers: Sequence[int]) -> list[Any]:
        """The values of some rows; those of a range take less time."""
        return list(map(self.value, numbers))

    def key(self, number: int) -> Any:
        """The value of one row as :meth:`span` compares it."""
        return self.value(number)

    def span(self, value: Any, order: Sequence[int]) -> tuple[int, int]:
        """Where rows of a value stand in an order by this column: from, and up to."""
        first = bisect_left(order, value, key=self.key)
        # Most values have one row.
        if first == len(order) or self.key(order[first]) != value:
            return first, first
        if first + 1 == len(order) or self.key(order[first + 1]) != value:
            return first, first + 1
        return first, bisect_right(order, value, lo=first + 1, key=self.key)


class _Numbers(Column):
    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def value(self, number: int) -> Any:
        return self._memory[number]

    def values(self, numbers: Sequence[int]) -> list[Any]:
        if isinstance(numbers, range):
            return self._memory[numbers.start : numbers.stop].tolist()
        return list(map(self._memory.__getitem__, numbers))

    def span(self, value: Any, order: Sequence[int]) -> tuple[int, int]:
        if not isinstance(order, range):
            return super().span(value, order)
        first = bisect_left(self._memory, value, 0, len(order))
        return first, bisect_right(self._memory, value, first, len(order))


class _Bits(Column):
    def __init__(self, memory: memoryview) -> None:
        self._memory = memory

    def value(self, number: int) -> bool:
        return self._memory[number >> 3] >> (number & 7) & 1 == 1

    def values(self, numbers: Sequence[int]) -> list[Any]:
        memory = self._memory
        return [memory[number >> 3] >> (number & 7) & 1 == 1 for number in numbers]


class _Texts(Column):
    def __init__(self, offsets: memoryview, memory: memoryview) -> None:
        self._offsets = offsets
        self._memory = memory

    def value(self, number: int) -> str:
        return str(self._memory[self._offsets[number] : self._offsets[number + 1]], "utf-8")

    def key(self, number: int) -> bytes:
        return bytes(self._memory[self._offsets[number] : self._offsets[number + 1]])

    def span(self, value: Any, order: Sequence[int]) -> tuple[int, int]:
        # Rows stand in the order of their bytes. What is no text of UTF-8 is in no table.
        return super().span(str(value).encode("utf-8", "surrogatepass"), order)


class _Coded(Column):
    """Texts of which there are few, decoded at their first use."""

    def __init__(self, codes: Column, words: Any) -> None:
        self._codes = codes
        self._array = words
        self._words: list[str | None] | None = None

    def value(self, number: int) -> Any:
        return self._decoded()[self._codes.value(number)]

    def values(self, numbers: Sequence[int]) -> list[Any]:
        return list(map(self._decoded().__getitem__, self._codes.values(numbers)))

    def _decoded(self) -> list[str | None]:
        if self._words is None:
            # The code of a null is 0, also where there are no words.
            self._words = self._array.to_pylist() or [None]
        return self._words


class _Nullable(Column):
    def __init__(self, values: Column, valid: memoryview) -> None:
        self._values = values
        self._valid = valid

    def value(self, number: int) -> Any:
        return self._values.value(number) if self._valid[number >> 3] >> (number & 7) & 1 else None

    def values(self, numbers: Sequence[int]) -> list[Any]:
        valid = self._valid
        return [
            value if valid[number >> 3] >> (number & 7) & 1 else None
            for value, number in zip(self._values.values(numbers), numbers, strict=True)
        ]

    def span(self, value: Any, order: Sequence[int]) -> tuple[int, int]:
        # Nulls are in no order.
        return self._values.span(value, order)


class _Nulls(Column):
    def value(self, number: int) -> None:
        return None

    def values(self, numbers: Sequence[int]) -> list[Any]:
        return [None] * len(numbers)

    def span(self, value: Any, order: Sequence[int]) -> tuple[int, int]:
        return 0, 0


def column_of(array: Any) -> Column:
    """A column of an Arrow array that has its memory to itself, from the first byte on."""
    if array.offset:
        raise ValueError("an array that begins within its memory")
    values = _Nulls() if array.null_count == len(array) else _values(array)
    values.length = len(array)
    return values


def _values(array: Any) -> Column:
    import pyarrow as pa

    valid, *buffers = (None if one is None else memoryview(one).cast("B") for one in array.buffers())
    kind = array.type
    values: Column
    if pa.types.is_dictionary(kind):
        values = _Coded(_Numbers(_cast(buffers[0], str(kind.index_type))), array.dictionary)
    elif pa.types.is_boolean(kind):
        values = _Bits(buffers[0] or memoryview(b""))
    elif pa.types.is_string(kind):
        values = _Texts(_cast(buffers[0], "int32"), buffers[1] or memoryview(b""))
    else:
        values = _Numbers(_cast(buffers[0], str(kind)))
    return _Nullable(values, valid) if valid is not None and array.null_count else values


def _cast(memory: memoryview | None, kind: str) -> memoryview:
    memory = memoryview(b"") if memory is None else memory
    code = _CODES[kind]
    width = memoryview(b"").cast(code).itemsize  # type: ignore[call-overload]
    cast: memoryview = memory[: len(memory) // width * width].cast(code)  # type: ignore[call-overload]
    return cast
