"""Trace events and bare tracepoints: what programs that attach to them read, and how that changed."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from ksurf.dataset.rows import Definition, Tracepoint, TracepointField
from ksurf.kernel import Kernel
from ksurf.surface.change import Change, PrototypeChanged
from ksurf.surface.symbol import SymbolStatus, found
from ksurf.surface.type_change import SignChanged, compare_fields
from ksurf.surface.types import Field, prototype_text

__all__ = [
    "BTF_TRACE",
    "TRACEITER",
    "FormatChanged",
    "TraceEvent",
    "TracepointChanged",
    "compare_tracepoints",
    "field_text",
    "judge_tracepoint",
    "prototype_names",
]

TRACEITER = "__traceiter_"
"""How the functions begin that call a tracepoint's probes."""
BTF_TRACE = "btf_trace_"
"""How the typedefs begin that BPF programs attach to."""
_PROBE = re.compile(r"void \(\*\)\(void \*(?:, (.+))?\)")


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """An event or a bare tracepoint, with what raw programs are called with."""

    row: Tracepoint
    prototype: str | None
    """``void sched_switch(bool preempt, struct task_struct *prev, ...);`` without the data that comes first
    and that no program sees; ``None`` where no image's types have one of :func:`prototype_names`."""
    signature: str | None = None
    """The same without the names of the parameters, which is all that a typedef tells."""


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


def prototype_names(tracepoint: str) -> tuple[str, str]:
    """What has a tracepoint's prototype: the function that calls its probes (include/linux/tracepoint.h), and
    the typedef of what programs attach to (include/trace/bpf_probe.h), which some images have alone.
    """
    return f"{TRACEITER}{tracepoint}", f"{BTF_TRACE}{tracepoint}"


def judge_tracepoint(
    kernel: Kernel, name: str, rows: Iterable[Tracepoint], prototypes: Mapping[str, Definition]
) -> SymbolStatus[TraceEvent]:
    """Judge a name on one kernel, with what it has of :func:`prototype_names`, by these names.

    Events of one name in several systems are no collision: they are called by both.
    """
    events = [TraceEvent(row, *_prototype(row, prototypes)) for row in rows]
    return found(kernel, name, ((_identity(e), e, e.row.image, e.row.system) for e in events))


def _identity(event: TraceEvent) -> Hashable:
    row = event.row
    return row.tracepoint, row.class_, row.print_format, row.fields, event.prototype


def _prototype(row: Tracepoint, prototypes: Mapping[str, Definition]) -> tuple[str | None, str | None]:
    """The prototype with the names of its parameters, where they are known, and without."""
    if row.tracepoint is None:
        return None, None
    function, typedef = map(prototypes.get, prototype_names(row.tracepoint))
    # The first parameter is the probe's own data, and the function's result is always 0.
    if function is not None and function.members:
        unnamed = replace(function, members=tuple(member._replace(name=None) for member in function.members))
        named, signature = (
            f"void {prototype_text(one, name=row.tracepoint, skip=1).partition(' ')[2]}"
            for one in (function, unnamed)
        )
        return named, signature
    if typedef is not None and (probe := _PROBE.fullmatch(typedef.type or "")):
        signature = f"void {row.tracepoint}({probe[1] or 'void'});"
        return signature, signature
    return None, None


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
    if old.prototype is not None and new.prototype is not None and _called_otherwise(old, new):
        changes.append(PrototypeChanged(old.prototype, new.prototype))
    if old.row.tracepoint != new.row.tracepoint:
        changes.append(TracepointChanged(old.row.tracepoint or "none", new.row.tracepoint or "none"))
    if old.row.print_format != new.row.print_format:
        changes.append(FormatChanged(old.row.print_format or "none", new.row.print_format or "none"))
    return changes


def _called_otherwise(old: TraceEvent, new: TraceEvent) -> bool:
    """Whether the prototypes differ, by the names of parameters only where both sides have them."""
    named = old.prototype != old.signature and new.prototype != new.signature
    return old.signature != new.signature or (named and old.prototype != new.prototype)


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
