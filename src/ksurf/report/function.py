"""What a report on a function says, before it is written in any format: statuses by group, and changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ksurf.kernel import Kernel
from ksurf.series import Groups, Member
from ksurf.surface.change import Change, compare_definitions
from ksurf.surface.function import FunctionStatus

__all__ = ["Delta", "FunctionReport", "Group", "report"]


@dataclass(frozen=True)
class Delta:
    """Two kernels compared. ``changes`` is ``None`` where one of them has no function to compare."""

    old: Member
    new: Member
    present: tuple[bool, bool]
    changes: tuple[Change, ...] | None


@dataclass(frozen=True)
class Group:
    """Kernels that are read together: each one's label and status, and the comparisons between them."""

    name: str
    members: tuple[tuple[Member, FunctionStatus], ...]
    deltas: tuple[Delta, ...]


@dataclass(frozen=True)
class FunctionReport:
    """One function over the chosen kernels."""

    name: str
    baseline: Kernel
    groups: tuple[Group, ...]

    @property
    def present(self) -> bool:
        """Whether any of the kernels has the function."""
        return any(status.is_present for status in self.statuses())

    def statuses(self) -> Iterator[FunctionStatus]:
        """The statuses on all kernels, group by group."""
        return (status for group in self.groups for _, status in group.members)


def report(name: str, groups: Groups, statuses: Mapping[Kernel, FunctionStatus]) -> FunctionReport:
    """Lay out the statuses of one function as the groups say. Kernels without a status are left out.

    In *Regular* each kernel is compared with the one before it; in *Arch* and *Flavor* with the baseline.
    """
    regular = [m for m in groups.regular if m.kernel in statuses]
    laid_out = [Group("Regular", _with(regular, statuses), _deltas(list(pairwise(regular)), statuses))]
    baseline = next((m for m in regular if m.kernel == groups.baseline), None)
    for title, group in (("Arch", groups.arch), ("Flavor", groups.flavor)):
        members = [m for m in group if m.kernel in statuses]
        if members:
            pairs = [(baseline, m) for m in members] if baseline else []
            laid_out.append(Group(title, _with(members, statuses), _deltas(pairs, statuses)))
    return FunctionReport(name, groups.baseline, tuple(laid_out))


def _with(
    members: Sequence[Member], statuses: Mapping[Kernel, FunctionStatus]
) -> tuple[tuple[Member, FunctionStatus], ...]:
    return tuple((m, statuses[m.kernel]) for m in members)


def _deltas(
    pairs: Sequence[tuple[Member, Member]], statuses: Mapping[Kernel, FunctionStatus]
) -> tuple[Delta, ...]:
    return tuple(_delta(old, new, statuses[old.kernel], statuses[new.kernel]) for old, new in pairs)


def _delta(old: Member, new: Member, before: FunctionStatus, after: FunctionStatus) -> Delta:
    # What is inlined away has no declaration that anything outside could lean on.
    present = (before.has_code, after.has_code)
    changes = tuple(compare_definitions(before.definitions, after.definitions)) if all(present) else None
    return Delta(old, new, present, changes)
