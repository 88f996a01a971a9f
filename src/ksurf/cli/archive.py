"""The archive that a command asks: as its options say, else as apt is configured."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ksurf.acquire import apt
from ksurf.acquire.debian import DebianArchive
from ksurf.acquire.http import Http
from ksurf.acquire.mirror import apt_mirrors, named_mirrors
from ksurf.acquire.suites import Suites
from ksurf.errors import InputError
from ksurf.paths import cache_dir
from ksurf.progress import Reporter

__all__ = ["Connection", "connect"]


class Connection(NamedTuple):
    """An archive, and the client that talks to it."""

    archive: DebianArchive
    http: Http
    suites: Suites


def connect(
    mirrors: Sequence[str], keyrings: Sequence[str], unsigned: bool, reporter: Reporter
) -> Connection:
    """Return the archive that the options name."""
    for url in mirrors:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise InputError(f"the mirror {url!r} is not an http or https address")
    chosen = named_mirrors(mirrors) if mirrors else apt_mirrors(apt.read_sources())
    http, cache = Http(apt.proxy()), cache_dir()
    suites = Suites(chosen, http, cache, reporter, keyrings=keyrings, unsigned=unsigned)
    return Connection(DebianArchive(suites, http, cache, reporter), http, suites)
