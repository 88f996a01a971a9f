"""Findings of one consumer seen together: those that only follow from others, and targets set at run time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Kind
from ksurf.check.facts import Facts, called_by
from ksurf.check.hook import base_name, is_pattern
from ksurf.check.verdict import Finding, Outcome
from ksurf.kernel import Kernel

__all__ = ["explained_absence", "is_nowhere", "is_placeholder", "linked", "of_a_loader"]

_HOOKS = {Kind.PARAMETER, Kind.TRACEPOINT_FIELD}
"""What is only read where something is attached."""
_OWNERS = {
    Kind.PARAMETER: (Kind.FUNCTION,),
    Kind.TRACEPOINT_FIELD: (Kind.TRACEPOINT,),
    Kind.FIELD: (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF),
    Kind.ENUMERATOR: (Kind.ENUM,),
    Kind.STRUCT_OPS: (Kind.STRUCT_OPS,),
}
"""What it is a part of."""
_TARGETS = {Kind.FUNCTION, Kind.TRACEPOINT, Kind.SYSCALL, Kind.LSM, Kind.ITER}
"""What a program of an eBPF object is attached to."""
_BAD = {Outcome.BROKEN, Outcome.GUARDED}
_META = {"dummy", "foo", "bar", "baz", "placeholder"}
"""Words that programmers put where a name has to stand and none is meant."""
_GENERAL = {
    *("entry", "enter", "exit", "return", "ret", "handle", "handler", "function", "func", "target", "test"),
    *(
        "probe",
        "kprobe",
        "kretprobe",
        "fentry",
        "fexit",
        "trace",
        "prog",
        "program",
        "hook",
        "none",
        "unused",
    ),
}
"""Words that say what a program does, not what the kernel does."""


def linked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The same; each that only follows from another of the same kernel names that.

    What a program is called with follows what the program is attached to: where that cannot be attached,
    or is left out, nothing is read. A part follows the whole that is not there.
    """
    wanted = {
        whole: None
        for one in findings
        if one.outcome is not Outcome.OK
        for _, whole in _wholes(one.dependency.kind, one.dependency.name)
    }
    if not wanted:
        return tuple(findings)
    held: dict[tuple[Kind, str], list[Finding]] = {}
    for one in findings:
        if one.dependency.name in wanted and not is_pattern(one.dependency.name):
            held.setdefault((one.dependency.kind, one.dependency.name), []).append(one)
    found = (one if one.outcome is Outcome.OK else _linked(one, held) for one in findings)
    return tuple(_one_of_all_registers(found))


def _linked(one: Finding, held: dict[tuple[Kind, str], list[Finding]]) -> Finding:
    for kind, whole in _wholes(one.dependency.kind, one.dependency.name):
        others = [other for other in held.get((kind, whole), ()) if other.kernel == one.kernel]
        if one.dependency.kind in _HOOKS:
            same = [o for o in others if o.dependency.mechanism is one.dependency.mechanism] or others
            if same and all(other.outcome in _BAD for other in same):
                return _following_hook(one, max(same, key=lambda other: other.outcome))
        elif one.outcome in _BAD:
            for other in others:
                if other.outcome is one.outcome:
                    return replace(one, suggestions=(), follows=other.dependency, cause=other.cause)
    return one


def _one_of_all_registers(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Registers of another architecture are all missing for one reason, which the first of them says."""
    first: dict[Kernel, Dependency] = {}
    for one in findings:
        registers = one.dependency.kind is Kind.FIELD and one.dependency.name.startswith("pt_regs::")
        if registers and one.outcome is Outcome.BROKEN:
            said = first.setdefault(one.kernel, one.dependency)
            if said is not one.dependency:
                yield replace(one, suggestions=(), follows=said)
                continue
        yield one


def _following_hook(one: Finding, hook: Finding) -> Finding:
    found = replace(one, suggestions=(), follows=hook.dependency, cause=hook.cause)
    if hook.outcome < one.outcome:
        return replace(found, outcome=hook.outcome, consequence=hook.consequence, evidence=hook.evidence)
    return found


def _wholes(kind: Kind, name: str) -> Iterator[tuple[Kind, str]]:
    """What a thing is a part of, the smallest first: ``s::a.b`` of ``s::a``, and of ``s``."""
    owner, colons, path = name.rpartition("::")
    if not colons:
        return
    while kind is Kind.FIELD and "." in path:
        path = path.rpartition(".")[0]
        yield kind, f"{owner}::{path}"
    for other in _OWNERS.get(kind, ()):
        yield other, owner


def explained_absence(finding: Finding, consumer: ConsumerKind, kernels: int) -> Finding:
    """The finding of a function that none of the kernels has that are looked at, so many."""
    name = finding.dependency.name
    if consumer is ConsumerKind.BPF_OBJECT and is_placeholder(name):
        return replace(
            finding,
            outcome=Outcome.GUARDED,
            consequence=f"{name} seems to stand for what the loader names at run time "
            "(bpf_program__set_attach_target, bpf_program__attach_kprobe): it must, or turn the program off "
            "(bpf_program__set_autoload)",
            evidence=(f"none of the kernels that were looked at has a function {name}",),
            suggestions=(),
        )
    if kernels < 2:
        return finding
    told = "none of the kernels that were looked at has it: it may be older, or of a module from elsewhere"
    return replace(finding, evidence=(*finding.evidence, told))


def of_a_loader(finding: Finding, consumer: Consumer) -> Finding:
    """The finding of what a program is attached to: whoever loads the object may leave the program out."""
    if not consumer.programs or finding.dependency.kind not in _TARGETS:
        return finding
    if consumer.kind is not ConsumerKind.BPF_OBJECT:
        return finding
    who = "the executable" if consumer.member is not None else "what loads the object"
    told = f"not affected where {who} turns the program off before (bpf_program__set_autoload): not looked at"
    return replace(finding, evidence=(*finding.evidence, told))


def is_nowhere(name: str, kernels: Collection[Facts]) -> bool:
    """Whether none of the kernels has a function under that name, in any form."""
    if is_pattern(name) or called_by(base_name(name)) is not None:
        return False
    statuses = (facts.functions.get(base_name(name)) for facts in kernels)
    return not any(status is not None and status.is_present for status in statuses)


def is_placeholder(name: str) -> bool:
    """Whether a name stands for others: it has a word that means nothing, or none but general words.

    That no kernel has such a function is no sign of it by itself: most names that no kernel at hand has are
    of older kernels, or of modules from elsewhere.
    """
    words = [word for word in re.split(r"[_\d]+", base_name(name)) if word]
    return any(word in _META for word in words) or (bool(words) and all(word in _GENERAL for word in words))
