"""Source: the trees, their folders, and the code of a file as a kernel compiled it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.report.source_text import layer_lines
from ksurf.source.browse import Browser, View
from ksurf.source.files import read_file
from ksurf.source.highlight import is_c
from ksurf.source.line_diff import aligned
from ksurf.source.page import Page
from ksurf.source.tree import SourceTree
from ksurf.web.addresses import LiveAddresses, source_path
from ksurf.web.explorer import Explorer
from ksurf.web.pages import NotFoundError, explorer_of, page
from ksurf.web.source_code import Part, parts_of, rows_html
from ksurf.web.source_files import clean_path, folder_entries, real_path
from ksurf.web.source_marks import LEGEND, Marks, marks_of
from ksurf.web.source_place import (
    address_of,
    choices,
    line_anchor,
    lines_asked,
    links_of,
    no_file,
    tree_named,
    view_of,
)
from ksurf.web.views import source_card, source_diff, source_names

__all__ = ["ROUTES"]

_TO = LiveAddresses().to
_COMPRESS_LEVEL = 4
_PAGE_SECONDS = 60.0
"""After this, what an ``#include`` has changed in a folder that is used in place shows."""
_MARK_SECONDS = 600.0
"""After this, calls through fields that were found in other units meanwhile show."""
_ALL_PARTS = 20_000
"""Lines of a file from which on all parts are made when one is asked for: the file would be read anew for
each."""
_KEPT_QUERY = ("kernel", "hints", "calls", "line", "part")
"""What goes on into the address that a link of the tree leads to."""
_OUTLINE = 1_000
"""Definitions that are listed beside the code."""


def trees(request: Request) -> Response:
    """The trees, with what is known of each."""
    explorer = explorer_of(request)
    found, refused = explorer.browse(lambda browser: browser.trees.load())
    every = choices(explorer)
    listed = [
        (tree, tree.names.is_dir(), [one for one in every if one.tree == tree.id and one.value != tree.id])
        for tree in found
    ]
    return page(request, "source_trees.html", trees=listed, refused=refused, address_of=address_of)


def place(request: Request) -> Response:
    """A folder or a file of a tree; a name of which the definition is asked for."""
    explorer = explorer_of(request)
    tree = tree_named(explorer, request.path_params["tree"])
    named: str = request.path_params.get("file", "").strip("/")
    name = request.query_params.get("def")
    if name and not named:
        return source_names.definition(request, tree, name)
    file = clean_path(named) if named else ""
    if file is None:
        raise explorer.browse(lambda browser: no_file(browser, tree, named))
    real = real_path(tree.root, file)
    if real is not None and real != file:
        query = {key: value for key, value in request.query_params.items() if key in _KEPT_QUERY}
        return RedirectResponse(_TO(source_path(tree.id, real), query), 303)
    if (tree.root / file).is_dir():
        return _folder(request, explorer, tree, file)
    return _file(request, explorer, tree, file)


# ---- folders


def _folder(request: Request, explorer: Explorer, tree: SourceTree, folder: str) -> Response:
    kernel = request.query_params.get("kernel")
    entries = folder_entries(tree.root, folder)

    def compiling(browser: Browser) -> dict[str, list[str]]:
        """The kernels that compile each file, as far as that is known at once."""
        view_of(browser, tree, kernel)
        kernels = [one.kernel for one in tree.prepared()]
        found: dict[str, list[str]] = {}
        for one in kernels:
            units = browser.units(tree, one)
            for entry in entries:
                if entry.path and not entry.is_folder and units.of_file(entry.path):
                    found.setdefault(entry.path, []).append(one.release)
        return found

    by_file = explorer.browse(compiling)
    return page(
        request,
        "source_folder.html",
        tree=tree,
        folder=folder,
        kernel=kernel,
        crumbs=_crumbs(tree, folder, kernel),
        entries=entries,
        by_file=by_file,
        has_kernels=bool(tree.prepared()),
        is_indexed=tree.names.is_dir(),
        address_of=address_of,
    )


def _crumbs(tree: SourceTree, file: str, kernel: str | None) -> list[tuple[str, str]]:
    """The folders above a place, each with its address."""
    parts = PurePosixPath(file).parts[:-1] if file else ()
    paths = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    above = [(tree.id, address_of(tree.id, "", kernel))] if file else []
    return [
        *above,
        *((part, address_of(tree.id, path, kernel)) for part, path in zip(parts, paths, strict=True)),
    ]


# ---- files


@dataclass(frozen=True, slots=True)
class _Asked:
    """A file, as a query wants it."""

    tree: SourceTree
    file: str
    kernel: str | None
    """As the query names it."""
    hints: bool
    calls: bool
    stamp: object
    """What is another one if the page may be."""

    @property
    def key(self) -> tuple[object, ...]:
        return self.tree.id, self.file, self.kernel, self.stamp


def _asked(request: Request, explorer: Explorer, tree: SourceTree, file: str) -> _Asked:
    query = request.query_params
    try:
        state = (tree.root / file).stat()
        own: object = state.st_mtime_ns, state.st_size
    except OSError:
        own = None  # one that the build made, or none
    kernel = query.get("kernel") or None
    hints, calls = query.get("hints") != "0", query.get("calls") == "1"
    return _Asked(tree, file, kernel, hints, calls, (explorer.stamp(), own))


def _file(request: Request, explorer: Explorer, tree: SourceTree, file: str) -> Response:
    asked = _asked(request, explorer, tree, file)
    query = request.query_params
    if query.get("facts") == "1":
        _marks_document(explorer, asked)
    if query.get("line"):
        return _to_line(explorer, asked, query)
    number = query.get("part", "1")
    if not number.isascii() or not number.isdecimal() or len(number) > 6:
        raise InputError(f"there is no part {number[:20]!r} of {file}")
    marks = explorer.kept.get(("marks", *asked.key), _MARK_SECONDS)
    key = "page", *asked.key, asked.hints, asked.calls, marks is not None

    def make() -> bytes:
        return _make_page(request, explorer, asked, int(number), marks, key)

    # Only a folder that is used in place may change without its own file being another.
    oldest = _PAGE_SECONDS if tree.in_place else None
    return _compressed(request, explorer.kept.made((*key, int(number)), make, oldest), "text/html")


def _opened(browser: Browser, asked: _Asked) -> tuple[View, str, bool]:
    """The view, the file, and whether the build made it; raises ``NotFoundError`` if there is none."""
    view = view_of(browser, asked.tree, asked.kernel, asked.file)
    if os.path.lexists(asked.tree.root / asked.file):
        return view, asked.file, False
    if view.kernel is not None:
        build = browser.units(view.tree, view.kernel).build
        if (build / asked.file).is_file():
            return view, asked.file, True
    raise no_file(browser, asked.tree, asked.file, asked.kernel)


def _page_of(explorer: Explorer, asked: _Asked, *, with_facts: bool = False) -> tuple[View, Page]:
    kernels = explorer.snapshot().places if with_facts else ()

    def ask(browser: Browser) -> tuple[View, Page]:
        view, file, is_generated = _opened(browser, asked)
        return view, browser.page(view, file, kernels, is_generated=is_generated)

    return explorer.browse(ask)


def _shown_kernel(explorer: Explorer, view: View, asked: _Asked) -> Kernel | None:
    """The kernel whose code the gutter tells of."""
    snapshot = explorer.snapshot()
    if view.kernel is not None:
        return view.kernel
    return snapshot.by_id.get(asked.kernel or "")


def _marks_document(explorer: Explorer, asked: _Asked) -> bytes:
    """What kernels made of the file, as compressed JSON; made now if it is not known."""

    def make() -> bytes:
        view, found = _page_of(explorer, asked, with_facts=is_c(asked.file))
        document = marks_of(found, _shown_kernel(explorer, view, asked)).document()
        return gzip.compress(json.dumps(document, ensure_ascii=False).encode(), _COMPRESS_LEVEL)

    return explorer.kept.made(("marks", *asked.key), make, _MARK_SECONDS)


def _make_page(
    request: Request,
    explorer: Explorer,
    asked: _Asked,
    number: int,
    kept_marks: bytes | None,
    key: tuple[object, ...],
) -> bytes:
    """Make the page of a part, compressed; of the longest files the other parts, too."""
    view, found = _page_of(explorer, asked)
    parts = parts_of(found.lines)
    if not 1 <= number <= len(parts):
        raise NotFoundError(f"{asked.file} has {len(parts)} parts, and none with the number {number}")
    marks = Marks.of_document(json.loads(gzip.decompress(kept_marks))) if kept_marks else None
    common: dict[str, Any] = {
        "tree": asked.tree,
        "kernel": asked.kernel,
        "shown": _shown_kernel(explorer, view, asked),
        "found": found,
        "about": list(layer_lines(found))[1:] if found.is_semantic else list(layer_lines(found)),
        "crumbs": _crumbs(asked.tree, asked.file, asked.kernel),
        "hints": asked.hints,
        "calls": asked.calls,
        "choices": choices(explorer),
        "legend": LEGEND,
        "address_of": address_of,
        "marks": marks,
        "here": partial(_here, request, asked),
        "facts_wait": marks is None and is_c(asked.file) and bool(explorer.snapshot().kernels),
        "parts": parts,
    }

    def made(part: Part) -> bytes:
        links = links_of(view, asked.file, asked.kernel, part)
        defined = [one for one in found.definitions if part.first <= one.line <= part.last]
        answer = page(
            request,
            "source_file.html",
            **common,
            part=part,
            rows=Markup(rows_html(found, part, links, marks)),
            outline=defined[:_OUTLINE],
            outline_more=max(0, len(defined) - _OUTLINE),
        )
        return gzip.compress(bytes(answer.body), _COMPRESS_LEVEL)

    if found.line_count >= _ALL_PARTS:
        for part in parts:
            if part.number != number:
                explorer.kept.put((*key, part.number), made(part))
    return made(parts[number - 1])


def _here(request: Request, asked: _Asked, changes: Mapping[str, str]) -> str:
    """The address of the same page with another query."""
    query = {name: request.query_params.get(name, "") for name in ("kernel", "hints", "calls")}
    return _TO(source_path(asked.tree.id, asked.file), {**query, **changes})


def _to_line(explorer: Explorer, asked: _Asked, query: Mapping[str, str]) -> Response:
    """Send on to the part of a file that has a line."""
    first, last = lines_asked(query["line"])

    def make() -> bytes:
        lines = _page_of(explorer, asked)[1].lines
        return json.dumps([part.first for part in parts_of(lines)]).encode()

    parts = json.loads(explorer.kept.made(("parts", *asked.key), make, _PAGE_SECONDS))
    number = sum(1 for start in parts if start <= first)
    to = {
        **{name: query[name] for name in ("kernel", "hints", "calls") if query.get(name)},
        "part": str(number) if number > 1 else "",
    }
    anchor = line_anchor(f"{first}-{last}" if last > first else first)
    return RedirectResponse(_TO(source_path(asked.tree.id, asked.file), to, anchor), 303)


def _compressed(request: Request, body: bytes, media_type: str) -> Response:
    """An answer that was compressed when it was made."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=media_type)


def facts(request: Request) -> Response:
    """What kernels made of a file, for the gutter of its page: by line, and by function."""
    explorer = explorer_of(request)
    tree = tree_named(explorer, request.path_params["tree"])
    file = clean_path(request.query_params.get("file", ""))
    if file is None:
        raise NotFoundError("no such file")
    asked = _asked(request, explorer, tree, file)
    return _compressed(request, _marks_document(explorer, asked), "application/json")


def switch(request: Request) -> Response:
    """The same place in another tree, or as another kernel has it: sends on to it."""
    explorer, query = explorer_of(request), request.query_params
    tree = tree_named(explorer, query.get("tree", ""))
    named, to = query.get("file", ""), query.get("to", "")[:200]
    line = lines_asked(query["line"]) if query.get("line") else None
    file = clean_path(named) if named else ""
    if file is None:
        raise explorer.browse(lambda browser: no_file(browser, tree, named))

    def ask(browser: Browser) -> str:
        view = browser.view(to, file or None)
        kernel = None if to == view.tree.id else to
        if not file:
            return address_of(view.tree.id, "", kernel)
        there = _Asked(view.tree, file, kernel, True, False, None)
        try:
            _, path, is_generated = _opened(browser, there)
        except NotFoundError as error:
            message = f"{error.message}, which {tree.id} has; it may have moved"
            raise NotFoundError(message, error.near, error.hint) from None
        lines = line
        if line is not None and view.tree.id != tree.id and not is_generated:
            lines = _same_lines(tree, view.tree, path, line)
        anchor = None if lines is None else f"{lines[0]}-{lines[1]}" if lines[1] > lines[0] else lines[0]
        return address_of(view.tree.id, path, kernel, anchor)

    return RedirectResponse(explorer.browse(ask), 303)


def _same_lines(old: SourceTree, new: SourceTree, file: str, lines: tuple[int, int]) -> tuple[int, int]:
    """Where lines of a file stand in another tree, or what is there in their place."""
    try:
        before, after = (read_file(tree.root, file).split(b"\n") for tree in (old, new))
    except InputError:
        return lines
    runs = aligned(before, after)

    def there(line: int) -> int:
        for run in runs:
            if run.old < line <= run.old_end:
                return min(run.new + line - run.old, max(run.new_end, run.new + 1))
        return min(line, len(after))

    first, last = map(there, lines)
    return first, max(first, last)


ROUTES = [
    Route("/source", trees),
    Route("/source/switch", switch),
    Route("/source/diff", source_diff.diff),
    Route("/source/{tree}/facts", facts),
    Route("/source/{tree}/card", source_card.card),
    Route("/source/{tree}/defs", source_names.definitions),
    Route("/source/{tree}/refs", source_names.references),
    Route("/source/{tree}/search", source_names.search),
    Route("/source/{tree}", place),
    Route("/source/{tree}/{file:path}", place),
]
