"""The differences between two kernels, written: for a terminal, as Markdown, as JSON.

Each kind is written by itself, so that several processes may write, and put into a page with the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from ksurf.kernel import Kernel
from ksurf.report.condense import condensed
from ksurf.report.json import SCHEMA_VERSION, change_document, kernel_document
from ksurf.report.kinds import KINDS
from ksurf.report.markdown import change_items, code
from ksurf.report.terminal import change_line
from ksurf.surface.diff import Changed, KindDiff

__all__ = ["FORMS", "Form", "Written"]

_LIMIT = 12
"""Names of one kind, and changes of one name, that a terminal shows without being asked for all."""
_TITLES = {
    "function": "Function",
    "var": "Variable",
    "attachability": "Attachability",
    **{kind.name: kind.title for kind in KINDS.values()},
}


@dataclass(frozen=True, slots=True)
class Written:
    """A kind's differences, counted and written."""

    kind: str
    added: int
    removed: int
    changed: int
    unknown: tuple[str, ...]
    """Ids of kernels of which nothing of the kind is known."""
    body: Any
    """Text; of JSON the document."""


@dataclass(frozen=True, slots=True)
class Form:
    """A way to write."""

    body: Callable[[KindDiff, bool], Any]
    """Write one kind; on a terminal all of it, or the first names and changes."""
    page: Callable[[Kernel, Kernel, Sequence[Written]], str]
    """Write all kinds, with a newline at the end."""

    def write(self, diff: KindDiff, *, everything: bool = False) -> Written:
        """Count and write one kind."""
        counts = len(diff.added), len(diff.removed), len(diff.changed)
        return Written(diff.kind, *counts, diff.unknown, self.body(diff, everything))


def _text_page(old: Kernel, new: Kernel, kinds: Sequence[Written]) -> str:
    lines = [
        f"{click.style(old.id, bold=True)} → {click.style(new.id, bold=True)}",
        click.style(f"  {'':13}{'added':>9}{'removed':>9}{'changed':>9}", dim=True),
    ]
    for one in kinds:
        if one.unknown:
            lines.append(f"  {one.kind:13}{'not known of ' + ', '.join(one.unknown)}")
        else:
            lines.append(f"  {one.kind:13}{one.added:>9}{one.removed:>9}{one.changed:>9}")
    return "\n".join(lines + [one.body for one in kinds if one.body]) + "\n"


def _text_body(diff: KindDiff, everything: bool) -> str:
    if not diff.total:
        return ""
    return "\n".join(("", click.style(_TITLES[diff.kind], bold=True), *_text(diff, everything)))


def _text(diff: KindDiff, everything: bool) -> Iterator[str]:
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


def _markdown_page(old: Kernel, new: Kernel, kinds: Sequence[Written]) -> str:
    lines = [f"# Differences: {code(old.id)} ➡️ {code(new.id)}", ""]
    lines += ["| | added | removed | changed |", "| --- | --: | --: | --: |"]
    for one in kinds:
        if one.unknown:
            where = ", ".join(map(code, one.unknown))
            lines.append(f"| {_TITLES[one.kind]} | not known of {where} | | |")
        else:
            lines.append(f"| {_TITLES[one.kind]} | {one.added} | {one.removed} | {one.changed} |")
    return "\n".join(lines + [one.body for one in kinds if one.body]) + "\n"


def _markdown_body(diff: KindDiff, everything: bool) -> str:
    return "\n".join(_markdown(diff)) if diff.total else ""


def _markdown(diff: KindDiff) -> Iterator[str]:
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


def _json_page(old: Kernel, new: Kernel, kinds: Sequence[Written]) -> str:
    document = {
        "schema": "ksurf.diff",
        "version": SCHEMA_VERSION,
        "old": kernel_document(old),
        "new": kernel_document(new),
        "kinds": [one.body for one in kinds],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _json_body(diff: KindDiff, everything: bool) -> dict[str, Any]:
    return {
        "kind": diff.kind,
        "unknown": list(diff.unknown),
        "added": list(diff.added),
        "removed": list(diff.removed),
        "renames": [change_document(rename) for rename in diff.renames],
        "changed": [_changed(entry) for entry in diff.changed],
    }


def _changed(entry: Changed) -> dict[str, Any]:
    return {"name": entry.name, "changes": [change_document(change) for change in entry.changes]}


FORMS: Mapping[str, Form] = {
    "terminal": Form(_text_body, _text_page),
    "md": Form(_markdown_body, _markdown_page),
    "json": Form(_json_body, _json_page),
}
"""By the names of ``--format``; JSON's is described in ``docs/report-json.md``."""
