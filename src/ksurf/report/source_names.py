"""What the names layer finds, as lines to read and as JSON (``docs/report-json.md``)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from ksurf.report.json import SCHEMA_VERSION, kernel_document
from ksurf.report.source_text import VISIBLE
from ksurf.source.browse import View
from ksurf.source.files import shown_name
from ksurf.source.names_found import FoundDefinition, FoundLine, FoundLines

__all__ = ["definitions_json", "definitions_text", "lines_json", "lines_text"]


def definitions_text(view: View, listed: Sequence[FoundDefinition], total: int) -> str:
    """Definitions, a line each and their source below it, with a newline at its end."""
    return "\n".join(_definitions(view, listed, total)) + "\n"


def _definitions(view: View, listed: Sequence[FoundDefinition], total: int) -> Iterator[str]:
    for found in listed:
        one = found.definition
        what = f"{one.kind} declaration" if one.is_declaration else one.kind
        of = f" of {one.owner.kind} {one.owner.name}" if one.owner else ""
        via = f" by {one.via}" if one.via else ""
        place = click.style(_shown(shown_name(str(one.place))), fg="magenta")
        left_out = ""
        if view.kernel is not None and found.is_compiled is False:
            left_out = click.style(f"  not compiled by {view.kernel.release}", fg="yellow")
        yield f"{place}  {what}{_shown(of)}{_shown(via)}{left_out}"
        yield f"    {_shown(found.signature)}"
    if more := total - len(listed):
        what, which = ("declaration", "it") if more == 1 else ("declarations", "them")
        yield click.style(f"and {more} {what}; --all shows {which}", dim=True)
    for note in view.notes:
        yield click.style(_shown(note), dim=True)


def definitions_json(name: str, view: View, listed: Sequence[FoundDefinition], total: int) -> str:
    """The same as one JSON document, with a newline at its end."""
    document = {
        **_head("ksurf.source-def", view),
        "name": name,
        "total": total,
        "definitions": [
            {
                "kind": one.kind,
                "file": shown_name(one.place.file),
                "line": one.place.line,
                "column": one.place.column,
                "first_line": one.start_line,
                "last_line": one.end_line,
                "signature": found.signature,
                "declaration": one.is_declaration,
                "static": one.is_static,
                "owner": None if one.owner is None else {"kind": one.owner.kind, "name": one.owner.name},
                "path": one.path,
                "via": one.via,
                "compiled": found.is_compiled,
            }
            for found in listed
            for one in (found.definition,)
        ],
    }
    return _document(document)


def lines_text(found: FoundLines) -> str:
    """Lines as ``file:line: text``, with a newline at its end."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: FoundLines) -> Iterator[str]:
    for line in found.lines:
        file = click.style(_shown(shown_name(line.file)), fg="magenta")
        text = "(the file has changed since it was indexed)" if line.text is None else line.text.strip()
        yield f"{file}:{click.style(str(line.line), fg='green')}: {_shown(text)}"
    if not found.is_complete:
        more = "more" if found.total is None else f"{found.total - len(found.lines):,} more"
        yield click.style(f"and {more}; --limit shows more, 0 all", dim=True)


def lines_json(schema: str, asked: Mapping[str, Any], view: View, found: FoundLines) -> str:
    """The same as one JSON document, with a newline at its end."""
    document = {
        **_head(schema, view),
        **asked,
        "total": found.total,
        "complete": found.is_complete,
        "lines": [_line(line) for line in found.lines],
    }
    return _document(document)


def _line(line: FoundLine) -> dict[str, Any]:
    return {"file": shown_name(line.file), "line": line.line, "column": line.column, "text": line.text}


def _head(schema: str, view: View) -> dict[str, Any]:
    return {
        "schema": schema,
        "version": SCHEMA_VERSION,
        "tree": view.tree.id,
        "kernel": None if view.kernel is None else kernel_document(view.kernel),
    }


def _document(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else text.translate(VISIBLE)
