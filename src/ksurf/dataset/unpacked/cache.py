"""The unpacked files of a dataset, in a cache folder: which are there, made and removed.

A file is named after a folder of the dataset, and after a hash of what lies there: that of a kernel which was
replaced has another name. Files of the old name are nobody's, and go when the next one is made.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ksurf.dataset.lock import FileLock
from ksurf.dataset.pool import segments_of
from ksurf.dataset.rows import Definition
from ksurf.dataset.unpacked.file import DamagedFileError, UnpackedFile
from ksurf.dataset.unpacked.layout import VERSION
from ksurf.dataset.workspace import workspace
from ksurf.paths import cache_dir

__all__ = ["Unpacked", "reading_unpacked", "unpacked"]

_OPEN_LIMIT = 400
"""Files that are mapped at once, each of which takes a file descriptor: systems often allow 1024."""
_DEFINITIONS_LIMIT = 2000
"""Definitions that are kept in memory: a few dozen MB at most."""
_SUFFIX = ".tables"

_T = TypeVar("_T")
_Stamp = tuple[int, int, int]


class _Opened(NamedTuple):
    stamp: _Stamp
    file: UnpackedFile | None
    made: dict[Any, Any]


class Unpacked:
    """The unpacked files of one dataset."""

    def __init__(self, dataset: Path, cache: Path | None = None) -> None:
        """Name the dataset and the folder of caches; nothing is read or written yet."""
        name = hashlib.sha256(os.fsencode(dataset.resolve())).hexdigest()[:16]
        self.folder = (cache_dir() if cache is None else cache) / "unpacked" / name
        """Where this dataset's files lie."""
        self._opened: dict[Path, _Opened] = {}
        self._definitions: dict[int, Definition] = {}

    def file(self, directory: Path) -> UnpackedFile | None:
        """The file of a kernel's folder, or of a segment's; ``None`` if there is none that can be used.

        It is opened once, and again when what it was made of is replaced.
        """
        opened = self._open(directory)
        return None if opened is None else opened.file

    def once(self, directory: Path, make: Callable[..., _T], *about: Hashable) -> _T | None:
        """What is made of a folder, its file and what it is to be about, made once for each file.

        It is kept as long as the file: only for what has few answers.
        """
        opened = self._open(directory)
        if opened is None or opened.file is None:
            return None
        found: _T | None = opened.made.get((make, *about))
        if found is None:
            found = opened.made[make, *about] = make(directory, opened.file, *about)
        return found

    def known(self, keys: Collection[int]) -> dict[int, Definition]:
        """Those of the definitions of these keys that were learnt."""
        found = ((key, self._definitions.get(key)) for key in keys)
        return {key: definition for key, definition in found if definition is not None}

    def learn(self, definitions: Mapping[int, Definition]) -> None:
        """Keep definitions, which many questions share; a key means the same definition always."""
        if len(self._definitions) > _DEFINITIONS_LIMIT:
            self._definitions = {}
        self._definitions.update(definitions)

    def release(self) -> None:
        """Give back the memory of all files that are open; they stay so."""
        for opened in list(self._opened.values()):
            if opened.file is not None:
                opened.file.release()

    def missing(self, kernels: Iterable[Path]) -> list[Path]:
        """The folders of these kernels, and of the segments that they need, which have no file to be used."""
        return [directory for directory in _needed(kernels) if self.file(directory) is None]

    def make(self, directory: Path) -> None:
        """Make the file of a kernel's folder, or of a segment's, unless it is there.

        Others may do the same meanwhile: they wait for each other. Raises
        :class:`~ksurf.errors.DatasetError` if the tables cannot be read, and :class:`OSError` if nothing can
        be written.
        """
        from ksurf.dataset.unpacked.write import unpack

        self.written(self.path_of(directory), _usable, lambda path: unpack(directory, path))
        self._opened.pop(directory, None)

    def written(self, path: Path, usable: Callable[[Path], object], write: Callable[[Path], None]) -> None:
        """Write a file of this folder, whole or not at all, unless it is there and ``usable``."""
        with FileLock(self.folder / "locks" / f"{path.name}.lock"):
            if usable(path) is not None:
                return
            with workspace(self.folder, path.stem) as own:
                write(own / path.name)
                (own / path.name).replace(path)

    def sweep(self, kernels: Iterable[Path]) -> None:
        """Remove the files of this dataset that belong to none of these kernels."""
        kept = {self.path_of(directory) for directory in _needed(kernels)}
        for path in self.folder.glob(f"*{_SUFFIX}"):
            if path not in kept:
                path.unlink(missing_ok=True)

    def _open(self, directory: Path) -> _Opened | None:
        stamp = _stamp(directory)
        opened = self._opened.get(directory)
        if opened is None or opened.stamp != stamp or opened.file is None:
            if stamp is None:
                return None
            opened = _Opened(stamp, _usable(self.path_of(directory)), {})
            if len(self._opened) >= _OPEN_LIMIT:
                self._opened.pop(next(iter(self._opened)), None)
            self._opened[directory] = opened
        return opened

    def path_of(self, directory: Path) -> Path:
        """The file that a folder has, or would have; another one when what lies there is replaced."""
        digest = hashlib.sha256(b"%d" % VERSION)
        try:
            digest.update((directory / _MANIFEST).read_bytes())
        except FileNotFoundError:
            for table in sorted(directory.glob("*.parquet")):
                held = table.stat()
                digest.update(f"{table.name} {held.st_size} {held.st_mtime_ns}".encode())
        return self.folder / f"{directory.name}.{digest.hexdigest()[:16]}{_SUFFIX}"


_MANIFEST = "manifest.json"


def _stamp(directory: Path) -> _Stamp | None:
    """What tells that a folder is no longer the same, at little cost."""
    for name in (_MANIFEST, "definitions.parquet"):
        try:
            held = (directory / name).stat()
        except OSError:
            continue
        return held.st_ino, held.st_mtime_ns, held.st_size
    return None


def _usable(path: Path) -> UnpackedFile | None:
    try:
        return UnpackedFile(path)
    except (OSError, DamagedFileError):
        return None


def _needed(kernels: Iterable[Path]) -> list[Path]:
    """The kernels, and the segments that they need, each once."""
    found: dict[Path, None] = {}
    for kernel in kernels:
        found[kernel] = None
        found.update(dict.fromkeys(segments_of(kernel)))
    return list(found)


_reading: ContextVar[Unpacked | None] = ContextVar("unpacked", default=None)


@contextmanager
def reading_unpacked(unpacked: Unpacked) -> Iterator[None]:
    """Let look-ups inside use unpacked files; for kernels without one they read what they always read."""
    token = _reading.set(unpacked)
    try:
        yield
    finally:
        _reading.reset(token)


def unpacked() -> Unpacked | None:
    """What look-ups are to use, inside :func:`reading_unpacked`."""
    return _reading.get()
