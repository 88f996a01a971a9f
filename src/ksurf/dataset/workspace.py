"""Folders to work in before what is made there gets its name, and what a killed writer leaves of them.

A workspace lies below the dataset's ``tmp/`` and has a lock, which falls with its process: what has none is
nobody's, and the next writer removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ksurf.dataset.lock import FileLock
from ksurf.errors import DatasetError, DiskFullError, is_full

__all__ = ["cannot_write", "sync", "workspace"]


@contextmanager
def workspace(dataset: Path, name: str) -> Iterator[Path]:
    """A directory of this process's own, gone afterwards; those of dead processes go first."""
    tmp = dataset / "tmp"
    tmp.mkdir(parents=True, exist_ok=True)
    _sweep(tmp)
    directory = tmp / f"{name}.{secrets.token_hex(4)}"
    # The lock comes before the directory: a directory without a lock has no owner.
    with FileLock(_lock_of(directory)):
        directory.mkdir()
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _sweep(tmp: Path) -> None:
    for path in tmp.iterdir():
        directory = path.with_name(path.name.removesuffix(".lock"))
        lock = FileLock(_lock_of(directory))
        if lock.acquire(wait=False):
            with lock:
                shutil.rmtree(directory, ignore_errors=True)


def _lock_of(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.lock")


def sync(path: Path) -> None:
    """Force a file, or the names in a folder, to disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def cannot_write(path: Path, error: OSError, what: str = "the kernel") -> DatasetError | DiskFullError:
    """Return the line for a person when ``what`` could not be written into the dataset at ``path``."""
    if is_full(error):
        hint = "make room, or name another dataset with --dataset; the dataset is as it was"
        return DiskFullError(f"{path}: no room for {what} ({error.strerror})", hint)
    return DatasetError(f"{error.filename or path}: {error.strerror or error}")
