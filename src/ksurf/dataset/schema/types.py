"""Tables of types: which definitions an image has, and what is in them.

A definition is content: its key is made of its name, size and members, so that the same definition has the
same key on every kernel, and "changed?" is a comparison of keys.
"""

from __future__ import annotations

from ksurf.dataset.schema.column import Column, Table, image_column

__all__ = ["DEFINITIONS", "MEMBERS", "TYPES", "TYPE_USES"]

TYPES = Table(
    name="types",
    row="one type, function prototype or variable as one image defines it",
    sorted_by=("name", "kind", "image"),
    rows_per_group=1 << 14,
    columns=(
        Column(
            "name",
            "string",
            "Name without keyword: `kvm`, `vfs_read`.",
            "BTF, `DW_AT_name`",
            encoding="DELTA_BYTE_ARRAY",
        ),
        Column(
            "kind",
            "string",
            "`struct`, `union`, `enum`, `typedef`, `func` (a prototype) or `var`.",
            "`BTF_KIND_*`, `DW_TAG_*`",
            encoding="DICTIONARY",
        ),
        image_column(),
        Column("definition", "uint64", "What it is.", "XXH3 of the content", unit="key of `definitions`"),
        Column(
            "evidence",
            "string",
            "`btf` where the image ships BTF, else `dwarf`.",
            "sections of the file",
            encoding="DICTIONARY",
        ),
    ),
)

TYPE_USES = Table(
    name="type_uses",
    row="one mention of a type whose name has several definitions in its image",
    sorted_by=("name",),
    rows_per_group=1 << 15,
    columns=(
        Column(
            "name",
            "string",
            "Name of the type that is used. Images without BTF have no rows.",
            "BTF",
            encoding="DELTA_BYTE_ARRAY",
        ),
        Column(
            "definition",
            "uint64",
            "Which of the definitions.",
            "XXH3 of the content",
            unit="key of `definitions`",
        ),
        image_column(),
        Column(
            "user_kind",
            "string",
            "Kind of what mentions it, as in `types`.",
            "`BTF_KIND_*`",
            encoding="DICTIONARY",
        ),
        Column("user", "string", "Name of what mentions it.", "BTF"),
    ),
)

DEFINITIONS = Table(
    name="definitions",
    row="one definition, the same on every kernel that has it",
    sorted_by=("name", "kind", "key"),
    rows_per_group=1 << 14,
    columns=(
        Column("key", "uint64", "The content's key.", "XXH3 of the content"),
        Column("kind", "string", "As in `types`.", "`BTF_KIND_*`, `DW_TAG_*`", encoding="DICTIONARY"),
        Column("name", "string", "Name without keyword.", "BTF, `DW_AT_name`", encoding="DELTA_BYTE_ARRAY"),
        Column(
            "byte_size",
            "uint64",
            "Size of a struct, union or enum, or of the anonymous one that a typedef names.",
            "`size`, `DW_AT_byte_size`",
            unit="byte",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "signed",
            "bool",
            "Whether an enum's values have a sign; null for all else.",
            "`kind_flag`",
            nullable=True,
        ),
        Column(
            "type",
            "string",
            "As C text what a typedef stands for, a function returns, a variable is.",
            "`type`, `DW_AT_type`",
            nullable=True,
        ),
        Column(
            "tags",
            "string",
            "Declaration tags, in alphabetical order: `bpf_fastcall bpf_kfunc`.",
            "`BTF_KIND_DECL_TAG`",
            nullable=True,
            encoding="DICTIONARY",
        ),
    ),
)

MEMBERS = Table(
    name="members",
    row="one member of a definition: a field, a parameter, an enumerator",
    sorted_by=(),
    rows_per_group=1 << 16,
    columns=(
        Column(
            "definition",
            "uint64",
            "The definition that it is part of.",
            "XXH3 of the content",
            unit="key of `definitions`",
        ),
        Column(
            "position",
            "int32",
            "Its place in the definition, counted from 0 with nested members.",
            "order in the input",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "depth",
            "int32",
            "How many anonymous structs and unions are around it.",
            "nesting of the input",
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "name",
            "string",
            "Its name; null for an anonymous one, and for the parameter `...`.",
            "BTF, `DW_AT_name`",
            nullable=True,
        ),
        Column(
            "type",
            "string",
            "Its type as C text without the name: `void (*)(int)`; null for an enumerator.",
            "`type`, `DW_AT_type`",
            nullable=True,
        ),
        Column(
            "bit_offset",
            "uint64",
            "Where it starts, from the start of the whole; null for parameters and enumerators.",
            "`offset`, `DW_AT_data_member_location`, `DW_AT_data_bit_offset`",
            unit="bit",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "byte_size",
            "uint64",
            "Size of its type; null for parameters and enumerators.",
            "`size`, `DW_AT_byte_size`",
            unit="byte",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "bit_size",
            "int32",
            "Width of a bit field; null for all else.",
            "`offset`, `DW_AT_bit_size`",
            unit="bit",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "value",
            "int64",
            "An enumerator's value; that of an unsigned one above 2^63 as two's complement.",
            "`val`, `DW_AT_const_value`",
            nullable=True,
            encoding="BYTE_STREAM_SPLIT",
        ),
        Column(
            "tags",
            "string",
            "Tags of it or its type, in alphabetical order: `rcu`, `user`.",
            "`BTF_KIND_DECL_TAG`, `BTF_KIND_TYPE_TAG`",
            nullable=True,
            encoding="DICTIONARY",
        ),
    ),
)
