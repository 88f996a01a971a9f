"""Attachability for SQL: verdicts of facts as :mod:`ksurf.dataset.query` gathers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ksurf.dataset.rows import Marks
from ksurf.surface.attach import (
    CodeFacts,
    HookFacts,
    KfuncFacts,
    Mechanism,
    TracepointFacts,
    Verdict,
    attach_code,
    attach_hook,
    attach_kfunc,
    attach_tracepoint,
    features_of,
)

__all__ = ["judge"]


def judge(marks: Marks, subject: str, facts: Mapping[str, Any]) -> Iterable[tuple[str, bool, str | None]]:
    """Judge facts about a subject: code, syscall, tracepoint, hook or kfunc."""
    for mechanism, verdict in _verdicts(marks, subject, facts).items():
        yield mechanism.value, verdict.attachable, verdict.reason


def _verdicts(marks: Marks, subject: str, facts: Mapping[str, Any]) -> Mapping[Mechanism, Verdict]:
    features = features_of(marks)
    match subject:
        case "code":
            return attach_code(CodeFacts(**facts), features)
        case "syscall":
            # libbpf attaches a kprobe to the entry.
            return {Mechanism.KSYSCALL: attach_code(CodeFacts(**facts), features)[Mechanism.KPROBE]}
        case "tracepoint":
            return attach_tracepoint(TracepointFacts(**facts))
        case "hook":
            return {Mechanism.LSM: attach_hook(HookFacts(**facts), features)}
        case "kfunc":
            types = facts["program_types"]
            told = KfuncFacts(facts["btf_function"], None if types is None else tuple(types))
            return {Mechanism.KFUNC_CALL: attach_kfunc(told)}
    raise ValueError(f"nothing is known of facts about {subject}")
