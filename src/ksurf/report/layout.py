"""What every report says, before it is written in any format: statuses by group, and changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from ksurf.kernel import Kernel
from ksurf.series import Groups, Member
from ksurf.surface.change import Change
from ksurf.surface.function import Status

__all__ = ["Compare", "Delta", "Group", "Report", "ReportStatus", "lay_out"]


class ReportStatus(Protocol):
    """What a report needs of a status."""

    @property
    def is_present(self) -> bool:
        """The kernel has it."""

    @property
    def statuses(self) -> tuple[Status, ...]:
        """What is to be said of it; nothing is OK."""


S = TypeVar("S", bound=ReportStatus)

Compare = Callable[[S, S], "Delta.Outcome"]
"""What two statuses make: whether each has something to compare, and the changes, if both have."""


@dataclass(frozen=True)
class Delta:
    """Two kernels compared. ``changes`` is ``None`` where one of them has nothing to compare."""

    Outcome = tuple[tuple[bool, bool], tuple[Change, ...] | None]

    old: Member
    new: Member
    present: tuple[bool, bool]
    changes: tuple[Change, ...] | None


@dataclass(frozen=True)
class Group(Generic[S]):
    """Kernels that are read together: each one's label and status, and the comparisons between them."""

    name: str
    members: tuple[tuple[Member, S], ...]
    deltas: tuple[Delta, ...]


@dataclass(frozen=True)
class Report(Generic[S]):
    """One name over the chosen kernels."""

    name: str
    baseline: Kernel
    groups: tuple[Group[S], ...]

    @property
    def present(self) -> bool:
        """Whether any of the kernels has it."""
        return any(status.is_present for status in self.statuses())

    def statuses(self) -> Iterator[S]:
        """The statuses on all kernels, group by group."""
        return (status for group in self.groups for _, status in group.members)


def lay_out(name: str, groups: Groups, statuses: Mapping[Kernel, S], compare: Compare[S]) -> Report[S]:
    """Lay out the statuses of one name as the groups say. Kernels without a status are left out.

    In *Regular* each kernel is compared with the one before it; in *Arch* and *Flavor* with the baseline.
    """
    regular = [m for m in groups.regular if m.kernel in statuses]
    made = [_group("Regular", regular, list(pairwise(regular)), statuses, compare)]
    baseline = next((m for m in regular if m.kernel == groups.baseline), None)
    for title, group in (("Arch", groups.arch), ("Flavor", groups.flavor)):
        members = [m for m in group if m.kernel in statuses]
        if members:
            pairs = [(baseline, m) for m in members] if baseline else []
            made.append(_group(title, members, pairs, statuses, compare))
    return Report(name, groups.baseline, tuple(made))


def _group(
    title: str,
    members: Sequence[Member],
    pairs: Sequence[tuple[Member, Member]],
    statuses: Mapping[Kernel, S],
    compare: Compare[S],
) -> Group[S]:
    deltas = [Delta(old, new, *compare(statuses[old.kernel], statuses[new.kernel])) for old, new in pairs]
    return Group(title, tuple((m, statuses[m.kernel]) for m in members), tuple(deltas))
