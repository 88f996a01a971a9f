"""A package into the cache: resumed where it broke off, checked as it comes, and safe between processes."""

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ksurf.acquire.files import megabytes, room, write_atomically
from ksurf.acquire.http import ABSENT, Http, Transient, shown
from ksurf.errors import DiskFullError, MirrorError, NotOnMirrorError, VerificationError
from ksurf.paths import cache_dir
from ksurf.progress import Reporter, Task

if TYPE_CHECKING:
    from ksurf.acquire.debian import PackageOffer

__all__ = ["download", "fetch", "is_verified"]

_CHUNK = 1 << 20
_OUT_OF_STEP = "the mirror is out of step with its index: try again later, or name another with --mirror"


def download(
    http: Http, urls: Sequence[str], target: Path, *, byte_size: int, sha256: str, reporter: Reporter
) -> Path:
    """Bring a file of known size and hash to ``target``, unless it is there already.

    What has come so far is in a ``.part`` file beside it, from which the next call goes on. A second process
    that wants the same file waits for the first. Where one address does not have it, the next is tried.
    """
    if is_verified(target, byte_size, sha256):
        return target
    with room(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target, reporter), reporter.task(target.name, byte_size) as task:
        if is_verified(target, byte_size, sha256):  # thanks to the process that was waited for
            return target
        part = _Part(
            target.with_name(f"{target.name}.{sha256[:12]}.part"), target.name, byte_size, sha256, task
        )
        with room(target.parent):
            # A file that was copied here by hand, or whose record is lost, is checked as if it had just come.
            if target.is_file() and target.stat().st_size == byte_size:
                target.replace(part.path)
        part.complete(http, urls)
        with room(target.parent):
            part.path.replace(target)
            facts = _facts(target.stat(), sha256)
        write_atomically(_record_path(target), json.dumps(facts).encode())
    return target


def fetch(http: Http, package: "PackageOffer", reporter: Reporter) -> Path:
    """Bring a package of the archive into the cache."""
    return download(
        http,
        package.urls,
        cache_dir() / "packages" / package.filename,
        byte_size=package.byte_size,
        sha256=package.sha256,
        reporter=reporter,
    )


def is_verified(path: Path, byte_size: int, sha256: str) -> bool:
    """Tell if a file was found to have this hash before, and has not been touched since."""
    try:
        found = path.stat()
        record = json.loads(_record_path(path).read_bytes())
    except (OSError, ValueError):
        return False
    return found.st_size == byte_size and bool(record == _facts(found, sha256))


def _record_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.ok")


def _facts(found: os.stat_result, sha256: str) -> dict[str, object]:
    return {"byte_size": found.st_size, "mtime_ns": found.st_mtime_ns, "sha256": sha256}


@contextmanager
def _locked(target: Path, reporter: Reporter) -> Iterator[None]:
    with room(target.parent):
        lock = os.open(target.with_name(f".{target.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with reporter.task(f"Waiting for another ksurf that fetches {target.name}"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


class _Part:
    """The part of a file that has come so far, and the running hash of it."""

    def __init__(self, path: Path, name: str, byte_size: int, sha256: str, task: Task) -> None:
        self.path = path
        self._name = name
        self._byte_size = byte_size
        self._sha256 = sha256
        self._task = task
        self._done = 0
        self._digest = hashlib.sha256()

    def complete(self, http: Http, urls: Sequence[str]) -> None:
        """Fetch what is missing, and check the whole."""
        with room(self.path.parent):
            self._file = self.path.open("ab+", buffering=0)
        with self._file:
            try:
                resumed = self._take_over()
                self._check_room()
                self._fetch(http, urls)
                if resumed and self._digest.hexdigest() != self._sha256:
                    # What was there may have been of something else: once more, from the start.
                    self._restart()
                    self._fetch(http, urls)
                with room(self.path.parent):
                    os.fsync(self._file.fileno())
            except BaseException:
                if self._done == 0:
                    self.path.unlink()
                raise
        if (actual := self._digest.hexdigest()) != self._sha256:
            self.path.unlink()
            raise VerificationError(
                f"{self._name}: its SHA256 is {actual}, the archive's list says {self._sha256}",
                "it was deleted; the mirror's copy is damaged: name another with --mirror",
            )

    def _take_over(self) -> bool:
        """Hash what an earlier run left."""
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            self._count(chunk)
        if self._done > self._byte_size:
            self._restart()
        return self._done > 0

    def _restart(self) -> None:
        self._file.truncate(0)
        self._done, self._digest = 0, hashlib.sha256()
        self._task.update(0)

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._done += len(chunk)
        self._task.update(self._done)

    def _check_room(self) -> None:
        missing, free = self._byte_size - self._done, shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise DiskFullError(
                f"{self.path.parent}: {self._name} needs {megabytes(missing)}, {megabytes(free)} is free",
                "free some room, or name another folder with KSURF_CACHE",
            )

    def _fetch(self, http: Http, urls: Sequence[str]) -> None:
        for url in urls:
            try:
                http.retry(url, partial(self._fetch_once, http, url), lambda: self._done)
                return
            except NotOnMirrorError:
                if url == urls[-1]:
                    raise

    def _fetch_once(self, http: Http, url: str) -> None:
        if self._done == self._byte_size:
            return
        headers = {"Range": f"bytes={self._done}-"} if self._done else {}
        with http.stream(url, headers) as response:
            if response.status_code in ABSENT:
                raise NotOnMirrorError(
                    f"{shown(url)}: the archive lists it, the mirror answers {response.status_code}",
                    _OUT_OF_STEP,
                )
            if response.status_code == 416:  # it is shorter there than what has come so far
                self._restart()
                raise Transient("the server has less of it than was fetched before")
            if response.status_code not in {200, 206}:
                raise MirrorError(f"{shown(url)}: the server answered {response.status_code}")
            if response.status_code == 200 and self._done:  # it knows no ranges
                self._restart()
            self._check_size(url, response.headers)
            # As the bytes come: whatever collected them first would lose them when the connection breaks.
            for chunk in response.iter_raw():
                if self._done + len(chunk) > self._byte_size:
                    self._restart()
                    raise VerificationError(
                        f"{shown(url)}: longer than the {self._byte_size} bytes that the archive lists"
                    )
                with room(
                    self.path.parent, "what has come is kept: free some room and run it again to go on"
                ):
                    self._write(chunk)
                self._count(chunk)
        if self._done == 0:
            raise NotOnMirrorError(f"{shown(url)}: the mirror sends an empty file", _OUT_OF_STEP)
        if self._done < self._byte_size:
            raise Transient(f"the connection ended after {self._done} of {self._byte_size} bytes")

    def _check_size(self, url: str, headers: Mapping[str, str]) -> None:
        """Refuse at once what cannot become the right file."""
        ranged = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("content-range", ""))
        if ranged is not None and int(ranged[1]) != self._done:
            raise MirrorError(f"{shown(url)}: the server sent another range than was asked for")
        size = ranged[2] if ranged else headers.get("content-length", "*")
        if size == "0":
            raise NotOnMirrorError(f"{shown(url)}: the mirror sends an empty file", _OUT_OF_STEP)
        if size.isdecimal() and int(size) != self._byte_size:
            raise VerificationError(
                f"{shown(url)}: {size} bytes there, the archive lists {self._byte_size}", _OUT_OF_STEP
            )

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]
