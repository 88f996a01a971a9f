"""A symbol along its series: what changed between each two kernels that follow each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Protocol, TypeVar

from ksurf.kernel import Kernel
from ksurf.series import Member, group
from ksurf.surface.change import Added, Change, Removed
from ksurf.surface.function import Status

__all__ = ["SeriesHistory", "StatusChanged", "Step", "changes_between", "histories", "neighbours"]


class _Status(Protocol):
    """What is needed of a status."""

    @property
    def is_present(self) -> bool:
        """The kernel has it."""

    @property
    def statuses(self) -> tuple[Status, ...]:
        """What is to be said of it; nothing is OK."""


S = TypeVar("S", bound=_Status)


@dataclass(frozen=True, slots=True)
class StatusChanged(Change):
    """There is something else to be said of the symbol: it is inlined now, or shares its name."""

    label = "Status changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Step:
    """Two kernels of a series that follow each other, and what changed between them."""

    old: Member
    new: Member
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """One symbol along one series: the versions of a distribution's flavor on an architecture."""

    distro: str
    arch: str
    flavor: str
    first: tuple[Member, bool]
    """The oldest kernel, and whether it has the symbol."""
    steps: tuple[Step, ...]
    present: bool
    """Whether any kernel of the series has the symbol."""


Compare = Callable[[S, S], tuple[tuple[bool, bool], tuple[Change, ...] | None]]
"""What two statuses make: whether each has something to compare, and the changes, if both have."""


def histories(name: str, statuses: Mapping[Kernel, S], compare: Compare[S]) -> list[SeriesHistory]:
    """The histories of one name along all series, those with the most kernels first."""
    result = []
    for (distro, arch, flavor), members in _series(tuple(statuses)):
        steps = tuple(
            Step(old, new, changes_between(name, statuses[old.kernel], statuses[new.kernel], compare))
            for old, new in pairwise(members)
        )
        present = any(statuses[member.kernel].is_present for member in members)
        first = (members[0], statuses[members[0].kernel].is_present)
        result.append(SeriesHistory(distro, arch, flavor, first, steps, present))
    return result


def neighbours(kernels: Iterable[Kernel]) -> list[tuple[Kernel, Kernel]]:
    """The pairs of kernels that follow each other in a series, those with the most kernels first."""
    return [
        (old.kernel, new.kernel) for _, members in _series(tuple(kernels)) for old, new in pairwise(members)
    ]


# The same for each of thousands of symbols.
@lru_cache(maxsize=16)
def _series(kernels: tuple[Kernel, ...]) -> list[tuple[tuple[str, str, str], tuple[Member, ...]]]:
    """The kernels by distribution, architecture and flavor, those with the most first."""
    found: dict[tuple[str, str, str], list[Kernel]] = {}
    for kernel in kernels:
        found.setdefault((kernel.distro, kernel.arch, kernel.flavor), []).append(kernel)
    ordered = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
    return [(key, group(own, own[0]).regular) for key, own in ordered]


def changes_between(name: str, old: S, new: S, compare: Compare[S]) -> tuple[Change, ...]:
    """What differs between a symbol's statuses on two kernels."""
    if not old.is_present and not new.is_present:
        return ()
    if not old.is_present:
        return (Added(name),)
    if not new.is_present:
        return (Removed(name),)
    changes: list[Change] = []
    words = [", ".join(found.value for found in status.statuses) or "OK" for status in (old, new)]
    if words[0] != words[1]:
        changes.append(StatusChanged(*words))
    changes += compare(old, new)[1] or ()
    return tuple(changes)
