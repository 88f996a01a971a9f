"""The first page: what is in the dataset, and where to begin."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ksurf.report.kinds import KINDS
from ksurf.web.matrix import table_of
from ksurf.web.pages import STATIC, explorer_of, page

__all__ = ["ROUTES"]


def home(request: Request) -> Response:
    """What is there, as a table of kernels, and an example of each kind of symbol."""
    snapshot = explorer_of(request).snapshot()
    examples = [("function", "kvm_vcpu_kick"), *((kind.name, kind.example) for kind in KINDS.values())]
    return page(
        request,
        "home.html",
        snapshot=snapshot,
        table=table_of(snapshot.kernels),
        examples=examples,
    )


def icon(_request: Request) -> Response:
    """What a browser asks for beside what is no page: Markdown, JSON, a picture."""
    return FileResponse(STATIC / "icon.svg")


ROUTES = [Route("/", home), Route("/favicon.ico", icon)]
