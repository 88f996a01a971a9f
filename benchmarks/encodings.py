"""What each column of a kernel costs under every encoding: the figures behind ``ksurf.dataset.schema``.

``python -m benchmarks.encodings DIRECTORY [TABLE...]`` takes a kernel of a dataset (``kernels/kernel=ID``),
or a segment of its pool (``definitions/ID``), writes each column alone in memory, and prints bytes, and CPU
milliseconds of writing and reading. The one that the schema says is marked; totals compare the schema's
choice with the smallest there is.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ksurf.dataset.parquet import write_table
from ksurf.dataset.schema import TABLES, Column, Table

_ENCODINGS: dict[str, tuple[str, ...]] = {
    "bool": ("PLAIN",),
    "int32": ("PLAIN", "DICTIONARY", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"),
    "int64": ("PLAIN", "DICTIONARY", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"),
    "uint64": ("PLAIN", "DICTIONARY", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"),
    "string": ("PLAIN", "DICTIONARY", "DELTA_BYTE_ARRAY"),
}
_LEVELS = (1, 3, 6, 9, 12)


@dataclass(frozen=True)
class Cost:
    """One column in one encoding."""

    encoding: str
    level: int
    byte_size: int
    write_ms: float
    read_ms: float

    def __str__(self) -> str:
        times = f"{self.write_ms:7.1f} ms written {self.read_ms:6.1f} ms read"
        return f"{self.encoding:<20} {self.level:>2} {self.byte_size / 1024:9.1f} KiB {times}"


def measure(data: pa.Table, table: Table, column: Column) -> Cost:
    """Write and read a column alone, as the store writes it."""
    alone = replace(table, columns=(column,))
    buffer = io.BytesIO()
    start = time.process_time()
    write_table(data, alone, buffer)
    written = time.process_time()
    pq.read_table(io.BytesIO(buffer.getvalue()))
    read = time.process_time()
    times = (written - start) * 1000, (read - written) * 1000
    return Cost(column.encoding, column.level, buffer.tell(), *times)


def costs(data: pa.Table, table: Table, column: Column) -> Iterator[Cost]:
    """The column in every encoding, at every level."""
    for encoding in _ENCODINGS[column.type]:
        for level in _LEVELS:
            changed: dict[str, Any] = {"encoding": encoding, "level": level}
            yield measure(data, table, replace(column, **changed))


def main() -> None:
    """Print the figures of the tables that are named, or of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path, help="a kernel of a dataset, or a segment of its pool")
    parser.add_argument("tables", nargs="*", help="which tables; by default all that are there")
    arguments = parser.parse_args()
    chosen_total = least_total = 0
    there = [name for name in TABLES if (arguments.directory / f"{name}.parquet").exists()]
    for name in arguments.tables or there:
        table = TABLES[name]
        for column in table.columns:
            data = pq.read_table(arguments.directory / f"{name}.parquet", columns=[column.name])
            found = sorted(costs(data, table, column), key=lambda cost: cost.byte_size)
            chosen = next(c for c in found if (c.encoding, c.level) == (column.encoding, column.level))
            print(f"\n{name}.{column.name}")
            for cost in dict.fromkeys((*found[:4], chosen)):
                print(f"  {'*' if cost == chosen else ' '} {cost}")
            chosen_total += chosen.byte_size
            least_total += found[0].byte_size
    print(f"\nas the schema says {chosen_total / 1e6:.2f} MB, at the least {least_total / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
