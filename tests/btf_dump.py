"""What ``bpftool btf dump ... format raw`` says of a BTF, as definitions with types in C. Knows no ksurf.

Texts are compared without the blanks around ``*``, parentheses, brackets and commas: see :func:`normal`.
"""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

QUALIFIERS = {"CONST": "const", "VOLATILE": "volatile", "RESTRICT": "restrict"}
POINTER_SIZE = 8
"""Of every kernel that is compared, in bytes."""

_TYPE = re.compile(r"\[(\d+)\] (\w+) '([^']*)'(.*)")
_ELEMENT = re.compile(r"\t'([^']*)' (.*)")
_FACT = re.compile(r"(\w+)=([\w+-]+)")


class Member(NamedTuple):
    """A row of ``members``, without its position."""

    depth: int = 0
    name: str | None = None
    type: str | None = None
    bit_offset: int | None = None
    byte_size: int | None = None
    bit_size: int | None = None
    value: int | None = None
    tags: str | None = None


class Definition(NamedTuple):
    """A row of ``definitions``, without its key, and its members."""

    kind: str
    name: str
    byte_size: int | None
    signed: bool | None
    type: str | None
    tags: str | None
    members: tuple[Member, ...]


@dataclass
class Type:
    """A type as bpftool prints it: its line, and the lines that are indented below."""

    id: int
    kind: str
    name: str
    facts: dict[str, str]
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def number(self, fact: str) -> int:
        return int(self.facts[fact])


def normal(text: str) -> str:
    """A type without the blanks that C does not need."""
    return re.sub(r"\s*([*()\[\],])\s*", r"\1", text).strip()


def _facts(text: str) -> dict[str, str]:
    return dict(_FACT.findall(text))


def _name(text: str) -> str:
    return "" if text == "(anon)" else text


def _integer(text: str) -> int:
    """An enumerator's value, as two's complement of 64 bits."""
    value = int(text.rstrip("UL"))
    return value - (1 << 64) if value >= 1 << 63 else value


class Dump:
    """All types of a BTF; with those of its base, if it has one, whose definitions are not its own."""

    def __init__(self, path: Path, base: Path | None = None) -> None:
        self.base = Dump(base) if base else None
        self.types: dict[int, Type] = dict(self.base.types) if self.base else {}
        self._texts: dict[int, str] = {}
        known = len(self.types)
        command = ["bpftool", *(["-B", str(base)] if base else [])]
        done = subprocess.run(
            [*command, "btf", "dump", "file", str(path), "format", "raw"], capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
        current = Type(0, "", "", {})
        for line in done.stdout.decode().splitlines():
            if found := _TYPE.fullmatch(line):
                number, kind, name, facts = found.groups()
                current = Type(int(number), kind, _name(name), _facts(facts))
                self.types[current.id] = current
            elif found := _ELEMENT.fullmatch(line):
                current.elements.append((_name(found[1]), _facts(found[2])))
        self.own = [t for t in self.types.values() if t.id > known]

    @cached_property
    def _tags(self) -> dict[tuple[int, int], set[str]]:
        tags: dict[tuple[int, int], set[str]] = defaultdict(set)
        for found in self.own:
            if found.kind == "DECL_TAG":
                tags[found.number("type_id"), found.number("component_idx")].add(found.name)
        return tags

    def definitions(self) -> Iterator[Definition]:
        """What has a name, and is more than declared."""
        for found in self.own:
            if found.name:
                yield from self._definition(found)

    def _definition(self, found: Type) -> Iterator[Definition]:
        tags = _joined(self._tags[found.id, -1])
        if found.kind in ("STRUCT", "UNION"):
            members = tuple(self._members(found, 0, 0))
            yield Definition(found.kind.lower(), found.name, found.number("size"), None, None, tags, members)
        elif found.kind in ("ENUM", "ENUM64") and found.elements:
            signed = found.facts["encoding"] == "SIGNED"
            yield Definition(
                "enum", found.name, found.number("size"), signed, None, tags, tuple(_enumerators(found))
            )
        elif found.kind in ("TYPEDEF", "VAR"):
            of = found.number("type_id")
            size, signed, members = None, None, ()
            if found.kind == "TYPEDEF" and (inner := self._anonymous(of)):
                size = inner.number("size")
                if inner.kind in ("STRUCT", "UNION"):
                    members = tuple(self._members(inner, 0, 0))
                else:
                    signed, members = inner.facts["encoding"] == "SIGNED", tuple(_enumerators(inner))
            yield Definition(found.kind.lower(), found.name, size, signed, self.text(of), tags, members)
        elif found.kind == "FUNC":
            prototype = self.types[found.number("type_id")]
            returned = self.text(prototype.number("ret_type_id"))
            parameters = tuple(self._parameters(found, prototype))
            yield Definition("func", found.name, None, None, returned, tags, parameters)

    def _members(self, found: Type, depth: int, start: int) -> Iterator[Member]:
        for number, (name, facts) in enumerate(found.elements):
            of, offset = int(facts["type_id"]), start + int(facts["bits_offset"])
            bits = int(facts["bitfield_size"]) if "bitfield_size" in facts else None
            tags = self._tags[found.id, number] | self._type_tags(of)
            text, size = self.text(of), self.size(of)
            yield Member(depth, name or None, text, offset, size, bits, tags=_joined(tags))
            if (inner := self._anonymous(of)) and inner.kind in ("STRUCT", "UNION"):
                yield from self._members(inner, depth + 1, offset)

    def _parameters(self, found: Type, prototype: Type) -> Iterator[Member]:
        for number, (name, facts) in enumerate(prototype.elements):
            of = int(facts["type_id"])
            if not name and not of and number == len(prototype.elements) - 1:
                yield Member(type="...")
            else:
                tags = self._tags[found.id, number] | self._type_tags(of)
                yield Member(name=name or None, type=self.text(of), tags=_joined(tags))

    def _anonymous(self, number: int) -> Type | None:
        """The struct, union or enum without a name that a type is, or is an array or a qualified form of."""
        while found := self.types.get(number):
            if found.kind in QUALIFIERS or found.kind in ("ARRAY", "TYPE_TAG"):
                number = found.number("type_id")
            else:
                is_one = not found.name and found.kind in ("STRUCT", "UNION", "ENUM", "ENUM64")
                return found if is_one else None
        return None

    def _type_tags(self, number: int) -> set[str]:
        """The tags between a member and the first type on its way that has a name or is a function."""
        tags = set()
        while found := self.types.get(number):
            if found.kind == "TYPE_TAG":
                tags.add(found.name)
            elif found.kind not in QUALIFIERS and found.kind not in ("PTR", "ARRAY"):
                break
            number = found.number("type_id")
        return tags

    def size(self, number: int) -> int | None:
        """Bytes that a type takes."""
        found = self.types.get(number)
        if found is None or found.kind in ("FWD", "FUNC_PROTO"):
            return None
        if found.kind == "PTR":
            return POINTER_SIZE
        if "size" in found.facts:
            return found.number("size")
        size = self.size(found.number("type_id"))
        return size if size is None or found.kind != "ARRAY" else size * found.number("nr_elems")

    def text(self, number: int) -> str:
        """A type as C, in normal form."""
        if number not in self._texts:
            self._texts[number] = normal(self._declare(number, "", frozenset()))
        return self._texts[number]

    def _declare(self, number: int, inner: str, qualifiers: frozenset[str]) -> str:
        """The declaration of ``inner``, which is what stands between a base type and its end."""
        words = " ".join(word for word in QUALIFIERS.values() if word in qualifiers)
        if number == 0:
            return f"{words} void {inner}"
        found = self.types[number]
        if found.kind in QUALIFIERS:
            return self._declare(found.number("type_id"), inner, qualifiers | {QUALIFIERS[found.kind]})
        if found.kind == "TYPE_TAG":
            return self._declare(found.number("type_id"), inner, qualifiers)
        if found.kind == "PTR":
            of = found.number("type_id")
            pointer = f"*{words} {inner}"
            return self._declare(of, f"({pointer})" if self._is_suffix(of) else pointer, frozenset())
        if found.kind == "ARRAY":
            count = found.number("nr_elems") or ""
            return self._declare(found.number("type_id"), f"{inner}[{count}]", qualifiers)
        if found.kind == "FUNC_PROTO":
            parameters = ", ".join(parameter.type or "" for parameter in self._parameters(found, found))
            return self._declare(found.number("ret_type_id"), f"{inner}({parameters or 'void'})", frozenset())
        keyword = {"STRUCT": "struct", "UNION": "union", "ENUM": "enum", "ENUM64": "enum"}.get(found.kind, "")
        keyword = found.facts["fwd_kind"] if found.kind == "FWD" else keyword
        return f"{words} {keyword} {found.name or '(anon)'} {inner}".replace("  ", " ")

    def _is_suffix(self, number: int) -> bool:
        """Whether a type is written to the right of what has it."""
        while found := self.types.get(number):
            if found.kind not in QUALIFIERS and found.kind != "TYPE_TAG":
                return found.kind in ("ARRAY", "FUNC_PROTO")
            number = found.number("type_id")
        return False


def _enumerators(found: Type) -> Iterator[Member]:
    for name, facts in found.elements:
        yield Member(name=name, value=_integer(facts["val"]))


def _joined(tags: set[str]) -> str | None:
    return " ".join(sorted(tags)) or None
