"""The views that are tables: a column ``kernel`` in front, and names in place of numbers."""

from __future__ import annotations

__all__ = ["POOL_DEFINITIONS", "TABLE_DEFINITIONS", "TABLE_VIEWS"]

TABLE_VIEWS: dict[str, str] = {
    "kernels": "one row per kernel: its identity, and how many rows and bytes it has",
    "images": "one row per ELF file",
    "units": "one row per compile unit, with its image by name",
    "functions": "one row per source function",
    "instances": "one row per compiled definition, with function, image and unit by name",
    "call_sites": "one row per call, with caller and callee, unit, image and file by name",
    "symbols": "one row per function symbol, with function and image by name",
    "types": "one row per type, prototype or variable of an image, with the image by name",
    "type_uses": "one row per mention of a type of an ambiguous name, with the image by name",
    "definitions": "one row per definition that a kernel has; without the column kernel",
    "members": "one row per field, parameter or enumerator, with its definition; without the column kernel",
    "tracepoints": "one row per trace event or bare tracepoint, with the image by name",
    "tracepoint_fields": "one row per field of a trace event, with system and name of the event",
    "syscalls": "one row per system call",
    "exports": "one row per exported symbol, with the image by name",
    "btf_ids": "one row per entry of a set of BTF ids, with the image by name",
    "btf": "one row per image's own BTF, as bytes; with the image by name",
    "config": "one row per option of a kernel's configuration",
}
"""What each view is for."""

# Each is the view's part of one kernel: {kernel} is its id, and {functions} and so on its tables. Ids are
# numbers of one kernel, so that joins across kernels would only lead the planner to pair all with all.
TABLE_DEFINITIONS = {
    "images": "SELECT {kernel} AS kernel, * FROM {images}",
    "units": """
        SELECT {kernel} AS kernel, u.id, i.name AS image, u.path, u.language, u.producer
        FROM {units} u JOIN {images} i ON i.id = u.image""",
    "functions": "SELECT {kernel} AS kernel, * FROM {functions}",
    "instances": """
        SELECT {kernel} AS kernel, n.id, f.name AS function, n.function AS function_id, i.name AS image,
               u.path AS unit, f.decl_file, f.decl_line, f.external, n.inlined, n.out_of_line, n.section,
               n.address, n.byte_size, n.inline_address
        FROM {instances} n
        JOIN {functions} f ON f.id = n.function
        JOIN {images} i ON i.id = n.image
        LEFT JOIN {units} u ON u.id = n.unit""",
    # The inlined call around a call is the nearest row before it, of the same caller, one less deep.
    "call_sites": """
        SELECT {kernel} AS kernel, a.name AS caller, c.caller AS caller_instance, i.name AS image,
               u.path AS unit, c.depth, b.name AS callee, c.callee AS callee_function, c.callee_instance,
               c.inline, c.line,
               coalesce(c.file, CASE WHEN c.depth = 0 THEN a.decl_file ELSE e.decl_file END) AS file
        FROM {call_sites} c
        JOIN {instances} n ON n.id = c.caller
        JOIN {functions} a ON a.id = n.function
        JOIN {functions} b ON b.id = c.callee
        JOIN {images} i ON i.id = n.image
        LEFT JOIN {units} u ON u.id = n.unit
        ASOF LEFT JOIN (SELECT file_row_number, caller, depth, callee FROM {call_sites} WHERE inline) o
            ON o.caller = c.caller AND o.depth = c.depth - 1 AND o.file_row_number < c.file_row_number
        LEFT JOIN {functions} e ON e.id = o.callee""",
    "symbols": """
        SELECT {kernel} AS kernel, s.name, f.name AS function, s.function AS function_id, s.instance,
               i.name AS image, s.section, s.address, s.byte_size, s.bind, s.type,
               s.ftrace, s.kprobe_blacklist, s.error_injection, s.init
        FROM {symbols} s
        JOIN {images} i ON i.id = s.image
        LEFT JOIN {functions} f ON f.id = s.function""",
    "types": """
        SELECT {kernel} AS kernel, i.name AS image, t.kind, t.name, t.definition, t.evidence
        FROM {types} t JOIN {images} i ON i.id = t.image""",
    "type_uses": """
        SELECT {kernel} AS kernel, i.name AS image, u.name, u.definition, u.user_kind, u.user
        FROM {type_uses} u JOIN {images} i ON i.id = u.image""",
    "tracepoints": """
        SELECT {kernel} AS kernel, i.name AS image, t.system, t.name, t.class, t.tracepoint,
               t.print_format, t.id
        FROM {tracepoints} t JOIN {images} i ON i.id = t.image""",
    "tracepoint_fields": """
        SELECT {kernel} AS kernel, t.system, t.name AS event, f.position, f.name, f.type, f.byte_offset,
               f.byte_size, f.signed
        FROM {tracepoint_fields} f JOIN {tracepoints} t ON t.id = f.tracepoint""",
    "syscalls": "SELECT {kernel} AS kernel, * FROM {syscalls}",
    "exports": """
        SELECT {kernel} AS kernel, i.name AS image, e.name, e.gpl, e.namespace, e.crc
        FROM {exports} e JOIN {images} i ON i.id = e.image""",
    "btf_ids": """
        SELECT {kernel} AS kernel, i.name AS image, b.set, b.set_flags, b.registered_as, b.kind,
               b.name, b.flags, b.program_types
        FROM {btf_ids} b JOIN {images} i ON i.id = b.image""",
    "btf": """
        SELECT {kernel} AS kernel, i.name AS image, b.bytes
        FROM {btf} b JOIN {images} i ON i.id = b.image""",
    "config": "SELECT {kernel} AS kernel, * FROM {config}",
}

# The same for what is no kernel's own.
POOL_DEFINITIONS = {
    "definitions": "SELECT * FROM {definitions}",
    "members": """
        SELECT d.kind, d.name AS definition_name, m.*
        FROM {members} m JOIN {definitions} d ON d.key = m.definition""",
}
