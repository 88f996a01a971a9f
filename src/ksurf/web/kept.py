"""Answers that were made once and may be asked for again: in as much memory as is given, and in files.

The files are shared by all processes of a server, and by those that come after it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock

import ksurf
from ksurf.atomic import write_whole
from ksurf.recent import Recent
from ksurf.web.folder import forget_oldest

__all__ = ["Kept"]

_FILES = 2_000
"""The oldest go first; most are of 10 to 100 kB."""
_LOOK_AFTER = 100
"""Files are counted each time that so many were written."""


class Kept:
    """Bytes by key; in memory those that were not asked for longest are given up first. Threads may share it.

    A key says all that an answer is made of, in values that are written alike by every process. What several
    ask for at once is made once, and the others wait for it.
    """

    def __init__(self, byte_size: int, folder: Path | None = None) -> None:
        """Say how many bytes may be kept in memory, and in which folder the files lie, if there are any."""
        self._held: Recent[tuple[bytes, float]] = Recent(byte_size)
        self._folder = folder
        self._turn = Lock()
        self._making: dict[Hashable, Lock] = {}
        self._written = 0

    def get(self, key: Hashable, oldest: float | None = None) -> bytes | None:
        """Return what is kept under a key, unless it is older than ``oldest`` seconds."""
        found = self._held.get(key)
        if found is None or not _is_young(found[1], oldest):
            found = self._read(key)
            if found is None or not _is_young(found[1], oldest):
                return None
            self._held.put(key, found, len(found[0]))
        return found[0]

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, in the place of one that is there."""
        self._held.put(key, (value, time.time()), len(value))
        if self._folder is not None:
            # Where that cannot be done it is made again.
            with suppress(OSError):
                write_whole(self._path(key, self._folder), value)
                self._written += 1
                if self._written % _LOOK_AFTER == 1:
                    forget_oldest(self._folder, _FILES)

    def made(self, key: Hashable, make: Callable[[], bytes], oldest: float | None = None) -> bytes:
        """Return what is kept, or make it and keep it; what ``make`` raises is not kept."""
        found = self.get(key, oldest)
        if found is not None:
            return found
        with self._turn:
            own = self._making.setdefault(key, Lock())
        try:
            with own:
                found = self.get(key, oldest)
                if found is None:
                    found = make()
                    self.put(key, found)
                return found
        finally:
            with self._turn:
                self._making.pop(key, None)

    def _read(self, key: Hashable) -> tuple[bytes, float] | None:
        if self._folder is None:
            return None
        try:
            path = self._path(key, self._folder)
            return path.read_bytes(), path.stat().st_mtime
        except OSError:
            return None

    def _path(self, key: Hashable, folder: Path) -> Path:
        text = f"{self._made_by}\0{key!r}"
        return folder / hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]

    @cached_property
    def _made_by(self) -> str:
        """What is another one when what makes answers is: the version, and the files of this room."""
        files = sorted(path for path in Path(__file__).parent.rglob("*") if path.is_file())
        states = ((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files)
        own = [state for state in states if not state[0].endswith(".pyc")]
        return f"{ksurf.__version__} {own}"


def _is_young(made: float, oldest: float | None) -> bool:
    return oldest is None or time.time() - made <= oldest
