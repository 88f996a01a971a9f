"""A symbol along its series: one line per change, from the oldest kernel to the newest."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import click

from ksurf.kernel import Kernel
from ksurf.report.condense import condensed
from ksurf.report.json import SCHEMA_VERSION, change_document, kernel_document
from ksurf.report.layout import Delta, ReportStatus
from ksurf.report.terminal import change_line
from ksurf.series import Member, group
from ksurf.surface.change import Added, Change, Removed

__all__ = ["SeriesHistory", "StatusChanged", "Step", "histories", "history_json", "history_text"]


S = TypeVar("S", bound=ReportStatus)


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


def histories(
    name: str, statuses: Mapping[Kernel, S], compare: Callable[[S, S], Delta.Outcome]
) -> list[SeriesHistory]:
    """The histories of one name along all series, those with the most kernels first."""
    series: dict[tuple[str, str, str], list[Kernel]] = {}
    for kernel in statuses:
        series.setdefault((kernel.distro, kernel.arch, kernel.flavor), []).append(kernel)
    result = []
    for (distro, arch, flavor), kernels in sorted(series.items(), key=lambda s: (-len(s[1]), s[0])):
        members = group(kernels, kernels[0]).regular
        steps = tuple(
            Step(old, new, _changes(name, statuses[old.kernel], statuses[new.kernel], compare))
            for old, new in pairwise(members)
        )
        present = any(statuses[kernel].is_present for kernel in kernels)
        first = (members[0], statuses[members[0].kernel].is_present)
        result.append(SeriesHistory(distro, arch, flavor, first, steps, present))
    return result


def _changes(name: str, old: S, new: S, compare: Callable[[S, S], Delta.Outcome]) -> tuple[Change, ...]:
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


def history_text(kind: str, name: str, series: Sequence[SeriesHistory]) -> str:
    """One line per change, series by series."""
    return "\n".join(_text(kind, name, series)) + "\n"


def _text(kind: str, name: str, series: Sequence[SeriesHistory]) -> Iterator[str]:
    yield f"{kind} {click.style(name, bold=True)}"
    for one in series:
        yield f"  {click.style(f'{one.distro} {one.arch} {one.flavor}', underline=True)}"
        if not one.present:
            yield f"    {click.style('absent', fg='yellow')}"
            continue
        member, present = one.first
        labels = [member.label, *(f"{step.old.label} → {step.new.label}" for step in one.steps)]
        width = max(map(len, labels))
        yield f"    {member.label.ljust(width)}  {'present' if present else 'absent'}"
        for label, step in zip(labels[1:], one.steps, strict=True):
            lines = [change_line(change) for change in condensed(step.changes)]
            for line in lines or [click.style("no change", dim=True)]:
                yield f"    {label.ljust(width)}  {line}"


def history_json(kind: str, found: Mapping[str, Sequence[SeriesHistory]]) -> str:
    """The histories of some names, as one JSON document with a newline at its end."""
    symbols = [
        {
            "name": name,
            "series": [
                {
                    "distro": one.distro,
                    "arch": one.arch,
                    "flavor": one.flavor,
                    "first": {"kernel": kernel_document(one.first[0].kernel), "present": one.first[1]},
                    "steps": [
                        {
                            "old": step.old.kernel.id,
                            "new": step.new.kernel.id,
                            "changes": [change_document(change) for change in step.changes],
                        }
                        for step in one.steps
                    ],
                }
                for one in series
            ],
        }
        for name, series in found.items()
    ]
    document = {"schema": "ksurf.history", "version": SCHEMA_VERSION, "kind": kind, "symbols": symbols}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
