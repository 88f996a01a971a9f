"""Two definitions beside each other: lines aligned, with a sign for what became of each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

from ksurf.dataset.rows import Definition
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.holes import CACHE_LINE, Layout, LayoutLine
from ksurf.surface.prototype import Param, paired_params, parse_prototype
from ksurf.surface.types import enumerators, offset_text

__all__ = [
    "AttachPair",
    "Cell",
    "Line",
    "attach_pairs",
    "enum_lines",
    "folded",
    "is_laid_out",
    "layout_lines",
    "prototype_lines",
    "summary",
    "text_lines",
]

_CONTEXT = 2
"""Unchanged lines around changed ones, where only what changed is shown."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One side of a line."""

    text: str
    offset: str = ""
    size: str = ""
    path: str | None = None
    """Of a field."""


@dataclass(frozen=True, slots=True)
class Line:
    """The same on both sides, or what stands in its place."""

    left: Cell | None
    right: Cell | None
    sign: str = ""
    word: str = ""
    """What the sign means; both are empty for what is the same."""
    sort: str = "same"
    """``same``, ``added``, ``removed``, ``changed``, ``moved``; ``note`` for what is no line of the
    definition; ``gap`` for lines that are left out."""


ADDED, REMOVED, CHANGED = ("+", "added", "added"), ("−", "removed", "removed"), ("~", "changed", "changed")
MOVED, ELSEWHERE = ("↕", "offset changed", "moved"), ("⇅", "in another order", "changed")


def text_lines(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Texts of any kind, aligned by their lines."""
    lines: list[Line] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            lines += [Line(Cell(one), Cell(one)) for one in old[a:b]]
        else:
            common = min(b - a, d - c)
            lines += [
                Line(Cell(x), Cell(y), *CHANGED)
                for x, y in zip(old[a : a + common], new[c : c + common], strict=True)
            ]
            lines += [Line(Cell(one), None, *REMOVED) for one in old[a + common : b]]
            lines += [Line(None, Cell(one), *ADDED) for one in new[c + common : d]]
    return lines


def _aligned(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[tuple[int | None, int | None]]:
    """Places of the same keys beside each other, in the order of both; what one side lacks is ``None``."""
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from zip(range(a, b), range(c, d), strict=True)
        else:
            yield from ((at, None) for at in range(a, b))
            yield from ((None, at) for at in range(c, d))


# Structs and unions


def is_laid_out(definition: Definition) -> bool:
    """Tell if it has members with places."""
    return any(member.bit_offset is not None for member in definition.members)


def layout_lines(old: Layout | None, new: Layout | None) -> list[Line]:
    """Structs with offsets, holes and cache lines."""
    left, right = (() if one is None else one.lines for one in (old, new))
    both = {line.key for line in left} & {line.key for line in right}
    lines: list[Line] = []
    for a, b in _aligned([line.key for line in left], [line.key for line in right]):
        before, after = (None if a is None else left[a]), (None if b is None else right[b])
        lines += _notes(before, after)
        lines.append(_member(before, after, both))
    return lines


def _notes(old: LayoutLine | None, new: LayoutLine | None) -> Iterator[Line]:
    """Holes and beginnings of cache lines, which stand in front of a line."""
    for text in (_hole, _boundary):
        before, after = text(old), text(new)
        if before or after:
            # That a cache line begins elsewhere follows from where the members are.
            differs = text is _hole and before != after and None not in (old, new)
            left, right = (Cell(own) if own else None for own in (before, after))
            yield Line(left, right, *(("~", "changed") if differs else ("", "")), "note")


def _hole(line: LayoutLine | None) -> str:
    if line is None or not line.hole:
        return ""
    return f"{'padding' if line.is_end else 'hole'}: {_room(line.hole)}"


def _boundary(line: LayoutLine | None) -> str:
    if line is None or line.boundary is None or line.member is None or line.member.bit_offset is None:
        return ""
    past = line.member.bit_offset // 8 - line.boundary * CACHE_LINE
    began = f", began {_count(past, 'byte')} before" if past else ""
    return f"cache line {line.boundary} (byte {line.boundary * CACHE_LINE}){began}"


def _member(old: LayoutLine | None, new: LayoutLine | None, both: set[tuple[object, ...]]) -> Line:
    left, right = (None if line is None else _cell(line) for line in (old, new))
    if old is None or new is None:
        line = old or new
        if line is not None and line.key in both and line.member is not None:
            return Line(left, right, *ELSEWHERE)
        return Line(left, right, *(ADDED if old is None else REMOVED))
    if old.member is None or new.member is None:
        return Line(left, right) if old.text == new.text else Line(left, right, *CHANGED)
    if old.text.strip() != new.text.strip():
        return Line(left, right, *CHANGED)
    if old.member.byte_size != new.member.byte_size:
        return Line(left, right, "~", "size changed", "changed")
    if old.member.bit_offset != new.member.bit_offset:
        return Line(left, right, *MOVED)
    return Line(left, right)


def _cell(line: LayoutLine) -> Cell:
    member = line.member
    if member is None or member.bit_offset is None:
        return Cell(line.text)
    bits = member.bit_size is not None
    place = offset_text(member.bit_offset, bits=bits).replace("byte ", "").replace(", bit ", ":")
    return Cell(line.text, place, "" if member.byte_size is None else str(member.byte_size), line.path)


def summary(one: Layout) -> str:
    """A layout in a line, as ``pahole`` ends a struct."""
    words = [_count(one.members, "member")]
    if one.byte_size is not None:
        words = [_count(one.byte_size, "byte"), _count(one.cache_lines or 0, "cache line"), *words]
    if one.holes:
        words.append(f"{_count(one.holes, 'hole')} of together {_room(one.hole_bits)}")
    if one.padding_bits:
        words.append(f"padding {_room(one.padding_bits)}")
    return ", ".join(words)


def _room(bits: int) -> str:
    size, rest = divmod(bits, 8)
    return " ".join(_count(number, word) for number, word in ((size, "byte"), (rest, "bit")) if number)


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'s' if number != 1 else ''}"


# Enums


def enum_lines(old: Definition | None, new: Definition | None) -> list[Line]:
    """Enums by the names of their values."""
    values = [{} if one is None else enumerators(one) for one in (old, new)]
    names = [list(own) for own in values]
    lines = [_framed(old, new)]
    for a, b in _aligned(names[0], names[1]):
        left = None if a is None else Cell(f"    {names[0][a]} = {values[0][names[0][a]]},")
        right = None if b is None else Cell(f"    {names[1][b]} = {values[1][names[1][b]]},")
        if left is None or right is None:
            name = names[0][a] if a is not None else names[1][b or 0]
            elsewhere = name in values[0] and name in values[1]
            lines.append(Line(left, right, *(ELSEWHERE if elsewhere else ADDED if left is None else REMOVED)))
        else:
            lines.append(Line(left, right, *(() if left == right else CHANGED)))
    left, right = (None if one is None else Cell("};") for one in (old, new))
    return [*lines, Line(left, right)]


def _framed(old: Definition | None, new: Definition | None) -> Line:
    left, right = (
        None
        if one is None
        else Cell(f"{one.kind} {one.name} {{" if one.kind == "enum" else f"typedef enum {{ /* {one.name} */")
        for one in (old, new)
    )
    return Line(left, right)


# Functions


def prototype_lines(old: str | None, new: str | None, name: str) -> list[Line]:
    """Two prototypes with their parameters one below the other."""
    try:
        before, after = (None if text is None else parse_prototype(text, name) for text in (old, new))
    except ValueError:  # a name that no declaration in C can have, as Rust's
        return text_lines([old] if old else [], [new] if new else [])
    if before is None or after is None:
        only = before or after
        if only is None:
            return []
        texts = [f"{only.return_type} {name}(", *_params(only.params), ");"]
        return [
            Line(Cell(text), None, *REMOVED) if after is None else Line(None, Cell(text), *ADDED)
            for text in texts
        ]
    returned = before.return_type == after.return_type
    lines = [
        Line(
            Cell(f"{before.return_type} {name}("),
            Cell(f"{after.return_type} {name}("),
            *(() if returned else ("~", "return type changed", "changed")),
        )
    ]
    olds, news = _params(before.params), _params(after.params)
    pairs = paired_params(before.params, after.params)
    partner, owner = dict(pairs), {b: a for a, b in pairs}
    order = sorted(owner)
    swapped = {a for (a, b), other in zip(pairs, order, strict=True) if b != other}
    done = 0
    for a, text in enumerate(olds):
        if a not in partner:
            lines.append(Line(Cell(text), None, *REMOVED))
            continue
        b = partner[a]
        lines += [Line(None, Cell(news[c]), *ADDED) for c in range(done, b) if c not in owner]
        done = max(done, b)
        word = _param_change(before.params[a], after.params[b])
        sign = ("~", word, "changed") if word else ELSEWHERE if a in swapped else ()
        lines.append(Line(Cell(text), Cell(news[b]), *sign))
    lines += [Line(None, Cell(news[c]), *ADDED) for c in range(done, len(news)) if c not in owner]
    if not before.params and not after.params:
        lines[1:] = [Line(Cell(olds[0]), Cell(news[0]))]
    return [*lines, Line(Cell(");"), Cell(");"))]


def _params(params: Sequence[Param]) -> list[str]:
    last = len(params) - 1
    return [f"    {param.text}{',' if at < last else ''}" for at, param in enumerate(params)] or ["    void"]


def _param_change(old: Param, new: Param) -> str:
    if old.type != new.type:
        return "type changed"
    return "renamed" if None not in (old.name, new.name) and old.name != new.name else ""


# What can be attached


@dataclass(frozen=True, slots=True)
class AttachPair:
    """One mechanism on both kernels; ``None`` where there is nothing to attach to."""

    mechanism: str
    old: Verdict | None
    new: Verdict | None
    sign: str
    word: str


def attach_pairs(old: Mapping[Mechanism, Verdict], new: Mapping[Mechanism, Verdict]) -> list[AttachPair]:
    """The mechanisms that one of both was judged by."""
    rows = []
    for mechanism in Mechanism:
        before, after = old.get(mechanism), new.get(mechanism)
        if before is None and after is None:
            continue
        was, now = (verdict is not None and verdict.attachable for verdict in (before, after))
        sign, word = ("", "") if was == now else ("+", "won") if now else ("−", "lost")
        rows.append(AttachPair(mechanism.value, before, after, sign, word))
    return rows


# What changed only


def folded(lines: Sequence[Line]) -> list[Line]:
    """The lines that changed with a few around them; of each run of others how many there are."""
    near = [False] * len(lines)
    for at, line in enumerate(lines):
        if line.sort not in {"same", "note"}:
            for other in range(max(0, at - _CONTEXT), min(len(lines), at + _CONTEXT + 1)):
                near[other] = True
    shown: list[Line] = []
    for is_near, run in groupby(zip(near, lines, strict=True), key=lambda pair: pair[0]):
        own = [line for _, line in run]
        if is_near:
            shown += own
        else:
            count = sum(line.sort == "same" for line in own)
            shown.append(Line(Cell(f"… {_count(count, 'line')} the same"), None, sort="gap"))
    return shown
