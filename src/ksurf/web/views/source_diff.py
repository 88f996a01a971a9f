"""One file in two trees, or as two kernels compiled it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from ksurf.report.source_text import layer_lines, ranges
from ksurf.source.browse import Browser, View
from ksurf.source.compare import Comparison, compare, with_other_files
from ksurf.source.line_diff import Run, hunks
from ksurf.source.page import Line, Page
from ksurf.web.pages import explorer_of, page
from ksurf.web.source_code import plain_code
from ksurf.web.source_files import clean_path
from ksurf.web.source_place import address_of, choices, no_file

__all__ = ["diff"]

_LONGEST = 200
_MOST_LINES = 4_000
"""Lines of both sides that a page shows."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of one side, or of both."""

    sign: str
    old: int | None
    new: int | None
    code: Markup


@dataclass(frozen=True, slots=True)
class _Hunk:
    around: str
    """The definition in which it begins."""
    rows: tuple[_Row, ...]


def diff(request: Request) -> Response:
    """What differs; without two sides a form that asks for them."""
    explorer, query = explorer_of(request), request.query_params
    a, b, named = (query.get(name, "")[:_LONGEST].strip() for name in ("a", "b", "file"))
    every = choices(explorer)
    common: dict[str, Any] = {"a": a, "b": b, "file": named, "choices": every, "address_of": address_of}
    if not (a and b and named):
        return page(request, "source_diff.html", found=None, hunks=(), **common)
    file = clean_path(named)

    def ask(browser: Browser) -> tuple[list[View], Comparison]:
        if file is None:
            raise no_file(browser, browser.view(b).tree, named)
        views = [browser.view(side, file) for side in (a, b)]
        pages: list[Page | None] = []
        for view in views:
            is_there = (view.tree.root / file).is_file()
            pages.append(browser.page(view, file) if is_there else None)
        if pages == [None, None]:
            raise no_file(browser, views[1].tree, file)
        comparison = compare(*pages)
        before, after = views
        if before.tree.id != after.tree.id:
            names = browser.names(before.tree), browser.names(after.tree)
            comparison = with_other_files(comparison, file, *names)
        return views, comparison

    views, found = explorer.browse(ask)
    shown, left = _hunks(found)
    sides = [
        (sign, view, address_of(view.tree.id, file or "", None if text == view.tree.id else text), own)
        for sign, view, text, own in zip("AB", views, (a, b), (found.old, found.new), strict=True)
    ]
    return page(
        request,
        "source_diff.html",
        found=found,
        hunks=shown,
        left=left,
        sides=sides,
        about=[[] if own is None else list(layer_lines(own)) for own in (found.old, found.new)],
        left_out=list(_left_out(found)),
        **common,
    )


def _left_out(found: Comparison) -> Iterator[tuple[str, str]]:
    """The lines that one configuration alone leaves out, as that side counts them."""
    for by_new, sign in ((False, "A"), (True, "B")):
        own = [left.new if by_new else left.old for left in found.left_out if left.by_new is by_new]
        if own:
            yield sign, ranges(line for part in own for line in range(part.first, part.last + 1))


def _hunks(found: Comparison) -> tuple[list[_Hunk], int]:
    """What is shown, and how many further lines differ."""
    shown: list[_Hunk] = []
    room = _MOST_LINES
    left = 0
    for runs in hunks(found.runs):
        rows: list[_Row] = []
        for run in runs:
            own = list(_rows(found, run, room))
            rows += own
            room -= len(own)
            whole = run.new_end - run.new + (0 if run.same else run.old_end - run.old)
            left += whole - len(own)
        if rows:
            shown.append(_Hunk(_around(found, runs), tuple(rows)))
    return shown, left


def _rows(found: Comparison, run: Run, room: int) -> Iterator[_Row]:
    old = found.old.lines[run.old : run.old_end] if found.old else ()
    new = found.new.lines[run.new : run.new_end] if found.new else ()
    if run.same:
        for mine, other in list(zip(old, new, strict=True))[:room]:
            yield _Row(" ", mine.number, other.number, _code(other))
        return
    for line in old[:room]:
        yield _Row("−", line.number, None, _code(line))
    for line in new[: max(0, room - len(old))]:
        yield _Row("+", None, line.number, _code(line))


def _code(line: Line) -> Markup:
    return Markup(plain_code(line))


def _around(found: Comparison, runs: list[Run]) -> str:
    changed = next(run for run in runs if not run.same)
    is_old = found.old is not None and changed.old < changed.old_end
    own, line = (found.old, changed.old + 1) if is_old else (found.new, changed.new + 1)
    for definition in own.definitions if own else ():
        if definition.first_line <= line <= definition.last_line:
            return definition.signature
    return ""
