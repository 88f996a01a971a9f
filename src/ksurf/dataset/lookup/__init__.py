"""Point look-ups: the rows about a few names, from many kernels, in a fraction of a second.

Arrow reads what is needed and nothing else: row groups are chosen by their statistics, columns by name, and
rows by their number, since ids are row numbers. DuckDB does as well on large questions
(:mod:`ksurf.dataset.query`), and takes longer to start.

Kernels are given with their directories, and what is found comes in their order.
"""

from ksurf.dataset.lookup.attach import attach_rows, kernel_marks
from ksurf.dataset.lookup.functions import function_names, functions_named, reading_ahead
from ksurf.dataset.lookup.kept import Kept, reading_once
from ksurf.dataset.lookup.members import MEMBER_KINDS, members_like
from ksurf.dataset.lookup.offers import (
    btf_id_names,
    btf_ids,
    config_named,
    config_names,
    export_names,
    exports_named,
    syscall_abis,
    syscall_names,
    syscalls_named,
    tracepoint_names,
    tracepoints_named,
)
from ksurf.dataset.lookup.types import definitions_of, images_with_btf, type_names, types_named
from ksurf.dataset.lookup.whole import read_tables

__all__ = [
    "MEMBER_KINDS",
    "Kept",
    "attach_rows",
    "btf_id_names",
    "btf_ids",
    "config_named",
    "config_names",
    "definitions_of",
    "export_names",
    "exports_named",
    "function_names",
    "functions_named",
    "images_with_btf",
    "kernel_marks",
    "members_like",
    "read_tables",
    "reading_ahead",
    "reading_once",
    "syscall_abis",
    "syscall_names",
    "syscalls_named",
    "tracepoint_names",
    "tracepoints_named",
    "type_names",
    "types_named",
]
