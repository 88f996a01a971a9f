"""What a report on a function says, before it is written in any format: statuses by group, and changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ksurf.kernel import Kernel
from ksurf.series import Groups, Member
from ksurf.surface.change import Change, function_changes
from ksurf.surface.function import FunctionStatus

__all__ = ["Delta", "FunctionReport", "Group", "report"]


@dataclass(frozen=True)
class Delta:
    """Two kernels compared. ``changes`` is ``None`` where one of them has no function to compare."""

    old: str
    new: str
    old_kernel: Kernel
    new_kernel: Kernel
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
        return any(status.present for status in self.statuses())

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
    deltas = []
    for old, new in pairs:
        before, after = _declared(statuses[old.kernel]), _declared(statuses[new.kernel])
        changes = _changes(before, after, statuses[new.kernel].name) if before and after else None
        present = (bool(before), bool(after))
        deltas.append(Delta(old.label, new.label, old.kernel, new.kernel, present, changes))
    return tuple(deltas)


def _declared(status: FunctionStatus) -> tuple[str, ...]:
    """The prototypes that a user outside can lean on: those of code, not of what is inlined away."""
    return status.prototypes if status.has_code else ()


def _changes(before: Sequence[str], after: Sequence[str], name: str) -> tuple[Change, ...]:
    """What changed between two sets of definitions under one name.

    Definitions that both kernels have say nothing; of the rest each new one is held against the old one that
    differs least from it.
    """
    old = [p for p in before if p not in after]
    new = [p for p in after if p not in before]
    changes: list[Change] = []
    while old and new:
        best = min(
            ((function_changes(o, n, name), o, n) for o in old for n in new), key=lambda found: len(found[0])
        )
        changes += best[0]
        old.remove(best[1])
        new.remove(best[2])
    return tuple(changes)
