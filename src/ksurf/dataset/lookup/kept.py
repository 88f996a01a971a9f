"""What one piece of work reads of a dataset, kept until it ends.

A check asks the same files for names again and again: for what it needs of them, for what that leads to, for
what took the place of what is gone. Inside :func:`reading_once` a file is opened once, and no column of a row
group is decoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ksurf.dataset.rows import Definition

__all__ = ["Kept", "kept", "reading_once"]

_FILES_LIMIT = 400
"""Files that are held open: systems often allow 1024, and a dataset may have any number of kernels."""
_BYTES_LIMIT = 256 << 20
"""Of columns. What is read beyond it is read anew each time."""

_T = TypeVar("_T")


class Kept:
    """What has been read."""

    def __init__(self) -> None:
        """Nothing has been read yet."""
        self._files: dict[Path, Any] = {}
        self._columns: dict[tuple[Path, str, int], Any] = {}
        self._bytes = 0
        self.definitions: dict[int, Definition] = {}
        """Of the pool, by key."""

    def once(self, path: Path, make: Callable[[Path], _T]) -> _T:
        """What is made of a path, made once; two threads may both make it."""
        found: _T | None = self._files.get(path)
        if found is None:
            found = make(path)
            if len(self._files) < _FILES_LIMIT:
                self._files[path] = found
        return found

    def column(self, path: Path, name: str, group: int) -> Any:
        """A column of a row group, if it is kept."""
        return self._columns.get((path, name, group))

    def keep(self, path: Path, name: str, group: int, column: Any) -> None:
        """Keep a column of a row group, if there is room."""
        if self._bytes < _BYTES_LIMIT:
            self._bytes += column.nbytes
            self._columns[path, name, group] = column


_kept: ContextVar[Kept | None] = ContextVar("kept", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Keep all that is looked up inside; a kernel that is replaced meanwhile stays as it was."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set(Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def kept() -> Kept | None:
    """What is kept, inside :func:`reading_once`."""
    return _kept.get()
