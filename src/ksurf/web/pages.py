"""Pages out of templates, and what goes with each answer: headers, errors, near names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import ksurf
from ksurf.errors import DatasetError, KsurfError
from ksurf.report.source_text import VISIBLE
from ksurf.source.files import shown_name
from ksurf.web.addresses import (
    Addresses,
    LiveAddresses,
    compare_path,
    kernel_path,
    source_path,
    symbol_path,
)

if TYPE_CHECKING:
    from ksurf.web.explorer import Explorer

__all__ = ["HEADERS", "STATIC", "NotFoundError", "addresses_of", "error_page", "explorer_of", "page"]

STATIC = Path(__file__).parent / "static"

HEADERS: Mapping[str, str] = {
    # Nothing but what this server gives: no script or style in a page, nothing of another host.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class NotFoundError(KsurfError):
    """There is nothing at an address; ``near`` are links to what may have been meant."""

    def __init__(self, message: str, near: Sequence[tuple[str, str]] = (), hint: str | None = None) -> None:
        """Keep what is missing, and pairs of a text and a path."""
        super().__init__(message, hint)
        self.near = tuple(near)


def explorer_of(request: Request) -> Explorer:
    """What the application answers from."""
    explorer: Explorer = request.app.state.explorer
    return explorer


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("ksurf.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.globals.update(
        version=ksurf.__version__, source_path=source_path, shown_name=shown_name, visible=_visible
    )
    return environment


def _visible(text: str) -> str:
    """A text with what would hide or turn its characters made visible."""
    return text if text.isascii() and text.isprintable() else text.translate(VISIBLE)


def addresses_of(request: Request) -> Addresses:
    """What makes the links of the page: a server's, unless a site is written."""
    addresses: Addresses | None = getattr(request.state, "addresses", None)
    return addresses or LiveAddresses()


def page(request: Request, template: str, *, http_status: int = 200, **values: Any) -> Response:
    """Answer with a template. It has ``to``, ``symbol_at``, ``kernel_at`` and ``compare_at`` for links, and
    ``asked``, the search's text.
    """
    addresses = addresses_of(request)

    def symbol_at(kind: str, name: str, form: str | None = None, anchor: str = "") -> str | None:
        return addresses.to(symbol_path(kind, name, form), anchor=anchor)

    text = (
        _templates()
        .get_template(template)
        .render(
            to=addresses.to,
            symbol_at=symbol_at,
            kernel_at=lambda *about: addresses.to(kernel_path(*about)),
            compare_at=lambda *about: addresses.to(compare_path(*about)),
            is_live=isinstance(addresses, LiveAddresses),
            **{"asked": "", "source_at": _nowhere, **values},
        )
    )
    return HTMLResponse(text, http_status)


def _nowhere(_file: str | None, _line: int | None = None) -> None:
    """The address of a place in the source, where there is no tree."""


def error_page(request: Request, error: Exception) -> Response:
    """Answer with what went wrong, in words; a program gets them as text."""
    status = _status(error)
    message = str(error) if isinstance(error, KsurfError) else HTTPStatus(status).phrase
    hint = error.hint if isinstance(error, KsurfError) else None
    near = error.near if isinstance(error, NotFoundError) else ()
    if request.url.path.endswith((".json", ".md", ".svg", ".png")):
        lines = [message, *([hint] if hint else []), *(f"near: {text}" for text, _ in near)]
        return Response("\n".join(lines) + "\n", status, media_type="text/plain")
    return page(request, "error.html", http_status=status, code=status, message=message, hint=hint, near=near)


def _status(error: Exception) -> int:
    if isinstance(error, DatasetError):
        return 503
    if isinstance(error, KsurfError):
        return 404
    code: Callable[[], int] | int | None = getattr(error, "status_code", None)
    return code if isinstance(code, int) else 500
