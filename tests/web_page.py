"""The explorer on a dataset that a test made, and what its pages are asked for."""

from __future__ import annotations

import warnings
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from ksurf.web.app import application
from ksurf.web.explorer import Settings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # which client the test client likes best
    from starlette.testclient import TestClient

__all__ = ["Page", "TestClient", "client"]


def client(dataset: Path, cache: Path) -> TestClient:
    """A browser without a window; errors of the server are answers, as they are for others."""
    return TestClient(application(Settings(dataset, cache=cache)), raise_server_exceptions=False)


class Page(HTMLParser):
    """What a page says and links."""

    def __init__(self, html: str, address: str) -> None:
        super().__init__()
        self.address = address
        self.links: list[str] = []
        self.rows: list[str] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.ids: list[str] = []
        self._hidden = 0
        self._in_row = False
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        held = dict(attributes)
        self._hidden += tag in {"script", "style", "option"}
        if tag == "a" and (target := held.get("href")) is not None:
            self.links.append(urljoin(self.address, target))
        if "style" in held or tag == "style" or any(name.startswith("on") for name in held):
            self.styles.append(f"{tag} {held}")
        if (id_ := held.get("id")) is not None:
            self.ids.append(id_)
        if tag == "tr":
            self.rows.append("")
            self._in_row = True

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"script", "style", "option"}
        self._in_row = self._in_row and tag != "tr"

    def handle_data(self, data: str) -> None:
        if self._hidden <= 0:
            self.words.append(data)
            if self._in_row:
                self.rows[-1] = " ".join(f"{self.rows[-1]} {data}".split())

    def paths(self) -> set[str]:
        """The paths of the links to this server, plain."""
        return {unquote(urlsplit(link).path) for link in self.links}
