"""Search: as you type, and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ksurf.report.search import SEARCH_KINDS, Hit, search
from ksurf.web.addresses import symbol_path
from ksurf.web.explorer import Snapshot
from ksurf.web.pages import explorer_of, page

__all__ = ["ROUTES"]

_TYPED = 20
_LISTED = 200
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


def hits(snapshot: Snapshot, query: Query, limit: int) -> Sequence[Hit]:
    """The symbols that fit best."""
    if not query.text or not query.kinds or not snapshot.kernels:
        return []
    return search(query.text, snapshot.places, query.kinds)[:limit]


def address_of(hit: Hit) -> str:
    """The page of what was found; an enumerator is shown with its enum."""
    if hit.kind == "enumerator":
        owner, _, name = hit.name.partition("::")
        return f"{symbol_path('enum', owner)}#{name}"
    return symbol_path(hit.kind, hit.name)


def typed(request: Request) -> Response:
    """The best few, for the list under the box."""
    snapshot = explorer_of(request).snapshot()
    query = parse(request.query_params.get("q", ""))
    count = len(snapshot.kernels)
    return JSONResponse(
        {
            "hits": [
                {
                    "kind": hit.kind,
                    "name": hit.name,
                    "on": "" if hit.kernels == count else f"{hit.kernels} of {count}",
                    "href": address_of(hit),
                }
                for hit in hits(snapshot, query, _TYPED)
            ]
        }
    )


def results(request: Request) -> Response:
    """All that fits, up to a limit."""
    snapshot = explorer_of(request).snapshot()
    asked = request.query_params.get("q", "")
    query = parse(asked)
    found = hits(snapshot, query, _LISTED)
    return page(
        request,
        "search.html",
        asked=asked[:_LONGEST],
        query=query,
        found=[(hit, address_of(hit)) for hit in found],
        limit=_LISTED,
        count=len(snapshot.kernels),
    )


ROUTES = [Route("/search", results), Route("/search.json", typed)]
