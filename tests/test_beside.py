"""Work in a second process: its result, its errors, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ksurf.beside import beside
from ksurf.errors import DatasetError, KsurfError


@pytest.fixture(params=[1, 2])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(os, "cpu_count", lambda: request.param)
    return int(request.param)


def no_child() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def test_the_result_comes_from_another_process_where_there_is_a_core_for_it(cores: int) -> None:
    with beside(lambda: (os.getpid(), "x" * 1_000_000)) as result:
        process, text = result()
    assert len(text) == 1_000_000
    assert (process != os.getpid()) == (cores == 2)
    assert no_child()


def test_an_error_is_raised_here(cores: int) -> None:
    def fail() -> None:
        raise DatasetError("kernel.parquet: damaged", "make it anew")

    with pytest.raises(DatasetError, match=r"kernel\.parquet: damaged") as raised, beside(fail) as result:
        result()
    assert raised.value.hint == "make it anew"
    assert no_child()


def test_a_killed_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with (
        pytest.raises(KsurfError, match="was killed"),
        beside(lambda: os.kill(os.getpid(), signal.SIGKILL)) as result,
    ):
        result()
    assert no_child()


def test_an_error_here_ends_the_work_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    started = time.monotonic()
    with pytest.raises(ValueError, match="here"), beside(lambda: time.sleep(600)):
        raise ValueError("here")
    assert time.monotonic() - started < 60
    assert no_child()


def test_ctrl_c_ends_both_and_prints_no_traceback_of_the_other(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, time\n"
        # A shell in the background has its children ignore it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.cpu_count = lambda: 2\n"
        "from ksurf.beside import beside\n"
        "with beside(lambda: time.sleep(600)):\n"
        "    try:\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
