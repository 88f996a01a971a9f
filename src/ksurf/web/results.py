"""Results of checks, each kept under an address that nobody can guess, until it expires.

A result is one file, written whole and never changed, so that any number of processes read and write in the
folder without a lock. Of what was checked nothing is in it but what the result quotes.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ksurf.dataset.workspace import sync
from ksurf.errors import is_full
from ksurf.paths import cache_dir

__all__ = ["EXPIRY", "Result", "Results", "default_folder"]

EXPIRY = timedelta(days=7)

_BYTE_LIMIT = 256 << 20
"""Of all files together."""
_COUNT_LIMIT = 10_000
_DOCUMENT_BYTE_LIMIT = 64 << 20
"""Of one result, when it is decompressed."""
_TOKEN_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
"""What 16 bytes are in base64url (RFC 4648)."""
_SUFFIX = ".result"
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 3600
"""A file that is so old and not finished has no writer any more."""
_HEAD = b"ksurf result 1\n"


def default_folder() -> Path:
    """Where results are kept: below the cache folder, since each of them can be made again."""
    return cache_dir() / "checks"


@dataclass(frozen=True, slots=True)
class Result:
    """A result that was kept."""

    token: str
    document: bytes
    created: datetime
    expires: datetime


class Results:
    """The results in a folder, which the first one makes."""

    def __init__(
        self, folder: Path | None = None, *, expiry: timedelta = EXPIRY, byte_limit: int = _BYTE_LIMIT
    ) -> None:
        """Keep results in a folder for some time; the oldest for less, where there are too many bytes."""
        self.folder = folder or default_folder()
        self.expiry = expiry
        self._byte_limit = byte_limit

    def keep(self, document: bytes) -> str | None:
        """Keep a document; gives its token, or ``None`` if there is no room for it.

        What has expired goes first, then the oldest.
        """
        digest = hashlib.sha256(document).digest()
        data = _HEAD + digest + zlib.compress(document)
        if len(data) > self._byte_limit or len(document) > _DOCUMENT_BYTE_LIMIT:
            return None
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        path = self._path(token)
        unfinished = path.with_suffix(_UNFINISHED)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.sweep(room_for=len(data))
            try:
                with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.rename(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
            sync(self.folder)
        except OSError as error:
            if is_full(error):
                return None
            raise
        return token

    def find(self, token: str) -> Result | None:
        """The result of a token, if there is one that has not expired.

        What is no token is not looked for, and a file that is damaged is removed.
        """
        if _TOKEN.fullmatch(token) is None:
            return None
        path = self._path(token)
        try:
            # Whatever else may lie there under that name: a pipe would be waited for.
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
                status = os.fstat(file.fileno())
                is_file = stat.S_ISREG(status.st_mode)
                data = file.read(self._byte_limit) if is_file else b""
        except FileNotFoundError:
            return None
        except OSError:  # a link, or a disk that does not give it back
            data, status = b"", None
        document = _document(data)
        if status is None or document is None or self._has_expired(status.st_mtime):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        created = datetime.fromtimestamp(status.st_mtime, UTC)
        return Result(token, document, created, created + self.expiry)

    def sweep(self, *, room_for: int = 0) -> None:
        """Remove what has expired and what a killed writer left, then the oldest until there is room."""
        files = []
        now = time.time()
        for entry in _entries(self.folder):
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another process is at it, too
                continue
            if entry.name.endswith(_SUFFIX) and not self._has_expired(status.st_mtime):
                files.append((status.st_mtime_ns, status.st_size, entry.path))
            elif entry.name.endswith(_SUFFIX) or (
                entry.name.endswith(_UNFINISHED) and now - status.st_mtime > _ABANDONED_SECONDS
            ):
                _remove(entry.path)
        files.sort(reverse=True)
        size = room_for
        for number, (_, byte_size, path) in enumerate(files, start=1):
            size += byte_size
            if size > self._byte_limit or number >= _COUNT_LIMIT:
                _remove(path)

    def _path(self, token: str) -> Path:
        return self.folder / f"{token}{_SUFFIX}"

    def _has_expired(self, modified: float) -> bool:
        return time.time() - modified > self.expiry.total_seconds()


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        yield from found


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108


def _document(data: bytes) -> bytes | None:
    """What a file holds; ``None`` if it is not whole."""
    start = len(_HEAD) + hashlib.sha256().digest_size
    if not data.startswith(_HEAD) or len(data) < start:
        return None
    inflate = zlib.decompressobj()
    try:
        document = inflate.decompress(data[start:], _DOCUMENT_BYTE_LIMIT)
    except zlib.error:
        return None
    whole = inflate.eof and not inflate.unused_data
    return document if whole and hashlib.sha256(document).digest() == data[len(_HEAD) : start] else None
