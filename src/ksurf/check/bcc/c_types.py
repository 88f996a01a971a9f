"""Types of C as far as following members needs them: a base, and how many pointers lead there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

__all__ = ["CType", "Declared", "Structs", "declarators", "parse_type"]

_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict|register|static|extern|inline|__restrict)\b")
_SHAPE = re.compile(r"([\w ]+?)\s*((?:\*\s*)*)((?:\[[^\]]*\]\s*)*)\Z")
_DEPTH = 40


@dataclass(frozen=True, slots=True)
class CType:
    """``struct sock *``: base ``struct sock``, one pointer."""

    base: str
    pointers: int = 0
    arrays: int = 0

    @property
    def text(self) -> str:
        """As C writes it, without a name."""
        stars = f" {'*' * self.pointers}" if self.pointers else ""
        return f"{self.base}{stars}{'[]' * self.arrays}"

    def behind(self) -> CType | None:
        """What is there when it is followed once."""
        if self.arrays:
            return CType(self.base, self.pointers, self.arrays - 1)
        return CType(self.base, self.pointers - 1) if self.pointers else None

    def address(self) -> CType:
        """A pointer to it."""
        return CType(self.base, self.pointers + 1)


def parse_type(text: str) -> CType | None:
    """A type as a dataset or a tool writes it; ``None`` for pointers to functions and the like."""
    match = _SHAPE.match(" ".join(_QUALIFIERS.sub(" ", text).split()))
    if match is None:
        return None
    return CType(match[1].strip(), match[2].count("*"), match[3].count("["))


@dataclass(frozen=True, slots=True)
class Declared:
    """A name that is declared, and its type."""

    name: str
    type: CType
    node: Node
    parameters: Node | None = None
    """Of a function."""


def declarators(node: Node | None, base: str, text: Callable[[Node], str]) -> Iterator[Declared]:
    """What one declarator declares: ``*name[4]`` with the base in front."""
    pointers = arrays = 0
    parameters: Node | None = None
    for _ in range(_DEPTH):
        if node is None:
            return
        match node.type:
            case "identifier" | "field_identifier" | "type_identifier":
                yield Declared(text(node), CType(base, pointers, arrays), node, parameters)
                return
            case "pointer_declarator":
                pointers += 1
            case "array_declarator":
                arrays += 1
            case "function_declarator":
                if parameters is None:
                    parameters = node.child_by_field_name("parameters")
        inner = node.child_by_field_name("declarator")
        if inner is None:
            known = [one for one in node.named_children if one.type.endswith(("declarator", "identifier"))]
            inner = known[0] if known else None
        node = inner


@dataclass(slots=True)
class Structs:
    """The structs, unions and typedefs that a tool defines itself."""

    members: dict[str, dict[str, CType]] = field(default_factory=dict)
    """By ``struct name``."""
    typedefs: dict[str, CType] = field(default_factory=dict)
    objects: set[str] = field(default_factory=set)
    """Those that the tool makes itself, in a variable or a map: they are its own, not the kernel's."""
    _unnamed: int = 0

    def base_of(self, node: Node | None, text: Callable[[Node], str], depth: int = 0) -> str | None:
        """The base that a type's node names; a definition inside it becomes known."""
        if node is None or depth > _DEPTH:
            return None
        if node.type not in {"struct_specifier", "union_specifier", "enum_specifier"}:
            return " ".join(_QUALIFIERS.sub(" ", text(node)).split())
        word = node.type.removesuffix("_specifier")
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is None:
            self._unnamed += 1
        base = f"{word} {text(name) if name is not None else f'(unnamed {self._unnamed})'}"
        if body is not None and word != "enum":
            members = self.members.setdefault(base, {})
            for one in body.named_children:
                if one.type == "field_declaration":
                    self._member(one, members, text, depth)
        return base

    def _member(self, node: Node, members: dict[str, CType], text: Callable[[Node], str], depth: int) -> None:
        base = self.base_of(node.child_by_field_name("type"), text, depth + 1)
        if base is None:
            return
        named = [
            declared
            for one in node.children_by_field_name("declarator")
            for declared in declarators(one, base, text)
        ]
        for declared in named:
            members[declared.name] = declared.type
            if not declared.type.pointers:
                self.objects.add(base)
        if not named and "(unnamed" in base:
            # Members of an unnamed struct or union are members of what it stands in.
            members.update(self.members.get(base, {}))

    def resolved(self, type: CType | None) -> CType | None:
        """The same without the tool's own typedefs."""
        for _ in range(_DEPTH):
            if type is None or (meant := self.typedefs.get(type.base)) is None:
                return type
            type = CType(meant.base, meant.pointers + type.pointers, meant.arrays + type.arrays)
        return type
