"""Proposed renames: which of what was removed may be which of what was added, and why.

A proposal has a score from 0 to 1, made of what the two have in common, and is made where nothing better fits
either of them. It is for a person to judge: the removal and the addition stand beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ksurf.surface.change import RenameProposed, shown_text

__all__ = [
    "NAME_LIMIT",
    "THRESHOLD",
    "Candidate",
    "Whole",
    "name_similarity",
    "propose",
    "propose_wholes",
    "words",
]

THRESHOLD = 0.65
"""The score from which a rename is proposed. Same type, same place and a wholly different name stay below."""
NAME_LIMIT = 0.2
"""Names that have less in common are never proposed, whatever else is the same."""
_PAIRS_LIMIT = 1 << 14
"""Pairs of a definition that are looked at in full; beyond it only those with a word in common are."""

# What each finding adds to the score; together 1.
_NAME, _TYPE, _GAP, _ORDER, _OFFSET = 0.40, 0.25, 0.15, 0.10, 0.10
_PATTERN = 0.10
_HOLDERS_LIMIT = 64
"""A word and a place or part that more symbols have than this tell nothing."""
_NEAR_LIMIT = 6
_PARTS_LIMIT = 8
_PLACE, _SHAPE, _CALLERS = 0.15, 0.35, 0.10
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A member of something: a field, a parameter, an enumerator."""

    name: str
    shown: object
    """What a report shows: a text, or what has one."""
    type: str
    place: int | None
    """Its offset, or its value."""


def words(name: str) -> list[str]:
    """The words of a name: ``mmu_notifier_seq`` has three."""
    return [word.casefold() for word in _WORDS.findall(name)]


@lru_cache(maxsize=1 << 16)
def _words(name: str) -> frozenset[str]:
    return frozenset(words(name))


@lru_cache(maxsize=1 << 16)
def _pairs(name: str) -> frozenset[str]:
    folded = f" {name.casefold()} "
    return frozenset(map(str.__add__, folded, folded[1:]))


def name_similarity(old: str, new: str) -> float:
    """How much two names have in common, from 0 to 1: half by their words, half by their pairs of letters."""
    return (_share(_words(old), _words(new)) + _share(_pairs(old), _pairs(new))) / 2


def _share(old: frozenset[str], new: frozenset[str]) -> float:
    return 2 * len(old & new) / ((len(old) + len(new)) or 1)


def propose(old: Sequence[Candidate], new: Sequence[Candidate]) -> list[RenameProposed]:
    """The renames among the members of one definition, given all members of both sides in their order."""
    names_old, names_new = {c.name for c in old}, {c.name for c in new}
    gaps_old, gaps_new = _gaps(old, names_new), _gaps(new, names_old)
    if not gaps_old or not gaps_new:
        return []
    scored = _score_all(gaps_old, gaps_new)
    # What one pair is renamed by (notifier -> invalidate) speaks for others that have it in them.
    sure = {one.pattern: one for one in scored if one.pattern is not None and one.score >= THRESHOLD}
    return _choose([_with_pattern(one, sure) for one in scored])


def _with_pattern(one: _Scored, sure: Mapping[_Pattern, _Scored]) -> _Scored:
    if one.pattern is None:
        return one
    gone, come = map(set, one.pattern)
    for (was, now), other in sure.items():
        if other.old != one.old and other.new != one.new and gone.issuperset(was) and come.issuperset(now):
            evidence = (*one.evidence, f"as {other.old} -> {other.new}")
            return replace(one, score=min(1.0, one.score + _PATTERN), evidence=evidence)
    return one


@dataclass(frozen=True, slots=True)
class _Placed:
    """A candidate between two members that both sides have."""

    candidate: Candidate
    after: str | None
    before: str | None
    from_start: int
    """How many others of its side are between it and the one before."""
    from_end: int


def _gaps(members: Sequence[Candidate], others: set[str]) -> list[_Placed]:
    placed: list[_Placed] = []
    gap: list[Candidate] = []
    after: str | None = None
    for member in [*members, None]:
        if member is not None and member.name not in others:
            gap.append(member)
            continue
        before = None if member is None else member.name
        placed += [
            _Placed(candidate, after, before, index, len(gap) - 1 - index)
            for index, candidate in enumerate(gap)
        ]
        gap, after = [], before
    return placed


_Pattern = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Scored:
    score: float
    old: str
    new: str
    old_shown: object
    new_shown: object
    evidence: tuple[str, ...]
    pattern: _Pattern | None = None
    """The words that only one of the names has, where they share others."""


def _score_all(old: Sequence[_Placed], new: Sequence[_Placed]) -> list[_Scored]:
    few = len(old) * len(new) <= _PAIRS_LIMIT
    by_word: dict[str, set[int]] = {}
    for index, placed in enumerate(new):
        for word in words(placed.candidate.name):
            by_word.setdefault(word, set()).add(index)
    scored: list[_Scored] = []
    for a in old:
        if few:
            chosen: Sequence[int] = range(len(new))
        else:
            chosen = sorted(_rarest(words(a.candidate.name), by_word))
        for index in chosen:
            one = _score(a, new[index])
            if one is not None:
                scored.append(one)
    return scored


def _rarest(own: Sequence[str], by_word: Mapping[str, set[int]], limit: int = 64) -> set[int]:
    """Those that share the rarer words, which tell more; few enough to be looked at."""
    result: set[int] = set()
    for word in sorted(set(own), key=lambda w: len(by_word.get(w, ()))):
        holders = by_word.get(word, set())
        if result and len(result) + len(holders) > limit:
            break
        if len(holders) <= limit * 8:
            result |= holders
    return result


def _score(a: _Placed, b: _Placed) -> _Scored | None:
    old, new = a.candidate, b.candidate
    similar = name_similarity(old.name.rpartition(".")[2], new.name.rpartition(".")[2])
    if similar < NAME_LIMIT:
        return None
    score = _NAME * similar
    evidence = [f"names {similar:.0%} alike"]
    if old.type == new.type:
        score += _TYPE
        if old.type:
            evidence.append(f"same type {old.type}")
    same_gap = (a.after, a.before) == (b.after, b.before)
    if same_gap:
        score += _GAP
        evidence.append(_between(a))
    elif (a.after, b.after) != (None, None) and a.after == b.after:
        score += _GAP / 2
        evidence.append(f"after {a.after}")
    elif (a.before, b.before) != (None, None) and a.before == b.before:
        score += _GAP / 2
        evidence.append(f"before {a.before}")
    if same_gap and (a.from_start == b.from_start or a.from_end == b.from_end):
        score += _ORDER
    if old.place is not None and old.place == new.place:
        score += _OFFSET
        evidence.append("same place")
    before, after = words(old.name), words(new.name)
    shared = Counter(before) & Counter(after)
    gone = tuple(word for word in before if word not in shared)
    come = tuple(word for word in after if word not in shared)
    pattern = (gone, come) if shared and gone and come else None
    return _Scored(score, old.name, new.name, old.shown, new.shown, tuple(evidence), pattern)


def _between(placed: _Placed) -> str:
    match placed.after, placed.before:
        case None, None:
            return "nothing else around"
        case None, before:
            return f"first, before {before}"
        case after, None:
            return f"last, after {after}"
        case after, before:
            return f"between {after} and {before}"


@dataclass(frozen=True, slots=True)
class Whole:
    """A symbol as a whole, for what tells that it may be another one's old or new name."""

    name: str
    text: str
    """What a report shows."""
    place: str | None = None
    """Where it is written or belongs: a file, a system."""
    shape: frozenset[str] = frozenset()
    """What it is made of: fields, parameters, a result; without its own name."""
    callers: frozenset[str] = frozenset()
    """Who calls it, where that is known."""


def propose_wholes(old: Sequence[Whole], new: Sequence[Whole]) -> list[RenameProposed]:
    """The renames among symbols of one kind that only one of two kernels has.

    Looked at are those that have both a word and something else in common.
    """
    holders: dict[tuple[str, str], list[int]] = {}
    for index, whole in enumerate(new):
        for trait in _traits(whole):
            holders.setdefault(trait, []).append(index)
    scored = []
    for a in old:
        near: dict[int, int] = {}
        for trait in _traits(a):
            held = holders.get(trait, ())
            if len(held) <= _HOLDERS_LIMIT:
                for index in held:
                    near[index] = near.get(index, 0) + 1
        # Those of the same number in their order: the words of a name come in another one in each process.
        for index in sorted(near, key=lambda i: (-near[i], i))[:_NEAR_LIMIT]:
            one = _score_whole(a, new[index])
            if one is not None:
                scored.append(one)
    return _choose(scored)


def _traits(whole: Whole) -> Iterator[tuple[str, str]]:
    """A word of the name together with the place or a caller; with a part where there is no place."""
    parts = [whole.place] if whole.place is not None else sorted(whole.shape)[:_PARTS_LIMIT]
    parts += sorted(whole.callers)[:_PARTS_LIMIT]
    return ((word, part) for word in _words(whole.name) for part in parts)


def _score_whole(old: Whole, new: Whole) -> _Scored | None:
    # Each finding counts only where both sides tell it; one that cannot be made is no evidence against.
    parts: list[tuple[float, float]] = []
    evidence = []
    if old.place is not None and new.place is not None:
        parts.append((_PLACE, float(old.place == new.place)))
        if old.place == new.place:
            evidence.append(f"same place {old.place}")
    for weight, what, before, after in (
        (_SHAPE, "parts", old.shape, new.shape),
        (_CALLERS, "callers", old.callers, new.callers),
    ):
        if before and after:
            same = len(before & after) / len(before | after)
            parts.append((weight, same))
            if same:
                evidence.append(f"same {what}" if same == 1 else f"{same:.0%} of the {what} the same")
    possible = _NAME + sum(weight for weight, _ in parts)
    found = sum(weight * value for weight, value in parts)
    if not evidence or (_NAME + found) / possible < THRESHOLD:
        return None
    similar = name_similarity(old.name, new.name)
    score = (_NAME * similar + found) / possible
    if similar < NAME_LIMIT or score < THRESHOLD:
        return None
    return _Scored(score, old.name, new.name, old.text, new.text, (f"names {similar:.0%} alike", *evidence))


def _choose(scored: Sequence[_Scored]) -> list[RenameProposed]:
    """The best pairs first, each side once."""
    taken_old: set[str] = set()
    taken_new: set[str] = set()
    result = []
    for one in sorted(scored, key=lambda s: (-s.score, s.old, s.new)):
        if one.score >= THRESHOLD and one.old not in taken_old and one.new not in taken_new:
            taken_old.add(one.old)
            taken_new.add(one.new)
            result.append(
                RenameProposed(shown_text(one.old_shown), shown_text(one.new_shown), one.score, one.evidence)
            )
    return result
