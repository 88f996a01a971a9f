"""What a report of a check says, before it is written in any format: columns, rows, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from ksurf.check.cause import Cause
from ksurf.check.consumer import STDIN, Unreadable
from ksurf.check.dependency import Consumer, Dependency, Kind, Use
from ksurf.check.policy import Acceptance, Applied
from ksurf.check.verdict import ConsumerReport, Finding, Outcome, Report, Suggestion
from ksurf.kernel import Kernel
from ksurf.series import Column, Groups, columns_of
from ksurf.surface.attach import Mechanism

__all__ = [
    "Page",
    "Reason",
    "Row",
    "folded",
    "place",
    "plain",
    "reasons",
    "rows",
    "source",
    "title",
]

_HOOKS = {Kind.FUNCTION, Kind.TRACEPOINT, Kind.SYSCALL, Kind.LSM}
_ARGUMENTS = {Kind.PARAMETER, Kind.TRACEPOINT_FIELD}


@dataclass(frozen=True, slots=True)
class Page:
    """A report, and all that stands around it."""

    report: Report
    groups: Groups
    applied: Applied
    fail_on: Outcome = Outcome.BROKEN
    skipped: int = 0
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The report's kernels, group by group."""
        held = set(self.report.kernels)
        return tuple(column for column in columns_of(self.groups) if column.kernel in held)

    def fails(self, findings: Sequence[Finding]) -> bool:
        """Whether one of the findings is as bad as what the run is to fail on, and not accepted."""
        return self.applied.worst(findings) >= self.fail_on

    @property
    def exit_status(self) -> int:
        """1 if something is so bad, else 2 if something could not be checked, else 0."""
        if self.fails(self.report.findings):
            return 1
        return 2 if self.unreadable or not self.report.consumers else 0


@dataclass(frozen=True, slots=True)
class Row:
    """A dependency of a consumer, and the finding of each column that has one."""

    dependency: Dependency
    findings: tuple[Finding | None, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of them."""
        return max((f.outcome for f in self.findings if f is not None), default=Outcome.OK)

    @property
    def follows(self) -> bool:
        """All that is to be said of it follows from other dependencies, and is said of these."""
        told = [f for f in self.findings if f is not None and f.outcome is not Outcome.OK]
        return bool(told) and all(f.follows is not None for f in told)


def rows(one: ConsumerReport, columns: Sequence[Column]) -> list[Row]:
    """The dependencies of a consumer, the worst first, else in its own order."""
    held: dict[int, dict[Kernel, Finding]] = {}
    dependencies: dict[int, Dependency] = {}
    for finding in one.findings:
        dependencies.setdefault(id(finding.dependency), finding.dependency)
        held.setdefault(id(finding.dependency), {})[finding.kernel] = finding
    made = [
        Row(dependency, tuple(held[key].get(column.kernel) for column in columns))
        for key, dependency in dependencies.items()
    ]
    return sorted(made, key=lambda row: _badness(row.outcome))


def folded(found: Sequence[Row], *, everything: bool = False) -> tuple[list[Row], int, int]:
    """The rows to show, and how many are left out: those that follow from them, and those that are ok."""
    if everything:
        return list(found), 0, 0
    following = sum(row.follows for row in found)
    shown = [row for row in found if row.outcome is not Outcome.OK and not row.follows]
    return shown, following, len(found) - len(shown) - following


@dataclass(frozen=True, slots=True)
class Reason:
    """What becomes of a dependency of a consumer on some kernels, in one sentence, and why."""

    consumer: Consumer
    outcome: Outcome
    cause: Cause | None
    dependency: Dependency
    columns: tuple[Column, ...]
    consequence: str
    evidence: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    uses: tuple[Use, ...]
    acceptance: Acceptance | None

    @property
    def kernels(self) -> str:
        """The labels of its kernels."""
        return ", ".join(column.label for column in self.columns)


def reasons(
    consumer: Consumer,
    found: Sequence[Row],
    page: Page,
    *,
    everything: bool = False,
    only: Column | None = None,
) -> list[Reason]:
    """What is bad about some dependencies of a consumer, worst first; with ``everything`` all there is.

    It is said for all kernels together, or for one of them, ``only``.
    """
    made: list[Reason] = []
    columns = page.columns
    for row in found:
        grouped: dict[tuple[object, ...], list[tuple[Column, Finding]]] = {}
        for column, finding in zip(columns, row.findings, strict=True):
            if finding is None or only not in (None, column):
                continue
            if not (everything or (finding.outcome > Outcome.GUARDED and finding.follows is None)):
                continue
            if finding.outcome is Outcome.OK and not (finding.consequence or finding.evidence):
                continue
            told = (finding.outcome, finding.cause, finding.consequence, id(page.applied.of(finding)))
            grouped.setdefault(told, []).append((column, finding))
        made += (_reason(consumer, row.dependency, group, page) for group in grouped.values())
    return sorted(made, key=lambda reason: _badness(reason.outcome))


def _reason(
    consumer: Consumer, dependency: Dependency, group: Sequence[tuple[Column, Finding]], page: Page
) -> Reason:
    """Findings that say the same; what only some of them add is told with their kernels."""
    first = group[0][1]
    evidence: dict[str, list[Column]] = {}
    suggestions: dict[Suggestion, list[Column]] = {}
    for column, finding in group:
        for text in finding.evidence:
            evidence.setdefault(text, []).append(column)
        for suggestion in finding.suggestions:
            suggestions.setdefault(suggestion, []).append(column)

    def noted(text: str, columns: Sequence[Column]) -> str:
        if len(columns) == len(group):
            return text
        return f"{text} (on {', '.join(column.label for column in columns)})"

    return Reason(
        consumer=consumer,
        outcome=first.outcome,
        cause=first.cause,
        dependency=dependency,
        columns=tuple(column for column, _ in group),
        consequence=first.consequence,
        evidence=tuple(noted(text, columns) for text, columns in evidence.items()),
        suggestions=tuple(
            replace(suggestion, text=noted(suggestion.text, columns))
            for suggestion, columns in suggestions.items()
        ),
        uses=tuple(use for use in dict.fromkeys(u for _, f in group for u in f.uses) if _tells(use)),
        acceptance=page.applied.of(first),
    )


def _tells(use: Use) -> bool:
    """Whether it says anything of where it is."""
    return replace(use, relocation=None) != Use()


def _badness(outcome: Outcome) -> int:
    return -list(Outcome).index(outcome)


def title(dependency: Dependency) -> str:
    """A dependency in two words or three: ``kprobe vfs_read``, ``field task_struct::pid``."""
    mechanism, words = dependency.mechanism, dependency.kind.value
    if mechanism is not None and dependency.kind in _HOOKS:
        words = mechanism.value
    elif mechanism is not None and dependency.kind in _ARGUMENTS and mechanism is not Mechanism.TRACEPOINT:
        # The same argument may be read by two programs, of which a kernel refuses one.
        words = f"{mechanism.value} argument"
    return plain(f"{words} {dependency.name}")


def source(use: Use, consumer: Consumer) -> str | None:
    """The file that a use's line counts in: a script's is the script, where it names none."""
    if use.file is not None or use.line is None:
        return use.file
    return consumer.member or consumer.path


def place(use: Use, consumer: Consumer, *, short: bool = False) -> str:
    """Where in the consumer something is used, in one line; ``short`` where that has been named in full.

    Empty where nothing tells it.
    """
    file = source(use, consumer)
    # The folder that an object was built in says nothing elsewhere, and fills the line.
    if short and file is not None and (file in (consumer.path, consumer.member) or file.startswith("/")):
        file = PurePosixPath(file).name
    where = "" if file is None else f"at {file}" if use.line is None else f"at {file}:{use.line}"
    if file == STDIN:
        where = f"at line {use.line}"
    inside = [f"in {use.program}"] if use.program is not None else []
    if use.instruction is not None:
        inside.append(f"instruction {use.instruction}")
    return plain(" ".join(part for part in (where, ", ".join(inside)) if part))


def plain(text: str) -> str:
    """A text that comes from a file, as one line that a terminal shows as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
