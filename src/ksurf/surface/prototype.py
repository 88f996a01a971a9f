"""Prototypes of functions taken apart and compared, with a type for each kind of change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from ksurf.dataset.rows import Function
from ksurf.surface.change import Change

__all__ = [
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
    "paired_params",
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
class ParamAdded(Change):
    """The new function takes a parameter that the old did not."""

    label = "Param added"
    new: Param


@dataclass(frozen=True, slots=True)
class ParamRemoved(Change):
    """The old function took a parameter that the new does not."""

    label = "Param removed"
    old: Param


@dataclass(frozen=True, slots=True)
class ParamTypeChanged(Change):
    """A parameter has another type."""

    label = "Param type changed"
    old: Param
    new: Param


@dataclass(frozen=True, slots=True)
class ParamRenamed(Change):
    """A parameter of the same type, in the same place, has another name."""

    label = "Param renamed"
    old: Param
    new: Param


@dataclass(frozen=True, slots=True)
class ParamReordered(Change):
    """The parameters that both have come in another order; that others came between is no reordering."""

    label = "Param reordered"
    old: tuple[Param, ...]
    new: tuple[Param, ...]


@dataclass(frozen=True, slots=True)
class ReturnTypeChanged(Change):
    """The function returns another type."""

    label = "Return type changed"
    old: str
    new: str


_BEFORE_NAME = frozenset(("", " ", "*", "("))
_PARENTHESES = re.compile(r"[()]")
_BRACKETS = re.compile(r"[(\[{<]")
_ARRAYS = re.compile(r"(?:\s*\[[^\]]*\])*$")
_POINTER = re.compile(r"\(\s*\*(?:\s|\*|const\b|volatile\b|restrict\b)*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_LAST_NAME = re.compile(r"(?<=[\s*])[A-Za-z_]\w*$")
_TYPE_WORDS = frozenset(
    (
        "void",
        "char",
        "short",
        "int",
        "long",
        "float",
        "double",
        "signed",
        "unsigned",
        "_Bool",
        "bool",
        "__int128",
    )
)
# What may stand before a type: a word after nothing but these is the type, not a name. Rust's are among them.
_QUALIFIERS = frozenset(
    ("const", "volatile", "restrict", "struct", "union", "enum", "*mut", "*const", "&mut", "mut")
)


def parse_prototype(text: str, name: str) -> Prototype:
    """Take apart the declaration of ``name``, such as ``int (*f(int a))(void);`` of ``f``.

    Raises ``ValueError`` if it declares no function of that name.
    """
    declaration = " ".join(text.strip().rstrip(";").split())
    start, opening = _own_name(declaration, name)
    if opening < 0:
        raise ValueError(f"no declaration of a function {name}: {text!r}")
    closing = _closing(declaration, opening)
    inside = declaration[opening + 1 : closing].strip()
    parts = [] if inside in {"", "void"} else _split(inside)
    return_type = f"{declaration[:start].rstrip()}{declaration[closing + 1 :].strip()}"
    return Prototype(return_type, tuple(_param(part) for part in parts))


def _own_name(declaration: str, name: str) -> tuple[int, int]:
    """Where the declared name begins, and where its parameters open; -1 if it is not there."""
    # Rust's declarations have only the last part of the path, which may itself hold paths in brackets.
    while True:
        start = declaration.find(name)
        while start >= 0:
            opening = start + len(name)
            while declaration[opening : opening + 1] == " ":
                opening += 1
            if declaration[opening : opening + 1] == "(" and declaration[start - 1 : start] in _BEFORE_NAME:
                return start, opening
            start = declaration.find(name, start + 1)
        _, colons, name = name.partition("::")
        if not colons:
            return -1, -1


def _closing(text: str, opening: int) -> int:
    depth = 0
    for found in _PARENTHESES.finditer(text, opening):
        depth += 1 if found[0] == "(" else -1
        if depth == 0:
            return found.start()
    raise ValueError(f"unbalanced parentheses: {text!r}")


def _split(text: str) -> list[str]:
    """Split at the commas outside all brackets."""
    if not _BRACKETS.search(text):
        return [part.strip() for part in text.split(",")]
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


@lru_cache(maxsize=1 << 14)
def _param(text: str) -> Param:
    found = _name_span(text)
    if found is None:
        return Param(text, None, text)
    start, end = found
    return Param(text, text[start:end], f"{text[:start].rstrip()}{text[end:]}".strip())


def _name_span(text: str) -> tuple[int, int] | None:
    """Where the parameter's name stands, if it has one."""
    if pointer := _POINTER.search(text):
        # A pointer to a function or an array: the name is inside the first such parentheses, however deep.
        start = pointer.end()
        while inner := _POINTER.match(text, start):
            start = inner.end()
        name = _NAME.match(text, start)
        return name.span() if name is not None else None
    arrays = _ARRAYS.search(text)
    head = text[: arrays.start()].rstrip() if arrays is not None else text
    name = _LAST_NAME.search(head)
    if name is None or name[0] in _TYPE_WORDS or _QUALIFIERS.issuperset(head[: name.start()].split()):
        return None
    return name.span()


def compare_prototypes(old: Prototype, new: Prototype) -> list[Change]:
    """The changes from one prototype to another: what was added, removed, changed, and then the order."""
    pairs = paired_params(old.params, new.params)
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


def paired_params(old: Sequence[Param], new: Sequence[Param]) -> list[tuple[int, int]]:
    """Which old parameter is which new one, in the old order.

    Names say it where both have them. What is left between two such pairs is the same parameter under another
    name if the type is the same; so are parameters without names, as BTF has them for pointers to functions.
    """
    places = {param.name: index for index, param in enumerate(new) if param.name is not None}
    pairs = [(a, places[p.name]) for a, p in enumerate(old) if p.name is not None and p.name in places]
    named = tuple(pairs)
    taken_old, taken_new = {a for a, _ in pairs}, {b for _, b in pairs}
    rest_old = [a for a in range(len(old)) if a not in taken_old]
    rest_new = [b for b in range(len(new)) if b not in taken_new]
    if not rest_old or not rest_new:
        return sorted(pairs)

    def gap(index: int, side: int) -> frozenset[int]:
        """The pairs by name that come before a place."""
        return frozenset(number for number, pair in enumerate(named) if pair[side] < index)

    keys_old = [(gap(a, 0), old[a].type) for a in rest_old]
    keys_new = [(gap(b, 1), new[b].type) for b in rest_new]
    # The matcher prefers what its first list has early: the same list comes first from either side.
    swapped = _weight(keys_new) < _weight(keys_old)
    first, second = (keys_new, keys_old) if swapped else (keys_old, keys_new)
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            a, b = block.a + offset, block.b + offset
            pairs.append((rest_old[b], rest_new[a]) if swapped else (rest_old[a], rest_new[b]))
    # Where one side has no names, a changed type is told by the place alone, if nothing came or went.
    taken_old, taken_new = {a for a, _ in pairs}, {b for _, b in pairs}
    if len(old) == len(new):
        for index in set(range(len(old))) - taken_old - taken_new:
            if old[index].name is None or new[index].name is None:
                pairs.append((index, index))
    return sorted(pairs)


def _weight(keys: Sequence[tuple[frozenset[int], str]]) -> tuple[int, list[tuple[int, str]]]:
    return len(keys), [(len(gap), type_) for gap, type_ in keys]


def compare_definitions(old: Sequence[Function], new: Sequence[Function]) -> list[Change]:
    """The changes between the definitions behind one name on two kernels.

    Where each has one file that declares it, these are the same function, even if it has moved. Where there
    are several, those of the same file are compared; one without a counterpart has come or gone as a whole,
    which the status tells, and which is no change of a prototype. Of several prototypes in a file those that
    are on both sides are unchanged, and each of the others is compared with the one that is nearest to it.
    What cannot be read as a declaration of its function takes no part.
    """
    old_files, new_files = _by_file(old), _by_file(new)
    if len(old_files) == 1 and len(new_files) == 1:
        pairs = list(zip(old_files.values(), new_files.values(), strict=True))
    else:
        pairs = [(old_files[file], new_files[file]) for file in old_files if file in new_files]
    changes: list[Change] = []
    for before, after in pairs:
        gone = [prototype for prototype in before if prototype not in after]
        come = [prototype for prototype in after if prototype not in before]
        for prototype in gone:
            nearest = min((compare_prototypes(prototype, other) for other in come), key=len, default=[])
            changes += [change for change in nearest if change not in changes]
    return changes


def _by_file(functions: Sequence[Function]) -> dict[str | None, list[Prototype]]:
    files: dict[str | None, list[Prototype]] = {}
    for function in functions:
        if function.prototype is not None:
            try:
                prototype = parse_prototype(function.prototype, function.name)
            except ValueError:
                continue
            prototypes = files.setdefault(function.decl_file, [])
            if prototype not in prototypes:
                prototypes.append(prototype)
    return files
