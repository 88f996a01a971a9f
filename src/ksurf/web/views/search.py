"""Search: as you type, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ksurf.report.search import SEARCH_KINDS, Hit, search
from ksurf.web.addresses import source_path, symbol_path
from ksurf.web.explorer import Explorer
from ksurf.web.pages import explorer_of, page
from ksurf.web.source_files import files_matching

__all__ = ["ROUTES"]

_TYPED = 20
_LISTED = 200
_FILES = 5
"""Under the box, if symbols were found too."""
_FILES_FROM = 2
_LONGEST = 200
"""Characters of a text that is searched; no name is longer."""
_SHORT = {"func": "function", "type": "typedef", "event": "tracepoint", "hook": "lsm", "option": "config"}
"""What a kind may be called, beside its name and its first letters."""


@dataclass(frozen=True, slots=True)
class Query:
    """What was typed: ``struct:task`` asks for structs, ``task`` for everything."""

    text: str
    kinds: tuple[str, ...]
    """Those that are searched."""
    files: bool
    """Whether files of the source are."""


def parse(typed: str) -> Query:
    """Take apart what was typed. A word before a colon that is no kind belongs to the text (``sched:``)."""
    typed = typed.strip()[:_LONGEST]
    word, colon, rest = typed.partition(":")
    if colon and not rest.startswith(":"):
        word = word.lower()
        if word == "file":
            return Query(rest.strip(), (), True)
        kind = _SHORT.get(word, word)
        if kind in SEARCH_KINDS:
            return Query(rest.strip(), (kind,), False)
    return Query(typed, SEARCH_KINDS, True)


def hits(explorer: Explorer, query: Query, limit: int) -> Sequence[Hit]:
    """The symbols that fit best: those of the catalog, and, until that is made, of the tables."""
    snapshot = explorer.snapshot()
    if not query.text or not query.kinds or not snapshot.kernels:
        return []
    catalog = explorer.catalog()
    if catalog is not None:
        return catalog.find(query.text, query.kinds, limit)
    return search(query.text, snapshot.places, query.kinds)[:limit]


def files(explorer: Explorer, query: Query, limit: int) -> list[tuple[str, str]]:
    """Files of the newest tree with the text in their path: name and address."""
    if not query.files or len(query.text) < _FILES_FROM:
        return []
    found = explorer.browse(lambda browser: files_matching(browser, query.text, limit))
    return [(path, source_path(tree, path)) for tree, path in found]


def address_of(hit: Hit) -> str:
    """The page of what was found; an enumerator is shown with its enum."""
    if hit.kind == "enumerator":
        owner, _, name = hit.name.partition("::")
        return f"{symbol_path('enum', owner)}#{name}"
    return symbol_path(hit.kind, hit.name)


def typed(request: Request) -> Response:
    """The best few, for the list under the box."""
    explorer = explorer_of(request)
    query = parse(request.query_params.get("q", ""))
    count = len(explorer.snapshot().kernels)
    found = [
        {
            "kind": hit.kind,
            "name": hit.name,
            "on": "" if hit.kernels == count else f"{hit.kernels} of {count}",
            "href": address_of(hit),
        }
        for hit in hits(explorer, query, _TYPED)
    ]
    paths = files(explorer, query, _FILES if query.kinds else _TYPED)
    found = found[: _TYPED - len(paths)]
    found += [{"kind": "file", "name": path, "on": "", "href": address} for path, address in paths]
    return JSONResponse({"hits": found})


def results(request: Request) -> Response:
    """All that fits, up to a limit, and where to look for a text in the source."""
    explorer = explorer_of(request)
    asked = request.query_params.get("q", "")
    query = parse(asked)
    trees = explorer.browse(lambda browser: browser.trees.all())
    return page(
        request,
        "search.html",
        asked=asked[:_LONGEST],
        query=query,
        found=[(hit, address_of(hit)) for hit in hits(explorer, query, _LISTED)],
        files=files(explorer, query, _LISTED),
        limit=_LISTED,
        count=len(explorer.snapshot().kernels),
        text_search=f"{source_path(trees[-1].id)}/search" if trees else None,
    )


ROUTES = [Route("/search", results), Route("/search.json", typed)]
