"""Who calls a function, or whom it calls, for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from ksurf.kernel import Kernel
from ksurf.report.check_layout import plain
from ksurf.report.json import SCHEMA_VERSION, kernel_document
from ksurf.source.join.edges import Edge, EdgeKind

__all__ = ["CallsPage", "calls_json", "calls_text"]

_COLORS = {
    EdgeKind.INLINED: "cyan",
    EdgeKind.DIRECT: "green",
    EdgeKind.POSSIBLE: "yellow",
    EdgeKind.WRITTEN: "bright_black",
}


@dataclass(frozen=True, slots=True)
class CallsPage:
    """One function's callers or callees."""

    name: str
    direction: str
    """``callers`` or ``callees``."""
    kernels: tuple[Kernel, ...]
    """Those that were asked."""
    edges: tuple[Edge, ...]
    looked_at: str | None = None
    """For calls through fields: how much of the source was looked at, in words; ``None`` if none was."""
    notes: tuple[str, ...] = ()


def calls_text(page: CallsPage, *, limit: int | None = None) -> str:
    """One line per function and way of calling, and on which kernels it is so."""
    return "\n".join(_lines(page, limit)) + "\n"


def _lines(page: CallsPage, limit: int | None) -> Iterator[str]:
    yield f"{page.direction} of {click.style(plain(page.name), bold=True)}"
    labels = _labels(page.kernels)
    shown = page.edges if limit is None else page.edges[:limit]
    for edge in shown:
        kind = click.style(edge.kind.value.ljust(8), fg=_COLORS[edge.kind])
        name = plain(edge.function) or "(outside of functions)"
        chain = f" via {' → '.join(map(plain, edge.chain))}" if edge.chain else ""
        where = f"  {plain(str(edge.place))}" if edge.place is not None else ""
        field = f"  through {plain(edge.field)}" if edge.field is not None else ""
        copies = f"  ×{edge.copies}" if edge.copies > 1 else ""
        everywhere = len(edge.kernels) == len(page.kernels)
        on = "" if everywhere or not edge.kernels else f"  on {', '.join(labels[k] for k in edge.kernels)}"
        yield f"  {kind}  {name}{chain}{field}{where}{copies}{click.style(on, dim=True)}"
    if len(shown) < len(page.edges):
        yield click.style(f"  and {len(page.edges) - len(shown)} more; --limit shows more, 0 all", dim=True)
    if not page.edges:
        yield "  none"
    if page.looked_at is not None:
        text = f"calls through fields are known of {page.looked_at}, those that were read so far"
        yield click.style(f"  {text}", dim=True)
    for note in page.notes:
        yield click.style(f"  {plain(note)}", dim=True)


def _labels(kernels: Sequence[Kernel]) -> dict[Kernel, str]:
    """The shortest words that tell the kernels from each other, the same for all of them."""
    for form in ("{0.base_version}", "{0.base_version} {0.arch}", "{0.base_version} {0.arch} {0.flavor}"):
        labels = {kernel: form.format(kernel) for kernel in kernels}
        if len(set(labels.values())) == len(labels):
            return labels
    return {kernel: kernel.id for kernel in kernels}


def calls_json(page: CallsPage, *, limit: int | None = None) -> str:
    """The same as one JSON document with a newline at its end."""
    shown = page.edges if limit is None else page.edges[:limit]
    document = {
        "schema": f"ksurf.source-{page.direction}",
        "version": SCHEMA_VERSION,
        "name": page.name,
        "kernels": [kernel_document(kernel) for kernel in page.kernels],
        "total": len(page.edges),
        "looked_at": page.looked_at,
        "notes": list(page.notes),
        page.direction: [
            {
                "function": edge.function or None,
                "kind": edge.kind.value,
                "chain": list(edge.chain),
                "place": None if edge.place is None else {"file": edge.place.file, "line": edge.place.line},
                "field": edge.field,
                "copies": edge.copies,
                "kernels": [kernel.id for kernel in edge.kernels],
            }
            for edge in shown
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
