"""Differences between two kernels, one type per kind; for now those of a function's prototypes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import ClassVar

from ksurf.dataset.rows import Function

__all__ = [
    "Change",
    "Param",
    "ParamAdded",
    "ParamRemoved",
    "ParamRenamed",
    "ParamReordered",
    "ParamTypeChanged",
    "Prototype",
    "ReturnTypeChanged",
    "compare_definitions",
    "compare_prototypes",
    "parse_prototype",
]


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its C text with its name (``int (*f)(int)``), the name, and the text without it."""

    text: str
    name: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Prototype:
    """A function's declaration, taken apart."""

    return_type: str
    params: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class ParamAdded:
    """The new function takes a parameter that the old did not."""

    label: ClassVar = "Param added"
    new: Param


@dataclass(frozen=True, slots=True)
class ParamRemoved:
    """The old function took a parameter that the new does not."""

    label: ClassVar = "Param removed"
    old: Param


@dataclass(frozen=True, slots=True)
class ParamTypeChanged:
    """A parameter has another type."""

    label: ClassVar = "Param type changed"
    old: Param
    new: Param


@dataclass(frozen=True, slots=True)
class ParamRenamed:
    """A parameter of the same type, in the same place, has another name."""

    label: ClassVar = "Param renamed"
    old: Param
    new: Param


@dataclass(frozen=True, slots=True)
class ParamReordered:
    """The parameters that both have come in another order; that others came between is no reordering."""

    label: ClassVar = "Param reordered"
    old: tuple[Param, ...]
    new: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class ReturnTypeChanged:
    """The function returns another type."""

    label: ClassVar = "Return type changed"
    old: str
    new: str


Change = ParamAdded | ParamRemoved | ParamTypeChanged | ParamRenamed | ParamReordered | ReturnTypeChanged

_NAME = re.compile(r"[A-Za-z_]\w*")
_ARRAYS = re.compile(r"(?:\s*\[[^\]]*\])*$")
# Words that are types, or parts of types, and never a parameter's name.
_TYPE_WORDS = frozenset(
    "void char short int long float double signed unsigned _Bool bool const volatile restrict __int128"
    " struct union enum _Complex".split()
)


def parse_prototype(text: str) -> Prototype:
    """Take apart a declaration such as ``int (*f(int a))(void);``. Raises ``ValueError`` if it is none."""
    declaration = " ".join(text.strip().rstrip(";").split())
    # The function's own parameters follow its name: the first list after a name that is no type's word.
    for opening in (index for index, char in enumerate(declaration) if char == "("):
        name = re.search(r"([A-Za-z_$][\w$.]*)\s*$", declaration[:opening])
        if name is not None and name[1] not in _TYPE_WORDS:
            break
    else:
        raise ValueError(f"no function's declaration: {text!r}")
    closing = _closing(declaration, opening)
    before, after = declaration[: name.start(1)], declaration[closing + 1 :]
    inside = declaration[opening + 1 : closing].strip()
    parts = [] if inside in {"", "void"} else _split(inside)
    return Prototype(f"{before.rstrip()}{after.strip()}", tuple(_param(part) for part in parts))


def _closing(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"unbalanced parentheses: {text!r}")


def _split(text: str) -> list[str]:
    """Split at the commas outside all brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and text[index - 1 : index] != "-"):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _param(text: str) -> Param:
    found = _name_span(text)
    if found is None:
        return Param(text, None, text)
    start, end = found
    return Param(text, text[start:end], f"{text[:start].rstrip()}{text[end:]}".strip())


def _name_span(text: str) -> tuple[int, int] | None:
    """Where the parameter's name stands, if it has one."""
    if pointer := re.search(r"\(\s*(?:\*|const\b|volatile\b|\s)+", text):
        # A pointer to a function or an array: the name is inside the first such parentheses, however deep.
        start = pointer.end()
        while inner := re.match(r"\(\s*(?:\*|const\b|volatile\b|\s)+", text[start:]):
            start += inner.end()
        name = _NAME.match(text, start)
        return name.span() if name is not None else None
    end = len(text) - len(_ARRAYS.search(text)[0])  # type: ignore[index]  # it matches at the end of any text
    head = text[:end].rstrip()
    name = re.search(r"[A-Za-z_]\w*$", head)
    if name is None or name[0] in _TYPE_WORDS:
        return None
    before = head[: name.start()].split()
    # "struct file" and "const size_t" alone are types; a name has a whole type before it.
    if not before or before[-1] in {"struct", "union", "enum"}:
        return None
    if all(word in {"const", "volatile", "restrict"} for word in before):
        return None
    return name.span()


def compare_prototypes(old: Prototype, new: Prototype) -> list[Change]:
    """The changes from one prototype to another: what was added, removed, changed, and then the order."""
    pairs = _pairs(old.params, new.params)
    paired_old, paired_new = {a for a, _ in pairs}, {b for _, b in pairs}
    changes: list[Change] = []
    changes += [ParamAdded(p) for index, p in enumerate(new.params) if index not in paired_new]
    changes += [ParamRemoved(p) for index, p in enumerate(old.params) if index not in paired_old]
    for a, b in pairs:
        before, after = old.params[a], new.params[b]
        if before.type != after.type:
            changes.append(ParamTypeChanged(before, after))
        elif before.name is not None and after.name is not None and before.name != after.name:
            changes.append(ParamRenamed(before, after))
    if [b for _, b in pairs] != sorted(b for _, b in pairs):
        common = sorted(b for _, b in pairs)
        changes.append(
            ParamReordered(tuple(old.params[a] for a, _ in pairs), tuple(new.params[b] for b in common))
        )
    if old.return_type != new.return_type:
        changes.append(ReturnTypeChanged(old.return_type, new.return_type))
    return changes


def _pairs(old: Sequence[Param], new: Sequence[Param]) -> list[tuple[int, int]]:
    """Which old parameter is which new one, in the old order.

    Names say it where both have them. What is left between two such pairs is the same parameter under another
    name if the type is the same; nameless parameters (BTF of function pointers) go by type and place.
    """
    places = {param.name: index for index, param in enumerate(new) if param.name is not None}
    pairs = [(a, places[p.name]) for a, p in enumerate(old) if p.name is not None and p.name in places]
    taken_old, taken_new = {a for a, _ in pairs}, {b for _, b in pairs}
    rest_old = [a for a in range(len(old)) if a not in taken_old]
    rest_new = [b for b in range(len(new)) if b not in taken_new]

    def neighbours(index: int, side: int) -> tuple[int, ...]:
        """The pairs before a place, by their position in the old order: the gap that the place lies in."""
        return tuple(number for number, pair in enumerate(pairs) if pair[side] < index)

    keys_old = [(neighbours(a, 0), old[a].type) for a in rest_old]
    keys_new = [(neighbours(b, 1), new[b].type) for b in rest_new]
    for block in SequenceMatcher(None, keys_old, keys_new, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            pairs.append((rest_old[block.a + offset], rest_new[block.b + offset]))
    # Without names a changed type is seen by the place alone, if nothing came or went there.
    taken_old, taken_new = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(old) == len(new):
        for index in set(range(len(old))) - taken_old - taken_new:
            if old[index].name is None or new[index].name is None:
                pairs.append((index, index))
    return sorted(pairs)


def compare_definitions(old: Sequence[Function], new: Sequence[Function]) -> list[Change]:
    """The changes between the definitions behind one name on two kernels.

    Where both have one, its prototype is compared. Where there are several, those declared in the same file
    are compared with each other; a definition that has no counterpart there has come or gone as a whole, which
    the status tells and which is no change of a prototype. A prototype that some definition of the file has on
    both sides is unchanged. Those without a prototype take no part.
    """
    old_files, new_files = _by_file(old), _by_file(new)
    if len(old_files) == 1 and len(new_files) == 1:
        # One file each: the same function, even if it has moved.
        pairs = [(next(iter(old_files.values())), next(iter(new_files.values())))]
    else:
        pairs = [(old_files[file], new_files[file]) for file in old_files if file in new_files]
    changes: list[Change] = []
    for before, after in pairs:
        kept = set(before) & set(after)
        before = [text for text in before if text not in kept]
        after = [text for text in after if text not in kept]
        for old_text, new_text in zip(before, after, strict=False):
            for change in compare_prototypes(parse_prototype(old_text), parse_prototype(new_text)):
                if change not in changes:
                    changes.append(change)
    return changes


def _by_file(functions: Sequence[Function]) -> dict[str | None, list[str]]:
    files: dict[str | None, list[str]] = {}
    for function in functions:
        if function.prototype is not None:
            texts = files.setdefault(function.decl_file, [])
            if function.prototype not in texts:
                texts.append(function.prototype)
    return files
