"""Whole tables of one kernel, as Arrow has them: for comparisons of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ksurf.dataset.lookup.table import TableFile, in_parallel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["read_tables"]


def read_tables(
    directories: Sequence[Path], columns: Mapping[str, Sequence[str]]
) -> list[dict[str, pa.Table]]:
    """The named columns of the named tables of each kernel, by its directory, as they lie on disk.

    Definitions and members are not a kernel's own: :func:`~ksurf.dataset.lookup.definitions_of` reads those
    behind the keys that differ.
    """
    parts = [(directory, name) for directory in directories for name in columns]
    read = in_parallel(
        lambda part: TableFile(part[0] / f"{part[1]}.parquet").read(list(columns[part[1]])), parts
    )
    found = dict(zip(parts, read, strict=True))
    return [{name: found[directory, name] for name in columns} for directory in directories]
