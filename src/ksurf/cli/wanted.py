"""What of the archive a command is to fetch."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ksurf.acquire.debian import Offer
from ksurf.cli import print_error
from ksurf.errors import InputError, KsurfError
from ksurf.kernel import arch_name, parse_release
from ksurf.selector import Selector, select

__all__ = ["Wanted", "arches_of", "print_failed"]


@dataclass(frozen=True)
class Wanted:
    """Kernels of Debian's archive that a selector means."""

    selector: Selector

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Read a selector that need not name the default flavor and this machine's architecture."""
        selector = Selector.parse(text)
        if selector.distro not in {None, "debian"}:
            raise InputError(
                f"{text!r}: ksurf fetches from Debian's archive only",
                f"fetch {selector.distro}'s package yourself; ksurf add and ksurf source add read it",
            )
        machine = os.uname().machine
        return cls(selector.with_defaults(arch_name(machine) or machine))

    @property
    def arch(self) -> str | None:
        """The architecture, if it can be told before the archive is asked."""
        selector = self.selector
        if selector.arch is not None:
            return selector.arch
        if "_" in selector.name:
            return selector.name.rpartition("_")[2]
        try:
            return parse_release(selector.name).arch
        except ValueError:
            return None

    def among(self, offers: Iterable[Offer]) -> list[Offer]:
        """The offers that match, newest first; of an exact name there may be several builds."""
        by_kernel = {offer.kernel: offer for offer in offers}
        return [by_kernel[kernel] for kernel in reversed(select(by_kernel, [self.selector]))]


def arches_of(wanted: Sequence[Wanted]) -> set[str] | None:
    """The architectures whose lists are to be read; ``None`` if that cannot be told before."""
    arches = {one.arch for one in wanted}
    return None if None in arches else {arch for arch in arches if arch is not None}


def print_failed(wanted: Wanted, error: KsurfError) -> None:
    """Say what is wrong with one of several, and which one it is."""
    named = wanted.selector.text in error.message
    print_error(error.message if named else f"{wanted.selector.text}: {error.message}", error.hint)
