"""A lock file whose holder may die at any moment: the operating system then lets go of it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

__all__ = ["FileLock"]


class FileLock:
    """An exclusive ``flock`` on a file that exists only while somebody holds or wants the lock.

    The holder removes the file before it lets go. Whoever opened that file meanwhile then has a lock on a
    file without a name, which protects nothing; it is told by the inode, and the attempt starts over.
    """

    def __init__(self, path: Path) -> None:
        """Prepare the lock at ``path``; nothing is touched until it is acquired."""
        self.path = path
        self._fd: int | None = None

    def acquire(self, *, wait: bool = True, on_wait: Callable[[], None] | None = None) -> bool:
        """Take the lock; with ``wait`` false, return ``False`` at once when somebody else has it.

        ``on_wait`` is called once, before the first wait.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if not _flock(fd, wait=False):
                    if not wait:
                        os.close(fd)
                        return False
                    if on_wait is not None:
                        on_wait()
                        on_wait = None
                    _flock(fd, wait=True)
                if _is_named(fd, self.path):
                    self._fd = fd
                    return True
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    def release(self) -> None:
        """Remove the file and let go; does nothing when the lock is not held."""
        if self._fd is None:
            return
        self.path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = None

    def __enter__(self) -> FileLock:
        """Take the lock, waiting for it where that was not done yet."""
        if self._fd is None:
            self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go."""
        self.release()


def _flock(fd: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_named(fd: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
