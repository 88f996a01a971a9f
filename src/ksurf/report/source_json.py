"""A page of source as JSON, a row for each line (``docs/report-json.md``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ksurf.report.json import SCHEMA_VERSION, change_document, kernel_document
from ksurf.source.facts import FunctionFacts, LineMarks
from ksurf.source.page import Line, Page, PageDefinition
from ksurf.source.place import Place
from ksurf.source.semantic.model import Symbol

__all__ = ["page_json", "place_document"]


def page_json(page: Page) -> str:
    """The page as one JSON document, with a newline at its end."""
    return "".join(_document(page))


def _document(page: Page) -> Iterator[str]:
    layer = page.layer
    head = {
        "schema": "ksurf.source",
        "version": SCHEMA_VERSION,
        "file": page.file,
        "tree": page.tree,
        "kernel": None if page.kernel is None else kernel_document(page.kernel),
        "layer": {
            "name": layer.layer.value,
            "unit": layer.unit,
            "reason": layer.reason,
            "remedy": layer.remedy,
            "problems": list(layer.problems),
        },
        "notes": list(page.notes),
        "line_count": page.line_count,
    }
    # Indented as a whole, each token of each line would be a row.
    yield "{\n" + ",\n".join(f" {_row(name)}: {_row(value)}" for name, value in head.items())
    yield from _rows("lines", page.lines, lambda line: _line(line, page.facts.marks.get(line.number)))
    yield from _rows("definitions", page.definitions, _definition)
    yield from _rows("symbols", page.symbols, _symbol)
    yield ',\n "functions": ' + _row(_functions(page.facts.functions)) + "\n}\n"


def _row(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _rows(name: str, items: Iterable[Any], document: Callable[[Any], object]) -> Iterator[str]:
    rows = [f"\n  {_row(document(item))}" for item in items]
    yield f',\n "{name}": [{",".join(rows)}{chr(10) + " " if rows else ""}]'


def _line(line: Line, marks: LineMarks | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "number": line.number,
        "text": line.text,
        "inactive": line.is_inactive,
        "hints": [{"start": hint.start, "name": hint.name} for hint in line.hints],
        "tokens": [
            {
                "start": start,
                "end": end,
                "kind": kind,
                "role": None if role is None else role.value,
                "symbol": symbol,
            }
            for start, end, kind, role, symbol in line.spans
        ],
    }
    document["calls"] = None
    if marks is not None:
        document["calls"] = [
            {
                "callee": call.callee,
                "outcome": call.outcome.value,
                "kernels": [kernel.id for kernel in call.kernels],
                "copies": call.copies,
                "by_line": call.by_line,
            }
            for call in marks.calls
        ]
    return document


def _definition(found: PageDefinition) -> dict[str, Any]:
    return {
        "name": found.name,
        "kind": found.kind,
        "line": found.line,
        "first_line": found.first_line,
        "last_line": found.last_line,
        "signature": found.signature,
    }


def _symbol(symbol: Symbol) -> dict[str, Any]:
    return {
        "kind": symbol.kind,
        "name": symbol.name,
        "usr": symbol.usr,
        "type": symbol.type or None,
        "owner": symbol.owner,
        "local": symbol.is_local,
        "definition": place_document(symbol.definition),
        "declaration": place_document(symbol.declaration),
    }


def place_document(place: Place | None) -> dict[str, Any] | None:
    """One place; line and column from 1, the column in bytes."""
    if place is None:
        return None
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "generated": place.is_generated,
    }


def _functions(functions: Mapping[str, FunctionFacts]) -> dict[str, Any]:
    return {
        name: {
            "kernels": [
                {
                    "kernel": found.kernel.id,
                    "compiled": found.is_compiled,
                    "inlined": found.is_inlined,
                    "out_of_line": found.out_of_line,
                    "symbols": list(found.symbols),
                    "callers": [
                        {
                            "function": caller.function,
                            "place": place_document(caller.place),
                            "outcome": caller.outcome.value,
                        }
                        for caller in found.callers
                    ],
                    "reason": found.reason,
                }
                for found in facts.kernels
            ],
            "changes": [
                {
                    "old": delta.old.id,
                    "new": delta.new.id,
                    "changes": [change_document(change) for change in delta.changes],
                }
                for delta in facts.changes
            ],
        }
        for name, facts in functions.items()
    }
