"""The suites of an archive: which there are, fetched, their signatures checked, and kept for a while."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ksurf.acquire.files import write_atomically
from ksurf.acquire.http import ABSENT, CONNECTIONS, Http, join, shown, together
from ksurf.acquire.mirror import ALIASES, CODENAMES, Mirror
from ksurf.acquire.release import Release, parse_release_file
from ksurf.acquire.verify import Verdict, keyring_contents, split_clearsigned, system_keyrings, verify
from ksurf.errors import MirrorError, VerificationError
from ksurf.progress import Reporter

__all__ = ["Suites"]

_MAX_AGE_SECONDS = 900
_INRELEASE_LIMIT = 16 << 20


@dataclass(frozen=True)
class _Record:
    """What is known of a cached ``InRelease``: when the mirror was asked, and what it said."""

    status: int = 0
    checked: float = 0
    etag: str | None = None
    last_modified: str | None = None

    @property
    def is_young(self) -> bool:
        return 0 <= time.time() - self.checked <= _MAX_AGE_SECONDS


class Suites:
    """The suites that some mirrors have. Signatures are checked each time, also those of cached indexes."""

    def __init__(
        self,
        mirrors: Sequence[Sequence[Mirror]],
        http: Http,
        cache: Path,
        reporter: Reporter,
        *,
        keyrings: Sequence[str] = (),
        unsigned: bool = False,
    ) -> None:
        """Look at the first working mirror of each list.

        ``keyrings`` replace those that the machine would use; ``unsigned`` accepts any signature, and none.
        """
        self._mirrors = mirrors
        self._http = http
        self._cache = cache / "suites"
        self._reporter = reporter
        self._keyrings = keyrings
        self._unsigned = unsigned
        self.verified = not unsigned
        """Whether the signature of every suite that was used has been checked."""
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def find(self, names: Sequence[str] = ()) -> list[Release]:
        """Return the suites that may carry kernels, or just those named."""
        found: list[Release] = []
        with (
            self._reporter.task("Looking for the archive's suites"),
            ThreadPoolExecutor(CONNECTIONS) as pool,
        ):
            for alternatives in self._mirrors:
                for mirror in alternatives:
                    new = self._discover(pool, mirror, names, found)
                    if mirror.optional and any(release.origin != "Debian" for release in new):
                        continue  # somebody else's archive, with Debian's names for its suites
                    found += new
                    if new:
                        break
        if not found:
            urls = " or ".join(dict.fromkeys(shown(mirrors[0].url) for mirrors in self._mirrors))
            raise MirrorError(
                f"{urls}: no usable suite there ({', '.join(names) or 'tried the usual names'})",
                "check the address: it is the folder that holds dists and pool; --suite names another suite",
            )
        self._warn_of_age(found)
        return found

    def _discover(
        self, pool: ThreadPoolExecutor, mirror: Mirror, wanted: Sequence[str], others: Iterable[Release]
    ) -> list[Release]:
        def load(names: Iterable[str]) -> list[Release]:
            loaded = together(pool, lambda name: self.load(mirror, name), dict.fromkeys(names))
            return [release for release in loaded if release is not None]

        if wanted:
            found = load(wanted)
        elif mirror.security:
            numbered = [release.codename for release in others if release.codename] or [*ALIASES, *CODENAMES]
            found = load(f"{name}-security" for name in numbered if "-" not in name)
        else:
            found = load(ALIASES) or load(CODENAMES)
            found += load(f"{release.codename}-backports" for release in found if release.codename)
        return list({release.name: release for release in reversed(found)}.values())[::-1]

    def load(self, mirror: Mirror, directory: str, *, renew: bool = False) -> Release | None:
        """Return a suite, from the cache while that is young; ``None`` if the mirror does not have it.

        ``renew`` asks the mirror in any case.
        """
        folder = self._cache / quote(mirror.url, safe="")
        path = folder / f"{quote(directory, safe='')}.InRelease"
        record_path = path.with_suffix(".json")
        record, body = _read_record(record_path), _read(path)
        if record.status == 200 and body is None:
            record = _Record()
        if record.is_young and not renew:
            if record.status != 200 or body is None:
                return None
            try:
                return self._checked(body, mirror, directory)
            except VerificationError:  # what is in the cache is damaged: as if it were not there
                record = _Record()
        record, body = self._ask(mirror, directory, record, body)
        release = self._checked(body, mirror, directory) if record.status == 200 else None
        if record.status == 200:
            write_atomically(path, body)
        write_atomically(record_path, json.dumps(asdict(record)).encode())
        return release

    def _ask(
        self, mirror: Mirror, directory: str, record: _Record, body: bytes | None
    ) -> tuple[_Record, bytes]:
        url = join(mirror.url, f"dists/{directory}/InRelease")
        headers: dict[str, str] = {}
        if record.status == 200 and record.etag:
            headers["If-None-Match"] = record.etag
        if record.status == 200 and record.last_modified:
            headers["If-Modified-Since"] = record.last_modified
        answer = self._http.fetch(url, _INRELEASE_LIMIT, headers)
        if answer.status == 304 and body is not None:
            return replace(record, checked=time.time()), body
        if answer.status in ABSENT:
            return _Record(404, time.time()), b""
        if answer.status != 200:
            raise MirrorError(f"{shown(url)}: the server answered {answer.status}")
        etag, last_modified = (answer.headers.get(name) for name in ("etag", "last-modified"))
        return _Record(200, time.time(), etag, last_modified), answer.body

    def _checked(self, body: bytes, mirror: Mirror, directory: str) -> Release | None:
        """Read an ``InRelease`` with a good signature; ``None``, after a warning, if its key is not known."""
        url = shown(f"{mirror.url}/dists/{directory}/InRelease")
        signed = split_clearsigned(body)
        release = parse_release_file(signed[0] if signed else body, mirror, directory)
        if self._unsigned:
            return release
        hint = "--keyring names the keyring it is signed with; --unsigned takes it as it is"
        if signed is None:
            raise VerificationError(f"{url}: it is not signed", hint)
        keyrings = keyring_contents(self._keyrings or mirror.signed_by or system_keyrings())
        try:
            verdict = verify(*signed, keyrings, self._cache)
        except VerificationError as error:
            raise VerificationError(
                f"{url}: {error.message}", "do not trust this mirror; name another"
            ) from error
        if verdict in {Verdict.NO_TOOL, Verdict.NO_KEYRING}:
            self.verified = False
            self._warn_once(f"the archive's signatures are not checked: {verdict.value}")
        elif verdict is Verdict.UNKNOWN_KEY:
            self._warn_once(f"the suite {release.name} is left out: {verdict.value} ({hint})")
            return None
        return release

    def _warn_once(self, message: str) -> None:
        with self._lock:
            known = message in self._warned
            self._warned.add(message)
        if not known:
            self._reporter.warn(message)

    def _warn_of_age(self, releases: Iterable[Release]) -> None:
        now = datetime.now(UTC)
        stale = {r.name: r.valid_until for r in releases if r.valid_until is not None and r.valid_until < now}
        if stale:
            names, day = ", ".join(sorted(stale)), min(stale.values()).date()
            self._warn_once(f"the mirror is out of date: its index of {names} was to be renewed by {day}")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _read_record(path: Path) -> _Record:
    try:
        return _Record(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return _Record()
