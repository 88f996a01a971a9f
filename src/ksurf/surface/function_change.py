"""What differs between a function's statuses on two kernels."""

from __future__ import annotations

from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.attach_change import by_name, compare_attachability
from ksurf.surface.change import Change
from ksurf.surface.function import FunctionStatus
from ksurf.surface.prototype import compare_definitions

__all__ = ["compare_functions"]


def compare_functions(
    old: FunctionStatus, new: FunctionStatus
) -> tuple[tuple[bool, bool], tuple[Change, ...] | None]:
    """What two statuses have that can be compared, and the changes."""
    # What is inlined away has no declaration that anything outside could lean on.
    present = (old.has_code, new.has_code)
    if not all(present):
        return present, None
    changes = list(compare_definitions(old.definitions, new.definitions))
    if old.attach is not None and new.attach is not None:
        changes += compare_attachability(_plain(old), _plain(new))
    return present, tuple(changes)


def _plain(status: FunctionStatus) -> dict[Mechanism, Verdict]:
    """What can be attached by the function's own name."""
    pairs = zip(status.symbols, status.attach or (), strict=False)
    return by_name([verdicts for symbol, verdicts in pairs if symbol.name == status.name])
