"""Every table and every column of a kernel, in one place: type, unit, nullability, producer, encoding.

The store checks what it writes against this module, ``docs/tables/`` is checked against it by a test, and the
readers take their column names from it. A missing value is null, never 0 and never an empty string.

The encodings follow from one observation: rows of ``call_sites`` come in the order of the code, so an inlined
subtree appears again and again as the same run of values. Whole bytes under zstd let the compressor see those
runs; Parquet's bit-packed dictionary pages would hide them. ``benchmarks/encodings.py`` measures the choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FORMAT_VERSION", "TABLES", "Column", "Table", "arrow_schema"]

FORMAT_VERSION = 1
"""Version of the files on disk. A reader refuses a kernel whose manifest says a higher one."""

ArrowType = Literal["bool", "int32", "uint64", "string"]
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

    def column(self, name: str) -> Column:
        """The column of that name; :class:`KeyError` if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def _id(of: str) -> Column:
    return Column(
        "id",
        "int32",
        f"The {of}'s number: its row, counted from 0.",
        "ksurf",
        unit="row",
        encoding="DELTA_BINARY_PACKED",
    )


_IMAGES = Table(
    name="images",
    row="one ELF file of the kernel: `vmlinux` or a module",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        _id("image"),
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

_UNITS = Table(
    name="units",
    row="one DWARF compile unit",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        _id("unit"),
        Column(
            "image",
            "int32",
            "The image that holds it.",
            "file",
            unit="row of `images`",
            references="images",
            encoding="DELTA_BINARY_PACKED",
        ),
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

_FUNCTIONS = Table(
    name="functions",
    row="one source function: a name at a declaration",
    sorted_by=("name", "decl_file", "decl_line"),
    rows_per_group=1 << 15,
    columns=(
        _id("function"),
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

_INSTANCES = Table(
    name="instances",
    row="one compiled definition of a function in one unit",
    sorted_by=("function", "image", "unit"),
    rows_per_group=1 << 15,
    columns=(
        _id("instance"),
        Column(
            "function",
            "int32",
            "The function it is compiled from.",
            "`DW_TAG_subprogram`, `DW_AT_abstract_origin`",
            unit="row of `functions`",
            references="functions",
            encoding="DELTA_BINARY_PACKED",
        ),
        Column(
            "image", "int32", "The image that holds it.", "file", unit="row of `images`", references="images"
        ),
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

_CALL_SITES = Table(
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

_SYMBOLS = Table(
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
        Column(
            "image", "int32", "The image that holds it.", "file", unit="row of `images`", references="images"
        ),
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
    ),
)

TABLES: dict[str, Table] = {
    table.name: table for table in (_IMAGES, _UNITS, _FUNCTIONS, _INSTANCES, _CALL_SITES, _SYMBOLS)
}
"""The tables of a kernel by name, each after those that it refers to."""


def arrow_schema(table: Table) -> pyarrow.Schema:
    """The Arrow schema of a table as it lies on disk."""
    import pyarrow as pa

    types = {"bool": pa.bool_(), "int32": pa.int32(), "uint64": pa.uint64(), "string": pa.string()}
    return pa.schema([pa.field(c.name, types[c.type], nullable=c.nullable) for c in table.columns])
