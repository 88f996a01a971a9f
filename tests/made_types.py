"""Definitions of types, made from a few words of C."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

from ksurf.dataset.rows import Definition, Member, TypeRow, TypeRows
from ksurf.kernel import Kernel

_KEYS = count(1)
_POINTER = re.compile(r"\(\*+(\w+)")
_PLAIN = re.compile(r"(\w+)((?:\[\d*\])*)$")


def member(text: str, *, depth: int = 0, offset: int | None = None, size: int | None = None) -> Member:
    """A member from its declaration: ``int (*get)(void)``, ``u8 flags:3``. ``offset`` is in bytes."""
    text, _, width = text.partition(":")
    bit_offset = None if offset is None else offset * 8
    found = _POINTER.search(text) or _PLAIN.search(text)
    assert found is not None, text
    start, end = found.span(1)
    if text.endswith((" struct", " union")) or text in {"struct", "union"}:
        return Member(depth, None, f"{text} (anon)", bit_offset, size)
    before, after = text[:start], text[end:]
    # Blanks as the reader of types writes them: `int [4]`, `struct kvm *`.
    if after.startswith("[") and not before.endswith(" "):
        before += " "
    before = before if after.startswith("[") else before.rstrip()
    return Member(depth, text[start:end], before + after, bit_offset, size, int(width) if width else None)


def struct(name: str, *members: str | Member, kind: str = "struct", size: int | None = None) -> Definition:
    """A struct of these members, in that order, with a key of its own."""
    made = tuple(member(m) if isinstance(m, str) else m for m in members)
    return Definition(next(_KEYS), kind, name, size, None, None, None, made)


def enum(name: str, *, signed: bool | None = False, **values: int) -> Definition:
    """An enum of these values."""
    members = tuple(Member(0, key, None, value=value) for key, value in values.items())
    return Definition(next(_KEYS), "enum", name, 4, signed, None, None, members)


def typedef(name: str, target: str, *members: Member, size: int | None = None) -> Definition:
    """A typedef."""
    return Definition(next(_KEYS), "typedef", name, size, None, target, None, members)


def func(name: str, returns: str, *params: str) -> Definition:
    """A function's prototype."""
    return Definition(next(_KEYS), "func", name, None, None, returns, None, tuple(map(member, params)))


def rows(kernel: Kernel, name: str, *definitions: tuple[str, Definition]) -> TypeRows:
    """What a kernel has under a name: images and their definitions."""
    return TypeRows(kernel, name, tuple(TypeRow(image, "btf", d) for image, d in definitions))


def texts(changes: Iterable[object]) -> list[str]:
    """Changes as words."""
    return [
        f"{change.label}: {' -> '.join(s for s in (change.before, change.after) if s)}"  # type: ignore[attr-defined]
        for change in changes
    ]
