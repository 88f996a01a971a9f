"""A suite's ``InRelease``: what the suite is, and the hashes of its indexes.

Source: the repository format, https://wiki.debian.org/DebianRepository/Format.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ksurf.acquire.http import shown
from ksurf.acquire.mirror import Mirror
from ksurf.errors import VerificationError

__all__ = ["IndexFile", "Release", "parse_release_file"]

_PACKAGES = re.compile(r"main/binary-([a-z0-9-]+)/Packages(\.xz|\.gz|)")
# Small first: the same list, three times compressed.
_SUFFIXES = (".xz", ".gz", "")


@dataclass(frozen=True)
class IndexFile:
    """One architecture's list of packages, as the suite's index describes it."""

    path: str
    byte_size: int
    sha256: str


@dataclass(frozen=True)
class Release:
    """A suite of a mirror."""

    mirror: Mirror
    directory: str
    """Its name in the mirror's ``dists``."""
    origin: str | None
    suite: str | None
    codename: str | None
    by_hash: bool
    valid_until: datetime | None
    packages: dict[str, IndexFile]
    """The list of packages of each architecture."""

    @property
    def name(self) -> str:
        """The code name, as in apt's sources; ``experimental`` goes by that name, not by ``rc-buggy``."""
        if self.suite == "experimental" or self.codename is None:
            return self.suite or self.directory
        return self.codename

    def is_called(self, name: str) -> bool:
        """Tell if ``name`` means this suite: its code name, its alias or its directory."""
        return name in {self.name, self.suite, self.codename, self.directory}


def parse_release_file(text: bytes, mirror: Mirror, directory: str) -> Release:
    """Read the signed text of an ``InRelease``."""
    fields: dict[str, str] = {}
    field = ""
    for line in text.decode("utf-8", "replace").splitlines():
        if not line.startswith(" "):
            field, _, value = line.partition(":")
            fields[field] = value.strip()
        elif field == "SHA256":
            fields[field] += line + "\n"
    if "SHA256" not in fields:
        raise VerificationError(
            f"{shown(mirror.url)}/dists/{directory}/InRelease: not the index of a suite with SHA256 hashes",
            "check the mirror's address: it is the folder that holds dists and pool",
        )
    packages: dict[str, IndexFile] = {}
    for sha256, size, path in re.findall(r"^ +([0-9a-f]{64}) +(\d+) +(\S+)$", fields["SHA256"], re.MULTILINE):
        if (found := _PACKAGES.fullmatch(path)) and found[1] != "all":
            index, known = IndexFile(path, int(size), sha256), packages.get(found[1])
            if known is None or _rank(index) < _rank(known):
                packages[found[1]] = index
    return Release(
        mirror=mirror,
        directory=directory,
        origin=fields.get("Origin"),
        suite=fields.get("Suite"),
        codename=fields.get("Codename"),
        by_hash=fields.get("Acquire-By-Hash") == "yes",
        valid_until=_date(fields.get("Valid-Until")),
        packages=packages,
    )


def _rank(index: IndexFile) -> int:
    found = _PACKAGES.fullmatch(index.path)
    return _SUFFIXES.index(found[2]) if found else len(_SUFFIXES)


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
