"""Attachability lost or won between two kernels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.change import Change

__all__ = ["AttachabilityLost", "AttachabilityWon", "by_name", "compare_attachability"]


@dataclass(frozen=True, slots=True)
class AttachabilityLost(Change):
    """A mechanism could be attached by this name on the old kernel, and cannot on the new one."""

    label = "Attachability lost"
    old: str
    """The mechanism."""
    reason: str
    """Why not any more."""

    @property
    def mechanism(self) -> Mechanism:
        """What was lost."""
        return Mechanism(self.old)

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Why not any more."""
        return {"reason": self.reason}


@dataclass(frozen=True, slots=True)
class AttachabilityWon(Change):
    """A mechanism can be attached by this name on the new kernel, and could not on the old one."""

    label = "Attachability won"
    new: str
    """The mechanism."""
    reason: str
    """Why it could not."""

    @property
    def mechanism(self) -> Mechanism:
        """What was won."""
        return Mechanism(self.new)

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Why it could not."""
        return {"reason": self.reason}


def compare_attachability(
    old: Mapping[Mechanism, Verdict], new: Mapping[Mechanism, Verdict]
) -> Iterator[AttachabilityLost | AttachabilityWon]:
    """What was lost and won of the mechanisms that both were judged by."""
    for mechanism, before in old.items():
        after = new.get(mechanism, before)
        if before.attachable and not after.attachable:
            yield AttachabilityLost(mechanism.value, after.reason or "")
        elif after.attachable and not before.attachable:
            yield AttachabilityWon(mechanism.value, before.reason or "")


def by_name(verdicts: Iterable[Mapping[Mechanism, Verdict]]) -> dict[Mechanism, Verdict]:
    """What one gets by a name that several things may bear: what one of them can that can be attached.

    Of reasons it is the first in the alphabet, so that no order matters.
    """
    found: dict[Mechanism, Verdict] = {}
    for one in verdicts:
        for mechanism, verdict in one.items():
            if mechanism not in found or _rank(verdict) < _rank(found[mechanism]):
                found[mechanism] = verdict
    return found


def _rank(verdict: Verdict) -> tuple[bool, str]:
    return not verdict.attachable, verdict.reason or ""
