"""HTTP with patience: transient failures are tried again, the rest becomes a line that names the address."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

import httpx

import ksurf
from ksurf.errors import MirrorError, VerificationError

__all__ = ["ABSENT", "CONNECTIONS", "PAUSES", "Fetched", "Http", "Transient", "join", "shown", "together"]

ABSENT = frozenset({403, 404, 410})
"""Answers that mean there is no such file; object stores say 403."""

CONNECTIONS = 8
"""How many small files are fetched at a time."""

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait before each further try after a transient failure."""

_TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}
_Argument = TypeVar("_Argument")
_T = TypeVar("_T")


class Fetched(NamedTuple):
    """An answer in memory."""

    status: int
    body: bytes
    headers: httpx.Headers


class Transient(Exception):
    """A failure that may be gone at the next try; its text is the reason."""


def shown(url: str) -> str:
    """Return an address as it may be printed: without a user and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def join(base: str, path: str) -> str:
    """Return the address of a path below a base; every character that servers read differently is escaped."""
    return f"{base}/{quote(path)}"


def together(
    pool: ThreadPoolExecutor, function: Callable[[_Argument], _T], arguments: Iterable[_Argument]
) -> list[_T]:
    """Call a function for each argument on the pool's threads; at the first failure no more are begun."""
    futures = [pool.submit(function, argument) for argument in arguments]
    try:
        return [future.result() for future in futures]
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


class Http:
    """A client for archives: threads may share it; bodies come as they are stored, never decoded."""

    def __init__(self, proxy: str | None = None) -> None:
        """Make a client; ``proxy`` is used unless the environment names one."""
        headers = {"User-Agent": f"ksurf/{ksurf.__version__}", "Accept-Encoding": "identity"}
        self._client = httpx.Client(
            follow_redirects=True, headers=headers, timeout=30, proxy=None if getproxies() else proxy
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str] = {}) -> Iterator[httpx.Response]:
        """Begin one request; network failures and overloaded servers raise :class:`Transient`."""
        try:
            with self._client.stream("GET", url, headers=dict(headers)) as response:
                if response.status_code in _TRANSIENT_STATUS:
                    raise Transient(f"the server answered {response.status_code} {response.reason_phrase}")
                yield response
        except httpx.TransportError as error:
            raise Transient(_reason(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise MirrorError(f"{shown(url)}: {_reason(error)}") from error

    def fetch(self, url: str, limit: int, headers: Mapping[str, str] = {}) -> Fetched:
        """Return an answer of at most ``limit`` bytes, whatever its status."""

        def once() -> Fetched:
            with self.stream(url, headers) as response:
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > limit:
                        raise VerificationError(f"{shown(url)}: longer than the {limit} bytes it may have")
                return Fetched(response.status_code, bytes(body), response.headers)

        return self.retry(url, once)

    def exists(self, url: str) -> bool:
        """Tell if the server has a file that is not empty."""

        def once() -> bool:
            with self.stream(url, {"Range": "bytes=0-0"}) as response:
                return response.status_code in {200, 206} and any(response.iter_raw())

        return self.retry(url, once)

    def retry(self, url: str, attempt: Callable[[], _T], progress: Callable[[], int] = lambda: 0) -> _T:
        """Try until it works or the pauses are used up; as long as ``progress()`` grows they begin anew."""
        pauses = iter(PAUSES)
        before = progress()
        while True:
            try:
                return attempt()
            except Transient as error:
                if progress() > before:
                    pauses, before = iter(PAUSES), progress()
                pause = next(pauses, None)
                if pause is None:
                    hint = "check the network, or name another mirror with --mirror; what has come is kept"
                    raise MirrorError(f"{shown(url)}: {error}", hint) from error
                time.sleep(pause)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer within 30 seconds"
    return str(error).strip().rstrip(".") or type(error).__name__
