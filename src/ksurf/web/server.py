"""Runs the explorer: processes that answer on one socket, and one that prepares quick answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from ksurf.errors import InputError, KsurfError
from ksurf.web.child import tell
from ksurf.web.explorer import Settings, state_of

__all__ = ["serve"]

_BACKLOG = 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
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
        if ip_address(listening.getsockname()[0]).is_loopback:
            # A page of somebody else's may have a name of its own that means this machine.
            settings = replace(settings, hosts=(*_LOOPBACK, host))
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C stops it)")
        processes = _Processes(settings, listening, workers)
        try:
            while not stopped:
                time.sleep(_PATIENCE)
                processes.look_after()
        finally:
            processes.stop()
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


class _Process:
    """One process of the server."""

    def __init__(self, module: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> None:
        # In a session of its own: Ctrl-C is for the process that was started, which tells the others.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env=_environment(),
        )
        self._started = time.monotonic()

    @property
    def status(self) -> int | None:
        return self._process.poll()

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    def tell_to_stop(self) -> None:
        if self.status is None:
            self._process.terminate()

    def wait(self, until: float) -> None:
        try:
            self._process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Processes:
    """All of them."""

    def __init__(self, settings: Settings, listening: socket.socket, workers: int) -> None:
        self._settings = settings
        self._listening = listening
        self._workers = [self._worker() for _ in range(workers)]
        self._preparing: _Process | None = None
        self._prepared: object = None

    def _worker(self) -> _Process:
        descriptor = self._listening.fileno()
        return _Process("ksurf.web.worker", str(descriptor), tell(self._settings), descriptors=(descriptor,))

    def look_after(self) -> None:
        """Put others in the place of those that have died, and prepare again when the dataset is another."""
        for index, worker in enumerate(self._workers):
            if worker.status is None:
                continue
            if worker.age < _SHORT_LIFE:
                raise KsurfError(f"a process of the server ended at once, with status {worker.status}")
            self._workers[index] = self._worker()
        if self._preparing is not None and self._preparing.status is not None:
            self._preparing = None
        state = state_of(self._settings.dataset)
        if self._preparing is None and state != self._prepared:
            # Those that answer come first: the first page is waited for.
            if self._prepared is None and self._workers[0].age < _SHORT_LIFE / 2:
                return
            self._prepared = state
            self._preparing = _Process("ksurf.web.prepare", tell(self._settings))

    def stop(self) -> None:
        """End all of them; those that do not want to are killed."""
        every = [*self._workers, *([self._preparing] if self._preparing else [])]
        for process in every:
            process.tell_to_stop()
        until = time.monotonic() + _GRACE
        for process in every:
            process.wait(until)


def _environment() -> dict[str, str]:
    """This process's environment; the modules are found where this process found them."""
    package = str(Path(__file__).parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{path}" if path else package}
