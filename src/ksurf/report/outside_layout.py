"""What a report on what source needs from outside says, before it is written in any format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ksurf.kernel import Kernel
from ksurf.report.condense import condensed
from ksurf.report.outside import Cell, Depended, Standing
from ksurf.series import Column, Groups, columns_of
from ksurf.source.outside import NeedKind
from ksurf.surface.change import Change

__all__ = ["OutsidePage", "cells", "counts", "forms", "status_text", "steps"]


@dataclass(frozen=True, slots=True)
class OutsidePage:
    """The report, and all that stands around it."""

    roots: tuple[str, ...]
    """The files and folders that were asked for."""
    tree: str
    """The id of the tree that was read."""
    source: Kernel | None
    """The kernel as whose units it was read."""
    seen: int
    """Units that were read."""
    unread: tuple[str, ...]
    """Units that could not be read, each with the reason."""
    groups: Groups
    kernels: tuple[Kernel, ...]
    depended: tuple[Depended, ...]
    """The worst first."""
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The kernels, group by group."""
        held = set(self.kernels)
        return tuple(column for column in columns_of(self.groups) if column.kernel in held)

    def shown(self, *, changed: bool) -> list[Depended]:
        """Those of which binaries tell; with ``changed`` only what is not the same everywhere."""
        return [
            one
            for one in self.depended
            if one.worst is not Standing.UNKNOWN and not (changed and one.is_same)
        ]

    @property
    def untold(self) -> list[Depended]:
        """Those of which no binary tells."""
        return [one for one in self.depended if one.worst is Standing.UNKNOWN]


def cells(one: Depended, columns: Sequence[Column]) -> list[Cell]:
    """The cells of a row in the order of the columns."""
    held = {cell.kernel: cell for cell in one.cells}
    return [held[column.kernel] for column in columns]


def status_text(one: Depended) -> str:
    """What is to be said of it on the kernel that the others are compared with; empty if nothing is."""
    words = (cell.statuses for cell in one.cells if cell.kernel == one.reference)
    return ", ".join(status.value for status in next(words, ()))


def forms(one: Depended, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """What is to be said of it, and on which kernels: ``Duplicate, Full Inline``; ``6.1, 6.12``."""
    found: dict[str, list[str]] = {}
    for column, cell in zip(columns, cells(one, columns), strict=True):
        if cell.standing is Standing.UNKNOWN:
            text = "nothing of it in the binary"
        else:
            text = ", ".join(status.value for status in cell.statuses) or "OK"
        found.setdefault(text, []).append(column.label)
    return [(text, ", ".join(labels)) for text, labels in found.items()]


def steps(one: Depended) -> Iterator[tuple[str, str, str, tuple[Change, ...]]]:
    """What changed along the series: which series, from where, to where, and what."""
    for series in one.histories:
        for step in series.steps:
            if step.changes:
                name = f"{series.distro} {series.arch} {series.flavor}"
                yield name, step.old.label, step.new.label, tuple(condensed(step.changes))


def counts(page: OutsidePage) -> list[tuple[str, Counter[Standing]]]:
    """How many of each kind there are, by how they stand."""
    found: dict[NeedKind, Counter[Standing]] = {}
    for one in page.depended:
        found.setdefault(one.need.kind, Counter())[one.worst] += 1
    return [(kind.value, found[kind]) for kind in NeedKind if kind in found]
