"""Trace events, raw tracepoints, and what programs read of them."""

from __future__ import annotations

from collections.abc import Iterator

from ksurf.check.c_type import same_type
from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind
from ksurf.check.facts import Facts
from ksurf.check.hook import is_pattern
from ksurf.check.rules.case import FINE, Case, Ruling, broken, changed, not_attachable, refused, with_module
from ksurf.check.rules.function import pattern_rule
from ksurf.check.rules.parameter import argument_ruling, parsed
from ksurf.check.spelling import hook_text
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.dataset.rows import TracepointField
from ksurf.surface.attach import Mechanism
from ksurf.surface.symbol import SymbolStatus
from ksurf.surface.tracepoint import TraceEvent, field_text

__all__ = ["tracepoint_field_rule", "tracepoint_rule"]

_COMMON = frozenset(("common_type", "common_flags", "common_preempt_count", "common_pid"))
"""Fields that every event has (kernel/trace/trace_events.c), and which its own do not list."""
_MECHANISMS = (Mechanism.TRACEPOINT, Mechanism.TP_BTF, Mechanism.RAW_TP)


def tracepoint_rule(case: Case) -> Ruling:
    """Judge a trace event, or a tracepoint that is attached to as such."""
    name = case.dependency.name
    if is_pattern(name):
        return pattern_rule(case)
    mechanism = case.dependency.mechanism
    status = case.facts.tracepoints.get(name)
    if status is None or not status.is_present:
        what = "event" if ":" in name else "tracepoint"
        return broken(Cause.TRACEPOINT_ABSENT, f"{refused(case)}: the kernel has no {what} {name}")
    verdict = case.facts.tracepoint_verdicts.get(name, {}).get(mechanism) if mechanism else None
    if mechanism is not None and verdict is not None and not verdict.attachable:
        others = tuple(_other_mechanisms(case, status))
        return not_attachable(case, verdict, f"{mechanism.value} does not take {name}", suggestions=others)
    return with_module(FINE, [image for variant in status.variants for image in variant.images])


def _other_mechanisms(case: Case, status: SymbolStatus[TraceEvent]) -> Iterator[Suggestion]:
    verdicts = case.facts.tracepoint_verdicts.get(case.dependency.name, {})
    row = status.variants[0].content.row
    for other in _MECHANISMS:
        if other is not case.dependency.mechanism and other in verdicts and verdicts[other].attachable:
            name = f"{row.system}:{row.name}" if other is Mechanism.TRACEPOINT else row.tracepoint or row.name
            text, language = hook_text(case.consumer, other, name)
            yield Suggestion(f"{other.value} works there, and gives other arguments", text, language)
            return


def tracepoint_field_rule(case: Case) -> Ruling:
    """Judge a field of an event, or an argument of a raw tracepoint."""
    event, _, field = case.dependency.name.partition("::")
    if is_pattern(event):
        return Ruling(Outcome.OK, "", ("which events the pattern matches differs: they are not compared",))
    status = case.facts.tracepoints.get(event)
    if status is None or not status.is_present:
        return broken(Cause.TRACEPOINT_ABSENT, f"{refused(case)}: the kernel has no event {event}")
    if ":" not in event:
        return _argument(case, event, field)
    return _field(case, event, field.partition("[")[0], status)


def _argument(case: Case, tracepoint: str, wanted: str) -> Ruling:
    def prototypes(facts: Facts) -> list[str]:
        status = facts.tracepoints.get(tracepoint)
        variants = () if status is None else status.variants
        # Events that share a name share their tracepoint; one without says nothing.
        return [v.content.prototype for v in variants if v.content.prototype is not None]

    before = None if case.baseline is None else parsed(prototypes(case.baseline), tracepoint)
    return argument_ruling(case, tracepoint, wanted, parsed(prototypes(case.facts), tracepoint), before)


def _field(case: Case, event: str, name: str, status: SymbolStatus[TraceEvent]) -> Ruling:
    if name in _COMMON:
        return FINE
    here = _find(status, name)
    baseline = None if case.baseline is None else case.baseline.tracepoints.get(event)
    before = None if baseline is None else _find(baseline, name)
    if here is None:
        return _missing(case, event, name, before)
    if before is None or case.baseline is None:
        return FINE
    release = case.baseline.kernel.release
    evidence = (f"{_shown(before)} on {release}", f"{_shown(here)} here")
    if not same_type(_type(before), _type(here)) and not _built_for(case, here):
        return changed(
            Cause.EVENT_FIELD_CHANGED, f"{name} of {event} has another type: it may be read wrongly", evidence
        )
    if before.byte_size != here.byte_size:
        return changed(
            Cause.EVENT_FIELD_CHANGED, f"{name} of {event} has another size: it may be read wrongly", evidence
        )
    if before.byte_offset != here.byte_offset and case.consumer is ConsumerKind.BPF_OBJECT:
        return changed(
            Cause.EVENT_FIELD_CHANGED,
            f"{name} of {event} lies elsewhere: a context struct that was compiled in reads something else",
            evidence,
        )
    # bpftrace and BCC read the format when they run, and so know where it lies.
    return FINE


def _missing(case: Case, event: str, name: str, before: TracepointField | None) -> Ruling:
    evidence = (
        ()
        if before is None or case.baseline is None
        else (f"{_shown(before)} on {case.baseline.kernel.release}",)
    )
    if case.consumer is ConsumerKind.BPF_OBJECT:
        return changed(
            Cause.EVENT_FIELD_ABSENT,
            f"{event} has no field {name}: a context struct that was compiled in reads something else",
            evidence,
        )
    how = {
        ConsumerKind.BPFTRACE: "bpftrace refuses the script",
        ConsumerKind.BCC: "the tool's C does not compile",
    }.get(case.consumer, "it is not there")
    return broken(Cause.EVENT_FIELD_ABSENT, f"{how}: {event} has no field {name}", evidence)


def _find(status: SymbolStatus[TraceEvent], name: str) -> TracepointField | None:
    for variant in status.variants:
        for field in variant.content.row.fields:
            if field.name.partition("[")[0] == name:
                return field
    return None


def _built_for(case: Case, here: TracepointField) -> bool:
    expected = case.dependency.expected
    return expected is not None and same_type(expected, _type(here))


def _type(field: TracepointField) -> str:
    _, bracket, length = field.name.partition("[")
    return f"{field.type}{bracket}{length}"


def _shown(field: TracepointField) -> str:
    return f"{field_text(field)}; at byte {field.byte_offset}, {field.byte_size} bytes"
