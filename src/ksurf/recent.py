"""What was made last, so that it is not made again as long as what it was made of is the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

__all__ = ["Recent"]

_T = TypeVar("_T")


class Recent(Generic[_T]):
    """Things by key, up to a weight of all together; what was not asked for longest goes first.

    Threads may share it.
    """

    def __init__(self, limit: int) -> None:
        """Say the weight up to which things are kept."""
        self._limit = limit
        self._weight = 0
        self._things: OrderedDict[Hashable, tuple[_T, int]] = OrderedDict()
        self._turn = Lock()

    def get(self, key: Hashable) -> _T | None:
        """Return what is kept under a key."""
        with self._turn:
            found = self._things.get(key)
            if found is None:
                return None
            self._things.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, thing: _T, weight: int) -> None:
        """Keep a thing, unless it alone weighs too much; one of the same key goes."""
        with self._turn:
            _, before = self._things.pop(key, (None, 0))
            self._weight -= before
            if weight > self._limit:
                return
            self._things[key] = thing, weight
            self._weight += weight
            while self._weight > self._limit:
                _, (_, gone) = self._things.popitem(last=False)
                self._weight -= gone
