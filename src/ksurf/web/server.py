"""Runs the application: one process, or several that answer on one socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ksurf.errors import InputError, KsurfError
from ksurf.web.explorer import Settings

__all__ = ["serve"]

_BACKLOG = 1024
_SHORT_LIFE = 5.0
"""Seconds: a process that ends earlier has failed to start, and would again."""
_PATIENCE = 0.2
_GRACE = 8.0
"""Seconds that processes have to end what they are at."""


def serve(settings: Settings, host: str, port: int, workers: int) -> int:
    """Answer until the process is told to stop; the exit status.

    Raises ``InputError`` if the address cannot be listened on, and ``KsurfError`` if no process comes up.
    """
    import click

    with _listening(host, port) as listening, _stoppable() as stopped:
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C stops it)")
        running = [_start(settings, listening) for _ in range(workers)]
        try:
            while not stopped:
                time.sleep(_PATIENCE)
                running = [_kept(worker, settings, listening) for worker in running]
        finally:
            _stop([worker.process for worker in running])
    return 0


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Take the port, before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, port))
            listening.listen(_BACKLOG)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"cannot listen on {host} port {port}: {reason}", "--port 0 takes any that is free"
            ) from error
        yield listening


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """A list that is not empty any more once a signal has come."""
    came: list[int] = []
    chosen = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda got, _frame: came.append(got)) for number in chosen}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Worker:
    """A process that answers."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.started = time.monotonic()


def _start(settings: Settings, listening: socket.socket) -> _Worker:
    told = {
        "socket": listening.fileno(),
        "parent": os.getpid(),
        "dataset": str(settings.dataset),
        "baseline": settings.baseline,
        "cache": None if settings.cache is None else str(settings.cache),
        "uploads": settings.uploads,
    }
    command = [sys.executable, "-m", "ksurf.web.worker", json.dumps(told)]
    # In a session of its own: Ctrl-C is for the process that was started, which tells the others.
    process = subprocess.Popen(
        command,
        pass_fds=[listening.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=_environment(),
    )
    return _Worker(process)


def _environment() -> dict[str, str]:
    """This process's environment; the modules are found where this process found them."""
    package = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package}


def _kept(worker: _Worker, settings: Settings, listening: socket.socket) -> _Worker:
    """The worker, or one that takes its place if it has died."""
    status = worker.process.poll()
    if status is None:
        return worker
    if time.monotonic() - worker.started < _SHORT_LIFE:
        raise KsurfError(f"a process of the server ended at once, with status {status}")
    return _start(settings, listening)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
