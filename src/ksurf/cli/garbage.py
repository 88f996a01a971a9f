"""Python's search for garbage, which costs where much is made and little is thrown away."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["none_looked_for"]


@contextmanager
def none_looked_for() -> Iterator[None]:
    """Look for none: what is made lives until the command's end, which is near."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
