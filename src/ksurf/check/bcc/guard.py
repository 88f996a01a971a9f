"""What a tool asks before it goes one way or the other, and the ways that there are.

A question whose answer is not in the file (an option, what a kernel has) is an :class:`Atom`. A script or a
text of C is followed once for each way that matters (:func:`explore`): not all combinations, but each answer
at each place once, so that nothing is lost and the work stays linear in the size of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ksurf.check.dependency import Condition, Guard

__all__ = [
    "And",
    "Atom",
    "Choices",
    "Formula",
    "Guards",
    "Not",
    "Or",
    "Ways",
    "explore",
    "merged",
    "simplest",
    "within",
]

T = TypeVar("T")

_ALTERNATIVES = 64
"""More guards of one place than this are as good as none."""

Guards = tuple[Guard, ...]
"""All that stands before a place, the outermost first."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A question that only a kernel or a user can answer."""

    key: str
    """The same for the same question, so that it has one answer on one way."""
    text: str
    condition: Condition | None = None
    """What the kernel has if the answer is yes; ``None`` if ksurf's words cannot say it."""
    guards: bool = True
    """It is about the kernel. Options are not: what is needed with an option is needed."""


@dataclass(frozen=True, slots=True)
class Not:
    """The other answer."""

    one: Formula


@dataclass(frozen=True, slots=True)
class And:
    """Yes if all are, asked in order, as far as needed."""

    all: tuple[Formula | bool, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Yes if one is, asked in order, as far as needed."""

    any: tuple[Formula | bool, ...]


Formula = Atom | Not | And | Or


@dataclass(slots=True)
class Choices:
    """The answers on one way, and where they were asked for."""

    given: dict[str, bool]
    default: tuple[bool, bool]
    """What to answer first: of the kernel, of the user."""
    trail: list[tuple[object, str, bool]] = field(default_factory=list)
    ended: bool = False
    """This way came to no end where all is done; the last answer led out."""
    _behind: dict[Guard, tuple[str, bool]] = field(default_factory=dict)
    """The answer that makes a guard."""

    def decide(self, formula: Formula | bool, site: object) -> tuple[bool, Guards]:
        """The answer, and the guard that it makes: what was asked of the kernel, and what it said."""
        asked: list[tuple[Atom, bool]] = []
        answer = self._answer(formula, site, asked)
        about_kernel = list(dict.fromkeys((atom, said) for atom, said in asked if atom.guards))
        if not about_kernel:
            return answer, ()
        guards = tuple(_guard(atom, said) for atom, said in about_kernel)
        for guard, (atom, said) in zip(guards, about_kernel, strict=True):
            self._behind[guard] = atom.key, said
        return answer, guards

    def depends(self, guards: Guards, site: object) -> None:
        """What is done at a place depends on what was answered before, elsewhere."""
        for guard in guards:
            if guard in self._behind:
                self.trail.append((site, *self._behind[guard]))

    def _answer(self, formula: Formula | bool, site: object, asked: list[tuple[Atom, bool]]) -> bool:
        match formula:
            case bool():
                return formula
            case Atom():
                said = self.given.setdefault(formula.key, self.default[not formula.guards])
                self.trail.append((site, formula.key, said))
                asked.append((formula, said))
                return said
            case Not():
                return not self._answer(formula.one, site, asked)
            case And():
                return all(self._answer(one, site, asked) for one in formula.all)
            case Or():
                return any(self._answer(one, site, asked) for one in formula.any)


def _guard(atom: Atom, said: bool) -> Guard:
    text = atom.text if said else _negated(atom.text)
    if atom.condition is None:
        return Guard(text)
    holds = atom.condition.holds == said
    one = Condition(atom.condition.kind, atom.condition.name, holds, atom.condition.mechanism)
    return Guard(text, (one,))


def _negated(text: str) -> str:
    """The other answer, as the language of the question writes it."""
    if text.startswith("#ifdef "):
        return f"#ifndef {text.removeprefix('#ifdef ')}"
    return f"#if !({text.removeprefix('#if ')})" if text.startswith("#if ") else f"not {text}"


@dataclass(slots=True)
class Ways(Generic[T]):
    """What came of each way."""

    results: list[T]
    left_out: bool
    """There were more than were followed."""


_Answer = tuple[object, str, bool]
"""Where something was asked, what, and what the answer was."""
_KERNEL, _USER = (True, False), (False, True)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A way to follow: these answers, one of them otherwise, and the default for what is not asked yet."""

    given: dict[str, bool]
    wanted: _Answer | None
    default: tuple[bool, bool]
    onward: bool = False


def explore(run: Callable[[Choices], T], limit: int) -> Ways[T]:
    """Run once for each answer at each place where one is asked for, at most ``limit`` times."""
    waiting: list[_Plan] = [_Plan({}, None, both) for both in ((False, False), (True, True), _KERNEL, _USER)]
    seen: set[_Answer] = set()
    planned: set[tuple[_Answer, tuple[bool, bool] | None]] = set()
    results: list[T] = []
    left_out = False
    for plan in waiting:
        if plan.wanted in seen and not plan.onward:
            continue
        if len(results) == limit:
            return Ways(results, left_out=True)
        answers = {**plan.given, plan.wanted[1]: plan.wanted[2]} if plan.wanted is not None else {}
        choices = Choices(answers, plan.default)
        results.append(run(choices))
        if not choices.trail:
            break
        seen.update(choices.trail[-1:] if choices.ended else choices.trail)
        for site, key, said in dict.fromkeys(choices.trail):
            other = (site, key, not said)
            # What led out is answered otherwise, so that the other answers of this way come to something.
            onward = choices.ended and (site, key, said) == choices.trail[-1]
            name = (other, plan.default if onward else None)
            if name in planned or (other in seen and not onward):
                continue
            if len(waiting) == 4 * limit:
                left_out = True
                break
            planned.add(name)
            waiting.append(_Plan(choices.given, other, plan.default, onward))
    return Ways(results, left_out)


def within(outer: Guards, inner: Guards) -> Guards:
    """What stands before a place that is inside another, each once."""
    return tuple(dict.fromkeys(outer + inner))


def merged(guards: Sequence[Guard]) -> Guard | None:
    """One guard that says all of them."""
    if not guards:
        return None
    distinct = list(dict.fromkeys(guards))
    conditions = dict.fromkeys(condition for guard in distinct for condition in guard.conditions)
    more = bool(conditions) and not all(guard.conditions for guard in distinct)
    return Guard(" and ".join(dict.fromkeys(guard.text for guard in distinct)), tuple(conditions), more)


def simplest(alternatives: Iterable[Guards]) -> list[Guards]:
    """The same with fewer: a place that is reached both ways, or anyway, needs no guard for that."""
    sets = {frozenset(guards): guards for guards in alternatives}
    if len(sets) > _ALTERNATIVES:
        return [()]
    changed = True
    while changed:
        changed = False
        for one in list(sets):
            for other in list(sets):
                if one is other or one not in sets or other not in sets:
                    continue
                if one < other:
                    del sets[other]
                    changed = True
                elif (rest := _without_opposites(one, other)) is not None:
                    kept = tuple(guard for guard in sets[one] if guard in rest)
                    del sets[one], sets[other]
                    sets[rest] = kept
                    changed = True
    return list(sets.values())


def _without_opposites(one: frozenset[Guard], other: frozenset[Guard]) -> frozenset[Guard] | None:
    """What both have in common, if all that they differ in is the answer to one question."""
    if len(one) != len(other):
        return None
    mine, theirs = one - other, other - one
    if len(mine) != 1 or len(theirs) != 1:
        return None
    (a,), (b,) = mine, theirs
    if a.text == _negated(b.text) or b.text == _negated(a.text):
        return one & other
    return None
