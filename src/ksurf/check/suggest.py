"""What to do about what is broken: the successor, those who took over, and the guard as code.

Another mechanism that works is suggested by the rules themselves, which have just judged it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ksurf.check.dependency import ConsumerKind, Dependency, Kind
from ksurf.check.facts import Facts, called_by, gather
from ksurf.check.guard_code import guard
from ksurf.check.hook import base_name, is_pattern
from ksurf.check.rules import Case, judge_case
from ksurf.check.rules.function import inline_callers
from ksurf.check.spelling import hook_text
from ksurf.check.successors import Successors
from ksurf.check.verdict import Finding, Outcome, Suggestion
from ksurf.dataset.lookup import function_names
from ksurf.kernel import Kernel
from ksurf.report.near import near
from ksurf.surface.attach import Mechanism
from ksurf.surface.change import RenameProposed
from ksurf.surface.field import owner_and_path
from ksurf.surface.rename import Candidate, propose
from ksurf.surface.types import enumerators, fields

__all__ = ["Suggestions"]

_CALLERS_LIMIT = 4
"""A function that was inlined into more is not watched by watching its callers."""
_NEAR_LIMIT = 3
_NEAR_NAMES_LIMIT = 4
"""A list of names that no kernel has is no question of spelling."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A dependency without its uses, and who needs it where."""

    consumer: ConsumerKind
    kind: Kind
    name: str
    mechanism: Mechanism | None
    kernel: Kernel


@dataclass(frozen=True, slots=True)
class _Successor:
    name: str
    type: str | None
    """Of a field."""
    evidence: tuple[str, ...]


class Suggestions:
    """Suggestions for findings; :meth:`prepare` looks up for all of them at once what they need."""

    def __init__(self, facts: Mapping[Kernel, Facts], places: Sequence[tuple[Kernel, Path]]) -> None:
        """Take what is known, and where the kernels lie."""
        self._facts = {kernel: facts[kernel] for kernel in sorted(facts)}
        self._places = dict(places)
        self._found: dict[_Wanted, tuple[Suggestion, ...]] = {}

    def prepare(self, findings: Iterable[tuple[ConsumerKind, Finding]]) -> None:
        """Make the suggestions for these."""
        wanted = list(dict.fromkeys(_wanted(consumer, finding) for consumer, finding in findings))
        last = {one: self._last_with(one) for one in wanted}
        renamed = self._renamed(wanted, last)
        near_names = self._near(wanted, last)
        others: dict[_Wanted, list[str]] = {}
        for one in wanted:
            if one.kind is Kind.FUNCTION and one not in renamed:
                held = near_names.get(_own_name(one), []) if self._is_gone(one) else self._callers(one)
                others[one] = held if len(held) <= _CALLERS_LIMIT else []
        fitting = self._fitting(renamed, others)
        for one in wanted:
            self._found[one] = tuple(
                self._made(one, last[one], renamed.get(one), others.get(one, ()), fitting)
            )

    def added(self, consumer: ConsumerKind, finding: Finding) -> Finding:
        """The finding with its suggestions behind those that it has."""
        found = self._found.get(_wanted(consumer, finding)) if finding.outcome is Outcome.BROKEN else None
        return replace(finding, suggestions=finding.suggestions + found) if found else finding

    def _last_with(self, wanted: _Wanted) -> Kernel | None:
        """The newest older kernel of the series that has it, or the oldest newer one; else of all kernels."""
        here = wanted.kernel
        series = [k for k in self._facts if (k.arch, k.flavor) == (here.arch, here.flavor)]
        return self._nearest_with(wanted, series) or self._nearest_with(wanted, self._facts)

    def _nearest_with(self, wanted: _Wanted, kernels: Iterable[Kernel]) -> Kernel | None:
        here = wanted.kernel
        asked = Dependency(wanted.kind, wanted.name, wanted.mechanism)
        has = [
            k
            for k in kernels
            if judge_case(Case(asked, wanted.consumer, self._facts[k])).outcome is not Outcome.BROKEN
        ]
        older, newer = [k for k in has if k < here], [k for k in has if here < k]
        return older[-1] if older else newer[0] if newer else None

    def _renamed(
        self, wanted: Sequence[_Wanted], last: Mapping[_Wanted, Kernel | None]
    ) -> dict[_Wanted, _Successor]:
        found: dict[_Wanted, _Successor] = {}
        gone: dict[tuple[Kind, Kernel, str, str, bool], list[_Wanted]] = {}
        for one in wanted:
            before = last[one]
            if before is None:
                continue
            if one.kind is Kind.FIELD:
                held = self._renamed_field(one, before)
            elif one.kind is Kind.ENUMERATOR:
                held = self._renamed_enumerator(one, before)
            else:
                held = None
                if self._is_gone(one):
                    key = (one.kind, before, one.kernel.arch, one.kernel.flavor, one.kernel < before)
                    gone.setdefault(key, []).append(one)
            if held is not None:
                found[one] = held
        successors = Successors()
        for (kind, before, _, _, older), group in gone.items():
            # The nearest kernel without a name tells who took its place: on others more has changed.
            firsts: dict[str, Kernel] = {}
            nearest = max if older else min
            for one in group:
                name = _own_name(one)
                firsts[name] = nearest(firsts.get(name, one.kernel), one.kernel)
            renames: dict[str, RenameProposed] = {}
            for here in sorted(set(firsts.values())):
                names = {name for name, first in firsts.items() if first == here}
                pair = (before, self._places[before]), (here, self._places[here])
                renames.update((rename.old, rename) for rename in successors.named(kind, names, *pair))
            for one in group:
                if (rename := renames.get(_own_name(one))) is not None:
                    found[one] = _Successor(rename.new, None, rename.evidence)
        return found

    def _near(self, wanted: Sequence[_Wanted], last: Mapping[_Wanted, Kernel | None]) -> dict[str, list[str]]:
        """Functions whose names are near those that no kernel of the series has: it may have been renamed
        before, or be misspelt. They are looked for on the oldest kernel, which is the nearest in time.
        """
        names = dict.fromkeys(
            _own_name(one)
            for one in wanted
            if one.kind is Kind.FUNCTION and last[one] is None and self._is_gone(one)
        )
        if not names:
            return {}
        oldest = min(self._places)
        known = function_names([(oldest, self._places[oldest])])
        return {name: near(name, known, limit=_NEAR_LIMIT) for name in list(names)[:_NEAR_NAMES_LIMIT]}

    def _is_gone(self, wanted: _Wanted) -> bool:
        """It is not there at all: what is there and cannot be attached to has not got another name."""
        facts = self._facts[wanted.kernel]
        match wanted.kind:
            case Kind.FUNCTION if not is_pattern(wanted.name) and called_by(wanted.name) is None:
                status = facts.functions.get(base_name(wanted.name))
                return status is None or not status.is_present
            case Kind.EXPORT:
                return wanted.name not in facts.exports or not facts.exports[wanted.name].is_present
            case Kind.TRACEPOINT if not is_pattern(wanted.name):
                return wanted.name not in facts.tracepoints or not facts.tracepoints[wanted.name].is_present
            case Kind.LSM:
                return wanted.name not in facts.hooks or not facts.hooks[wanted.name].is_present
            case Kind.KFUNC:
                return wanted.name not in facts.kfuncs or not facts.kfuncs[wanted.name].is_present
            case Kind.STRUCT | Kind.UNION | Kind.ENUM | Kind.TYPEDEF:
                return not facts.types.get(wanted.name)
            case _:
                return False

    def _renamed_field(self, wanted: _Wanted, before: Kernel) -> _Successor | None:
        parts = owner_and_path(wanted.name)
        if parts is None:
            return None
        owner, path = parts
        kinds = ("struct", "union")
        olds, news = (self._facts[k].definitions(owner, *kinds) for k in (before, wanted.kernel))
        if not olds or not news:
            return None
        old, new = fields(olds[0].definition), fields(news[0].definition)
        # A path through other structs fails at one of its steps; only the first is this struct's own.
        steps = path.split(".")
        gone = next(
            (
                step
                for count in range(1, len(steps) + 1)
                if (step := ".".join(steps[:count])) in old and step not in new
            ),
            None,
        )
        if gone is None:
            return None
        candidates = [
            [Candidate(f.path, f.path, f.type, f.bit_offset) for f in side.values()] for side in (old, new)
        ]
        for rename in propose(*candidates):
            if rename.old == gone:
                rest = path.removeprefix(gone)
                return _Successor(
                    f"{owner}::{rename.new}{rest}", None if rest else new[rename.new].type, rename.evidence
                )
        # What was divided keeps its name as a part of the new ones: i_atime, i_atime_sec and i_atime_nsec.
        plain = gone.rpartition(".")[2].strip("_")
        parts_of = [one for one in new if one not in old and plain in one and len(plain) > 2]
        same = [one for one in parts_of if one.strip("_") == plain]
        if len(same) == 1 and path == gone:
            return _Successor(f"{owner}::{same[0]}", new[same[0]].type, ("the same but for underscores",))
        if not parts_of or len(parts_of) > _CALLERS_LIMIT or path != gone:
            return None
        return _Successor(f"{owner}::{parts_of[0]}", None, (f"new are {', '.join(parts_of)}",))

    def _renamed_enumerator(self, wanted: _Wanted, before: Kernel) -> _Successor | None:
        enum, _, name = wanted.name.rpartition("::")
        sides = []
        for kernel in (before, wanted.kernel):
            rows = self._facts[kernel].definitions(enum, "enum")
            if not rows:
                return None
            values = enumerators(rows[0].definition)
            sides.append([Candidate(n, n, "", value) for n, value in values.items()])
        for rename in propose(*sides):
            if rename.old == name:
                return _Successor(f"{enum}::{rename.new}", None, rename.evidence)
        return None

    def _callers(self, wanted: _Wanted) -> list[str]:
        """Those who hold the copies of a function that has no code of its own."""
        status = self._facts[wanted.kernel].functions.get(base_name(wanted.name))
        if status is None or not status.is_present or status.has_code:
            return []
        return inline_callers(status)

    def _fitting(
        self, renamed: Mapping[_Wanted, _Successor], others: Mapping[_Wanted, Sequence[str]]
    ) -> set[tuple[Kernel, Dependency]]:
        """Those of the proposals that are fine where they are proposed, or nearly so."""
        asked: dict[Kernel, dict[Dependency, None]] = {}
        consumers: dict[tuple[Kernel, Dependency], ConsumerKind] = {}
        for one in (*renamed, *others):
            names = [renamed[one].name] if one in renamed else list(others[one])
            for name in names:
                dependency = Dependency(one.kind, name, one.mechanism)
                asked.setdefault(one.kernel, {})[dependency] = None
                consumers[one.kernel, dependency] = one.consumer
        if not asked:
            return set()
        everything = list(dict.fromkeys(d for held in asked.values() for d in held))
        facts = gather(everything, [(kernel, self._places[kernel]) for kernel in asked], callers=False)
        return {
            (own.kernel, dependency)
            for own in facts
            for dependency in asked[own.kernel]
            if judge_case(Case(dependency, consumers[own.kernel, dependency], own)).outcome
            is not Outcome.BROKEN
        }

    def _made(
        self,
        wanted: _Wanted,
        last: Kernel | None,
        successor: _Successor | None,
        others: Sequence[str],
        fitting: set[tuple[Kernel, Dependency]],
    ) -> Iterator[Suggestion]:
        alternative: tuple[str, str] | None = None
        if successor is not None:
            dependency = Dependency(wanted.kind, successor.name, wanted.mechanism)
            fits = (wanted.kernel, dependency) in fitting
            yield self._successor(wanted, last, successor, fits)
            if wanted.kind is Kind.FIELD and successor.type is not None:
                alternative = successor.name.partition("::")[2], successor.type
            elif fits and wanted.kind is not Kind.FIELD:
                alternative = successor.name, successor.name
        usable = [
            name
            for name in others
            if (wanted.kernel, Dependency(wanted.kind, name, wanted.mechanism)) in fitting
        ]
        if usable:
            code, language = hook_text(wanted.consumer, wanted.mechanism or Mechanism.KPROBE, usable[0])
            if self._is_gone(wanted):
                yield Suggestion(f"names that are near: {', '.join(usable)}", code, language)
            else:
                what = "its caller" if len(others) == 1 else "its callers"
                yield Suggestion(
                    f"attach to {what} {', '.join(usable)}, with other parameters", code, language
                )
        held = guard(wanted.consumer, Dependency(wanted.kind, wanted.name, wanted.mechanism), alternative)
        if held is not None:
            yield held

    def _successor(
        self, wanted: _Wanted, last: Kernel | None, successor: _Successor, fits: bool
    ) -> Suggestion:
        since = f" (compared with {last.release}: {', '.join(successor.evidence)})" if last else ""
        text = f"it may be {successor.name} now{since}"
        if not fits:
            return Suggestion(f"{text}, which cannot be used so here either")
        if wanted.kind in {Kind.FUNCTION, Kind.TRACEPOINT, Kind.LSM} and wanted.mechanism is not None:
            return Suggestion(text, *hook_text(wanted.consumer, wanted.mechanism, successor.name))
        return Suggestion(text)


def _own_name(wanted: _Wanted) -> str:
    """What tables have it by."""
    return base_name(wanted.name) if wanted.kind is Kind.FUNCTION else wanted.name


def _wanted(consumer: ConsumerKind, finding: Finding) -> _Wanted:
    one = finding.dependency
    return _Wanted(consumer, one.kind, one.name, one.mechanism, finding.kernel)
