"""The kinds of symbols, and for each how it is compared, written, and counted in a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from ksurf.dataset.rows import ConfigOption, Definition, Export, Syscall
from ksurf.kernel import Kernel
from ksurf.report.layout import Delta, Report, lay_out
from ksurf.series import Groups
from ksurf.surface.attach_change import compare_attachability
from ksurf.surface.change import Change
from ksurf.surface.config import compare_options, option_text
from ksurf.surface.export import compare_exports, export_text
from ksurf.surface.field import OwnedField, compare_owned
from ksurf.surface.kfunc import Kfunc, compare_kfuncs
from ksurf.surface.lsm import Hook, compare_hooks
from ksurf.surface.symbol import SymbolStatus, compare_statuses
from ksurf.surface.syscall import compare_syscalls
from ksurf.surface.tracepoint import TraceEvent, compare_tracepoints, field_text
from ksurf.surface.type_change import compare_types
from ksurf.surface.types import Line, c_lines, enumerators, fields

__all__ = ["KINDS", "SymbolKind", "SymbolReport", "comparison", "report"]

T = TypeVar("T")

SymbolReport = Report[SymbolStatus[Any]]
"""One symbol over the chosen kernels."""


@dataclass(frozen=True)
class SymbolKind(Generic[T]):
    """One kind of symbol."""

    name: str
    """As commands have it."""
    title: str
    example: str
    compare: Callable[[T, T], Sequence[Change]]
    lines: Callable[[T, bool], Sequence[Line]]
    """It as text, in full or as published reports have it."""
    facts: Callable[[T], Mapping[str, str]]
    """What fits into a line, by heading."""
    document: Callable[[T], dict[str, Any]]
    """It as JSON."""
    language: str = "c"
    """The language of its text."""


def comparison(kind: SymbolKind[T]) -> Callable[[SymbolStatus[T], SymbolStatus[T]], Delta.Outcome]:
    """What compares two statuses of a kind."""

    def compare(old: SymbolStatus[T], new: SymbolStatus[T]) -> Delta.Outcome:
        present = (old.is_present, new.is_present)
        if not all(present):
            return present, None
        changes = compare_statuses(old, new, kind.compare)
        return present, (*changes, *compare_attachability(old.attach, new.attach))

    return compare


def report(
    kind: SymbolKind[T], name: str, groups: Groups, statuses: Mapping[Kernel, SymbolStatus[T]]
) -> SymbolReport:
    """Lay out the statuses of one symbol as the groups say."""
    return lay_out(name, groups, statuses, comparison(kind))


def _size(byte_size: int | None) -> str:
    return "?" if byte_size is None else str(byte_size)


def _type_lines(definition: Definition, in_full: bool) -> list[Line]:
    return c_lines(definition, nested=in_full)


def _type_facts(definition: Definition) -> dict[str, str]:
    if definition.kind == "typedef" and not definition.members:
        return {"type": definition.type or "void"}
    values = enumerators(definition)
    counted = {"values": str(len(values))} if values else {"fields": str(len(fields(definition)))}
    return {"bytes": _size(definition.byte_size), **counted}


def _type_document(definition: Definition) -> dict[str, Any]:
    return {
        "key": f"{definition.key:016x}",
        "byte_size": definition.byte_size,
        "signed": definition.signed,
        "type": definition.type,
        "tags": _words(definition.tags),
        "fields": [{"path": f.path, **_field(f)} for f in fields(definition).values()],
        "values": [{"name": name, "value": value} for name, value in enumerators(definition).items()],
        "text": [line.text for line in c_lines(definition)],
    }


def _field(field: Any) -> dict[str, Any]:
    return {
        "type": field.type,
        "bit_offset": field.bit_offset,
        "byte_size": field.byte_size,
        "bit_size": field.bit_size,
        "tags": _words(field.tags),
    }


def _words(text: str | None) -> list[str]:
    return text.split() if text else []


def _event_lines(event: TraceEvent, in_full: bool) -> list[Line]:
    row = event.row
    lines = [] if event.prototype is None else [Line(event.prototype)]
    if row.system is not None:
        body = (
            Line(f"    {field_text(f)}; /* offset {f.byte_offset}, size {f.byte_size} */") for f in row.fields
        )
        lines += [Line(f"event {row.system}:{row.name} {{"), *body, Line("};")]
    if row.print_format is not None:
        lines.append(Line(f"print fmt: {row.print_format}"))
    return lines


def _event_facts(event: TraceEvent) -> dict[str, str]:
    row = event.row
    count = "" if row.system is None else str(len(row.fields))
    return {"system": row.system or "bare", "fields": count, "class": row.class_ or ""}


def _event_document(event: TraceEvent) -> dict[str, Any]:
    document = asdict(event.row)
    document["class"] = document.pop("class_")
    return {**document, "fields": list(document["fields"]), "prototype": event.prototype}


def _syscall_lines(row: Syscall, in_full: bool) -> list[Line]:
    return [Line(f"{row.abi} {row.number} {row.name} {row.entry}")]


def _kfunc_lines(kfunc: Kfunc, in_full: bool) -> list[Line]:
    lines = [] if kfunc.prototype is None else [Line(kfunc.prototype)]
    for one in kfunc.registrations:
        flags = ", ".join(one.flags or ()) or "no flags"
        kinds = "unknown" if one.program_types is None else ", ".join(one.program_types) or "none"
        lines.append(Line(f"/* {one.set}: {flags}; program types: {kinds} */"))
    return lines


def _kfunc_facts(kfunc: Kfunc) -> dict[str, str]:
    kinds = "?" if kfunc.program_types is None else ", ".join(kfunc.program_types)
    return {"flags": ", ".join(kfunc.flags), "program types": kinds}


def _kfunc_document(kfunc: Kfunc) -> dict[str, Any]:
    registrations = [
        {
            "set": one.set,
            "flags": None if one.flags is None else list(one.flags),
            "program_types": None if one.program_types is None else list(one.program_types),
        }
        for one in kfunc.registrations
    ]
    return {"prototype": kfunc.prototype, "registrations": registrations}


def _hook_facts(hook: Hook) -> dict[str, str]:
    return {"BPF programs": "?" if hook.bpf is None else "yes" if hook.bpf else "no"}


def _export_facts(row: Export) -> dict[str, str]:
    return {
        "license": "GPL" if row.gpl else "any",
        "namespace": row.namespace or "",
        "crc": "" if row.crc is None else f"{row.crc:#010x}",
    }


def _owned_lines(own: OwnedField, in_full: bool) -> list[Line]:
    return [Line(f"{own.field.text};")]


def _owned_facts(own: OwnedField) -> dict[str, str]:
    return {"offset": own.field.place, "bytes": _size(own.field.byte_size), "type": own.field.type}


def _owned_document(own: OwnedField) -> dict[str, Any]:
    owner = {"kind": own.owner.kind, "name": own.owner.name, "byte_size": own.owner.byte_size}
    return {"owner": owner, "path": own.field.path, **_field(own.field), "text": own.field.text}


def _types(name: str, title: str, example: str) -> SymbolKind[Definition]:
    return SymbolKind(name, title, example, compare_types, _type_lines, _type_facts, _type_document)


_ALL: tuple[SymbolKind[Any], ...] = (
    _types("struct", "Struct", "task_struct"),
    _types("union", "Union", "bpf_attr"),
    _types("enum", "Enum", "bpf_prog_type"),
    _types("typedef", "Typedef", "gfn_t"),
    SymbolKind[TraceEvent](
        "tracepoint",
        "Tracepoint",
        "sched:sched_switch",
        compare_tracepoints,
        _event_lines,
        _event_facts,
        _event_document,
    ),
    SymbolKind[Syscall](
        "syscall",
        "System call",
        "openat2",
        compare_syscalls,
        _syscall_lines,
        lambda row: {"number": str(row.number), "entry": row.entry},
        lambda row: {"abi": row.abi, "number": row.number, "entry": row.entry},
        language="",
    ),
    SymbolKind[Hook](
        "lsm",
        "LSM hook",
        "file_open",
        compare_hooks,
        lambda hook, _: [Line(hook.prototype)],
        _hook_facts,
        lambda hook: {"prototype": hook.prototype, "bpf": hook.bpf},
    ),
    SymbolKind[Kfunc](
        "kfunc", "Kfunc", "bpf_task_acquire", compare_kfuncs, _kfunc_lines, _kfunc_facts, _kfunc_document
    ),
    SymbolKind[Export](
        "export",
        "Exported symbol",
        "kvm_vcpu_kick",
        compare_exports,
        lambda row, _: [Line(export_text(row))],
        _export_facts,
        lambda row: {"gpl": row.gpl, "namespace": row.namespace, "crc": row.crc},
    ),
    SymbolKind[ConfigOption](
        "config",
        "Config option",
        "CONFIG_BPF_LSM",
        compare_options,
        lambda row, _: [Line(option_text(row))],
        lambda row: {"value": row.value},
        lambda row: {"value": row.value},
        language="",
    ),
    SymbolKind[OwnedField](
        "field", "Field", "kvm::mmu_lock", compare_owned, _owned_lines, _owned_facts, _owned_document
    ),
)

KINDS: dict[str, SymbolKind[Any]] = {kind.name: kind for kind in _ALL}
"""All kinds but functions, by name."""
