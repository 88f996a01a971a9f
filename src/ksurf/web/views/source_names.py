"""Names in the source: where they are defined, which lines mention them, and text search."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from threading import BoundedSemaphore
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ksurf.errors import InputError, KsurfError
from ksurf.source.browse import Browser, View
from ksurf.source.names import NamesIndex
from ksurf.source.names_found import (
    FoundLine,
    FoundLines,
    found_definitions,
    found_matches,
    found_references,
)
from ksurf.source.tree import SourceTree
from ksurf.web.addresses import LiveAddresses, source_path
from ksurf.web.pages import NotFoundError, explorer_of, page
from ksurf.web.source_place import address_of, tree_named, view_of

__all__ = ["definition", "definitions", "index_of", "references", "search"]

_LONGEST = 300
"""Characters of a name, a pattern or a glob."""
_SHOWN = 200
_MOST = 5_000
_DEFINITIONS = 500
_LINE = 400
"""Characters of a line that was found."""
_searches = BoundedSemaphore(2)
"""A search that finds nothing reads the whole tree, on all cores."""


def index_of(browser: Browser, tree: SourceTree) -> NamesIndex:
    """The index of a tree's names; raises ``NotFoundError`` if it has none."""
    index = browser.names(tree)
    if index is None:
        raise NotFoundError(f"the names of {tree.id} are not indexed", hint=f"ksurf source index {tree.id}")
    return index


def _named(request: Request) -> str:
    name = request.query_params.get("name", "").strip()
    if not name or len(name) > _LONGEST:
        raise InputError("no name is asked for" if not name else "no name is as long as that")
    return name


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "")
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return min(int(text) or _SHOWN, _MOST) if is_number else _SHOWN


def definition(request: Request, tree: SourceTree, name: str) -> Response:
    """Send on to where a name is defined: to the place if there is one, else to the list."""
    kernel = request.query_params.get("kernel")
    name = name[:_LONGEST]
    every = _names_address(tree, "defs", name, kernel)

    def ask(browser: Browser) -> str:
        found = [one for one in index_of(browser, tree).definitions(name) if not one.is_declaration]
        if len(found) != 1:
            return every
        return address_of(tree.id, found[0].place.file, kernel, found[0].place.line)

    return RedirectResponse(explorer_of(request).browse(ask), 303)


def definitions(request: Request) -> Response:
    """Where a name is defined or declared."""
    explorer, name = explorer_of(request), _named(request)
    tree, kernel = tree_named(explorer, request.path_params["tree"]), request.query_params.get("kernel")

    def ask(browser: Browser) -> tuple[View, list[Any], int]:
        view, index = view_of(browser, tree, kernel), index_of(browser, tree)
        total = len(index.definitions(name))
        if not total:
            near = [
                (one.name, _names_address(tree, "defs", one.name, kernel))
                for one in index.complete(name[: max(3, len(name) * 2 // 3)], 8)
            ]
            raise NotFoundError(f"nothing in {tree.id} defines {name}", near)
        return view, found_definitions(browser, view, index, name, ())[:_DEFINITIONS], total

    view, found, total = explorer.browse(ask)
    return page(
        request,
        "source_defs.html",
        tree=tree,
        kernel=kernel,
        view=view,
        name=name,
        found=found,
        total=total,
        references=_names_address(tree, "refs", name, kernel),
        address_of=address_of,
    )


def _names_address(tree: SourceTree, what: str, name: str, kernel: str | None, limit: int = 0) -> str:
    query = {"name": name, "kernel": kernel or "", "limit": str(limit or "")}
    return LiveAddresses().to(f"{source_path(tree.id)}/{what}", query)


def references(request: Request) -> Response:
    """The lines that mention a name."""
    explorer, name, limit = explorer_of(request), _named(request), _limit(request)
    tree, kernel = tree_named(explorer, request.path_params["tree"]), request.query_params.get("kernel")

    def ask(browser: Browser) -> FoundLines:
        view = view_of(browser, tree, kernel)
        found = found_references(view, index_of(browser, tree), name, limit)
        if not found.lines:
            to_search = LiveAddresses().to(f"{source_path(tree.id)}/search", {"q": name})
            raise NotFoundError(f"nothing in {tree.id} mentions {name}", [("search the text", to_search)])
        return found

    found = explorer.browse(ask)
    more = None if found.is_complete or limit >= _MOST else _names_address(tree, "refs", name, kernel, _MOST)
    return page(
        request,
        "source_lines.html",
        tree=tree,
        kernel=kernel,
        title=f"{name} in {tree.id}",
        name=name,
        definitions=_names_address(tree, "defs", name, kernel),
        found=found,
        files=_by_file(found.lines),
        more=more,
        error=None,
        pattern=None,
        address_of=address_of,
    )


def _by_file(lines: Sequence[FoundLine]) -> list[tuple[str, list[FoundLine]]]:
    return [(file, list(own)) for file, own in groupby(lines, key=lambda one: one.file)]


def search(request: Request) -> Response:
    """Lines that a regular expression matches; what is wrong with one is said on the page."""
    explorer, query = explorer_of(request), request.query_params
    tree, kernel = tree_named(explorer, request.path_params["tree"]), query.get("kernel")
    pattern, files = query.get("q", ""), query.get("files", "").strip()
    ignore_case, limit = query.get("case") == "ignore", _limit(request)
    error: str | None = None
    found = FoundLines((), 0, True)
    if max(len(pattern), len(files)) > _LONGEST:
        error = f"a pattern has at most {_LONGEST} characters"
    elif pattern:
        index = explorer.browse(lambda browser: index_of(browser, tree))
        try:
            with _searches:
                wanted = f"(?i){pattern}" if ignore_case else pattern
                found = found_matches(index, wanted, files or None, limit)
        except KsurfError as refused:
            error = str(refused)
    asked = {"q": pattern, "files": files, "case": "ignore" if ignore_case else "", "kernel": kernel or ""}
    more = None
    if not found.is_complete and limit < _MOST:
        more = LiveAddresses().to(f"{source_path(tree.id)}/search", {**asked, "limit": str(_MOST)})
    return page(
        request,
        "source_lines.html",
        http_status=400 if error else 200,
        tree=tree,
        kernel=kernel,
        title=f"Search {tree.id}",
        name=None,
        definitions=None,
        found=found,
        files=_by_file(found.lines),
        more=more,
        error=error,
        pattern=pattern[:_LONGEST],
        globs=files[:_LONGEST],
        ignore_case=ignore_case,
        address_of=address_of,
    )
