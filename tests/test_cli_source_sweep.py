"""``ksurf source sweep``, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.cli import run
from made_source import source_dataset

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source_dataset(tmp_path)
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path))
    return tmp_path


def swept(*arguments: str) -> int:
    return run(["source", "sweep", "--kernel", "arm64", *arguments])


def test_what_was_read_is_passed_over(capsys: Capture) -> None:
    assert swept("kernel/timer.c") == 0
    assert "arm64: 1 units read, 0 known before" in capsys.readouterr().out
    assert swept(".", "--processes", "1") == 0
    assert "units read, 1 known before" in capsys.readouterr().out
    assert swept(".") == 0
    assert "arm64: 0 units read" in capsys.readouterr().out


def test_paths_are_those_of_the_tree(capsys: Capture) -> None:
    for path in ("/etc", "../kernel"):
        assert swept(path) == 1
        assert "paths count from the root of the tree" in capsys.readouterr().err
    assert swept("arch/x86") == 1
    assert "compiles nothing of it" in capsys.readouterr().err


def test_a_unit_that_cannot_be_read_is_named(dataset: Path, capsys: Capture) -> None:
    (dataset / "sources/debian_7.3.4-1/tree/kernel/timer.c").unlink()
    assert swept("kernel/timer.c") == 1
    assert "not read: kernel/timer.o" in capsys.readouterr().err
