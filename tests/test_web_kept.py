"""Answers that are kept: in memory, in files, and made once for all who ask."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Thread

import pytest

from ksurf.web.kept import Kept


def test_memory_is_bounded() -> None:
    kept = Kept(10)
    kept.put("a", b"12345")
    kept.put("b", b"12345")
    assert kept.get("a") == b"12345"
    kept.put("c", b"1")
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (b"12345", None, b"1")
    kept.put("large", b"12345678901")
    assert kept.get("large") is None


def test_another_process_finds_it(tmp_path: Path) -> None:
    Kept(10, tmp_path / "kept").put(("page", "\udcff", 1), b"content")
    other = Kept(10, tmp_path / "kept")
    assert other.get(("page", "\udcff", 1)) == b"content"
    assert other.get(("page", "\udcff", 2)) is None
    (file,) = (tmp_path / "kept").iterdir()
    os.utime(file, (time.time() - 100, time.time() - 100))
    assert Kept(10, tmp_path / "kept").get(("page", "\udcff", 1), 60) is None
    assert Kept(10, tmp_path / "kept").get(("page", "\udcff", 1)) == b"content"


def test_a_folder_that_cannot_be_written_costs_nothing_else() -> None:
    kept = Kept(10, Path("/proc/none"))
    kept.put("a", b"1")
    assert kept.get("a") == b"1"


def test_the_oldest_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ksurf.web.kept._FILES", 3)
    monkeypatch.setattr("ksurf.web.kept._LOOK_AFTER", 2)
    kept = Kept(1000, tmp_path)
    for number in range(9):
        kept.put(number, b"x")
    assert len(list(tmp_path.iterdir())) == 3


def test_it_is_made_once_for_all_who_ask_at_once() -> None:
    kept, made = Kept(10), []

    def make() -> bytes:
        time.sleep(0.05)
        made.append(1)
        return b"1"

    threads = [Thread(target=lambda: kept.made("a", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, kept.get("a")) == ([1], b"1")

    def fail() -> bytes:
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            kept.made("b", fail)
