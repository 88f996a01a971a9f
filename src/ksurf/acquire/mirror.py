"""Which archives are asked: the machine's own mirrors, else Debian's public ones, or what the user names."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ksurf.acquire.apt import AptSource

__all__ = ["ALIASES", "CODENAMES", "PUBLIC", "Mirror", "apt_mirrors", "named_mirrors"]

ALIASES = ("oldoldstable", "oldstable", "stable", "testing", "unstable", "experimental")
"""Names that a full mirror has for its suites, whatever their code names are this year."""

CODENAMES = ("bullseye", "bookworm", "trixie", "forky", "sid")
"""Code names to try on a mirror that has none of the aliases."""


class Mirror(NamedTuple):
    """An archive's base address. ``security`` ones carry the ``-security`` suites and those only."""

    url: str
    security: bool = False
    signed_by: tuple[str, ...] = ()
    """Keyrings that apt is told to check it with; empty for the system's."""
    optional: bool = False
    """Whether it may have nothing to offer: a guess, which another mirror or none stands in for."""


PUBLIC = (
    Mirror("http://deb.debian.org/debian"),
    Mirror("http://deb.debian.org/debian-security", security=True),
)
"""Debian's own mirror network: the one place where it is named."""

_SUITE = re.compile(rf"(?:{'|'.join((*ALIASES, *CODENAMES))})(-updates|-backports|-security|/updates)?")


def named_mirrors(urls: Sequence[str]) -> list[list[Mirror]]:
    """Return what ``--mirror`` means: one address and its ``-security`` sibling, or just those named.

    Mirrors keep the two archives side by side, as ``.../debian`` and ``.../debian-security``; nothing else is
    asked, so that a private mirror stays private.
    """
    bases = [url.rstrip("/") for url in urls]
    mirrors = [[Mirror(url, security=url.endswith("-security"))] for url in bases]
    if len(bases) == 1 and not mirrors[0][0].security:
        mirrors.append([Mirror(f"{bases[0]}-security", security=True, optional=True)])
    return mirrors


def apt_mirrors(sources: Iterable[AptSource]) -> list[list[Mirror]]:
    """Return for each of Debian's two archives the machine's mirrors, in apt's order, then the public one.

    The first that proves to be Debian's is to be taken. Archives of others are told apart by their suites and
    components; one that still looks like Debian's says in its index whose it is.
    """
    mirrors: list[list[Mirror]] = [[], []]
    for source in sources:
        if "main" not in source.components:
            continue
        for suite in source.suites:
            if found := _SUITE.fullmatch(suite):
                security = found[1] in {"-security", "/updates"}
                mirror = Mirror(source.url, security, source.signed_by, optional=True)
                if mirror not in mirrors[security]:
                    mirrors[security].append(mirror)
    return [[*mirrors[public.security], public] for public in PUBLIC]
