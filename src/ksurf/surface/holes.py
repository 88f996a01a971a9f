"""How a struct lies in memory: room that no member uses, and where cache lines begin.

Holes and padding are what ``pahole`` calls so: a hole is in front of a member, padding behind the last one.
Members of an anonymous struct or union are looked at in it, with offsets from the outermost struct.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from ksurf.dataset.rows import Definition, Member
from ksurf.surface.types import c_lines

__all__ = ["CACHE_LINE", "Layout", "LayoutLine", "layout"]

CACHE_LINE = 64
"""Bytes of a cache line, as ``pahole`` takes it: s390x and ppc64 have longer ones."""


@dataclass(frozen=True, slots=True)
class LayoutLine:
    """A line of a definition in C, and what lies in front of it."""

    text: str
    key: tuple[object, ...]
    """Tells it from the other lines; the same for the same member of another definition."""
    member: Member | None = None
    path: str | None = None
    """Of a field that has a name."""
    hole: int = 0
    """Bits in front of it that nothing uses; in front of a closing brace it is padding."""
    is_end: bool = False
    """It closes a struct or a union."""
    boundary: int | None = None
    """The cache line that has begun since the member before, the last one if there are several."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A definition with its holes."""

    lines: tuple[LayoutLine, ...]
    byte_size: int | None
    members: int
    """Those of the outermost struct."""
    holes: int
    """How many there are between these."""
    hole_bits: int
    """Their room together."""
    padding_bits: int
    """Room behind the last of these."""

    @property
    def cache_lines(self) -> int | None:
        """How many it takes if it begins with one; ``None`` if its size is not known."""
        return None if self.byte_size is None else -(-self.byte_size // CACHE_LINE)


def layout(definition: Definition) -> Layout:
    """Lay out a struct, a union, or a typedef of one without a name; other kinds have no places."""
    members = definition.members
    holes: dict[int, int] = {}
    padding: dict[int, int] = {}
    outermost = [index for index, member in enumerate(members) if member.depth == 0]
    whole = definition.kind == "union" or (definition.type or "").startswith("union")
    size = None if definition.byte_size is None else definition.byte_size * 8
    _look(members, outermost, 0, size, whole, -1, holes, padding)
    own = [holes[index] for index in outermost if index in holes]
    return Layout(
        tuple(_with_boundaries(_lines(definition, holes, padding))),
        definition.byte_size,
        len(outermost),
        len(own),
        sum(own),
        padding.get(-1, 0),
    )


def _look(
    members: Sequence[Member],
    level: Sequence[int],
    start: int,
    size: int | None,
    is_union: bool,
    owner: int,
    holes: dict[int, int],
    padding: dict[int, int],
) -> None:
    """Find the holes of one level, whose struct begins at the bit ``start``, and of those below.

    Where an offset or a size is not known nothing is said of what comes next.
    """
    placed = [(offset, index) for index in level if (offset := members[index].bit_offset) is not None]
    end: int | None = start
    for offset, index in sorted(placed):
        member = members[index]
        if not is_union and end is not None and offset > end:
            holes[index] = offset - end
        bits = member.bit_size
        if bits is None and member.byte_size is not None:
            bits = member.byte_size * 8
        end = None if end is None or bits is None else max(end, offset + bits)
        below = _inside(members, index)
        if below:
            own = None if member.byte_size is None else member.byte_size * 8
            _look(members, below, offset, own, _is_union(member), index, holes, padding)
    if len(placed) == len(level) and None not in (end, size):
        left = start + (size or 0) - (end or 0)
        if left > 0:
            padding[owner] = left


def _inside(members: Sequence[Member], index: int) -> list[int]:
    """The members of a member, without those of these."""
    depth = members[index].depth
    found = []
    for below in range(index + 1, len(members)):
        if members[below].depth <= depth:
            break
        if members[below].depth == depth + 1:
            found.append(below)
    return found


def _is_union(member: Member) -> bool:
    return (member.type or "").startswith("union")


def _lines(
    definition: Definition, holes: Mapping[int, int], padding: Mapping[int, int]
) -> Iterator[LayoutLine]:
    members = definition.members
    numbers = count()
    seen: dict[tuple[object, ...], int] = {}
    opened: list[tuple[int, tuple[object, ...], str | None]] = []
    lines = c_lines(definition, nested=True)
    for at, line in enumerate(lines):
        if line.member is None:
            if at == 0:
                yield LayoutLine(line.text, ("begin",))
            elif line.text.lstrip().startswith("}"):
                index, key, _ = opened.pop() if opened else (-1, (), None)
                yield LayoutLine(line.text, ("end", *key), hole=padding.get(index, 0), is_end=True)
            else:
                yield LayoutLine(line.text, ("text", line.text))
            continue
        index = next(numbers)
        member = members[index]
        around = opened[-1] if opened else (-1, (), None)
        # What has no name is told by its type, and by its number among those alike.
        key = (*around[1], member.name or f"{'union' if _is_union(member) else 'struct'} {{}}")
        nth = seen[key] = seen.get(key, -1) + 1
        key = (*key, nth) if nth else key
        path = around[2]
        if member.name is not None:
            path = f"{path}.{member.name}" if path else member.name
        yield LayoutLine(
            line.text, key, member, path if member.name is not None else None, holes.get(index, 0)
        )
        if line.text.endswith("{"):
            opened.append((index, key, path))


def _with_boundaries(lines: Iterator[LayoutLine]) -> Iterator[LayoutLine]:
    """Tell where cache lines begin; of members that lie beside each other where the first goes further."""
    reached = 0
    for line in lines:
        offset = None if line.member is None else line.member.bit_offset
        if offset is None or offset // (CACHE_LINE * 8) <= reached:
            yield line
            continue
        reached = offset // (CACHE_LINE * 8)
        yield LayoutLine(line.text, line.key, line.member, line.path, line.hole, line.is_end, reached)
