"""The kernels of the dataset: what each holds, and what of it could not be read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ksurf.web.matrix import table_of
from ksurf.web.pages import explorer_of, page

__all__ = ["ROUTES"]


def kernels(request: Request) -> Response:
    """All of them."""
    snapshot = explorer_of(request).snapshot()
    return page(request, "kernels.html", snapshot=snapshot, table=table_of(snapshot.kernels))


def kernel(request: Request) -> Response:
    """One of them; a selector means the newest that it matches."""
    snapshot = explorer_of(request).snapshot()
    one = snapshot.kernel(request.path_params["id"])
    manifest = next(own for own in snapshot.manifests if own.kernel == one)
    return page(request, "kernel.html", snapshot=snapshot, kernel=one, manifest=manifest)


ROUTES = [Route("/kernels", kernels), Route("/kernels/{id}", kernel)]
