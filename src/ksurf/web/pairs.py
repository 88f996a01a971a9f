"""Pairs of kernels compared: kept in memory and in files, and made by a process of their own.

Kernels do not change, so what was found once stays: under a key that is a hash of both manifests. The files
are shared by all processes of a server, and by those that come after it.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

import ksurf
from ksurf.dataset.manifest import Manifest
from ksurf.errors import DatasetError
from ksurf.recent import Recent
from ksurf.web.pair_file import FORMAT, Pair, read_pair, unsealed
from ksurf.web.pair_job import arguments

__all__ = ["BusyError", "Job", "Pairs"]

T = TypeVar("T")

_HELD_BYTES = 64 << 20
_JOBS = 3
"""Comparisons that this process waits for at once."""
_FAILURE_SECONDS = 5.0
_LONGEST_SECONDS = 300.0
"""How long one may take: ten times what the largest kernels need on a slow machine."""


class BusyError(DatasetError):
    """Too many comparisons are being made at once."""


class Job:
    """A process that makes a file."""

    def __init__(self, command: Sequence[str], target: Path) -> None:
        """Start it, in a group of its own: it is ended with what it started, and not by Ctrl-C."""
        self.target = target
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._started = time.monotonic()
        self._ended = 0.0
        self._error: str | None = None
        self._lock = Lock()

    def is_done(self) -> bool:
        """Tell if it has ended. Raises :class:`~ksurf.errors.DatasetError` if it failed."""
        with self._lock:
            if not self._ended:
                if self.process.poll() is None:
                    if time.monotonic() - self._started <= _LONGEST_SECONDS:
                        return False
                    self.end()
                self._note()
        if self._error is not None:
            raise DatasetError(self._error)
        return True

    def is_kept(self) -> bool:
        """Tell if it still runs, or failed just now, which is told for a while before it is tried again."""
        try:
            return not self.is_done()
        except DatasetError:
            return time.monotonic() - self._ended <= _FAILURE_SECONDS

    def end(self) -> None:
        """End it, and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _note(self) -> None:
        self._ended = time.monotonic()
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            lines = stream.read().decode(errors="replace").strip().splitlines()
        if self.process.returncode:
            reason = lines[-1] if lines else "its process was killed"
            self._error = f"the comparison failed: {reason}"


class Pairs:
    """Those of one dataset. May be used by several threads at once."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        """Name the dataset, and the folder of the files, which need not exist."""
        self._dataset = dataset
        self._folder = folder
        self._lock = Lock()
        self._reading = Lock()
        self._held: Recent[Pair] = Recent(_HELD_BYTES)
        self._jobs: dict[Path, Job] = {}
        self._digests: dict[str, tuple[Manifest, str]] = {}

    def pair(self, old: Manifest, new: Manifest) -> Pair | Job:
        """What differs, or the process that finds it out."""
        key = self._key(old, new)
        if (held := self._held.get(key)) is not None:
            return held
        # One reads a file, and all who wait for it have it then.
        with self._reading:
            if (held := self._held.get(key)) is not None:
                return held
            found = self._made(self._folder / f"{key}.pair", "pair", old, new, read_pair)
            if isinstance(found, Pair):
                # One that is larger than all that may be kept is kept alone.
                self._held.put(key, found, min(found.byte_size, _HELD_BYTES))
        return found

    def json(self, old: Manifest, new: Manifest) -> bytes | Job:
        """What ``ksurf diff --format json`` prints, compressed with gzip, or the process that makes it."""
        target = self._folder / f"{self._key(old, new)}.json.gz"
        return self._made(target, "json", old, new, bytes)

    def close(self) -> None:
        """End what runs."""
        with self._lock:
            for job in self._jobs.values():
                job.end()
            self._jobs.clear()

    def _made(
        self, target: Path, job: str, old: Manifest, new: Manifest, read: Callable[[memoryview], T]
    ) -> T | Job:
        found = _read(target, read)
        with self._lock:
            if found is not None:
                if (done := self._jobs.get(target)) is not None and not done.is_kept():
                    del self._jobs[target]
                return found
            running = self._jobs.get(target)
            if running is not None and running.is_kept():
                return running
            self._jobs = {path: own for path, own in self._jobs.items() if own.process.poll() is None}
            if len(self._jobs) >= _JOBS:
                raise BusyError("other kernels are being compared", "try again in some seconds")
            made = Job(arguments(job, self._dataset, old.kernel, new.kernel, target), target)
            self._jobs[target] = made
            return made

    def _key(self, old: Manifest, new: Manifest) -> str:
        """A name for the pair that another content of a kernel, and another ksurf, would not have."""
        text = b"\0".join(
            [FORMAT, ksurf.__version__.encode(), *(self._digest(own).encode() for own in (old, new))]
        )
        return hashlib.sha256(text).hexdigest()[:40]

    def _digest(self, manifest: Manifest) -> str:
        with self._lock:
            known = self._digests.get(manifest.kernel.id)
        if known is not None and known[0] is manifest:
            return known[1]
        digest = hashlib.sha256(manifest.to_json().encode()).hexdigest()
        with self._lock:
            self._digests[manifest.kernel.id] = manifest, digest
        return digest


def _read(path: Path, read: Callable[[memoryview], T]) -> T | None:
    """Read a file, and note that it was used; a damaged one is removed, and made again then."""
    try:
        content = path.read_bytes()
        body = unsealed(content)
        if body is not None:
            os.utime(path)
            return read(body)
        path.unlink()
    except OSError:
        pass  # it is not there, or was removed meanwhile
    return None
