"""Two lists of lines beside each other, in a time that does not explode for any two lists.

Lines that each side has once are the fixed points, as many of them as keep their order; what lies between
two of these is compared line by line if it is short.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

__all__ = ["Run", "aligned", "hunks", "in_order"]

_LONGEST_GAP = 1000
"""Lines of a side between fixed points; more are shown as replaced, which nobody could read otherwise."""


class Run(NamedTuple):
    """Lines ``old`` to ``old_end`` and ``new`` to ``new_end``, from 0, ends excluded: the same, or not."""

    same: bool
    old: int
    old_end: int
    new: int
    new_end: int


def aligned(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Run]:
    """Return runs that cover both lists in order; the same and different ones take turns."""
    merged: list[Run] = []
    for run in _runs(old, new):
        if run.old == run.old_end and run.new == run.new_end:
            continue
        if merged and merged[-1].same == run.same:
            last = merged[-1]
            merged[-1] = Run(run.same, last.old, run.old_end, last.new, run.new_end)
        else:
            merged.append(run)
    return merged


def _runs(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[Run]:
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old_end, new_end = len(old) - end, len(new) - end
    yield Run(True, 0, start, 0, start)
    at, new_at = start, start
    for fixed, new_fixed in _fixed(old, new, start, old_end, new_end):
        yield from _gap(old, new, at, fixed, new_at, new_fixed)
        yield Run(True, fixed, fixed + 1, new_fixed, new_fixed + 1)
        at, new_at = fixed + 1, new_fixed + 1
    yield from _gap(old, new, at, old_end, new_at, new_end)
    yield Run(True, old_end, len(old), new_end, len(new))


def _fixed(
    old: Sequence[Hashable], new: Sequence[Hashable], start: int, old_end: int, new_end: int
) -> list[tuple[int, int]]:
    once = Counter(old[start:old_end])
    once_new = Counter(new[start:new_end])
    where = {line: at for at, line in enumerate(new[start:new_end], start) if once_new[line] == 1}
    pairs = [
        (at, where[line])
        for at, line in enumerate(old[start:old_end], start)
        if once[line] == 1 and line in where
    ]
    kept = in_order([new_at for _, new_at in pairs])
    return [pairs[index] for index in kept]


def _gap(
    old: Sequence[Hashable], new: Sequence[Hashable], at: int, end: int, new_at: int, new_end: int
) -> Iterator[Run]:
    if at == end or new_at == new_end or max(end - at, new_end - new_at) > _LONGEST_GAP:
        yield Run(False, at, end, new_at, new_end)
        return
    matcher = SequenceMatcher(None, old[at:end], new[new_at:new_end], autojunk=False)
    for tag, first, last, new_first, new_last in matcher.get_opcodes():
        yield Run(tag == "equal", at + first, at + last, new_at + new_first, new_at + new_last)


def in_order(numbers: Sequence[int]) -> list[int]:
    """Return the indexes of as many of the numbers, all different, as rise from each to the next."""
    tails: list[int] = []
    tail_index: list[int] = []
    before: list[int] = []
    for index, number in enumerate(numbers):
        place = bisect_left(tails, number)
        before.append(tail_index[place - 1] if place else -1)
        if place == len(tails):
            tails.append(number)
            tail_index.append(index)
        else:
            tails[place] = number
            tail_index[place] = index
    found = []
    at = tail_index[-1] if tail_index else -1
    while at >= 0:
        found.append(at)
        at = before[at]
    return found[::-1]


def hunks(runs: Sequence[Run], context: int = 3) -> Iterator[list[Run]]:
    """Group runs as a unified diff shows them: what differs, and so many lines around it."""
    hunk: list[Run] = []
    for number, run in enumerate(runs):
        if not run.same:
            hunk.append(run)
            continue
        length = run.old_end - run.old
        is_first, is_last = number == 0, number == len(runs) - 1
        before = 0 if is_first else min(context, length)
        after = 0 if is_last else min(context, length)
        if not is_first and not is_last and length <= 2 * context:
            hunk.append(run)
            continue
        if not is_first:
            hunk.append(Run(True, run.old, run.old + before, run.new, run.new + before))
            yield hunk
            hunk = []
        if not is_last:
            hunk.append(Run(True, run.old_end - after, run.old_end, run.new_end - after, run.new_end))
    if hunk and any(not run.same for run in hunk):
        yield hunk
