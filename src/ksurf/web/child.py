"""What the server's processes are told, and how they end with it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from ksurf.web.explorer import Settings

__all__ = ["end_with_parent", "tell", "told"]

_PR_SET_PDEATHSIG = 1
"""``prctl`` (include/uapi/linux/prctl.h): a signal to this process when its parent dies."""


def tell(settings: Settings) -> str:
    """The settings, and who tells them, as one argument."""
    return json.dumps(
        {
            "parent": os.getpid(),
            "dataset": str(settings.dataset),
            "baseline": settings.baseline,
            "cache": None if settings.cache is None else str(settings.cache),
            "uploads": settings.uploads,
            "hosts": settings.hosts,
        }
    )


def told(text: str) -> tuple[Settings, int]:
    """The settings, and the process that told them."""
    document = json.loads(text)
    cache = document["cache"]
    settings = Settings(
        Path(document["dataset"]),
        document["baseline"],
        None if cache is None else Path(cache),
        document["uploads"],
        tuple(document["hosts"]),
    )
    return settings, document["parent"]


def end_with_parent(parent: int) -> None:
    """Have this process told to stop when its parent is gone; end at once if it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)
