"""What a rule is given and what it says, and the words that rules share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ksurf.check.cause import Cause, cause_of
from ksurf.check.dependency import ConsumerKind, Dependency
from ksurf.check.facts import Facts
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.surface.attach import Mechanism, Verdict

__all__ = [
    "COMPILED_THERE",
    "FINE",
    "Case",
    "Ruling",
    "broken",
    "changed",
    "few",
    "is_loaded_with",
    "not_attachable",
    "partial",
    "refused",
    "with_module",
]

_AT_LOAD = frozenset(
    (
        Mechanism.FENTRY,
        Mechanism.FEXIT,
        Mechanism.FMOD_RET,
        Mechanism.LSM,
        Mechanism.TP_BTF,
        Mechanism.KFUNC_CALL,
    )
)
"""What the verifier looks up by BTF, so that the object does not even load (libbpf loads all or nothing)."""


COMPILED_THERE = frozenset((ConsumerKind.BCC, ConsumerKind.BPFTRACE))
"""Consumers that are compiled on the kernel where they run, against its own types."""


@dataclass(frozen=True, slots=True)
class Case:
    """A dependency to be judged on a kernel."""

    dependency: Dependency
    consumer: ConsumerKind
    facts: Facts
    baseline: Facts | None = None
    """Of the kernel that it is compared with; ``None`` if it is judged by itself."""
    sections: tuple[str, ...] = ()
    """Of the programs that use it, as libbpf spells them: ``kprobe/vfs_read``."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule says: a finding without its guards."""

    outcome: Outcome
    consequence: str = ""
    evidence: tuple[str, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    cause: Cause | None = None
    """Of what is not ok."""


def broken(
    cause: Cause, consequence: str, evidence: tuple[str, ...] = (), suggestions: tuple[Suggestion, ...] = ()
) -> Ruling:
    """It is refused, or never fires."""
    return Ruling(Outcome.BROKEN, consequence, evidence, suggestions, cause)


def changed(
    cause: Cause, consequence: str, evidence: tuple[str, ...] = (), suggestions: tuple[Suggestion, ...] = ()
) -> Ruling:
    """It loads, and may do the wrong thing."""
    return Ruling(Outcome.CHANGED, consequence, evidence, suggestions, cause)


def partial(
    cause: Cause, consequence: str, evidence: tuple[str, ...] = (), suggestions: tuple[Suggestion, ...] = ()
) -> Ruling:
    """It works, and misses a part."""
    return Ruling(Outcome.PARTIAL, consequence, evidence, suggestions, cause)


FINE = Ruling(Outcome.OK)
"""Nothing is to be said."""


def is_loaded_with(mechanism: Mechanism | None) -> bool:
    """Whether the mechanism is checked when programs are loaded, not when they are attached."""
    return mechanism in _AT_LOAD


def refused(case: Case, *, at_load: bool | None = None) -> str:
    """How a consumer of that kind fails where the kernel has not got what it asks for.

    ``at_load`` tells of an eBPF object when it is refused, if it is not when the mechanism looks things up:
    one program that is not loaded takes all others of the object with it, one that is not attached does not.
    """
    mechanism = case.dependency.mechanism
    early = is_loaded_with(mechanism) if at_load is None else at_load
    match case.consumer:
        case ConsumerKind.BPF_OBJECT if early:
            return "the object is refused at load"
        case ConsumerKind.BPF_OBJECT:
            return "the program is refused at attach"
        case ConsumerKind.BPFTRACE:
            return "bpftrace refuses the probe, or leaves it out with a warning"
        case ConsumerKind.BCC if mechanism is None:
            return "the tool does not find it"
        case ConsumerKind.BCC:
            return "attaching raises an exception"
        case ConsumerKind.MODULE:
            return "the module is refused at load"
        case _ if mechanism in {None, Mechanism.KFUNC_CALL}:
            return "it is not there"
        case _:
            return "it cannot be attached"


def not_attachable(
    case: Case,
    verdict: Verdict,
    what: str,
    evidence: tuple[str, ...] = (),
    suggestions: tuple[Suggestion, ...] = (),
) -> Ruling:
    """A verdict that says no, in the words of the consumer; ``what`` is what cannot be done."""
    assert verdict.refusal is not None
    told = evidence or ((verdict.reason,) if verdict.reason else ())
    return broken(
        cause_of(verdict.refusal), f"{refused(case, at_load=verdict.at_load)}: {what}", told, suggestions
    )


def with_module(ruling: Ruling, images: Iterable[str]) -> Ruling:
    """The same of something that only these images have: if none is vmlinux, a module has to be loaded."""
    held = list(dict.fromkeys(images))
    if not held or "vmlinux" in held or ruling.outcome is Outcome.BROKEN:
        return ruling
    needs = f"needs module {held[0]} loaded" if len(held) == 1 else f"needs one of {few(held)} loaded"
    consequence = f"{ruling.consequence}; {needs}" if ruling.consequence else needs
    return replace(ruling, consequence=consequence)


def few(names: Sequence[str], limit: int = 4) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
