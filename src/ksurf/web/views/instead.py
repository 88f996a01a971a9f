"""What to use instead of a symbol, where a kernel has it not: what ``ksurf check`` says to who needs it."""

from __future__ import annotations

from datetime import date
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ksurf.check.judge import judge
from ksurf.check.names import read_list
from ksurf.check.policy import apply, load
from ksurf.check.reached import Walks
from ksurf.dataset.lookup import reading_once
from ksurf.progress import Silent
from ksurf.report.check_layout import Page, reasons, rows
from ksurf.web.addresses import field_name, symbol_path
from ksurf.web.pages import NotFoundError, explorer_of, page

__all__ = ["ROUTES", "WORDS"]

WORDS = {
    "function": "kprobe",
    **{kind: kind for kind in ("struct", "union", "enum", "typedef", "field")},
    **{kind: kind for kind in ("tracepoint", "syscall", "lsm", "kfunc", "export", "config")},
}
"""How a list of names asks for a kind."""


def instead(kind: str, request: Request) -> Response:
    """The page, or only its text (``part=1``), which takes the place of a link on the symbol's page."""
    name: str = request.path_params["name"]
    name = field_name(name) if kind == "field" else name
    consumer = read_list(f"{WORDS[kind]}:{name}", name)
    if len(consumer.dependencies) != 1:
        raise NotFoundError(f"{name[:100]!r} is no name")
    snapshot = explorer_of(request).snapshot()
    walks = Walks([consumer], snapshot.store, Silent())
    with reading_once():
        report = judge(
            *([consumer], snapshot.kernels, None, snapshot.store, walks),
            suggest=True,
            reporter=Silent(),
            stored=snapshot.kernels,
        )
    made = Page(report, snapshot.groups, apply(load(None), report, date.today()))
    (own,) = report.consumers
    return page(
        request,
        "instead_part.html" if request.query_params.get("part") else "instead.html",
        kind=kind,
        name=name,
        path=symbol_path(kind, name),
        labels=snapshot.labels,
        reasons=reasons(own.consumer, rows(own, made.columns), made),
    )


ROUTES = [Route(f"/instead/{kind}/{{name:path}}", partial(instead, kind)) for kind in WORDS]
