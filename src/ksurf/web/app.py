"""The application: which view answers which address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from time import perf_counter
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ksurf.dataset.unpacked.cache import reading_unpacked
from ksurf.errors import KsurfError
from ksurf.web.explorer import Explorer, Settings
from ksurf.web.pages import HEADERS, STATIC, error_page
from ksurf.web.results import Results
from ksurf.web.upload import Checks
from ksurf.web.views import ROUTES
from ksurf.web.views.check import CheckRoom

__all__ = ["application"]

_COMPRESS_FROM = 1024
"""Bytes."""
_COMPRESS_LEVEL = 4
"""A page of source in a third of the time of level 9, and 10% larger."""


def application(settings: Settings) -> Starlette:
    """Make the application for one dataset."""
    explorer = Explorer(settings)
    kept = None if settings.cache is None else settings.cache / "checks"
    checking = CheckRoom(Checks(settings.dataset), Results(kept))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await checking.checks.close()
        explorer.close()

    app = Starlette(
        routes=[*ROUTES, Mount("/static", StaticFiles(directory=STATIC))],
        middleware=[
            Middleware(_Headers),
            Middleware(_Hosts, hosts=settings.hosts),
            Middleware(GZipMiddleware, minimum_size=_COMPRESS_FROM, compresslevel=_COMPRESS_LEVEL),
            Middleware(_Unpacked, explorer=explorer),
        ],
        exception_handlers={KsurfError: error_page, HTTPException: error_page, Exception: error_page},
        lifespan=lifespan,
    )
    app.state.explorer = explorer
    app.state.checking = checking
    return app


class _Headers:
    """Puts the headers on every answer, also on those of errors and files, and how long it took to make."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        came = perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["server-timing"] = f"total;dur={(perf_counter() - came) * 1000:.1f}"
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-cache")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Unpacked:
    """Lets look-ups of each request use the tables that are unpacked."""

    def __init__(self, app: ASGIApp, explorer: Explorer) -> None:
        self._app = app
        self._explorer = explorer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with reading_unpacked(self._explorer.unpacked):
            await self._app(scope, receive, send)


class _Hosts:
    """Refuses what is asked under a name that the server does not have (DNS rebinding)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._hosts and _host(scope) not in self._hosts:
            await PlainTextResponse("this server has another name\n", 421)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host(scope: Scope) -> str | None:
    """The name in the request, without the port."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname
    except ValueError:
        return None
