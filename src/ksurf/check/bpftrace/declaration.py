"""C text of types, as far as it has to be understood to follow fields through them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Type", "members", "record_name", "type_from_c"]

_QUALIFIER = re.compile(
    r"\b(?:const|volatile|restrict|__attribute__\s*\(\([^()]*(?:\([^()]*\))?\)\))\s*|__\w*(?:rcu|user|iomem|percpu|bitwise)\b\s*"
)
_TYPE = re.compile(r"((?:(?:struct|union|enum)\s+)?[A-Za-z_][\w ]*?)\s*((?:\*\s*|\[[^\[\]]*\]\s*)*)")
_ANONYMOUS = re.compile(
    r"(struct|union|enum)\s*(?:\{.*\}|\(anon\))\s*((?:\*\s*|\[[^\[\]]*\]\s*)*)", re.DOTALL
)
_RECORD = re.compile(r"(struct|union|enum)\s+([A-Za-z_]\w*)")
_DECLARATOR = re.compile(r"\s*(\**)\s*([A-Za-z_]\w*)\s*((?:\[[^\[\]]*\]\s*)*)(?::\s*\w+)?\s*")
_DEPTH_LIMIT = 32
"""How deeply structs may be nested in a definition of a script."""


@dataclass(frozen=True, slots=True)
class Type:
    """A type that fields can be read through: ``struct sock *``; a part of a struct by value."""

    base: str
    """``struct sock``, ``u64``."""
    suffix: str = ""
    """``*`` for each pointer and ``[`` for each array around the base, the outermost last."""
    path: str = ""
    """Where in the base it is: ``__sk_common`` of ``struct sock``. Empty for the whole of it."""

    @property
    def name(self) -> str:
        """The base's name, without ``struct``."""
        return (
            self.base.rpartition(" ")[2]
            if self.base.startswith(("struct ", "union ", "enum "))
            else self.base
        )

    @property
    def kind(self) -> str:
        """``struct``, ``union`` or ``enum``; empty if the base's name is that of a typedef or basic type."""
        return self.base.partition(" ")[0] if self.base.startswith(("struct ", "union ", "enum ")) else ""

    def pointed(self) -> Type | None:
        """What a pointer points to, or an array consists of; ``None`` if it is neither."""
        return Type(self.base, self.suffix[:-1], self.path) if self.suffix else None

    def pointer(self) -> Type:
        """A pointer to it."""
        return Type(self.base, self.suffix + "*", self.path)


def type_from_c(text: str) -> Type | None:
    """The type that C text means; ``None`` for a function, and what else has no fields to be read.

    A struct without a name, which is ``struct {...}`` or ``struct (anon)``, has the base ``struct``.
    """
    plain = _QUALIFIER.sub("", " ".join(text.split())).strip()
    found = _ANONYMOUS.fullmatch(plain) or _TYPE.fullmatch(plain)
    if found is None:
        return None
    return Type(" ".join(found[1].split()), _suffix(found[2]))


def _suffix(text: str) -> str:
    return "".join(one for one in text if one in "*[")


def record_name(text: str) -> tuple[str, str] | None:
    """Keyword and name of a definition: ``("struct", "event")``."""
    found = _RECORD.match(text)
    return (found[1], found[2]) if found else None


def members(text: str) -> dict[str, Type | None]:
    """The members of a struct or union that C text defines, by path, those of members by value too."""
    found: dict[str, Type | None] = {}
    opening, closing = text.find("{"), text.rfind("}")
    if 0 <= opening < closing:
        _members(text[opening + 1 : closing], "", found, 0)
    return found


def _members(body: str, prefix: str, found: dict[str, Type | None], depth: int) -> None:
    for declaration in _declarations(body):
        text = _QUALIFIER.sub("", declaration).strip()
        opening, closing = text.find("{"), text.rfind("}")
        if 0 <= opening < closing:
            keyword, inner, rest = text[:opening].strip(), text[opening + 1 : closing], text[closing + 1 :]
        else:
            base = re.match(
                r"((?:(?:struct|union|enum)\s+)?[A-Za-z_]\w*(?:\s+(?:int|long|char|short))*)\s*(?=[*\s])",
                text,
            )
            if base is None:
                continue
            keyword, inner, rest = " ".join(base[1].split()), "", text[base.end() :]
        names = [one for one in map(_DECLARATOR.fullmatch, rest.split(",")) if one]
        if inner and depth < _DEPTH_LIMIT:
            for path in [f"{prefix}{one[2]}." for one in names] or [prefix]:
                _members(inner, path, found, depth + 1)
        for one in names:
            found[prefix + one[2]] = Type(keyword, one[1] + _suffix(one[3]))


def _declarations(body: str) -> list[str]:
    """Split at semicolons outside of braces."""
    parts, depth, start = [], 0, 0
    for found in re.finditer("[{};]", body):
        depth += {"{": 1, "}": -1, ";": 0}[found[0]]
        if found[0] == ";" and depth == 0:
            parts.append(body[start : found.start()])
            start = found.end()
    return parts
