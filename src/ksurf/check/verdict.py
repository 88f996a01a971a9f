"""What becomes of a dependency on a kernel: the words that the rules, the judge and every output share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import total_ordering

from ksurf.check.cause import Cause
from ksurf.check.dependency import Consumer, Dependency, Use
from ksurf.kernel import Kernel

__all__ = ["ConsumerReport", "Finding", "Outcome", "Report", "Suggestion", "worst"]


@total_ordering
class Outcome(Enum):
    """What becomes of a dependency on a kernel, from the best to the worst."""

    OK = "ok"
    GUARDED = "guarded"
    """The kernel has it not, or not as it was, and the consumer copes: the place is not reached there."""
    PARTIAL = "partial"
    """It works, and misses a part of what it is for: calls that the compiler inlined, say."""
    CHANGED = "changed"
    """It loads, and may read or do the wrong thing: the kernel's part differs from the baseline's."""
    BROKEN = "broken"
    """It is refused when it is loaded or attached, or never fires."""

    def __lt__(self, other: object) -> bool:
        """Order by badness."""
        return _RANKS[self] < _RANKS[other] if isinstance(other, Outcome) else NotImplemented


_RANKS = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What may be done about a finding."""

    text: str
    code: str | None = None
    """Lines to put into the consumer, without a newline at the end."""
    language: str | None = None
    """Of the code, as Markdown names it: ``c``, ``bpftrace``, ``python``, ``text``."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One dependency of one consumer on one kernel. There is one for each pair, also where all is well."""

    kernel: Kernel
    dependency: Dependency
    outcome: Outcome
    consequence: str = ""
    """What happens, in words. It may say something of a dependency that is fine (that a module must be
    loaded), and is empty where there is nothing to say."""
    evidence: tuple[str, ...] = ()
    """What of the kernel makes it so."""
    suggestions: tuple[Suggestion, ...] = ()
    uses: tuple[Use, ...] = ()
    """The uses that it concerns: those without a guard if it is bad, those behind one if it is guarded."""
    baseline: Kernel | None = None
    """The kernel that it was compared with; ``None`` if with none."""
    follows: Dependency | None = None
    """Another dependency of the consumer whose finding on this kernel makes this one: it is said there."""
    cause: Cause | None = None
    """Of what is not ok, also if it is guarded; where it follows from another finding, that one's."""


@dataclass(frozen=True, slots=True)
class ConsumerReport:
    """A consumer, and what becomes of it."""

    consumer: Consumer
    baseline: Kernel | None
    """What was named as the baseline; ``None`` where each dependency has its own, the oldest kernel of its
    series that has it (:attr:`Finding.baseline`)."""
    findings: tuple[Finding, ...]
    """By dependency, in the consumer's order, and of each by kernel, in the report's order."""

    def outcome(self, kernel: Kernel) -> Outcome:
        """The worst on a kernel."""
        return worst(finding for finding in self.findings if finding.kernel == kernel)


@dataclass(frozen=True, slots=True)
class Report:
    """What becomes of some consumers on some kernels."""

    kernels: tuple[Kernel, ...]
    consumers: tuple[ConsumerReport, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, consumer by consumer."""
        return tuple(finding for one in self.consumers for finding in one.findings)

    @property
    def outcome(self) -> Outcome:
        """The worst of all."""
        return worst(self.findings)


def worst(findings: Iterable[Finding]) -> Outcome:
    """The worst outcome; OK if there are no findings."""
    return max((finding.outcome for finding in findings), default=Outcome.OK)
