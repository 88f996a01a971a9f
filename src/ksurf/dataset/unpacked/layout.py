"""What an unpacked file has: which tables, how their rows can be found, and which texts are coded."""

from __future__ import annotations

__all__ = ["CODED", "INDEXED", "PARENT", "PLAIN", "VERSION"]

VERSION = 1
"""Of the layout: files of another one are made again."""

INDEXED: dict[str, tuple[str, ...]] = {
    "images": (),
    "units": (),
    "functions": ("name",),
    "instances": ("function",),
    "call_sites": ("callee", "caller"),
    "symbols": ("name", "function"),
    "types": ("name",),
    "type_uses": ("name",),
    "definitions": ("key", "name"),
    "members": ("definition",),
    "tracepoints": ("name",),
    "tracepoint_fields": ("tracepoint",),
    "syscalls": ("name",),
    "exports": ("name",),
    "btf_ids": ("name", "set"),
    "config": ("name",),
}
"""The columns of each table by which rows are looked up. ``btf`` is left out, which is read whole."""

CODED: dict[str, tuple[str, ...]] = {
    "images": ("evidence",),
    "units": ("language", "producer"),
    "functions": ("decl_file",),
    "instances": ("section",),
    "call_sites": ("file",),
    "symbols": ("section", "bind", "type", "kprobe_blacklist", "error_injection"),
    "types": ("kind", "evidence"),
    "type_uses": ("user_kind",),
    "definitions": ("kind", "tags"),
    "members": ("tags",),
    "tracepoints": ("system",),
    "syscalls": ("abi",),
    "exports": ("namespace",),
    "btf_ids": ("set", "kind", "program_types", "registered_as"),
}
"""Columns of a few different texts."""

PLAIN: dict[str, tuple[str, ...]] = {
    "images": ("evidence",),
    "units": ("language", "producer"),
    "instances": ("section",),
    "symbols": ("section", "bind", "type", "kprobe_blacklist", "error_injection"),
    "type_uses": ("user_kind",),
    "tracepoints": ("system",),
    "syscalls": ("abi",),
    "exports": ("namespace",),
    "btf_ids": ("set", "kind", "program_types", "registered_as"),
}
"""Those that Arrow gets as plain texts: who reads them whole does not expect codes. The readers of the others
do, since these are coded too where Parquet's columns are kept."""

PARENT = "parent"
"""A column of ``call_sites`` that is not in the dataset: the row of the inlined call around each, or -1."""
