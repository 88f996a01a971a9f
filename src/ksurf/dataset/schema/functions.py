"""Tables of functions: images, units, functions, instances, call sites and symbols.

The encodings follow from one observation: rows of ``call_sites`` come in the order of the code, so an inlined
subtree appears again and again as the same run of values. Whole bytes under zstd let the compressor see those
runs; Parquet's bit-packed dictionary pages would hide them. ``benchmarks/encodings.py`` measures the choices.
"""

from __future__ import annotations

from ksurf.dataset.schema.column import Column, Table, image_column, row_number

__all__ = ["CALL_SITES", "FUNCTIONS", "IMAGES", "INSTANCES", "SYMBOLS", "UNITS"]

IMAGES = Table(
    name="images",
    row="one ELF file of the kernel: `vmlinux` or a module",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        row_number("image"),
        Column("name", "string", "`vmlinux`, or the module's name as `lsmod` prints it.", "file name"),
        Column(
            "path",
            "string",
            "Where the file lies in its package or directory.",
            "archive member, path",
            encoding="DELTA_BYTE_ARRAY",
        ),
        Column(
            "build_id",
            "string",
            "The linker's build id, in hexadecimal.",
            "ELF note `NT_GNU_BUILD_ID`",
            nullable=True,
        ),
        Column(
            "evidence",
            "string",
            "The best thing the image tells about functions: `dwarf`, `btf` or `symtab`.",
            "sections of the file",
            encoding="DICTIONARY",
        ),
    ),
)

UNITS = Table(
    name="units",
    row="one DWARF compile unit",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        row_number("unit"),
        image_column("DELTA_BINARY_PACKED"),
        Column(
            "path",
            "string",
            "Source file, relative to the source root.",
            "`DW_AT_name`, `DW_AT_comp_dir`",
            encoding="DELTA_BYTE_ARRAY",
        ),
        Column(
            "language",
            "string",
            "Name of the language's constant without its prefix: `C11`, `Rust`, `Mips_Assembler`.",
            "`DW_AT_language`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "producer",
            "string",
            "The compiler and its options.",
            "`DW_AT_producer`",
            nullable=True,
            encoding="DICTIONARY",
        ),
    ),
)

FUNCTIONS = Table(
    name="functions",
    row="one source function: a name at a declaration",
    sorted_by=("name", "decl_file", "decl_line"),
    rows_per_group=1 << 15,
    columns=(
        row_number("function"),
        Column(
            "name", "string", "Name in the source.", "`DW_AT_name`, BTF `FUNC`", encoding="DELTA_BYTE_ARRAY"
        ),
        Column(
            "linkage_name",
            "string",
            "Name the linker sees, where it is not `name` (Rust).",
            "`DW_AT_linkage_name`",
            nullable=True,
        ),
        Column(
            "decl_file",
            "string",
            "File of the declaration, relative to the source root.",
            "`DW_AT_decl_file`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "decl_line",
            "int32",
            "Line of the declaration.",
            "`DW_AT_decl_line`",
            unit="line",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "external",
            "bool",
            "Visible outside its unit (not `static`); null where only BTF, which does not tell, knows it.",
            "`DW_AT_external`, symbol binding",
            nullable=True,
        ),
        Column(
            "declared_inline",
            "bool",
            "Written `inline` in the source.",
            "`DW_AT_inline`",
            nullable=True,
        ),
        Column(
            "prototype",
            "string",
            "The declaration as C text with parameter names: `void f(int a);`.",
            "`DW_TAG_subprogram` and its `DW_TAG_formal_parameter`, BTF `FUNC_PROTO`",
            nullable=True,
            encoding="DELTA_BYTE_ARRAY",
        ),
    ),
)

INSTANCES = Table(
    name="instances",
    row="one compiled definition of a function in one unit",
    sorted_by=("function", "image", "unit"),
    rows_per_group=1 << 15,
    columns=(
        row_number("instance"),
        Column(
            "function",
            "int32",
            "The function it is compiled from.",
            "`DW_TAG_subprogram`, `DW_AT_abstract_origin`",
            unit="row of `functions`",
            references="functions",
            encoding="DELTA_BINARY_PACKED",
        ),
        image_column(),
        Column(
            "unit",
            "int32",
            "The unit that holds it; null where no DWARF tells of it, as for assembler code.",
            "`DW_TAG_compile_unit`",
            unit="row of `units`",
            nullable=True,
            references="units",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "inlined",
            "bool",
            "The compiler put it into the code of a caller; null where no DWARF tells of it.",
            "`DW_AT_inline`, `DW_TAG_inlined_subroutine`",
            nullable=True,
        ),
        Column(
            "out_of_line", "bool", "It has code of its own.", "`DW_AT_low_pc`, `DW_AT_ranges`, symbol table"
        ),
        Column(
            "address",
            "uint64",
            "Where its own code starts; in a module counted from the start of `section`.",
            "`DW_AT_low_pc`, `DW_AT_entry_pc`, `st_value`",
            unit="byte address",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "byte_size",
            "uint64",
            "Length of its own code.",
            "`DW_AT_high_pc`, `DW_AT_ranges`, `st_size`",
            unit="byte",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "section",
            "string",
            "Section that the addresses count from; null in `vmlinux`, whose addresses are whole.",
            "section header",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "inline_address",
            "uint64",
            "Where a copy in another function starts, or is entered if it is in several pieces; the lowest.",
            "`DW_TAG_inlined_subroutine`",
            unit="byte address",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
            level=3,
        ),
    ),
)

CALL_SITES = Table(
    name="call_sites",
    row="one call, inlined or direct",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        Column(
            "caller",
            "int32",
            "The instance whose code holds the call.",
            "`DW_TAG_subprogram` around the call",
            unit="row of `instances`",
            references="instances",
        ),
        Column(
            "depth",
            "int32",
            "Inlined calls around it: 0 when the caller's own text makes the call.",
            "nesting of `DW_TAG_inlined_subroutine`",
            unit="call",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "callee",
            "int32",
            "The function that is called.",
            "`DW_AT_abstract_origin`, `DW_AT_call_origin`",
            unit="row of `functions`",
            references="functions",
        ),
        Column(
            "callee_instance",
            "int32",
            "The instance that is called, only where the caller's unit and `callee` do not tell it.",
            "`DW_AT_abstract_origin`, `DW_AT_call_origin`",
            unit="row of `instances`",
            nullable=True,
            references="instances",
        ),
        Column(
            "inline",
            "bool",
            "The callee's body stands here; otherwise the code calls it.",
            "`DW_TAG_inlined_subroutine` or `DW_TAG_call_site`",
        ),
        Column(
            "file",
            "string",
            "File of the call; null when it is the file that declares the function around the call.",
            "`DW_AT_call_file`, line table",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "line",
            "int32",
            "Line of the call.",
            "`DW_AT_call_line`, line table",
            unit="line",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
    ),
)

SYMBOLS = Table(
    name="symbols",
    row="one function symbol",
    sorted_by=("name",),
    rows_per_group=1 << 15,
    columns=(
        Column("name", "string", "Name with all suffixes.", "`st_name`", encoding="DELTA_BYTE_ARRAY"),
        Column(
            "function",
            "int32",
            "The function whose name is the symbol's up to the first suffix.",
            "ksurf",
            unit="row of `functions`",
            nullable=True,
            references="functions",
            encoding="DELTA_BINARY_PACKED",
        ),
        Column(
            "instance",
            "int32",
            "The instance whose code starts where the symbol points.",
            "ksurf",
            unit="row of `instances`",
            nullable=True,
            references="instances",
            encoding="DELTA_BINARY_PACKED",
        ),
        image_column(),
        Column(
            "section",
            "string",
            "Section that `address` counts from; null in `vmlinux`.",
            "`st_shndx`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "address",
            "uint64",
            "Where it points.",
            "`st_value`",
            unit="byte address",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "byte_size",
            "uint64",
            "Length of what it points to; null where the list has no lengths (`/proc/kallsyms`).",
            "`st_size`",
            unit="byte",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "bind", "string", "`STB_GLOBAL`, `STB_WEAK` or `STB_LOCAL`.", "`st_info`", encoding="DICTIONARY"
        ),
        Column(
            "type",
            "string",
            "`STT_FUNC`, `STT_NOTYPE` or `STT_GNU_IFUNC`.",
            "`st_info`",
            encoding="DICTIONARY",
        ),
        Column(
            "ftrace",
            "bool",
            "It begins with a call that ftrace can turn on; null where the image has no list of such places.",
            "`__mcount_loc`, `__patchable_function_entries`",
            nullable=True,
        ),
        Column(
            "kprobe_blacklist",
            "string",
            "Why kprobes refuse it: `NOKPROBE_SYMBOL`, or the section it is in; null where they do not.",
            "`_kprobe_blacklist`, `.noinstr.text` and its like",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column(
            "error_injection",
            "string",
            "What an injected error may be (`EI_ETYPE_ERRNO`); null where none may.",
            "`_error_injection_whitelist`",
            nullable=True,
            encoding="DICTIONARY",
        ),
        Column("init", "bool", "It is gone once the kernel runs, or the module is loaded.", "`.init.text`"),
    ),
)
