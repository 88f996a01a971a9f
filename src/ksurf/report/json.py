"""A report as JSON: everything that the judgement knows, under names that stay (``docs/report-json.md``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import repeat
from typing import Any, TypeVar

from ksurf.dataset.rows import CallSite, Symbol
from ksurf.kernel import Kernel
from ksurf.report.function import FunctionReport
from ksurf.report.kinds import SymbolKind, SymbolReport
from ksurf.report.layout import Delta, Group, Report, ReportStatus
from ksurf.series import Member
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.change import Change
from ksurf.surface.function import FunctionStatus, InstanceStatus
from ksurf.surface.symbol import SymbolStatus

S = TypeVar("S", bound=ReportStatus)

__all__ = [
    "SCHEMA_VERSION",
    "change_document",
    "function_document",
    "function_json",
    "kernel_document",
    "symbol_document",
    "symbol_json",
]

SCHEMA_VERSION = 1
"""Rises when a name is removed or means something else; new names may come at any time."""


def function_json(reports: Sequence[FunctionReport]) -> str:
    """The reports as one JSON document, with a newline at its end."""
    document = {"schema": "ksurf.function", "version": SCHEMA_VERSION}
    body = {**document, "functions": [function_document(report) for report in reports]}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def function_document(report: FunctionReport) -> dict[str, Any]:
    """One report as plain lists, dictionaries, texts and numbers."""
    return _report(report, _status)


def symbol_json(kind: SymbolKind[Any], reports: Sequence[SymbolReport]) -> str:
    """The reports on symbols of one kind as one JSON document, with a newline at its end."""
    document = {"schema": "ksurf.symbol", "version": SCHEMA_VERSION, "kind": kind.name}
    body = {**document, "symbols": [symbol_document(kind, report) for report in reports]}
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def symbol_document(kind: SymbolKind[Any], report: SymbolReport) -> dict[str, Any]:
    """One report as plain lists, dictionaries, texts and numbers."""

    def status(member: Member, status: SymbolStatus[Any]) -> dict[str, Any]:
        return {
            "label": member.label,
            "kernel": kernel_document(member.kernel),
            "present": status.is_present,
            "statuses": [found.value for found in status.statuses],
            "definitions": [
                {"images": list(v.images), "scope": v.scope, **kind.document(v.content)}
                for v in status.variants
            ],
            "reasons": list(status.reasons),
            "attach": _attach(status.attach),
        }

    return _report(report, status)


def _report(report: Report[S], write_status: Callable[[Member, S], dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": report.name,
        "baseline": report.baseline.id,
        "groups": [_group(group, write_status) for group in report.groups],
    }


def _group(group: Group[S], write_status: Callable[[Member, S], dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": group.name,
        "kernels": [write_status(member, status) for member, status in group.members],
        "differences": [_delta(delta) for delta in group.deltas],
    }


def kernel_document(kernel: Kernel) -> dict[str, Any]:
    """Who a kernel is."""
    return {"id": kernel.id, **asdict(kernel)}


def _status(member: Member, status: FunctionStatus) -> dict[str, Any]:
    return {
        "label": member.label,
        "kernel": kernel_document(member.kernel),
        "present": status.is_present,
        "statuses": [found.value for found in status.statuses],
        "collision": status.collision.value if status.collision else None,
        "inline": status.inline.value if status.inline else None,
        "transformation": status.is_transformed,
        "suffixes": list(status.suffixes),
        "split": status.is_split,
        "ambiguous": status.is_ambiguous,
        "prototypes": list(status.prototypes),
        "instances": [_instance(instance) for instance in status.instances],
        "symbols": [
            _symbol(symbol, verdicts)
            for symbol, verdicts in zip(status.symbols, status.attach or repeat(None), strict=False)
        ],
        "reasons": list(status.reasons),
    }


def _instance(instance: InstanceStatus) -> dict[str, Any]:
    row, function = instance.row, instance.function
    return {
        "image": row.image,
        "evidence": row.evidence,
        "unit": row.unit,
        "file": function.decl_file,
        "line": function.decl_line,
        "external": function.external,
        "declared_inline": function.declared_inline,
        "linkage_name": function.linkage_name,
        "prototype": function.prototype,
        "inlined": row.inlined,
        "out_of_line": row.out_of_line,
        "overridden": instance.overridden,
        "section": row.section,
        "address": row.address,
        "byte_size": row.byte_size,
        "inline_address": row.inline_address,
        "inline_callers": _calls(instance.inline_callers),
        "direct_callers": _calls(instance.direct_callers),
    }


def _calls(calls: Sequence[CallSite] | None) -> list[dict[str, Any]] | None:
    if calls is None:
        return None
    return [
        {
            "function": call.caller,
            "unit": call.unit,
            "image": call.image,
            "file": call.file,
            "line": call.line,
            "chain": [frame._asdict() for frame in call.chain or ()],
        }
        for call in calls
    ]


def _symbol(symbol: Symbol, verdicts: Mapping[Mechanism, Verdict] | None) -> dict[str, Any]:
    return {
        "name": symbol.name,
        "image": symbol.image,
        "section": symbol.section,
        "address": symbol.address,
        "byte_size": symbol.byte_size,
        "bind": symbol.bind,
        "type": symbol.type,
        "attach": None if verdicts is None else _attach(verdicts),
    }


def _attach(verdicts: Mapping[Mechanism, Verdict]) -> list[dict[str, Any]]:
    return [
        {"mechanism": mechanism.value, "attachable": verdict.attachable, "reason": verdict.reason}
        for mechanism, verdict in verdicts.items()
    ]


def _delta(delta: Delta) -> dict[str, Any]:
    return {
        "old": delta.old.kernel.id,
        "new": delta.new.kernel.id,
        "present": list(delta.present),
        "changes": None if delta.changes is None else [change_document(change) for change in delta.changes],
    }


def change_document(change: Change) -> dict[str, Any]:
    """One change."""
    sides = {side: _side(change, side) for side in ("old", "new")}
    return {"kind": type(change).__name__, **sides, **change.details()}


def _side(change: Change, side: str) -> str | list[str] | None:
    value = getattr(change, side, None)
    if type(value) is tuple:
        return [part.text for part in value]
    return change.before if side == "old" else change.after
