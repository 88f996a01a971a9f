"""The numbers of a figure, and where they come from, as CSV and as JSON (``docs/report-json.md``)."""

from __future__ import annotations

import csv
import io
import json

from ksurf.plot.model.figure import Figure
from ksurf.report.json import SCHEMA_VERSION, kernel_document

__all__ = ["numbers_csv", "numbers_json"]


def numbers_csv(figure: Figure) -> str:
    """A line for each number (RFC 4180, but for the ends of lines); what is not known is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, figure.fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(figure.rows())
    return text.getvalue()


def numbers_json(figure: Figure) -> str:
    """One document, with a newline at its end."""
    document = {
        "schema": "ksurf.plot",
        "version": SCHEMA_VERSION,
        "plot": figure.name,
        "title": figure.title,
        "facts": figure.facts,
        "notes": list(figure.notes),
        "kernels": [
            {"group": column.group, "label": column.label, "kernel": kernel_document(column.kernel)}
            for column in figure.columns
        ],
        "rows": [dict(row) for row in figure.rows()],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
