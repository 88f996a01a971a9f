"""Every table and every column of a kernel, in one place: type, unit, nullability, producer, encoding.

The store checks what it writes against these modules, a test checks ``docs/tables/`` against them, and the
readers take their column names from them. A missing value is null, never 0 and never an empty string.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ksurf.dataset.schema.btf import BTF
from ksurf.dataset.schema.column import Column, Table
from ksurf.dataset.schema.config import CONFIG
from ksurf.dataset.schema.functions import CALL_SITES, FUNCTIONS, IMAGES, INSTANCES, SYMBOLS, UNITS
from ksurf.dataset.schema.offers import BTF_IDS, EXPORTS, SYSCALLS, TRACEPOINT_FIELDS, TRACEPOINTS
from ksurf.dataset.schema.types import DEFINITIONS, MEMBERS, TYPE_USES, TYPES

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FORMAT_VERSION", "POOLED", "TABLES", "Column", "Table", "arrow_schema"]

FORMAT_VERSION = 4
"""Version of the files on disk. A reader refuses a kernel whose manifest says another one."""

POOLED = ("definitions", "members")
"""The tables that lie once in a dataset, not in each kernel's folder: :mod:`ksurf.dataset.pool`."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *(IMAGES, UNITS, FUNCTIONS, INSTANCES, CALL_SITES, SYMBOLS),
        *(TYPES, TYPE_USES, DEFINITIONS, MEMBERS),
        *(TRACEPOINTS, TRACEPOINT_FIELDS, SYSCALLS, EXPORTS, BTF_IDS),
        *(BTF, CONFIG),
    )
}
"""The tables of a kernel by name, each after those that it refers to."""


def arrow_schema(table: Table) -> pyarrow.Schema:
    """The Arrow schema of a table as it lies on disk."""
    import pyarrow as pa

    types = {
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "uint64": pa.uint64(),
        "string": pa.string(),
        "binary": pa.large_binary(),
    }
    return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in table.columns])
