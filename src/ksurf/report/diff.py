"""The differences between two kernels, written: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ksurf.kernel import Kernel
from ksurf.report.condense import condensed
from ksurf.report.json import SCHEMA_VERSION, change_document, kernel_document
from ksurf.report.kinds import KINDS
from ksurf.report.markdown import change_items, code
from ksurf.report.terminal import change_line
from ksurf.surface.diff import Changed, KindDiff

__all__ = ["diff_json", "diff_markdown", "diff_text"]

_LIMIT = 12
"""Names of one kind, and changes of one name, that a terminal shows without being asked for all."""
_TITLES = {
    "function": "Function",
    "var": "Variable",
    "attachability": "Attachability",
    **{kind.name: kind.title for kind in KINDS.values()},
}


def diff_text(old: Kernel, new: Kernel, diffs: Sequence[KindDiff], *, everything: bool = False) -> str:
    """Counts of each kind, and the first names and changes of each, or all."""
    return "\n".join(_text(old, new, diffs, everything)) + "\n"


def _text(old: Kernel, new: Kernel, diffs: Sequence[KindDiff], everything: bool) -> Iterator[str]:
    yield f"{click.style(old.id, bold=True)} → {click.style(new.id, bold=True)}"
    yield click.style(f"  {'':12}{'added':>9}{'removed':>9}{'changed':>9}", dim=True)
    for diff in diffs:
        yield f"  {diff.kind:12}{len(diff.added):>9}{len(diff.removed):>9}{len(diff.changed):>9}"
    for diff in diffs:
        if diff.total:
            yield ""
            yield click.style(_TITLES[diff.kind], bold=True)
            yield from _kind(diff, everything)


def _kind(diff: KindDiff, everything: bool) -> Iterator[str]:
    if counts := diff.counts():
        words = ", ".join(f"{label.lower()} {count}" for label, count in counts.most_common())
        yield click.style(f"  {words}", dim=True)
    for sign, color, names in (("+", "green", diff.added), ("-", "red", diff.removed)):
        shown = names if everything else names[:_LIMIT]
        yield from (f"  {click.style(sign, fg=color)} {name}" for name in shown)
        yield from _more(len(names) - len(shown), "  ")
    renames = diff.renames if everything else diff.renames[:_LIMIT]
    yield from (f"  {click.style('→', fg='cyan')} {change_line(rename)}" for rename in renames)
    yield from _more(len(diff.renames) - len(renames), "  ")
    changed = diff.changed if everything else diff.changed[:_LIMIT]
    for entry in changed:
        yield f"  {click.style('~', fg='yellow')} {entry.name}"
        lines = [change_line(change) for change in condensed(entry.changes)]
        yield from (f"      {line}" for line in (lines if everything else lines[:_LIMIT]))
        yield from _more(0 if everything else len(lines) - _LIMIT, "      ")
    yield from _more(len(diff.changed) - len(changed), "  ")


def _more(count: int, indent: str) -> Iterator[str]:
    if count > 0:
        yield click.style(f"{indent}and {count} more; --all shows them", dim=True)


def diff_markdown(old: Kernel, new: Kernel, diffs: Sequence[KindDiff]) -> str:
    """A table of counts, and every kind folded under its name."""
    return "\n".join(_markdown(old, new, diffs)) + "\n"


def _markdown(old: Kernel, new: Kernel, diffs: Sequence[KindDiff]) -> Iterator[str]:
    yield f"# Differences: {code(old.id)} ➡️ {code(new.id)}"
    yield ""
    yield "| | added | removed | changed |"
    yield "| --- | --: | --: | --: |"
    for diff in diffs:
        yield f"| {_TITLES[diff.kind]} | {len(diff.added)} | {len(diff.removed)} | {len(diff.changed)} |"
    for diff in diffs:
        if not diff.total:
            continue
        yield ""
        yield f"## {_TITLES[diff.kind]}"
        for title, names in (("Added", diff.added), ("Removed", diff.removed)):
            if names:
                yield from _folded(f"{title} ({len(names)})", (f"<li>{code(name)}</li>" for name in names))
        if diff.renames:
            yield from _folded(f"Renames proposed ({len(diff.renames)})", change_items(diff.renames))
        for entry in diff.changed:
            yield from _folded(f"{code(entry.name)} changed ⚠️", change_items(condensed(entry.changes)))


def _folded(title: str, items: Iterator[str]) -> Iterator[str]:
    yield "<details>"
    yield f"<summary>{title}</summary>"
    yield "<ul>"
    yield from items
    yield "</ul>"
    yield "</details>"


def diff_json(old: Kernel, new: Kernel, diffs: Sequence[KindDiff]) -> str:
    """Everything, as one JSON document with a newline at its end (``docs/report-json.md``)."""
    document = {
        "schema": "ksurf.diff",
        "version": SCHEMA_VERSION,
        "old": kernel_document(old),
        "new": kernel_document(new),
        "kinds": [_document(diff) for diff in diffs],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _document(diff: KindDiff) -> dict[str, Any]:
    return {
        "kind": diff.kind,
        "added": list(diff.added),
        "removed": list(diff.removed),
        "renames": [change_document(rename) for rename in diff.renames],
        "changed": [_changed(entry) for entry in diff.changed],
    }


def _changed(entry: Changed) -> dict[str, Any]:
    return {"name": entry.name, "changes": [change_document(change) for change in entry.changes]}
