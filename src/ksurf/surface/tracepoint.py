"""Trace events and bare tracepoints: what programs that attach to them read, and how that changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ksurf.dataset.rows import Definition, Tracepoint, TracepointField
from ksurf.kernel import Kernel
from ksurf.surface.change import Change, PrototypeChanged
from ksurf.surface.symbol import SymbolStatus, found
from ksurf.surface.type_change import SignChanged, compare_fields
from ksurf.surface.types import Field, prototype_text

__all__ = [
    "FormatChanged",
    "TraceEvent",
    "TracepointChanged",
    "compare_tracepoints",
    "field_text",
    "judge_tracepoint",
    "traceiter_name",
]


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """An event or a bare tracepoint, with what raw programs are called with."""

    row: Tracepoint
    prototype: str | None
    """``void sched_switch(bool preempt, struct task_struct *prev, ...);`` without the data that comes first
    and that no program sees; ``None`` where the image's types do not have ``__traceiter_NAME``."""


@dataclass(frozen=True, slots=True)
class FormatChanged(Change):
    """The event prints its fields in another way."""

    label = "Format changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TracepointChanged(Change):
    """The event has another tracepoint behind it, another class, or none where it had one."""

    label = "Tracepoint changed"
    old: str
    new: str


def traceiter_name(tracepoint: str) -> str:
    """The function that calls a tracepoint's probes, whose prototype is the tracepoint's."""
    return f"__traceiter_{tracepoint}"


def judge_tracepoint(
    kernel: Kernel, name: str, rows: Iterable[Tracepoint], prototypes: Mapping[str, Definition]
) -> SymbolStatus[TraceEvent]:
    """Judge a name on one kernel, with the prototypes that it has by function name.

    Events of one name in several systems are no collision: they are called by both.
    """
    events = [TraceEvent(row, _prototype(row, prototypes)) for row in rows]
    return found(
        kernel,
        name,
        (((e.row.class_, e.row.print_format, e.row.fields), e, e.row.image, e.row.system) for e in events),
    )


def _prototype(row: Tracepoint, prototypes: Mapping[str, Definition]) -> str | None:
    if row.tracepoint is None:
        return None
    definition = prototypes.get(traceiter_name(row.tracepoint))
    if definition is None or not definition.members:
        return None
    # The first parameter is the probe's own data, and the result is always 0 (include/linux/tracepoint.h).
    return f"void {prototype_text(definition, name=row.tracepoint, skip=1).partition(' ')[2]}"


def field_text(field: TracepointField) -> str:
    """A field as the event's ``format`` declares it: ``char comm[16]``, ``__data_loc char[] name``."""
    return f"{field.type} {field.name}"


def compare_tracepoints(old: TraceEvent, new: TraceEvent) -> list[Change]:
    """The changes of one event: its fields, what it prints, what it is called with."""
    changes = compare_fields(_fields(old.row), _fields(new.row))
    signs = {field.name: field.signed for field in new.row.fields}
    changes += [
        SignChanged(f"{field.name}: {_sign(field.signed)}", f"{field.name}: {_sign(signs[field.name])}")
        for field in old.row.fields
        if signs.get(field.name, field.signed) != field.signed
    ]
    if old.prototype != new.prototype and old.prototype is not None and new.prototype is not None:
        changes.append(PrototypeChanged(old.prototype, new.prototype))
    if old.row.tracepoint != new.row.tracepoint:
        changes.append(TracepointChanged(old.row.tracepoint or "none", new.row.tracepoint or "none"))
    if old.row.print_format != new.row.print_format:
        changes.append(FormatChanged(old.row.print_format or "none", new.row.print_format or "none"))
    return changes


def _fields(row: Tracepoint) -> dict[str, Field]:
    """The fields by their names alone: the length of an array is part of its type."""
    result = {}
    for field in row.fields:
        name, bracket, length = field.name.partition("[")
        type_text = f"{field.type}{bracket}{length}"
        result[name] = Field(name, type_text, field.byte_offset * 8, field.byte_size)
    return result


def _sign(signed: bool) -> str:
    return "signed" if signed else "unsigned"
