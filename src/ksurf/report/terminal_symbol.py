"""The page for a terminal on a symbol that is no function: all kernels in a table, its text, the changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import click

from ksurf.report.kinds import SymbolKind, SymbolReport
from ksurf.report.terminal import attach_lines, difference_lines
from ksurf.series import Member
from ksurf.surface.symbol import SymbolStatus, Variant, images_text
from ksurf.surface.types import Line

__all__ = ["symbol_text"]

_VARIANTS = 4


def symbol_text(kind: SymbolKind[Any], report: SymbolReport, *, everything: bool = False) -> str:
    """The report; its text on one kernel, or every text that it has had, if ``everything`` is asked for."""
    return "\n".join(_document(kind, report, everything)) + "\n"


def _document(kind: SymbolKind[Any], report: SymbolReport, everything: bool) -> Iterator[str]:
    yield f"{kind.name} {click.style(report.name, bold=True)}"
    yield from _matrix(kind, report)
    texts = _texts(kind, report)
    shown = texts if everything else _usual(report, texts)
    for lines, members in shown:
        yield ""
        if len(texts) > 1:
            yield f"  on {', '.join(member.label for member in members)}"
        yield from (f"  {line}" for line in lines)
    yield from _attach(report)
    reasons: dict[str, list[str]] = {}
    for group in report.groups:
        for member, status in group.members:
            for reason in status.reasons:
                reasons.setdefault(reason, []).append(member.label)
    if reasons:
        yield ""
    for reason, labels in reasons.items():
        yield f"  {click.style('·', fg='yellow')} {reason} (on {', '.join(labels)})"
    yield from difference_lines(report)
    others = len(texts) - len(shown)
    if others > 0:
        which = "another definition" if others == 1 else f"{others} other definitions"
        yield ""
        yield click.style(f"there {'is' if others == 1 else 'are'} {which}: --all shows all", dim=True)


def _attach(report: SymbolReport) -> Iterator[str]:
    """What can be attached or called by the name, each answer once with the kernels that give it."""
    answers: dict[tuple[str, ...], list[str]] = {}
    for group in report.groups:
        for member, status in group.members:
            if status.attach:
                answers.setdefault(tuple(attach_lines(status.attach)), []).append(member.label)
    for lines, labels in answers.items():
        yield ""
        if len(answers) > 1:
            yield f"  on {', '.join(labels)}"
        yield from (f"  {line}" for line in lines)


def _matrix(kind: SymbolKind[Any], report: SymbolReport) -> Iterator[str]:
    rows = [(group.name, m, s) for group in report.groups for m, s in group.members]
    # Labels are indented by two more than the names of groups, and share their column.
    width = max(max(len(member.label), len(name) - 2) for name, member, _ in rows)
    variants = [variant for _, _, status in rows for variant in status.variants]
    places = any(variant.place for variant in variants)
    facts = list(dict.fromkeys(fact for v in variants for fact in kind.facts(v.content)))
    heads = ["status", *(["in"] if places else []), *facts]
    cells = [_cells(kind, status, facts, places=places) for _, _, status in rows]
    widths = [
        max(len(line[i]) for line in (heads, *(c for own in cells for c in own))) for i in range(len(heads))
    ]
    for name, members in groupby(zip(rows, cells, strict=True), key=lambda item: item[0][0]):
        padding = " " * (width + 4 - len(name))
        head = _aligned(heads, widths).rstrip()
        yield f"  {click.style(name, underline=True)}{padding}{click.style(head, dim=True)}"
        for (_, member, status), lines in members:
            color = "green" if status.is_present and not status.statuses else "yellow"
            for index, own in enumerate(lines):
                label = member.label if index == 0 else ""
                line = _aligned(own, widths)
                first, rest = line[: len(own[0])], line[len(own[0]) :].rstrip()
                yield f"    {label.ljust(width)}  {click.style(first, fg=color)}{rest}".rstrip()


def _cells(
    kind: SymbolKind[Any], status: SymbolStatus[Any], facts: Sequence[str], *, places: bool
) -> list[list[str]]:
    """One line of cells for each definition, the first with the status."""
    empty = ["" for _ in range(len(facts) + places)]
    words = ", ".join(found.value for found in status.statuses)
    if not status.is_present:
        return [[f"✘ {words}", *empty]]
    lines = []
    for index, variant in enumerate(status.variants[:_VARIANTS]):
        first = (f"⚠ {words}" if words else "✔ OK") if index == 0 else ""
        values = kind.facts(variant.content)
        where = [images_text(variant.images, 2) or variant.scope or ""] if places else []
        lines.append([first, *where, *(values.get(fact, "") for fact in facts)])
    if (more := len(status.variants) - _VARIANTS) > 0:
        lines.append([f"  and {more} more", *empty])
    return lines


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


_Texts = list[tuple[list[str], list[Member]]]


def _texts(kind: SymbolKind[Any], report: SymbolReport) -> _Texts:
    """Every text once, with the kernels that have it."""
    texts: dict[tuple[Any, ...], tuple[SymbolStatus[Any], list[Member]]] = {}
    for group in report.groups:
        for member, status in group.members:
            if status.is_present:
                key = tuple((variant.scope, variant.key) for variant in status.variants)
                texts.setdefault(key, (status, []))[1].append(member)
    return [(list(_text(kind, status.variants)), members) for status, members in texts.values()]


def _usual(report: SymbolReport, texts: _Texts) -> _Texts:
    """The baseline's text, or, where that has none, the first."""
    own = [held for held in texts if any(member.kernel == report.baseline for member in held[1])]
    return own or texts[:1]


def _text(kind: SymbolKind[Any], variants: Sequence[Variant[Any]]) -> Iterator[str]:
    for variant in variants:
        lines = kind.lines(variant.content, True)
        if len(variants) > 1 and variant.images:
            yield f"in {images_text(variant.images)}:"
        if any(line.member is not None for line in lines):
            yield click.style(f"{'offset':>8} {'size':>6}", dim=True)
            yield from (f"{click.style(_place(line), dim=True)}  {_colored(line)}" for line in lines)
        else:
            yield from map(_colored, lines)


def _place(line: Line) -> str:
    member = line.member
    if member is None or member.bit_offset is None:
        return " " * 15
    byte, bit = divmod(member.bit_offset, 8)
    offset = f"{byte}:{bit}" if member.bit_size is not None else str(byte)
    return f"{offset:>8} {'' if member.byte_size is None else member.byte_size:>6}"


def _colored(line: Line) -> str:
    return click.style(line.text, fg="cyan")
