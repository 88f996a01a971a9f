"""Why something that was sent is not checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Reason", "Refusal"]


class Reason(StrEnum):
    """Why there is no result."""

    TOO_LARGE = "too large"
    TOO_SLOW = "too slow"
    """It did not arrive in time."""
    BROKEN_OFF = "broken off"
    """It ended before it was whole."""
    EMPTY = "empty"
    ARCHIVE = "archive"
    NOTHING = "nothing to check"
    """It is nothing that depends on a kernel, as far as ksurf can tell."""
    UNREADABLE = "unreadable"
    """It is something that ksurf checks, and damaged."""
    KERNELS = "kernels"
    """The kernels that were named, or the dataset."""
    TIME = "time"
    MEMORY = "memory"
    RESULT = "result"
    """What there is to say of it is too much."""
    ENDED = "ended"
    """The process that read it ended in the middle."""
    BUSY = "busy"
    NO_ROOM = "no room"
    """The disk is full."""


_STATUS = {
    Reason.TOO_LARGE: 413,
    Reason.TOO_SLOW: 408,
    Reason.BROKEN_OFF: 400,
    Reason.KERNELS: 404,
    Reason.BUSY: 503,
    Reason.NO_ROOM: 507,
}
_CANNOT_BE_PROCESSED = 422


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was not checked, in words for a person."""

    reason: Reason
    text: str
    """One line without a full stop. It may quote what was sent."""
    hint: str | None = None
    """What to do about it."""

    @property
    def status(self) -> int:
        """The status of HTTP that says so. Source: RFC 9110, RFC 4918 (507)."""
        return _STATUS.get(self.reason, _CANNOT_BE_PROCESSED)
