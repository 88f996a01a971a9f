"""Answers that were made once and may be asked for again, in as much memory as is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from threading import Lock

from ksurf.source.recent import Recent

__all__ = ["Kept"]


class Kept:
    """Bytes by key, those that were not asked for longest given up first; several threads may use it.

    What several ask for at once is made once, and the others wait for it.
    """

    def __init__(self, byte_size: int) -> None:
        """Say how many bytes may be kept."""
        self._held: Recent[tuple[bytes, float]] = Recent(byte_size)
        self._turn = Lock()
        self._making: dict[Hashable, Lock] = {}

    def get(self, key: Hashable, oldest: float | None = None) -> bytes | None:
        """Return what is kept under a key, unless it is older than ``oldest`` seconds."""
        found = self._held.get(key)
        if found is None or (oldest is not None and time.monotonic() - found[1] > oldest):
            return None
        return found[0]

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, in the place of one that is there."""
        self._held.put(key, (value, time.monotonic()), len(value))

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
