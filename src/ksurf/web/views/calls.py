"""Who calls a function and whom it calls, as a tree that opens step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ksurf.dataset.lookup import functions_named
from ksurf.dataset.lookup.written import callees_of
from ksurf.kernel import Kernel
from ksurf.source.join.edges import Edge, callees, callers
from ksurf.web.explorer import chosen
from ksurf.web.pages import NotFoundError, explorer_of, page

__all__ = ["ROUTES"]

WAYS = ("callers", "callees")
_SHOWN = 500
"""Edges of one function that are listed; ``memcpy`` has thousands of callers."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """One function's edges on one kernel."""

    edges: tuple[Edge, ...]
    is_there: bool


def calls(request: Request) -> Response:
    """The page, or only its list (``part=1``), which takes the place of a link in the tree."""
    name = request.path_params["name"]
    asked = request.query_params
    way = asked.get("way", "")
    if way not in WAYS:
        way = WAYS[0]
    explorer = explorer_of(request)
    snapshot = explorer.snapshot()
    kernel = chosen(snapshot, asked.get("kernel"), snapshot.kernels)
    found = _calls(name, way, [(kernel, snapshot.store.directory(kernel.id))])
    if not found.is_there:
        raise NotFoundError(f"no function {name[:100]} on {kernel.release}")
    return page(
        request,
        "calls_part.html" if asked.get("part") else "calls.html",
        name=name,
        way=way,
        ways=WAYS,
        kernel=kernel,
        kernels=snapshot.kernels,
        labels=snapshot.labels,
        edges=found.edges[:_SHOWN],
        total=len(found.edges),
        source_at=explorer.source_links(kernel),
    )


def _calls(name: str, way: str, kernels: Sequence[tuple[Kernel, Path]]) -> _Calls:
    if way == "callers":
        called = functions_named([name], kernels, chains=True)[name]
        return _Calls(callers(called), any(rows.functions for rows in called))
    calling = callees_of([name], kernels)
    return _Calls(callees(calling), any(rows.functions for rows in calling))


ROUTES = [Route("/calls/{name:path}", calls)]
