"""What a process that reads uploads has given up really is gone."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import ksurf
from ksurf.web.limits import Limits, confine, missing

LIMITS = Limits(address_byte_size=256 << 20, cpu_seconds=1, file_byte_size=1 << 16, open_files=32)
CONFINED = f"""
import errno, os, socket, subprocess, sys, threading
sys.path.insert(0, {str(Path(ksurf.__file__).parents[1])!r})
from ksurf.web.limits import Limits, confine
confine(Limits(**{asdict(LIMITS)}))

def refused(what, *errors):
    try:
        what()
    except OSError as error:
        assert error.errno in errors, error
    else:
        raise AssertionError("it was allowed")
"""


def confined(code: str, cwd: Path) -> tuple[int, str]:
    """Run code in a process that has given all up; gives its status and what it printed."""
    ran = subprocess.run(
        [sys.executable, "-I", "-c", CONFINED + code], cwd=cwd, capture_output=True, text=True, timeout=60
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_what_is_left_is_enough_to_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("read")
    code = """
print(open("file").read())
thread = threading.Thread(target=print, args=("threads",)); thread.start(); thread.join()
memory = os.memfd_create("x"); os.write(memory, b"memory"); print(open(f"/proc/self/fd/{memory}").read())
import sqlite3
"""
    assert confined(code, tmp_path) == (0, "read\nthreads\nmemory\n")


@pytest.mark.parametrize(
    ("code", "status", "printed"),
    [
        ("bytearray(1 << 30)", 1, "MemoryError"),
        ("held = []\nwhile True: held.append(bytearray(1 << 20))", 1, "MemoryError"),
        ("while True: pass", -24, ""),
        ("import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", -9, ""),
        ("files = []\nwhile True: files.append(open('/dev/null'))", 1, "Too many open files"),
        ("os.write(os.memfd_create('x'), bytes(1 << 20)) == 1 << 16 or sys.exit(1)", 0, ""),
    ],
)
def test_what_takes_too_much_ends(tmp_path: Path, code: str, status: int, printed: str) -> None:
    ended, said = confined(code, tmp_path)
    assert ended == status, said
    assert printed in said


@pytest.mark.skipif(bool(missing()), reason="; ".join(missing()))
@pytest.mark.parametrize(
    "code",
    [
        "refused(lambda: open('new', 'w'), errno.EACCES)",
        "refused(lambda: open('file', 'a'), errno.EACCES)",
        "refused(lambda: os.unlink('file'), errno.EACCES)",
        "refused(lambda: os.rename('file', 'other'), errno.EACCES)",
        "refused(lambda: os.mkdir('folder'), errno.EACCES)",
        "refused(lambda: os.symlink('/', 'link'), errno.EACCES)",
        "refused(lambda: os.mkfifo('pipe'), errno.EACCES)",
        "refused(lambda: os.truncate('file', 0), errno.EACCES)",
        "refused(socket.socket, errno.EPERM)",
        "refused(lambda: socket.socket(socket.AF_UNIX), errno.EPERM)",
        "refused(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM), errno.EPERM)",
        "refused(socket.socketpair, errno.EPERM)",
        "refused(os.fork, errno.EPERM)",
        "refused(lambda: os.execv('/bin/true', ['true']), errno.EPERM, errno.EACCES)",
        "refused(lambda: subprocess.run(['/bin/true']), errno.EPERM, errno.EACCES)",
        "refused(lambda: os.posix_spawn('/bin/true', ['true'], {}), errno.EPERM, errno.ENOSYS)",
        "refused(lambda: os.kill(os.getppid(), 9), errno.EPERM)",
        # what a thread does is refused as well
        "threading.Thread(target=refused, args=(socket.socket, errno.EPERM)).start()",
    ],
)
def test_what_is_not_needed_is_refused(tmp_path: Path, code: str) -> None:
    (tmp_path / "file").write_text("as it was")
    assert confined(code, tmp_path) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "as it was"


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    child = CONFINED + "import time\nprint('up', flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-I', '-c', {child!r}]); input()"
    starter = subprocess.Popen(
        [sys.executable, "-I", "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    starter.kill()
    starter.wait()
    # Its standard output ends when the child, which has it too, has ended.
    assert starter.stdout.read() == b""
    for stream in (starter.stdin, starter.stdout):
        assert stream is not None
        stream.close()


def test_everything_public_is_said() -> None:
    assert confine.__doc__
    assert all(isinstance(sentence, str) for sentence in missing())
