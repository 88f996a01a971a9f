"""What the page of a symbol says, of its report: cells, texts, changes and what can be attached."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ksurf.dataset.rows import CallSite, Definition
from ksurf.kernel import Kernel
from ksurf.report.condense import condensed
from ksurf.report.kinds import SymbolKind
from ksurf.report.layout import Report
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.change import Change
from ksurf.surface.function import FunctionStatus, Status
from ksurf.surface.history import Compare, SeriesHistory, histories
from ksurf.surface.symbol import SymbolStatus, images_text
from ksurf.surface.types import Field, c_lines, fields

__all__ = [
    "AttachRow",
    "Cell",
    "CodeLine",
    "FieldStory",
    "Text",
    "attach_table",
    "callers_of",
    "cell_of",
    "cells_of",
    "field_stories",
    "history_of",
    "texts_of",
]

_BAD = {Status.ABSENT, Status.FULL_INLINE}
"""What nothing can be attached to, or read."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A symbol on one kernel, in a word or two."""

    sign: str
    """Says the same as the colour."""
    rank: str
    """``good``, ``warn`` or ``bad``: the colour."""
    words: str
    facts: tuple[tuple[str, str], ...] = ()
    """Further columns: heading and value."""


def cells_of(report: Report[Any], kind: SymbolKind[Any] | None) -> dict[Kernel, Cell]:
    """The cell of each kernel; ``kind`` is ``None`` for a function."""
    return {
        member.kernel: cell_of(status, kind) for group in report.groups for member, status in group.members
    }


def cell_of(status: Any, kind: SymbolKind[Any] | None) -> Cell:
    """The cell of one kernel."""
    return _function_cell(status) if kind is None else _symbol_cell(kind, status)


def _status_words(statuses: Sequence[Status]) -> tuple[str, str, str]:
    words = ", ".join(status.value for status in statuses)
    if not statuses:
        return "✔", "good", "OK"
    if _BAD.intersection(statuses):
        return "✘", "bad", words
    return "⚠", "warn", words


def _function_cell(status: FunctionStatus) -> Cell:
    sign, rank, words = _status_words(status.statuses)
    if not status.is_present:
        return Cell(sign, rank, words)

    def count(calls: Iterable[Sequence[CallSite] | None]) -> str:
        known = [len(found) for found in calls if found is not None]
        return f"{sum(known):,}" if known else "?"

    return Cell(
        sign,
        rank,
        words,
        (
            ("collision", status.collision.value if status.collision else "?"),
            ("definitions", str(len(status.instances))),
            ("symbols", str(len(status.plain_symbols))),
            ("inlined", count(one.inline_callers for one in status.instances)),
            ("called", count(one.direct_callers for one in status.instances)),
        ),
    )


def _symbol_cell(kind: SymbolKind[Any], status: SymbolStatus[Any]) -> Cell:
    sign, rank, words = _status_words(status.statuses)
    if not status.is_present:
        return Cell(sign, rank, words)
    variants = status.variants
    first = variants[0]
    facts = list(kind.facts(first.content).items())
    if first.place:
        facts.insert(0, ("in", images_text(first.images, 2) or first.scope or ""))
    if len(variants) > 1:
        facts.append(("definitions", str(len(variants))))
    return Cell(sign, rank, words, tuple((head, value) for head, value in facts if value))


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of a definition, and of a field where it is and what became of it."""

    text: str
    offset: str = ""
    size: str = ""
    path: str | None = None
    marks: tuple[str, ...] = ()
    """What happened to the field along the series."""


@dataclass(frozen=True, slots=True)
class Text:
    """A definition or a prototype, and the kernels that have it."""

    kernels: tuple[Kernel, ...]
    lines: tuple[CodeLine, ...]
    where: str = ""


def texts_of(
    report: Report[Any],
    kind: SymbolKind[Any] | None,
    shown: Kernel | None = None,
    stories: Mapping[str, FieldStory] | None = None,
) -> list[Text]:
    """Every text once, with its kernels; only those of the kernel ``shown`` if it is given."""
    held: dict[tuple[Any, ...], list[Kernel]] = {}
    statuses: dict[tuple[Any, ...], Any] = {}
    for group in report.groups:
        for member, status in group.members:
            if not status.is_present:
                continue
            key = (
                status.prototypes
                if kind is None
                else tuple((variant.scope, variant.key) for variant in status.variants)
            )
            held.setdefault(key, []).append(member.kernel)
            statuses.setdefault(key, status)
    texts = []
    for key, kernels in held.items():
        if shown is not None and shown not in kernels:
            continue
        status = statuses[key]
        if kind is None:
            texts.append(Text(tuple(kernels), tuple(CodeLine(one) for one in status.prototypes)))
            continue
        several = len(status.variants) > 1
        for variant in status.variants:
            lines = _lines(kind, variant.content, stories or {})
            texts.append(Text(tuple(kernels), lines, variant.place if several else ""))
    return texts


def _lines(kind: SymbolKind[Any], content: Any, stories: Mapping[str, FieldStory]) -> tuple[CodeLine, ...]:
    if not isinstance(content, Definition):
        return tuple(CodeLine(line.text) for line in kind.lines(content, True))
    # A field is found again by its place and type: its line does not tell its path.
    paths = {
        (field.bit_offset, field.type, field.path.rpartition(".")[2]): path
        for path, field in fields(content).items()
    }
    lines = []
    for line in c_lines(content, nested=True):
        member = line.member
        if member is None or member.bit_offset is None:
            lines.append(CodeLine(line.text))
            continue
        byte, bit = divmod(member.bit_offset, 8)
        path = paths.get((member.bit_offset, member.type or "", member.name or ""))
        story = stories.get(path) if path is not None else None
        lines.append(
            CodeLine(
                line.text,
                f"{byte}:{bit}" if member.bit_size is not None else str(byte),
                "" if member.byte_size is None else str(member.byte_size),
                path,
                story.marks if story else (),
            )
        )
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class FieldStory:
    """What happened to a field along a series."""

    path: str
    marks: tuple[str, ...]
    is_gone: bool
    """The newest kernel has the type, and not this field."""


def field_stories(definitions: Sequence[tuple[str, Definition]]) -> dict[str, FieldStory]:
    """The fields of a type to which something happened, from a series of definitions with their labels."""
    marks: dict[str, list[str]] = {}
    known: dict[str, Field] = {}
    for index, (label, definition) in enumerate(definitions):
        now = fields(definition)
        for path, field in now.items():
            before = known.get(path)
            if before is None and index:
                marks.setdefault(path, []).append(f"added in {label}")
            elif before is not None and before.type != field.type:
                marks.setdefault(path, []).append(f"type changed in {label} from {before.type}")
        for path in known.keys() - now.keys():
            marks.setdefault(path, []).append(f"removed in {label}")
        known = now
    return {path: FieldStory(path, tuple(own), path not in known) for path, own in marks.items()}


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """A step of a series; without changes it says nothing."""

    old: Kernel
    new: Kernel
    changes: tuple[Change, ...]


def history_of(
    name: str, report: Report[Any], compare: Compare[Any]
) -> list[tuple[SeriesHistory, list[HistoryStep]]]:
    """The symbol along each series that has it."""
    statuses = {member.kernel: status for group in report.groups for member, status in group.members}
    return [
        (
            series,
            [
                HistoryStep(step.old.kernel, step.new.kernel, tuple(condensed(step.changes)))
                for step in series.steps
            ],
        )
        for series in histories(name, statuses, compare)
        if series.present
    ]


@dataclass(frozen=True, slots=True)
class AttachRow:
    """One mechanism over the kernels; ``None`` where there is nothing to attach to."""

    mechanism: str
    verdicts: tuple[Verdict | None, ...]


def attach_table(
    report: Report[Any], kernels: Sequence[Kernel], combine: Callable[[Any], Mapping[Mechanism, Verdict]]
) -> tuple[list[AttachRow], list[str]]:
    """The mechanisms over the kernels, and the reasons, which are numbered from 1."""
    verdicts = {
        member.kernel: combine(status)
        for group in report.groups
        for member, status in group.members
        if status.is_present
    }
    rows = [
        AttachRow(mechanism.value, tuple(verdicts.get(kernel, {}).get(mechanism) for kernel in kernels))
        for mechanism in Mechanism
        if any(mechanism in own for own in verdicts.values())
    ]
    reasons = dict.fromkeys(
        verdict.reason for row in rows for verdict in row.verdicts if verdict is not None and verdict.reason
    )
    return rows, list(reasons)


@dataclass(frozen=True, slots=True)
class CallerGroup:
    """Calls from one function, by the chain of inlined functions between."""

    caller: str
    chain: tuple[str, ...]
    inline: bool
    file: str | None
    line: int | None
    count: int


def callers_of(status: FunctionStatus) -> list[CallerGroup]:
    """Who calls a function on a kernel: those with copies of it first, then by name."""
    held: dict[tuple[str, tuple[str, ...], bool], list[CallSite]] = {}
    for instance in status.instances:
        for site in (*(instance.inline_callers or ()), *(instance.direct_callers or ())):
            chain = tuple(frame.function for frame in site.chain or ())
            held.setdefault((site.caller, chain, site.inline), []).append(site)
    found = [
        CallerGroup(caller, chain, inline, sites[0].file, sites[0].line, len(sites))
        for (caller, chain, inline), sites in held.items()
    ]
    return sorted(found, key=lambda one: (not one.inline, one.caller, one.chain))
