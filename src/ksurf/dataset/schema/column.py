"""What a table's description is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ArrowType", "Column", "Encoding", "Table", "image_column", "row_number"]

ArrowType = Literal["bool", "int32", "int64", "uint64", "string", "binary"]
Encoding = Literal["PLAIN", "DICTIONARY", "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds, where that comes from, and how it lies on disk."""

    name: str
    type: ArrowType
    description: str
    producer: str
    """The piece of the input that tells the value, in the words of its specification."""
    unit: str | None = None
    """What the number counts or points to; ``None`` where the description says all."""
    nullable: bool = False
    references: str | None = None
    """The table whose ``id`` this column holds."""
    encoding: Encoding = "PLAIN"
    level: int = 9
    """Level of zstd."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, its columns, and the order of its rows."""

    name: str
    row: str
    """What one row stands for."""
    columns: tuple[Column, ...]
    sorted_by: tuple[str, ...]
    """The columns that order the rows; empty where the order is that of the code."""
    rows_per_group: int
    """Rows of a Parquet row group: small enough to read one row's group quickly, large enough to compress."""
    first_alone: bool = False
    """The first row is a row group of its own."""

    def column(self, name: str) -> Column:
        """The column of that name; :class:`KeyError` if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def row_number(of: str) -> Column:
    """The column ``id`` of a table whose rows others number."""
    return Column(
        "id",
        "int32",
        f"The {of}'s number: its row, counted from 0.",
        "ksurf",
        unit="row",
        encoding="DELTA_BINARY_PACKED",
    )


def image_column(encoding: Encoding = "PLAIN") -> Column:
    """The column ``image`` of a table."""
    return Column(
        "image",
        "int32",
        "The image that holds it.",
        "file",
        unit="row of `images`",
        references="images",
        encoding=encoding,
    )
