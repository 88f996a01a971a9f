"""Guards: whether a place that needs something is reached on a kernel."""

from __future__ import annotations

from enum import Enum

from ksurf.check.dependency import Condition, ConsumerKind, Dependency, Guard, Kind, Use
from ksurf.check.facts import Facts
from ksurf.check.rules import Case, judge_case
from ksurf.check.verdict import Outcome
from ksurf.check.version import asked_version, version_code

__all__ = ["Reach", "holds", "reach"]


class Reach(Enum):
    """What a use does on a kernel."""

    REACHED = "reached"
    COPES = "copes"
    """It is reached, and is ready for the thing's absence: a weak symbol, an optional program, a ``try``."""
    UNREACHED = "not reached"


def reach(use: Use, facts: Facts, consumer: ConsumerKind) -> Reach:
    """Whether a use is reached on a kernel, by its guard."""
    if use.guard is None:
        return Reach.REACHED
    if not use.guard.conditions:
        return _instead(use.guard, facts, consumer)
    answers = [(holds(one, facts, consumer), one.holds) for one in use.guard.conditions]
    if any(answer is not None and answer is not wanted for answer, wanted in answers):
        return Reach.UNREACHED
    # A condition whose answer is not known may go either way, and the consumer asks before it goes there.
    if use.guard.more or any(answer is None for answer, _ in answers):
        return Reach.COPES
    return _instead(use.guard, facts, consumer) if use.guard.instead else Reach.REACHED


def _instead(guard: Guard, facts: Facts, consumer: ConsumerKind) -> Reach:
    """Whether there is something in place of the thing, if the consumer needs that to cope."""
    copes = not guard.instead or any(holds(one, facts, consumer) is one.holds for one in guard.instead)
    return Reach.COPES if copes else Reach.REACHED


def holds(condition: Condition, facts: Facts, consumer: ConsumerKind) -> bool | None:
    """Whether a kernel has what a condition asks for; ``None`` where that is not known."""
    if condition.kind is Kind.CONFIG:
        if (version := asked_version(condition.name)) is not None:
            return version_code(facts.kernel) >= version
        if not facts.has_config:
            return None
        status = facts.config.get(condition.name)
        return status is not None and any(v.content.value in {"y", "m"} for v in status.variants)
    if condition.kind is Kind.SYSCALL:
        # Consumers ask for the symbol of the entry: __x64_sys_newstat is there, __x64_sys_stat is not.
        return facts.syscalls.entered_by(condition.name) is not None
    asked = Dependency(condition.kind, condition.name, condition.mechanism)
    return judge_case(Case(asked, consumer, facts)).outcome is not Outcome.BROKEN
