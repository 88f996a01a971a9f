"""Files that other processes see whole or not at all: written beside their place and renamed.

That they survive a power failure is another matter, which the dataset sees to
(:mod:`ksurf.dataset.workspace`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["replacing", "write_whole"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name beside ``path`` to write to, which takes its place in the end; if that fails nothing is
    left."""
    # Threads of one process may write the same file, too.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        yield beside
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if there is none. Raises ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside:
        beside.write_bytes(content)
