"""Tables of what the kernel offers beside functions and types: tracepoints, system calls, exports, sets."""

from __future__ import annotations

from ksurf.dataset.schema.column import Column, Table, image_column, row_number

__all__ = ["BTF_IDS", "EXPORTS", "SYSCALLS", "TRACEPOINTS", "TRACEPOINT_FIELDS"]

TRACEPOINTS = Table(
    name="tracepoints",
    row="one trace event, or one tracepoint that has none",
    sorted_by=("name", "system"),
    rows_per_group=1 << 15,
    columns=(
        row_number("tracepoint"),
        image_column(),
        Column(
            "system",
            "string",
            "The event's system, a directory of `events/`; null for a bare tracepoint.",
            "`struct trace_event_class`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "name",
            "string",
            "Name of the event, or of the bare tracepoint.",
            "`struct trace_event_call`, `struct tracepoint`",
            encoding="DELTA_BYTE_ARRAY",
        ),
        Column("class", "string", "The event class.", "symbol `event_class_*`", nullable=True),
        Column(
            "tracepoint",
            "string",
            "The tracepoint behind the event; null where there is none (`sys_enter_*`).",
            "`struct tracepoint`",
            nullable=True,
        ),
        Column(
            "print_format",
            "string",
            "What the event's `format` prints after `print fmt: `.",
            "`print_fmt`, `_ftrace_eval_map`",
            nullable=True,
        ),
    ),
)

TRACEPOINT_FIELDS = Table(
    name="tracepoint_fields",
    row="one field of a trace event, without the common ones",
    sorted_by=("tracepoint",),
    rows_per_group=1 << 16,
    columns=(
        Column(
            "tracepoint",
            "int32",
            "The event.",
            "ksurf",
            unit="row of `tracepoints`",
            references="tracepoints",
            encoding="DELTA_BINARY_PACKED",
        ),
        Column(
            "position",
            "int32",
            "Its place among the fields, from 0.",
            "`struct trace_event_fields`",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column("name", "string", "Name, as `format` prints it.", "`struct trace_event_fields`"),
        Column(
            "type",
            "string",
            "Type, as `format` prints it: `__data_loc char[]`.",
            "`struct trace_event_fields`",
        ),
        Column(
            "byte_offset",
            "int32",
            "Where it starts in the record.",
            "`struct trace_event_fields`",
            unit="byte",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "byte_size",
            "int32",
            "Its size.",
            "`struct trace_event_fields`",
            unit="byte",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column("signed", "bool", "Whether its value has a sign.", "`struct trace_event_fields`"),
    ),
)

SYSCALLS = Table(
    name="syscalls",
    row="one number that programs can call",
    sorted_by=("abi", "number"),
    rows_per_group=1 << 15,
    columns=(
        Column(
            "abi",
            "string",
            "The table: `64`, `32` (32-bit programs) or `x32`.",
            "symbol of the table",
            encoding="DICTIONARY",
        ),
        Column(
            "number",
            "int32",
            "Its number; for `x32` without `__X32_SYSCALL_BIT`.",
            "index in the table",
            encoding="DELTA_BINARY_PACKED",
        ),
        Column("name", "string", "The name that users know: `stat`.", "`entry`"),
        Column(
            "entry",
            "string",
            "The symbol that it leads to: `__x64_sys_newstat`.",
            "`sys_call_table` and its like",
        ),
    ),
)

EXPORTS = Table(
    name="exports",
    row="one symbol that modules may use",
    sorted_by=("name",),
    rows_per_group=1 << 15,
    columns=(
        Column("name", "string", "Name of the symbol.", "`__ksymtab_strings`", encoding="DELTA_BYTE_ARRAY"),
        image_column(),
        Column(
            "gpl",
            "bool",
            "Only for modules with a licence that is compatible with the GPL.",
            "`__ksymtab_gpl`",
        ),
        Column(
            "namespace",
            "string",
            "The namespace that a module has to import.",
            "`EXPORT_SYMBOL_NS`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "crc",
            "uint64",
            "Checksum of its prototype; null without `CONFIG_MODVERSIONS`.",
            "`__kcrctab`",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
    ),
)

BTF_IDS = Table(
    name="btf_ids",
    row="one entry of a set of BTF ids: a kfunc, a BPF LSM hook",
    sorted_by=("set",),
    rows_per_group=1 << 15,
    columns=(
        Column(
            "set",
            "string",
            "The set's variable: `bpf_lsm_hooks`.",
            "symbol `__BTF_ID__set*`",
            encoding="DICTIONARY",
        ),
        image_column(),
        Column(
            "set_flags",
            "int32",
            "Flags of a `struct btf_id_set8`; null for a set without flags.",
            "`.BTF_ids`",
            nullable=True,
        ),
        Column(
            "registered_as",
            "string",
            "`kfunc`, or `fmod_ret` for functions whose result a program may replace, where the image tells.",
            "calls of `register_btf_kfunc_id_set`, `register_btf_fmodret_id_set`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "kind",
            "string",
            "What the name is: `func`, `struct`.",
            "symbol `__BTF_ID__*`",
            encoding="DICTIONARY",
        ),
        Column("name", "string", "What is listed.", "symbol `__BTF_ID__*`"),
        Column(
            "flags",
            "int32",
            "The entry's flags, `KF_*`; null in a set without flags.",
            "`.BTF_ids`",
            nullable=True,
        ),
        Column(
            "program_types",
            "string",
            "Values of `enum bpf_prog_type` that the set is registered for, where the image tells.",
            "calls of `register_btf_kfunc_id_set`",
            nullable=True,
            encoding="DICTIONARY",
        ),
    ),
)
