"""A symbol along its series, written: one line per change, from the oldest kernel to the newest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import click

from ksurf.report.condense import condensed
from ksurf.report.json import SCHEMA_VERSION, change_document, kernel_document
from ksurf.report.terminal import change_line
from ksurf.surface.history import SeriesHistory

__all__ = ["history_json", "history_text"]


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
