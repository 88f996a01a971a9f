"""The explorer in a real browser: Debian's chromium on a server of its own, as a person would use it.

A :class:`Visitor` notes what no page may do: write an error on the console, or ask another host for anything.
Screenshots are kept below ``.pytest-output/browser``, in a folder per test.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from real_kernels import KSURF

__all__ = [
    "DARK",
    "LIGHT",
    "LOOKS",
    "PHONE",
    "PLAIN",
    "Look",
    "Visitor",
    "chromium",
    "serving",
    "why_missing",
]

CHROMIUM = Path("/usr/bin/chromium")
OUTPUT = Path(__file__).parent.parent / ".pytest-output" / "browser"
START_SECONDS = 60.0
PAGE_SECONDS = 60.0
"""Pages may take their time where many tests run beside each other; the benchmarks tell how fast they are."""

_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    # Should something ask for another host, then it is not reached either.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def why_missing() -> str | None:
    """Why there is no browser, if there is none."""
    return None if CHROMIUM.exists() else f"{CHROMIUM} is not there: apt install chromium"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium, headless, with an empty profile."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ARGUMENTS, *root])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def serving(dataset: Path, folder: Path, *arguments: str) -> Iterator[str]:
    """``ksurf serve``, as a process, until it is not needed any more; its address, which ends in a slash.

    ``folder`` takes its cache and what it says. It must end well, and must not have failed at any page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "serve.stderr"
    command: list[str | Path] = [KSURF, "serve", "--port", "0", "--dataset", dataset, *arguments]
    folders = {"KSURF_CACHE": str(folder / "cache"), "PYTHONUNBUFFERED": "1"}
    with said.open("w") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, **folders},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), said.read_text()
        yield line.split()[0]
    finally:
        process.terminate()
        try:
            status = process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert status == 0 and "Traceback" not in said.read_text(), said.read_text()


@dataclass(frozen=True)
class Look:
    """How a page is looked at."""

    name: str
    dark: bool = False
    width: int = 1200
    height: int = 900
    scripts: bool = True

    @property
    def options(self) -> Mapping[str, Any]:
        """What a browser calls it."""
        return {
            "color_scheme": "dark" if self.dark else "light",
            "viewport": {"width": self.width, "height": self.height},
            "java_script_enabled": self.scripts,
            "reduced_motion": "reduce",
        }


LIGHT = Look("light")
DARK = Look("dark", dark=True)
PHONE = Look("phone", width=390, height=844)
PHONE_DARK = Look("phone-dark", dark=True, width=390, height=844)
PLAIN = Look("without-scripts", scripts=False)
LOOKS = (LIGHT, DARK, PHONE, PHONE_DARK, PLAIN)


@cache
def _axe() -> str:
    return Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")


@dataclass
class Visitor:
    """Somebody with a browser, who looks at the pages of one server in one way."""

    address: str
    context: BrowserContext
    look: Look
    folder: Path
    """Takes the screenshots."""
    complaints: list[str] = field(default_factory=list)
    """What a page did that none may do."""
    _missing: set[str] = field(default_factory=set)
    """Addresses that are asked for though there is nothing, which the browser notes as an error."""
    _shots: int = 0

    def __post_init__(self) -> None:
        self.context.set_default_timeout(PAGE_SECONDS * 1000)
        self.context.on("request", self._requested)
        self.context.on("console", self._said)
        self.context.on("weberror", lambda error: self.complaints.append(f"{error.page}: {error.error}"))
        self.page: Page = self.context.new_page()

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"asks for {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        url = str(message.location.get("url", ""))
        if "status of 404" in message.text and url in self._missing:
            return
        self.complaints.append(f"{url}: {message.type}: {message.text}")

    def open(self, path: str, status: int = 200) -> Page:
        """Go to an address of the server; a page that says that it is being computed comes back by itself."""
        url = self.address + path.removeprefix("/")
        if status == 404:
            self._missing.add(url)
        answer = self.page.goto(url)
        assert answer is not None, path
        assert answer.status == status or (status, answer.status) == (200, 202), (path, answer.status)
        return self.page

    @property
    def path(self) -> str:
        """Where the visitor is: path, query and fragment."""
        url = urlsplit(self.page.url)
        query, fragment = (f"?{url.query}" if url.query else ""), (f"#{url.fragment}" if url.fragment else "")
        return f"{url.path}{query}{fragment}"

    def shot(self, name: str, *, whole: bool = False) -> Path:
        """Keep a picture of what is seen, or of the whole page."""
        self._shots += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{self.look.name}-{self._shots:02}-{name}.png"
        self.page.screenshot(path=target, full_page=whole)
        return target

    def is_accessible(self) -> None:
        """Fail if axe finds anything serious on the page as it is now."""
        # Through the debugger's protocol: the policy of the pages forbids any script of others.
        self.page.evaluate(_axe())
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        assert isinstance(found, dict)
        serious = [one for one in found["violations"] if one["impact"] in {"serious", "critical"}]
        told = [
            f"{one['impact']}: {one['help']}: {node['html'][:200]} ({_why(node)})"
            for one in serious
            for node in one["nodes"][:5]
        ]
        assert not told, "\n".join([self.path, *told])

    def fits(self) -> None:
        """Fail if the page is wider than the window, so that it had to be moved to be read."""
        wide = self.page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= self.look.width, f"{self.path} is {wide} pixels wide, the window {self.look.width}"

    def looks(self, path: str, name: str, status: int = 200) -> Page:
        """Go to a page, keep its picture, and see that it fits and is accessible."""
        page = self.open(path, status)
        self.shot(name, whole=True)
        self.fits()
        if self.look.scripts:
            self.is_accessible()
        return page


def _why(node: Mapping[str, Any]) -> str:
    return "; ".join(str(check["message"]) for part in ("any", "all", "none") for check in node[part])


@contextmanager
def visiting(browser: Browser, address: str, look: Look, folder: Path) -> Iterator[Visitor]:
    """A visitor, whose complaints fail the test."""
    context = browser.new_context(**look.options)
    visitor = Visitor(address, context, look, folder)
    try:
        yield visitor
    except BaseException:
        visitor.shot("failed", whole=True)
        raise
    finally:
        context.close()
    assert not visitor.complaints, "\n".join(visitor.complaints)
