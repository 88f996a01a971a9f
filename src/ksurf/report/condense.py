"""Changes that say one thing together, said once: what an insertion moves, moves by the same distance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from ksurf.surface.change import Change
from ksurf.surface.type_change import FieldOffsetChanged
from ksurf.surface.types import Field, offset_text

__all__ = ["condensed"]


@dataclass(frozen=True, slots=True)
class _FieldsMoved(Change):
    """Fields in a row that moved by the same distance."""

    label = FieldOffsetChanged.label
    old: tuple[Field, ...]
    new: tuple[Field, ...]

    @property
    def before(self) -> str:
        return self._text(self.old)

    @property
    def after(self) -> str:
        return self._text(self.new)

    def _text(self, fields: tuple[Field, ...]) -> str:
        first, last = fields[0], fields[-1]
        ends = [f.bit_offset or 0 for f in (first, last)]
        bits = any(end % 8 for end in ends)
        places = " … ".join(offset_text(end, bits=bits).removeprefix("byte ") for end in ends)
        return f"{first.path} … {last.path} ({len(fields)} fields): byte {places}"


def condensed(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes, with moves of neighbours by the same distance as one."""
    for distance, group in groupby(changes, key=_distance):
        run = list(group)
        moves = [change for change in run if isinstance(change, FieldOffsetChanged)]
        if distance is not None and len(moves) > 1:
            yield _FieldsMoved(tuple(m.old for m in moves), tuple(m.new for m in moves))
        else:
            yield from run


def _distance(change: Change) -> int | None:
    if not isinstance(change, FieldOffsetChanged):
        return None
    if change.old.bit_offset is None or change.new.bit_offset is None:
        return None
    return change.new.bit_offset - change.old.bit_offset
