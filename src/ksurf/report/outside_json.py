"""What source needs from outside, as JSON, under names that stay (``docs/report-json.md``)."""

from __future__ import annotations

import json
from typing import Any

from ksurf.report.check_json import column_document
from ksurf.report.json import SCHEMA_VERSION, change_document
from ksurf.report.outside import Cell, Depended, Standing
from ksurf.report.outside_layout import OutsidePage, cells, counts
from ksurf.source.place import Place

__all__ = ["outside_json"]


def outside_json(page: OutsidePage, *, changed: bool = False) -> str:
    """The page as one JSON document, with a newline at its end."""
    shown = [one for one in page.depended if not (changed and one.is_same)]
    document = {
        "schema": "ksurf.surface",
        "version": SCHEMA_VERSION,
        "roots": list(page.roots),
        "tree": page.tree,
        "source_kernel": None if page.source is None else page.source.id,
        "units_read": page.seen,
        "units_unread": list(page.unread),
        "notes": list(page.notes),
        "baseline": page.groups.baseline.id,
        "kernels": [column_document(column) for column in page.columns],
        "counts": {
            kind: {standing.value: counted[standing] for standing in Standing if counted[standing]}
            for kind, counted in counts(page)
        },
        "dependencies": [_depended(one, page) for one in shown],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _depended(one: Depended, page: OutsidePage) -> dict[str, Any]:
    need = one.need
    return {
        "kind": need.kind.value,
        "name": need.name,
        "place": None if need.place is None else _place(need.place),
        "defined": need.is_defined,
        "by_macro": need.by_macro,
        "uses": [_place(place) for place in need.uses],
        "functions": list(need.functions),
        "worst": one.worst.value,
        "reference": None if one.reference is None else one.reference.id,
        "kernels": [_cell(cell) for cell in cells(one, page.columns)],
        "series": [
            {
                "distro": series.distro,
                "arch": series.arch,
                "flavor": series.flavor,
                "steps": [
                    {
                        "old": step.old.kernel.id,
                        "new": step.new.kernel.id,
                        "changes": [change_document(change) for change in step.changes],
                    }
                    for step in series.steps
                    if step.changes
                ],
            }
            for series in one.histories
        ],
    }


def _place(place: Place) -> dict[str, Any]:
    return {"file": place.file, "line": place.line, "generated": place.is_generated}


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "kernel": cell.kernel.id,
        "standing": cell.standing.value,
        "statuses": [status.value for status in cell.statuses],
        "changes": [change_document(change) for change in cell.changes],
    }
