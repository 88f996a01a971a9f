"""Several programs of an object for one thing, of which its loader takes the one that works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ksurf.check.dependency import Condition, Dependency, Guard, Kind
from ksurf.surface.attach import Mechanism

__all__ = ["with_alternatives"]

_BEFORE, _AFTER, _EVENT = "before", "after", "event"
_SIDES = {
    (Kind.FUNCTION, Mechanism.KPROBE): _BEFORE,
    (Kind.FUNCTION, Mechanism.KPROBE_MULTI): _BEFORE,
    (Kind.FUNCTION, Mechanism.FENTRY): _BEFORE,
    (Kind.FUNCTION, Mechanism.KRETPROBE): _AFTER,
    (Kind.FUNCTION, Mechanism.FEXIT): _AFTER,
    (Kind.TRACEPOINT, Mechanism.RAW_TP): _EVENT,
    (Kind.TRACEPOINT, Mechanism.TP_BTF): _EVENT,
}
"""What sees the same."""
_BY_BTF = {Mechanism.FENTRY, Mechanism.FEXIT, Mechanism.TP_BTF}


def with_alternatives(dependencies: Sequence[Dependency]) -> tuple[Dependency, ...]:
    """The same, each hook guarded by the object's other programs that see the same by other mechanisms.

    That the object has both is the sign of a loader that chooses: libbpf loads and attaches all that is not
    turned off, so it fails on every kernel where only one of them works.
    """
    held: dict[tuple[Kind, str, str], list[Mechanism]] = {}
    for one in dependencies:
        side = None if one.mechanism is None else _SIDES.get((one.kind, one.mechanism))
        if side is not None and one.mechanism is not None:
            held.setdefault((one.kind, one.name, side), []).append(one.mechanism)
    return tuple(_guarded(one, held) for one in dependencies)


def _guarded(one: Dependency, held: dict[tuple[Kind, str, str], list[Mechanism]]) -> Dependency:
    side = None if one.mechanism is None else _SIDES.get((one.kind, one.mechanism))
    others = [] if side is None else [m for m in held[one.kind, one.name, side] if m is not one.mechanism]
    if not others:
        return one
    guard = Guard(
        f"the object's {' and '.join(other.value for other in others)} for it",
        instead=tuple(Condition(one.kind, one.name, True, other) for other in others),
        catch="the loader must turn this one off (bpf_program__set_autoload): libbpf loads all or nothing"
        if one.mechanism in _BY_BTF
        else "the loader must turn this one off (bpf_program__set_autoload): skeletons attach all or none",
    )
    uses = tuple(use if use.guard is not None else replace(use, guard=guard) for use in one.uses)
    return replace(one, uses=uses)
