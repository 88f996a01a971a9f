"""Structs, unions, enums, typedefs, prototypes and variables: what they are on a kernel, and their C text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ksurf.dataset.rows import Definition, Member, TypeRows
from ksurf.surface.declaration import declaration
from ksurf.surface.symbol import SymbolStatus, found

__all__ = [
    "ANONYMOUS",
    "Field",
    "Line",
    "c_lines",
    "c_text",
    "enumerators",
    "fields",
    "judge_type",
    "offset_text",
    "prototype_text",
]

ANONYMOUS = "(anon)"
"""What stands for the name of a struct, a union or an enum that has none."""

_INDENT = "    "


class Field(NamedTuple):
    """A field by its path from the outermost struct: ``irqfds.lock``. Unnamed ones take no part in paths.

    A comparison of two kernels makes hundreds of thousands, and tuples are made in a quarter of the time.
    """

    path: str
    type: str
    bit_offset: int | None
    byte_size: int | None
    bit_size: int | None = None
    tags: str | None = None

    @property
    def text(self) -> str:
        """Its declaration, without a semicolon."""
        return _declared(self.type, self.path, self.bit_size)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return (
            "?" if self.bit_offset is None else offset_text(self.bit_offset, bits=self.bit_size is not None)
        )


def offset_text(bit_offset: int, *, bits: bool) -> str:
    """An offset as a person reads it: bytes, and bits where it is a bit field's."""
    byte, bit = divmod(bit_offset, 8)
    return f"byte {byte}, bit {bit}" if bits or bit else f"byte {byte}"


def judge_type(rows: TypeRows) -> SymbolStatus[Definition]:
    """Judge one name of a type on one kernel; several different definitions of it are a collision."""
    uses: dict[int, list[str]] = {}
    for use in rows.uses:
        uses.setdefault(use.definition, []).append(f"{use.user_kind} {use.user}")
    reasons = []
    variants = {row.definition.key for row in rows.types}
    if len(variants) > 1:
        images: dict[int, list[str]] = {}
        for row in rows.types:
            images.setdefault(row.definition.key, []).append(row.image)
        for key, users in uses.items():
            if key in images:
                named = list(dict.fromkeys(users))
                more = f" and {len(named) - 4} more" if len(named) > 4 else ""
                reasons.append(f"the one in {images[key][0]} is used by {', '.join(named[:4])}{more}")
    if rows.types and all(row.evidence == "dwarf" for row in rows.types):
        reasons.append("from DWARF: the kernel ships no BTF of it")
    return found(
        rows.kernel,
        rows.name,
        ((row.definition.key, row.definition, row.image, None) for row in rows.types),
        tuple(reasons),
    )


def fields(definition: Definition) -> dict[str, Field]:
    """The fields by path, in their order; the members of anonymous structs and unions included."""
    around: list[str | None] = []
    result: dict[str, Field] = {}
    for depth, name, type_text, bit_offset, byte_size, bit_size, _, tags in definition.members:
        del around[depth:]
        around += [None] * (depth - len(around))
        if name is not None and type_text is not None:
            path = ".".join([*(outer for outer in around if outer), name]) if depth else name
            if path not in result:
                result[path] = Field(path, type_text, bit_offset, byte_size, bit_size, tags)
        around.append(name)
    return result


def enumerators(definition: Definition) -> dict[str, int]:
    """The enumerators and their values; unsigned ones above 2^63 as they are written in C."""
    wrap = (1 << 64) if definition.signed is False else 0
    return {
        member.name: member.value + wrap if member.value < 0 else member.value
        for member in definition.members
        if member.name is not None and member.value is not None
    }


class Line(NamedTuple):
    """A line of C, and the field that it declares."""

    text: str
    member: Member | None = None


def c_text(definition: Definition, *, nested: bool = False) -> list[str]:
    """The text of :func:`c_lines`."""
    return [line.text for line in c_lines(definition, nested=nested)]


def c_lines(definition: Definition, *, nested: bool = False) -> list[Line]:
    """The definition in C.

    Members of an unnamed struct or union stand in it; those of a named one (``struct (anon) irqfds;``) too,
    if ``nested``.
    """
    match definition.kind:
        case "enum":
            return [Line(f"enum {definition.name} {{"), *_enumerator_lines(definition), Line("};")]
        case "typedef":
            return _typedef(definition, nested=nested)
        case "func":
            return [Line(prototype_text(definition))]
        case "var":
            return [Line(f"{declaration(definition.type or 'void', definition.name)};")]
        case kind:
            body = _member_lines(definition.members, nested=nested)
            return [Line(f"{kind} {definition.name} {{"), *body, Line("};")]


def prototype_text(definition: Definition, *, name: str | None = None, skip: int = 0) -> str:
    """A function's prototype; under another name, or without the first parameters, where these are given."""
    named = [
        declaration(member.type, member.name) if member.name else member.type
        for member in definition.members[skip:]
        if member.type is not None
    ]
    own = f"{name or definition.name}({', '.join(named) or 'void'})"
    return f"{declaration(definition.type or 'void', own)};"


def _typedef(definition: Definition, *, nested: bool) -> list[Line]:
    target = definition.type or "void"
    if ANONYMOUS not in target or not definition.members:
        return [Line(f"typedef {declaration(target, definition.name)};")]
    if any(member.value is not None for member in definition.members):
        body = _enumerator_lines(definition)
    else:
        body = list(_member_lines(definition.members, nested=nested))
    head, _, tail = declaration(target, definition.name).partition(ANONYMOUS)
    return [Line(f"typedef {head}{{"), *body, Line(f"}}{tail};")]


def _enumerator_lines(definition: Definition) -> list[Line]:
    return [Line(f"{_INDENT}{name} = {value},") for name, value in enumerators(definition).items()]


def _member_lines(members: Sequence[Member], *, nested: bool, depth: int = 0) -> Iterator[Line]:
    """The members of one level, which begins with the first."""
    indent = _INDENT * (depth + 1)
    index = 0
    while index < len(members):
        member = members[index]
        below = index + 1
        while below < len(members) and members[below].depth > member.depth:
            below += 1
        inside = members[index + 1 : below]
        index = below
        text = _declared(member.type or "", member.name or "", member.bit_size).rstrip()
        if inside and (nested or member.name is None):
            head, _, tail = text.partition(ANONYMOUS)
            yield Line(f"{indent}{head}{{", member)
            yield from _member_lines(inside, nested=nested, depth=depth + 1)
            yield Line(f"{indent}}}{tail};")
        else:
            yield Line(f"{indent}{text};", member)


def _declared(type_text: str, name: str, bit_size: int | None) -> str:
    text = declaration(type_text, name)
    return text if bit_size is None else f"{text}:{bit_size}"
