"""The read-only part of the explorer as files: the same pages, made by the same views.

A site has the pages that are asked for and links nothing else, so that no link is dead. What needs a server
is left out: checks, comparisons that nobody asked for, all that stands behind a question mark.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from ksurf.errors import InputError
from ksurf.progress import Reporter, counted
from ksurf.web.addresses import FORMS, SiteAddresses, file_of, symbol_path
from ksurf.web.app import application
from ksurf.web.explorer import Explorer, Settings
from ksurf.web.pages import STATIC

__all__ = ["INDEX", "Symbol", "write_site"]

INDEX = "symbols.json"
"""What the search of a site reads."""
_MARK = ".ksurf-site"
"""A folder that has it was written by this, and may be written anew."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol that gets a page."""

    kind: str
    name: str


def write_site(settings: Settings, folder: Path, symbols: Sequence[Symbol], reporter: Reporter) -> int:
    """Write a site, whole or not at all, and return how many files it has.

    Raises ``InputError`` if the folder is something else's, or one of the symbols is on no kernel.
    """
    _check_folder(folder)
    app = application(settings)
    explorer: Explorer = app.state.explorer
    pages = list(_pages(explorer, symbols))
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir(parents=True)
        asyncio.run(_write_pages(app, pages, new, reporter))
        _write_rest(symbols, new)
        if folder.exists():
            shutil.rmtree(folder)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    finally:
        explorer.close()
    return sum(path.is_file() for path in folder.rglob("*"))


def _check_folder(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    if any(folder.iterdir()) and not (folder / _MARK).exists():
        raise InputError(
            f"{folder} has files that are no site of ksurf", "name another folder, or an empty one"
        )


def _pages(explorer: Explorer, symbols: Sequence[Symbol]) -> Iterator[str]:
    """The paths of all pages."""
    yield from ("/", "/kernels")
    yield from (f"/kernels/{quote(kernel.id)}" for kernel in explorer.snapshot().kernels)
    for symbol in dict.fromkeys(symbols):
        yield symbol_path(symbol.kind, symbol.name)
        yield from (symbol_path(symbol.kind, symbol.name, form) for form in FORMS)


async def _write_pages(app: ASGIApp, pages: Sequence[str], folder: Path, reporter: Reporter) -> None:
    known = [*pages, f"/{INDEX}", *(f"/static/{path.name}" for path in STATIC.iterdir())]

    async def linking(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        scope.setdefault("state", {})["addresses"] = SiteAddresses(known, path)
        await app(scope, receive, send)

    transport = httpx.ASGITransport(linking, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        for path in counted(reporter, "writing pages", list(pages), "pages"):
            answer = await client.get(path)
            if answer.status_code != httpx.codes.OK:
                raise InputError(f"{unquote(path)}: {_said(answer)}", "ksurf search finds what there is")
            file = folder / file_of(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(answer.content)


def _said(answer: httpx.Response) -> str:
    """What an error's page has in its heading."""
    from html import unescape

    heading = answer.text.partition("<h1>")[2].partition("</h1>")[0]
    return unescape(heading) or answer.text.partition("\n")[0]


def _write_rest(symbols: Sequence[Symbol], folder: Path) -> None:
    shutil.copytree(STATIC, folder / "static")
    listed = [
        {
            "kind": one.kind,
            "name": one.name,
            "href": quote(file_of(symbol_path(one.kind, one.name)), safe="/:"),
        }
        for one in dict.fromkeys(symbols)
    ]
    (folder / INDEX).write_text(json.dumps(listed, ensure_ascii=False))
    (folder / _MARK).touch()
