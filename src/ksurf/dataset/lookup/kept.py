"""What one piece of work reads of a dataset, kept until it ends.

A check asks the same files for names again and again: for what it needs of them, for what that leads to, for
what took the place of what is gone. Inside :func:`reading_once` a file is opened once, and no column of a row
group is decoded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
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
    """What has been read. Threads may share it."""

    def __init__(self, more: Mapping[str, Collection[str]] = MappingProxyType({})) -> None:
        """Nothing has been read yet. ``more`` are columns to be kept by their tables, besides those that
        always are: what the same few questions go through whole each time.
        """
        self._more = more
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

    def keeps(self, table: str, columns: Collection[str]) -> bool:
        """Whether columns of a table are kept that are not always."""
        more = self._more.get(table, ())
        return all(column in more for column in columns)

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
def reading_once(before: Kept | None = None) -> Iterator[None]:
    """Keep all that is looked up inside; a kernel that is replaced meanwhile stays as it was.

    ``before`` has what was read inside of another one, and takes what is read in this.
    """
    if _kept.get() is not None:
        yield
        return
    token = _kept.set(Kept() if before is None else before)
    try:
        yield
    finally:
        _kept.reset(token)


def kept() -> Kept | None:
    """What is kept, inside :func:`reading_once`."""
    return _kept.get()
