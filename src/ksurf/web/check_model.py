"""What the page of a check says, and how much of it: a stranger's file decides what there is to say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ksurf.check.dependency import Dependency, Kind
from ksurf.check.verdict import ConsumerReport, Outcome, Suggestion
from ksurf.kernel import Kernel
from ksurf.report.check_layout import Page, Reason, Row, folded, place, plain, reasons, rows, title
from ksurf.report.check_terminal import SIGNS
from ksurf.series import Column

__all__ = ["Cell", "CheckPage", "Cut", "Line", "Place", "Section", "Told", "check_model", "shown"]

_CELLS = 16_000
"""Of all tables of a page."""
_REASONS = 400
"""Of a page."""
_SECTIONS = 60
_OVERVIEW = 500
_EVIDENCE = 8
_PLACES = 5
_SUGGESTIONS = 6
_CODE_LINES = 40
_LISTED = 50
"""Lines of what could not be read."""
_NAME_LENGTH = 100
_TEXT_LENGTH = 600
_LINE_LENGTH = 200

_RANKS = {
    Outcome.OK: "good",
    Outcome.GUARDED: "good",
    Outcome.PARTIAL: "warn",
    Outcome.CHANGED: "warn",
    Outcome.BROKEN: "bad",
}
_OWN_PAGES = {
    kind: kind.value
    for kind in (
        *(Kind.FUNCTION, Kind.TRACEPOINT, Kind.SYSCALL, Kind.LSM, Kind.KFUNC, Kind.STRUCT, Kind.UNION),
        *(Kind.ENUM, Kind.TYPEDEF, Kind.FIELD, Kind.EXPORT, Kind.CONFIG),
    )
}
_OWNERS = {
    Kind.PARAMETER: "function",
    Kind.TRACEPOINT_FIELD: "tracepoint",
    Kind.STRUCT_OPS: "struct",
    Kind.ENUMERATOR: "enum",
}
"""What is shown on the page of what stands before ``::``."""
_ENUMS = {
    Kind.PROGRAM_TYPE: "bpf_prog_type",
    Kind.ATTACH_TYPE: "bpf_attach_type",
    Kind.MAP_TYPE: "bpf_map_type",
}
_NAME = re.compile(r"[A-Za-z0-9_.:$-]{1,200}", re.ASCII)
"""What can have a page; patterns (``vfs_*``) have none."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The first of some things, and how many more there are."""

    shown: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What becomes of something on a kernel."""

    sign: str
    word: str
    rank: str
    reason: str | None = None
    """The anchor of what is said about it."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: a dependency, or a program."""

    name: str
    link: tuple[str, str, str] | None
    """Kind, name and anchor of the symbol whose page tells more."""
    anchor: str | None
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the program something is used."""

    where: str
    text: str | None
    guard: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What becomes of a dependency on some kernels, and why."""

    anchor: str
    name: str
    link: tuple[str, str, str] | None
    cell: Cell
    kernels: str
    consequence: str
    cause: str | None
    means: str | None
    """What the cause means."""
    evidence: Cut
    places: tuple[Place, ...]
    places_more: int
    suggestions: tuple[tuple[str, str | None], ...]
    """Each with its code."""


@dataclass(frozen=True, slots=True)
class Section:
    """One program."""

    anchor: str
    name: str
    kind: str
    where: str
    cell: Cell
    counts: tuple[tuple[Cell, int], ...]
    """Its dependencies by what becomes of them, the worst first."""
    incomplete: Cut
    lines: tuple[Line, ...]
    lines_more: int
    """Those for which the page has no room."""
    following: int
    fine: int
    told: tuple[Told, ...]
    told_more: int


@dataclass(frozen=True, slots=True)
class CheckPage:
    """The whole page."""

    groups: tuple[tuple[str, int], ...]
    """Groups of kernels, and how many columns each has."""
    columns: tuple[tuple[str, Kernel], ...]
    overview: tuple[Line, ...]
    overview_more: int
    counts: tuple[tuple[Cell, int], ...]
    """Programs by what becomes of them, the worst first."""
    programs: int
    sections: tuple[Section, ...]
    fine: Cut
    """Programs of which all is well, where several were checked."""
    sections_more: int
    unreadable: Cut


def check_model(page: Page, *, everything: bool = False) -> CheckPage:
    """What there is to say, the worst first; also what is fine, if ``everything`` is asked for."""
    columns = page.columns
    ranked = sorted(page.report.consumers, key=_worst, reverse=True)
    several = len(ranked) > 1
    good = [] if everything or not several else [one for one in ranked if _worst(one) <= Outcome.GUARDED]
    told = [one for one in ranked if everything or not several or _worst(one) > Outcome.GUARDED]
    room = _Room(_CELLS // max(len(columns), 1), _REASONS)
    sections = tuple(
        _section(f"p{number}", one, page, room, everything=everything)
        for number, one in enumerate(told[:_SECTIONS], start=1)
    )
    anchors = {id(one): section.anchor for one, section in zip(told, sections, strict=False)}
    counted = Counter(map(_worst, ranked))
    return CheckPage(
        groups=tuple((name, len(list(held))) for name, held in groupby(columns, lambda column: column.group)),
        columns=tuple((shown(column.label), column.kernel) for column in columns),
        overview=tuple(_program(one, columns, anchors) for one in ranked[:_OVERVIEW]) if several else (),
        overview_more=max(len(ranked) - _OVERVIEW, 0) if several else 0,
        counts=_counts(counted),
        programs=len(ranked),
        sections=sections,
        fine=_cut([shown(one.consumer.name) for one in good], _LISTED),
        sections_more=len(told) - len(sections),
        unreadable=_cut(
            [shown(f"{one.path}: {one.reason}", _TEXT_LENGTH) for one in page.unreadable], _LISTED
        ),
    )


class _Room:
    """How much more a page holds."""

    def __init__(self, lines: int, reasons: int) -> None:
        self.lines = lines
        self.reasons = reasons


def shown(text: str, length: int = _NAME_LENGTH) -> str:
    """A text of a stranger's as one line, of which the beginning and the end are shown if it is long."""
    if len(text) > length:
        # What is not printable gets longer: it must not be done with what nobody will see.
        tail = (length - 1) // 2
        text = f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"
    return plain(text)


def _lines(text: str) -> str:
    """Code, whose lines and spaces count."""
    lines = text.splitlines()
    held = [
        "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line[:_LINE_LENGTH])
        for line in lines[:_CODE_LINES]
    ]
    return "\n".join([*held, *(["…"] if len(lines) > _CODE_LINES else [])])


def _cut(texts: Sequence[str], length: int) -> Cut:
    return Cut(tuple(texts[:length]), max(len(texts) - length, 0))


def _worst(one: ConsumerReport) -> Outcome:
    return max((finding.outcome for finding in one.findings), default=Outcome.OK)


def _cell(outcome: Outcome, reason: str | None = None) -> Cell:
    return Cell(SIGNS[outcome], outcome.value, _RANKS[outcome], reason)


def _counts(counted: Counter[Outcome]) -> tuple[tuple[Cell, int], ...]:
    return tuple((_cell(outcome), counted[outcome]) for outcome in reversed(Outcome) if counted[outcome])


def _program(one: ConsumerReport, columns: Sequence[Column], anchors: Mapping[int, str]) -> Line:
    worst: dict[Kernel, Outcome] = {}
    for finding in one.findings:
        worst[finding.kernel] = max(finding.outcome, worst.get(finding.kernel, Outcome.OK))
    cells = tuple(_cell(worst.get(column.kernel, Outcome.OK)) for column in columns)
    return Line(shown(one.consumer.name), None, anchors.get(id(one)), cells)


def _section(anchor: str, one: ConsumerReport, page: Page, room: _Room, *, everything: bool) -> Section:
    consumer = one.consumer
    found = rows(one, page.columns)
    wanted, following, fine = folded(found, everything=everything)
    held = wanted[: room.lines]
    room.lines -= len(held)
    said = reasons(consumer, held, page, everything=everything)
    told = [
        _told(f"{anchor}-{number}", reason) for number, reason in enumerate(said[: room.reasons], start=1)
    ]
    room.reasons -= len(told)
    anchors = {
        (id(reason.dependency), column): made.anchor
        for reason, made in zip(said, told, strict=False)
        for column in reason.columns
    }
    where = consumer.path if consumer.member is None else f"{consumer.path}: {consumer.member}"
    return Section(
        anchor=anchor,
        name=shown(consumer.name),
        kind=consumer.kind.value,
        where=shown(where, _LINE_LENGTH),
        cell=_cell(_worst(one)),
        counts=_counts(Counter(row.outcome for row in found)),
        incomplete=_cut([shown(text, _TEXT_LENGTH) for text in consumer.incomplete[:_LISTED]], _LISTED),
        lines=tuple(_line(row, page.columns, anchors) for row in held),
        lines_more=len(wanted) - len(held),
        following=following,
        fine=fine,
        told=tuple(told),
        told_more=len(said) - len(told),
    )


def _line(row: Row, columns: Sequence[Column], anchors: Mapping[tuple[int, Column], str]) -> Line:
    cells = tuple(
        None if finding is None else _cell(finding.outcome, anchors.get((id(row.dependency), column)))
        for column, finding in zip(columns, row.findings, strict=True)
    )
    return Line(shown(title(row.dependency)), _symbol(row.dependency), None, cells)


def _told(anchor: str, reason: Reason) -> Told:
    uses = reason.uses[:_PLACES]
    return Told(
        anchor=anchor,
        name=shown(title(reason.dependency)),
        link=_symbol(reason.dependency),
        cell=_cell(reason.outcome),
        kernels=reason.kernels,
        consequence=shown(reason.consequence, _TEXT_LENGTH),
        cause=None if reason.cause is None else reason.cause.value,
        means=None if reason.cause is None else reason.cause.sentence,
        evidence=_cut([shown(text, _TEXT_LENGTH) for text in reason.evidence], _EVIDENCE),
        places=tuple(
            Place(
                shown(place(use, reason.consumer, short=True), _LINE_LENGTH),
                shown(use.text.strip(), _LINE_LENGTH) if use.text else None,
                shown(use.guard.text, _LINE_LENGTH) if use.guard is not None else None,
            )
            for use in uses
        ),
        places_more=len(reason.uses) - len(uses),
        suggestions=tuple(map(_suggestion, reason.suggestions[:_SUGGESTIONS])),
    )


def _suggestion(suggestion: Suggestion) -> tuple[str, str | None]:
    return shown(suggestion.text, _TEXT_LENGTH), None if not suggestion.code else _lines(suggestion.code)


def _symbol(dependency: Dependency) -> tuple[str, str, str] | None:
    """Kind, name and anchor of the page that tells more of a dependency, if there may be one.

    It need not be there: of what no kernel has, that address names what is near.
    """
    kind, name, anchor = dependency.kind, dependency.name, ""
    if kind in _ENUMS:
        page, name, anchor = "enum", _ENUMS[kind], name
    elif kind is Kind.HELPER:
        page, name, anchor = "enum", "bpf_func_id", f"BPF_FUNC_{name.removeprefix('bpf_')}"
    elif kind in _OWNERS:
        page = _OWNERS[kind]
        name, _, anchor = name.partition("::")
        anchor = anchor if kind is Kind.ENUMERATOR else ""
    elif kind in _OWN_PAGES:
        page = _OWN_PAGES[kind]
        name = name.partition("+")[0] if kind is Kind.FUNCTION else name
    else:
        return None
    if _NAME.fullmatch(name) is None or (anchor and _NAME.fullmatch(anchor) is None):
        return None
    return page, name, anchor
