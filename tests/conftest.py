"""What all tests share: folders of their own, real kernels, a look for the network, notes in the summary."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ksurf.acquire import apt
from ksurf.acquire.http import Http
from ksurf.acquire.mirror import apt_mirrors
from ksurf.errors import KsurfError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from browser import Look, Visitor
    from material import Material
    from real_kernels import RealKernels
    from real_sources import RealSources

_NOTES = pytest.StashKey[list[str]]()
_INRELEASE_LIMIT = 1 << 24


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NOTES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what is quick before what fetches gigabytes."""
    items.sort(key=lambda item: item.get_closest_marker("network") is not None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``network`` where there is none."""
    if item.get_closest_marker("network") and (reason := _why_unreachable()):
        pytest.skip(reason)


@cache
def _why_unreachable() -> str | None:
    if os.environ.get("KSURF_OFFLINE"):
        return "KSURF_OFFLINE is set"
    mirror = apt_mirrors(apt.read_sources())[0][0]
    try:
        answer = Http(apt.proxy()).fetch(f"{mirror.url}/dists/stable/InRelease", _INRELEASE_LIMIT)
    except KsurfError as error:
        return f"Debian's archive cannot be reached: {error.message}"
    return None if answer.status == 200 else f"Debian's archive answers {answer.status}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what tests had to say."""
    if notes := config.stash[_NOTES]:
        terminalreporter.section("notes")
        for line in notes:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return a function that says something in the summary: what was covered, what was measured."""
    return request.config.stash[_NOTES].append


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep every test away from the user's dataset, cache and settings."""
    monkeypatch.setenv("KSURF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path / "dataset"))
    monkeypatch.delenv("NO_COLOR", raising=False)


def _test_cache() -> Path:
    """Where real packages and kernels are kept between runs of the tests."""
    named = os.environ.get("KSURF_TEST_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named) if named else Path(base, "ksurf-tests")


@pytest.fixture
def network_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where real packages are kept between runs of the tests, and make it ksurf's cache."""
    folder = _test_cache()
    monkeypatch.setenv("KSURF_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_kernels() -> RealKernels:
    """Return kernels of Debian's archive, pulled when a test asks for one."""
    from real_kernels import RealKernels

    return RealKernels(_test_cache())


@pytest.fixture(scope="session")
def real_sources() -> RealSources:
    """Return source of Debian's archive, pulled and prepared when a test asks for it."""
    from real_sources import RealSources

    return RealSources(_test_cache())


@pytest.fixture(scope="session")
def material() -> Material:
    """Return packages of Debian's archive with what depends on the kernel."""
    from material import Material

    return Material(_test_cache())


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser; for one module only, since nothing else can run an event loop beside it."""
    from browser import chromium, why_missing

    if reason := why_missing():
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shots(note: Callable[[str], None]) -> Path:
    """Return the folder of the browser's screenshots, emptied of those of the run before."""
    from browser import OUTPUT

    shutil.rmtree(OUTPUT, ignore_errors=True)
    note(f"screenshots of the explorer: {OUTPUT}")
    return OUTPUT


@pytest.fixture(scope="session")
def explorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server with a small dataset of all sorts of things."""
    from browser import serving
    from made_web import web_dataset

    folder = tmp_path_factory.mktemp("explorer")
    with serving(web_dataset(folder / "dataset"), folder) as address:
        yield address


@pytest.fixture
def visit(
    chromium: Browser, explorer: str, shots: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[Look], Visitor]]:
    """Return what opens the explorer for somebody who looks at it so; complaints fail the test."""
    from browser import visiting

    with ExitStack() as open_ones:
        yield lambda look: open_ones.enter_context(
            visiting(chromium, explorer, look, shots / request.node.originalname)
        )
