"""One file on two sides: what became of what it defines, what configurations leave out, a unified diff."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from ksurf.report.json import SCHEMA_VERSION, kernel_document
from ksurf.report.source_text import VISIBLE, layer_lines, ranges, title
from ksurf.source.compare import Comparison, DefinitionChange, DefinitionDiff
from ksurf.source.line_diff import Run, hunks
from ksurf.source.page import Page

__all__ = ["comparison_json", "comparison_text"]

_COLORS = {
    DefinitionChange.ADDED: "green",
    DefinitionChange.LET_IN: "green",
    DefinitionChange.REMOVED: "red",
    DefinitionChange.LEFT_OUT: "red",
    DefinitionChange.CHANGED: "yellow",
    DefinitionChange.MOVED: "cyan",
}


def comparison_text(file: str, found: Comparison) -> str:
    """The comparison to read, with a newline at its end; nothing of it is a unified diff's but the hunks."""
    return "\n".join(_document(file, found)) + "\n"


def _document(file: str, found: Comparison) -> Iterator[str]:
    for sign, page in (("A", found.old), ("B", found.new)):
        if page is None:
            yield f"{sign}  has no {file}"
        else:
            yield from (
                f"{sign if n == 0 else ' '}  {_shown(line)}" for n, line in enumerate(layer_lines(page))
            )
    if found.is_same:
        yield "no difference"
        return
    if found.definitions:
        yield ""
        yield click.style("Definitions", bold=True)
    for diff in found.definitions:
        change = click.style(f"{diff.change.value:<9}", fg=_COLORS[diff.change])
        yield f"  {change} {diff.kind:<10} {_shown(diff.name)}  {_places(diff)}{_other(diff)}"
        if diff.signature_changed:
            yield click.style(f"    {_shown(diff.old_signature or '')}", fg="red")
            yield click.style(f"    {_shown(diff.new_signature or '')}", fg="green")
    for by_new, sign in ((False, "A"), (True, "B")):
        parts = [left for left in found.left_out if left.by_new is by_new]
        if parts:
            own = [left.new if by_new else left.old for left in parts]
            lines = ranges(line for part in own for line in range(part.first, part.last + 1))
            yield ""
            yield f"left out by the configuration of {sign} alone: lines {lines}"
    if any(not run.same for run in found.runs):
        yield ""
        yield from _unified(file, found)


def _places(diff: DefinitionDiff) -> str:
    if diff.old_line is None or diff.new_line is None:
        return f"line {diff.old_line or diff.new_line}"
    return (
        f"line {diff.old_line} → {diff.new_line}"
        if diff.old_line != diff.new_line
        else f"line {diff.new_line}"
    )


def _other(diff: DefinitionDiff) -> str:
    if diff.other_file is None:
        return ""
    way = "now" if diff.change is DefinitionChange.REMOVED else "before"
    return f"; {way} in {_shown(diff.other_file)}"


def _unified(file: str, found: Comparison) -> Iterator[str]:
    shown = _shown(file)
    yield click.style(f"--- {_side(found.old, shown)}", bold=True)
    yield click.style(f"+++ {_side(found.new, shown)}", bold=True)
    for hunk in hunks(found.runs):
        old, new = hunk[0].old, hunk[0].new
        sizes = hunk[-1].old_end - old, hunk[-1].new_end - new
        around = _enclosing(found, hunk)
        head = f"@@ -{_range(old, sizes[0])} +{_range(new, sizes[1])} @@"
        yield f"{click.style(head, fg='cyan')} {around}".rstrip()
        for run in hunk:
            yield from _run(found, run)


def _side(page: Page | None, file: str) -> str:
    return f"{page.tree}/{file}" if page else "/dev/null"


def _range(start: int, size: int) -> str:
    """A place as unified diffs write it: of no lines, the line before."""
    first = start + 1 if size else start
    return str(first) if size == 1 else f"{first},{size}"


def _enclosing(found: Comparison, hunk: list[Run]) -> str:
    """The definition in which the first difference stands."""
    changed = next(run for run in hunk if not run.same)
    if found.old is None or changed.old == changed.old_end:
        page, line = found.new, changed.new + 1
    else:
        page, line = found.old, changed.old + 1
    for definition in page.definitions if page else ():
        if definition.first_line <= line <= definition.last_line:
            return _shown(definition.signature)
    return ""


def _run(found: Comparison, run: Run) -> Iterator[str]:
    old = found.old.lines[run.old : run.old_end] if found.old else ()
    new = found.new.lines[run.new : run.new_end] if found.new else ()
    if run.same:
        yield from (f" {_shown(line.text)}" for line in new)
        return
    yield from (click.style(f"-{_shown(line.text)}", fg="red") for line in old)
    yield from (click.style(f"+{_shown(line.text)}", fg="green") for line in new)


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else text.translate(VISIBLE)


def comparison_json(file: str, found: Comparison) -> str:
    """The comparison as one JSON document, with a newline at its end."""
    document = {
        "schema": "ksurf.source-diff",
        "version": SCHEMA_VERSION,
        "file": file,
        "old": _page(found.old),
        "new": _page(found.new),
        "definitions": [
            {
                "change": diff.change.value,
                "name": diff.name,
                "kind": diff.kind,
                "old_line": diff.old_line,
                "new_line": diff.new_line,
                "old_signature": diff.old_signature,
                "new_signature": diff.new_signature,
                "other_file": diff.other_file,
            }
            for diff in found.definitions
        ],
        "left_out": [
            {
                "by": "new" if left.by_new else "old",
                "old": {"first": left.old.first, "last": left.old.last},
                "new": {"first": left.new.first, "last": left.new.last},
            }
            for left in found.left_out
        ],
        "changes": [
            {
                "old_line": run.old + 1,
                "old": [line.text for line in found.old.lines[run.old : run.old_end]] if found.old else [],
                "new_line": run.new + 1,
                "new": [line.text for line in found.new.lines[run.new : run.new_end]] if found.new else [],
            }
            for run in found.runs
            if not run.same
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _page(page: Page | None) -> dict[str, Any] | None:
    if page is None:
        return None
    return {
        "title": title(page),
        "tree": page.tree,
        "kernel": None if page.kernel is None else kernel_document(page.kernel),
        "layer": page.layer.layer.value,
        "unit": page.layer.unit,
        "reason": page.layer.reason,
        "notes": list(page.notes),
        "line_count": page.line_count,
    }
