"""What all tests share: folders of their own, and a way to skip what needs Debian's archive."""

import os
from functools import cache
from pathlib import Path

import httpx
import pytest

from ksurf.acquire.mirror import PUBLIC


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep every test away from the user's dataset, cache and settings."""
    monkeypatch.setenv("KSURF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path / "dataset"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def network_cache(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where real packages are kept between runs of the tests, and make it ksurf's cache."""
    named = os.environ.get("KSURF_TEST_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(named) if named else Path(base, "ksurf-tests")
    monkeypatch.setenv("KSURF_CACHE", str(folder))
    return folder


@cache
def _why_unreachable() -> str | None:
    try:
        httpx.head(
            f"{PUBLIC[0].url}/dists/stable/InRelease", timeout=10, follow_redirects=True
        ).raise_for_status()
    except httpx.HTTPError as error:
        return f"Debian's archive cannot be reached: {error}"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``network`` where there is none."""
    if item.get_closest_marker("network") and (reason := _why_unreachable()):
        pytest.skip(reason)
