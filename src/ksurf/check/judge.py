"""Consumers judged on kernels: facts are gathered, rules and guards applied, suggestions made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ksurf.check.cause import Cause
from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Kind, Use
from ksurf.check.facts import Facts, gather
from ksurf.check.guard_code import guard, version_guard
from ksurf.check.guards import Reach, reach
from ksurf.check.related import explained_absence, is_nowhere, linked, of_a_loader
from ksurf.check.rules import Case, Ruling, judge_case
from ksurf.check.rules.case import broken
from ksurf.check.rules.expected import is_as_expected
from ksurf.check.suggest import Suggestions
from ksurf.check.verdict import ConsumerReport, Finding, Outcome, Report
from ksurf.check.walked import Relocated, Walk, Walked, Walks
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, Silent, counted

if TYPE_CHECKING:
    from ksurf.dataset.store import Store

__all__ = ["judge", "judge_dependency"]


def judge(
    consumers: Sequence[Consumer],
    kernels: Sequence[Kernel],
    baseline: Kernel | None,
    store: Store,
    walks: Walks | None = None,
    *,
    suggest: bool = True,
    reporter: Reporter | None = None,
    stored: Sequence[Kernel] | None = None,
) -> Report:
    """Judge consumers on kernels of the dataset.

    Each dependency is compared with what it is on ``baseline``; if none is named, on the oldest kernel of its
    architecture and flavor that has it, among those that are checked and the oldest of the dataset.
    Without ``suggest`` there are only the suggestions that the rules themselves make, which cost nothing.
    ``stored`` are the kernels of the dataset, where they have been looked at already.
    """
    kernels = tuple(dict.fromkeys(kernels))
    if baseline is not None:
        others = [baseline]
    else:
        others = _oldest(kernels, [m.kernel for m in store.kernels()] if stored is None else stored)
    looked_at = list(dict.fromkeys((*kernels, *others)))
    places = [(kernel, store.directory(kernel.id)) for kernel in looked_at]
    dependencies = [dependency for consumer in consumers for dependency in consumer.dependencies]
    conditions = {
        condition
        for dependency in dependencies
        for use in dependency.uses
        if use.guard is not None
        for condition in use.guard.asked
    }
    reporter = reporter or Silent()
    with reporter.task(f"Asking {len(places)} kernels"):
        facts = dict(zip(looked_at, gather([*dependencies, *conditions], places), strict=True))
    walk = None if walks is None else walks([facts[kernel] for kernel in kernels])
    bench = _Bench(facts, baseline, kernels)
    reports = [
        ConsumerReport(
            consumer,
            baseline,
            linked(
                [
                    finding
                    for dependency in consumer.dependencies
                    for finding in bench.findings(consumer, dependency, kernels, walk)
                ]
            ),
        )
        for consumer in counted(reporter, "Judging", consumers, "programs")
    ]
    if not suggest:
        return Report(kernels, tuple(reports))
    suggestions = Suggestions(facts, places)
    with reporter.task("Looking for what to do"):
        suggestions.prepare(
            (one.consumer.kind, finding)
            for one in reports
            for finding in one.findings
            if finding.outcome is Outcome.BROKEN and finding.follows is None
        )
    return Report(
        kernels,
        tuple(
            replace(
                one,
                findings=tuple(
                    _by_version(one.consumer.kind, suggestions.added(one.consumer.kind, found), one.findings)
                    if found.follows is None
                    else found
                    for found in one.findings
                ),
            )
            for one in reports
        ),
    )


def _by_version(consumer: ConsumerKind, finding: Finding, all_findings: Sequence[Finding]) -> Finding:
    """A changed finding with a branch on the version at which it changed, as far as the kernels tell."""
    baseline, here = finding.baseline, finding.kernel
    if finding.outcome is not Outcome.CHANGED or baseline is None or not baseline < here:
        return finding
    # What was compiled in is only compiled anew: the source need not change.
    if finding.dependency.layout:
        return finding
    if (baseline.arch, baseline.flavor) != (here.arch, here.flavor):
        return finding
    series = {
        one.kernel: one.outcome
        for one in all_findings
        if one.dependency is finding.dependency
        and (one.kernel.arch, one.kernel.flavor) == (here.arch, here.flavor)
        and baseline < one.kernel
    }
    first = min(kernel for kernel, outcome in series.items() if outcome is Outcome.CHANGED)
    last = max((kernel for kernel in series if kernel < first), default=baseline)
    told = version_guard(consumer, last, first)
    return finding if told is None else replace(finding, suggestions=(*finding.suggestions, told))


def _oldest(kernels: Iterable[Kernel], stored: Iterable[Kernel]) -> list[Kernel]:
    """The oldest stored kernel of each series that is checked."""
    series = {(kernel.arch, kernel.flavor) for kernel in kernels}
    oldest: dict[tuple[str, str], Kernel] = {}
    for kernel in sorted(stored):
        if (kernel.arch, kernel.flavor) in series:
            oldest.setdefault((kernel.arch, kernel.flavor), kernel)
    return list(oldest.values())


@dataclass(frozen=True, slots=True)
class _Asked:
    """A dependency of a consumer, and a number that it shares with those that every kernel judges alike."""

    consumer: Consumer
    dependency: Dependency
    sections: tuple[str, ...]
    number: int


class _Bench:
    """Judges dependencies; what several consumers need alike is judged once."""

    def __init__(
        self, facts: Mapping[Kernel, Facts], baseline: Kernel | None, walked: Collection[Kernel]
    ) -> None:
        self._facts = facts
        self._walked = walked
        self._baseline = None if baseline is None else facts[baseline]
        self._numbers: dict[tuple[object, ...], int] = {}
        # Facts by their identity: kernels are looked up for each finding, and to hash one takes a while.
        self._rulings: dict[tuple[int, int, int | None], Ruling] = {}
        self._baselines: dict[tuple[int, tuple[str, str]], Facts | None] = {}
        self._nowhere: dict[str, bool] = {}
        self._series: dict[tuple[str, str], list[Facts]] = {}
        for kernel in sorted(facts):
            self._series.setdefault((kernel.arch, kernel.flavor), []).append(facts[kernel])

    def findings(
        self,
        consumer: Consumer,
        dependency: Dependency,
        kernels: Iterable[Kernel],
        walk: Walk | None,
    ) -> Iterator[Finding]:
        asked = self._asked(consumer, dependency)
        for kernel in kernels:
            facts = self._facts[kernel]
            baseline = self._baseline_of(asked, (kernel.arch, kernel.flavor))
            ruling = self._ruling(asked, facts, baseline)
            if ruling.outcome is Outcome.CHANGED and baseline is not None:
                baseline = self._in_use(asked, kernel, baseline, walk)
                ruling = self._ruling(asked, facts, baseline)
            walked = Walked() if walk is None else walk(consumer, facts)
            compared = None if baseline is None else baseline.kernel
            finding = judge_dependency(ruling, dependency, facts, consumer.kind, walked, compared)
            if finding.outcome is Outcome.BROKEN:
                finding = of_a_loader(finding, consumer)
            if finding.outcome is Outcome.BROKEN and self._is_nowhere(dependency):
                finding = explained_absence(finding, consumer.kind, len(self._facts))
            yield finding

    def _asked(self, consumer: Consumer, dependency: Dependency) -> _Asked:
        relocated = [use.relocation is not None for use in dependency.uses]
        what, sections = replace(dependency, uses=()), _sections(consumer, dependency)
        key = (consumer.kind, what, any(relocated), all(relocated), sections)
        return _Asked(consumer, dependency, sections, self._numbers.setdefault(key, len(self._numbers)))

    def _is_nowhere(self, dependency: Dependency) -> bool:
        if dependency.kind is not Kind.FUNCTION:
            return False
        if dependency.name not in self._nowhere:
            self._nowhere[dependency.name] = is_nowhere(dependency.name, self._facts.values())
        return self._nowhere[dependency.name]

    def _in_use(self, asked: _Asked, kernel: Kernel, baseline: Facts, walk: Walk | None) -> Facts | None:
        """The baseline, if the consumer uses the thing there; else the oldest of the series where it does."""
        if self._is_reached(asked, baseline, walk):
            return baseline
        for other in self._series[kernel.arch, kernel.flavor] if self._baseline is None else ():
            if self._ruling(asked, other, None).outcome is not Outcome.BROKEN and self._is_reached(
                asked, other, walk
            ):
                return other
        return None

    def _is_reached(self, asked: _Asked, facts: Facts, walk: Walk | None) -> bool:
        """Whether a consumer needs it on a kernel: what it does not use there is no measure."""
        consumer, uses = asked.consumer, asked.dependency.uses
        walked = walk(consumer, facts) if walk is not None and facts.kernel in self._walked else Walked()
        needed = [use for use in uses if not _is_unused(use, walked)]
        reaches = (_reach(use, facts, consumer.kind, walked) for use in needed)
        return not uses or any(one is not Reach.UNREACHED for one in reaches)

    def _ruling(self, asked: _Asked, facts: Facts, baseline: Facts | None) -> Ruling:
        key = (asked.number, id(facts), None if baseline is None else id(baseline))
        ruling = self._rulings.get(key)
        if ruling is None:
            case = Case(asked.dependency, asked.consumer.kind, facts, baseline, asked.sections)
            ruling = self._rulings[key] = judge_case(case)
        return ruling

    def _baseline_of(self, asked: _Asked, series: tuple[str, str]) -> Facts | None:
        """The kernel to compare with: it has the thing, and if possible as the consumer was built with."""
        if self._baseline is not None:
            named = self._ruling(asked, self._baseline, None)
            return None if named.outcome is Outcome.BROKEN else self._baseline
        key = (asked.number, series)
        if key not in self._baselines:
            outcomes = [(other, self._ruling(asked, other, None).outcome) for other in self._series[series]]
            having = [other for other, outcome in outcomes if outcome is not Outcome.BROKEN]
            built = [other for other in having if is_as_expected(asked.dependency, other)]
            good = [other for other, outcome in outcomes if outcome is Outcome.OK]
            self._baselines[key] = next(iter(built or good or having), None)
        return self._baselines[key]


def _sections(consumer: Consumer, dependency: Dependency) -> tuple[str, ...]:
    """The sections of the programs that call a kfunc, which is for some types of programs only."""
    if dependency.kind is not Kind.KFUNC:
        return ()
    users = {use.program for use in dependency.uses}
    found = (one.section for one in consumer.programs if one.name in users and one.section is not None)
    return tuple(dict.fromkeys(found))


def judge_dependency(
    ruling: Ruling,
    dependency: Dependency,
    facts: Facts,
    consumer: ConsumerKind,
    walked: Walked,
    baseline: Kernel | None = None,
) -> Finding:
    """A finding of a ruling that compared with ``baseline``: with the consumer's guards, what is reached, and
    what relocations found.
    """
    known = {
        use: walked.relocations[use.relocation]
        for use in dependency.uses
        if use.relocation is not None and use.relocation in walked.relocations
    }
    if known:
        return _relocated(ruling, dependency, facts, known, baseline)
    if ruling.outcome is Outcome.OK or not dependency.uses:
        return _finding(ruling, dependency, facts, dependency.uses, baseline)
    reaches = {use: _reach(use, facts, consumer, walked) for use in dependency.uses}
    # Who is ready for the thing's absence is not ready for another thing under its name.
    fine = {Reach.UNREACHED, Reach.COPES} if ruling.outcome is Outcome.BROKEN else {Reach.UNREACHED}
    reached = tuple(use for use in dependency.uses if reaches[use] not in fine)
    unused = [use for use in reached if ruling.outcome is Outcome.CHANGED and _is_unused(use, walked)]
    if len(unused) < len(reached):
        reached = tuple(use for use in reached if use not in unused)
        return _finding(ruling, dependency, facts, reached, baseline)
    if unused:
        return _unused(ruling, dependency, facts, unused, baseline)
    found = _guarded(ruling, dependency, facts, dependency.uses, baseline)
    # What has a catch is better written as it is meant.
    if any(use.guard is not None and use.guard.instead and use.guard.catch for use in dependency.uses):
        code = guard(consumer, dependency)
        return found if code is None else replace(found, suggestions=(code,))
    return found


def _reach(use: Use, facts: Facts, consumer: ConsumerKind, walked: Walked) -> Reach:
    """Whether a use is reached: the walk knows it, or else its guard tells."""
    if use.program is not None and use.instruction is not None:
        place = walked.places.get((use.program, use.instruction))
        if place is not None and not place.reached:
            return Reach.UNREACHED
        if place is not None and place.refused:
            return Reach.REACHED
    return reach(use, facts, consumer)


def _is_unused(use: Use, walked: Walked) -> bool:
    """Whether the program gets to a use, and nothing depends on what it finds there."""
    if use.program is None or use.instruction is None:
        return False
    place = walked.places.get((use.program, use.instruction))
    return place is not None and place.reached and not place.used and not place.refused


def _relocated(
    ruling: Ruling,
    dependency: Dependency,
    facts: Facts,
    known: Mapping[Use, Relocated],
    baseline: Kernel | None,
) -> Finding:
    failed = [(use, one) for use, one in known.items() if not one.resolved]
    reached = tuple(use for use, one in failed if one.reached)
    reasons = tuple(dict.fromkeys(one.reason for _, one in failed if one.reason is not None))
    if reached:
        if ruling.outcome is not Outcome.BROKEN:
            text = f"its relocation fails, and the program is refused at load: {dependency.name}"
            ruling = broken(Cause.RELOCATION_FAILED, text)
        ruling = replace(ruling, evidence=(*ruling.evidence, *reasons))
        return _finding(ruling, dependency, facts, reached, baseline)
    if ruling.outcome is Outcome.BROKEN:
        if failed:
            return _guarded(ruling, dependency, facts, tuple(use for use, _ in failed), baseline)
        # The relocation has found what the look-up by name has not: a flavor's other definition.
        return _finding(Ruling(Outcome.OK), dependency, facts, dependency.uses, baseline)
    if failed and ruling.outcome is Outcome.OK:
        return _guarded(ruling, dependency, facts, tuple(use for use, _ in failed), baseline)
    uses = tuple(use for use, one in known.items() if one.resolved and one.reached)
    if ruling.outcome is Outcome.CHANGED and uses:
        used = tuple(use for use in uses if known[use].used)
        if not used:
            return _unused(ruling, dependency, facts, uses, baseline)
        uses = used
    if not uses and ruling.outcome is not Outcome.OK:
        return _guarded(ruling, dependency, facts, dependency.uses, baseline)
    return _finding(ruling, dependency, facts, uses, baseline)


def _unused(
    ruling: Ruling, dependency: Dependency, facts: Facts, uses: Sequence[Use], baseline: Kernel | None
) -> Finding:
    """It is another thing there, and the program reads it for nothing."""
    fine = Ruling(Outcome.OK, evidence=("loaded, and not used there", *ruling.evidence))
    return _finding(fine, dependency, facts, uses, baseline)


def _guarded(
    ruling: Ruling, dependency: Dependency, facts: Facts, uses: Sequence[Use], baseline: Kernel | None
) -> Finding:
    guards = list(dict.fromkeys(use.guard for use in uses if use.guard is not None))
    told = f"guarded by {guards[0].text}" if guards else "its place is not reached on this kernel"
    without = ruling.consequence.rpartition(": ")[2]
    consequence = f"{told}: {without}" if without else told
    if guards and guards[0].catch is not None:
        consequence += f"; {guards[0].catch}"
    return Finding(
        facts.kernel,
        dependency,
        Outcome.GUARDED,
        consequence,
        ruling.evidence,
        uses=tuple(uses),
        baseline=baseline,
        cause=ruling.cause or Cause.RELOCATION_FAILED,
    )


def _finding(
    ruling: Ruling, dependency: Dependency, facts: Facts, uses: Sequence[Use], baseline: Kernel | None
) -> Finding:
    return Finding(
        facts.kernel,
        dependency,
        ruling.outcome,
        ruling.consequence,
        ruling.evidence,
        ruling.suggestions,
        tuple(uses),
        baseline,
        cause=ruling.cause,
    )
