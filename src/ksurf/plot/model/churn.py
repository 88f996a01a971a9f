"""Churn: how many symbols of each kind were added, removed and changed from version to version."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, NamedTuple

from ksurf.dataset.store import Store
from ksurf.errors import InputError
from ksurf.plot.model.figure import Figure, Value, command_line, kernels_text, regular_of
from ksurf.report.everything import DIFF_KINDS, differences
from ksurf.series import Column, Groups
from ksurf.surface.diff import KindDiff

__all__ = ["Churn", "Count", "Step", "churn"]


class Count(NamedTuple):
    """The symbols of one kind that differ. All are ``None`` where nothing of the kind is known."""

    kind: str
    added: int | None
    removed: int | None
    changed: int | None
    unknown: tuple[str, ...] = ()
    """Ids of the kernels of which nothing is known."""


@dataclass(frozen=True, slots=True)
class Step:
    """Two versions that follow each other, and what differs."""

    old: Column
    new: Column
    counts: tuple[Count, ...]
    """In the order of the figure's kinds."""


@dataclass(frozen=True)
class Churn(Figure):
    """The steps along one series."""

    name: ClassVar[str] = "churn"

    kinds: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def title(self) -> str:
        """What it shows."""
        return "What changes from kernel to kernel"

    @property
    def facts(self) -> str:
        """Of which kernels."""
        return f"Symbols added, removed and changed per version step: {kernels_text(self.columns)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was counted."""
        return (
            "Changed: on both kernels, and not the same (ksurf diff). Each kind of symbol has its own scale.",
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of a row."""
        return ("old", "new", "old_kernel", "new_kernel", "kind", "added", "removed", "changed", "source")

    def rows(self) -> Iterator[dict[str, Value]]:
        """One for each step and kind."""
        for step in self.steps:
            old, new = step.old.kernel.id, step.new.kernel.id
            for count in step.counts:
                yield {
                    "old": step.old.label,
                    "new": step.new.label,
                    "old_kernel": old,
                    "new_kernel": new,
                    "kind": count.kind,
                    "added": count.added,
                    "removed": count.removed,
                    "changed": count.changed,
                    "source": command_line("diff", old, new, "--kind", count.kind, "--format", "json"),
                }


def churn(store: Store, groups: Groups, kinds: Collection[str] = DIFF_KINDS) -> Churn:
    """Compare the versions of the baseline's architecture and flavor, each with the next.

    Raises :class:`~ksurf.errors.InputError` if there is only one.
    """
    columns = regular_of(groups)
    if len(columns) < 2:
        raise InputError(_no_step(groups), _other_series(groups))
    chosen = tuple(kind for kind in DIFF_KINDS if kind in kinds)
    steps = []
    for old, new in pairwise(columns):
        sides = [(column.kernel, store.directory(column.kernel.id)) for column in (old, new)]
        found = differences(sides[0], sides[1], chosen)
        steps.append(Step(old, new, tuple(map(_count, found))))
    return Churn(columns, chosen, tuple(steps))


def _count(found: KindDiff) -> Count:
    if found.unknown:
        return Count(found.kind, None, None, None, found.unknown)
    return Count(found.kind, len(found.added), len(found.removed), len(found.changed))


def _no_step(groups: Groups) -> str:
    one = groups.baseline
    return (
        f"there is no step between versions: {one.id} is the only kernel here of "
        f"{one.distro} {one.arch} {one.flavor}"
    )


def _other_series(groups: Groups) -> str:
    """What may be done about it: another series, if one has a step."""
    held: dict[tuple[str, str, str], int] = {}
    for member in (*groups.regular, *groups.arch, *groups.flavor):
        key = member.kernel.distro, member.kernel.flavor, member.kernel.arch
        held[key] = held.get(key, 0) + 1
    several = sorted(key for key, count in held.items() if count > 1)
    if several:
        distro, flavor, arch = several[0]
        return f"--baseline {distro}:{flavor}-{arch} plots a series of {held[several[0]]} kernels"
    one = groups.baseline
    return f"ksurf pull {one.distro}:VERSION-{one.flavor}-{one.arch} fetches another"
