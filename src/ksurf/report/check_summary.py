"""A check of many programs as one table: which are affected on which kernel, and by what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click

from ksurf.check.cause import Cause
from ksurf.check.verdict import ConsumerReport, Finding, Outcome
from ksurf.report.check_json import column_document, unreadable_document
from ksurf.report.check_layout import Page, plain
from ksurf.report.check_markdown import SIGNS as MARKDOWN_SIGNS
from ksurf.report.check_markdown import code, table
from ksurf.report.check_terminal import COLORS, SIGNS, matrix, tail, terminal_width
from ksurf.report.json import SCHEMA_VERSION

__all__ = ["Affecting", "causes", "summary_json", "summary_markdown", "summary_text"]


@dataclass(frozen=True, slots=True)
class Affecting:
    """A cause, what becomes of programs by it, and how many that concerns on each kernel."""

    cause: Cause
    outcome: Outcome
    programs: tuple[int, ...]
    """By column."""
    total: int
    """On any of the kernels."""


def causes(page: Page) -> list[Affecting]:
    """What programs are affected by, the worst first, and of each the most frequent. Accepted is left
    out, and what only follows from something else of the program.
    """
    columns = page.columns
    number = {column.kernel: place for place, column in enumerate(columns)}
    held: dict[tuple[Cause, Outcome], list[set[int]]] = {}
    for program, one in enumerate(page.report.consumers):
        for finding in one.findings:
            if finding.outcome <= Outcome.GUARDED or finding.follows is not None or finding.cause is None:
                continue
            if page.applied.of(finding) is not None:
                continue
            key = (finding.cause, finding.outcome)
            held.setdefault(key, [set() for _ in columns])[number[finding.kernel]].add(program)
    made = [
        Affecting(cause, outcome, tuple(map(len, programs)), len(set[int]().union(*programs)))
        for (cause, outcome), programs in held.items()
    ]
    return sorted(made, key=lambda one: (-list(Outcome).index(one.outcome), -one.total, one.cause.value))


def _worst(one: ConsumerReport, page: Page) -> list[tuple[Outcome, bool]]:
    """On each kernel the worst of a program, and whether that is only what was accepted."""
    by_kernel: dict[object, list[Finding]] = {}
    for finding in one.findings:
        by_kernel.setdefault(finding.kernel, []).append(finding)
    cells = []
    for column in page.columns:
        here = by_kernel.get(column.kernel, [])
        counting = page.applied.worst(here)
        worst = max((finding.outcome for finding in here), default=Outcome.OK)
        accepted = counting <= Outcome.GUARDED < worst
        cells.append((worst if accepted else counting, accepted))
    return cells


def _affected(page: Page) -> list[int]:
    """On each kernel the number of programs with a finding that counts."""
    cells = [_worst(one, page) for one in page.report.consumers]
    return [
        sum(outcome > Outcome.GUARDED and not accepted for outcome, accepted in column)
        for column in zip(*cells, strict=True)
    ]


def summary_text(page: Page, *, width: int | None = None) -> str:
    """The table for a terminal."""
    return "\n".join(_document(page, terminal_width(width))) + "\n"


def _document(page: Page, width: int) -> Iterator[str]:
    columns = page.columns
    if page.report.consumers:
        names = [plain(one.consumer.name) for one in page.report.consumers]
        cells = [[_cell(*cell) for cell in _worst(one, page)] for one in page.report.consumers]
        yield from matrix(names, cells, columns, width)
        yield ""
        by = causes(page)
        counted = [[str(number) for number in one.programs] for one in by]
        names = [f"{SIGNS[one.outcome]} {one.cause.value}" for one in by]
        head = "programs affected"
        yield from matrix([head, *names], [list(map(str, _affected(page))), *counted], columns, width)
        yield ""
    yield from tail(page, width)


def _cell(outcome: Outcome, accepted: bool) -> str:
    if accepted:
        return click.style(f"({SIGNS[outcome]})", dim=True)
    return click.style(SIGNS[outcome], fg=COLORS[outcome])


def summary_markdown(page: Page) -> str:
    """The table as Markdown."""
    columns = page.columns
    programs = [
        (
            code(one.consumer.name, cell=True),
            [
                f"({MARKDOWN_SIGNS[outcome]})" if accepted else MARKDOWN_SIGNS[outcome]
                for outcome, accepted in _worst(one, page)
            ],
        )
        for one in page.report.consumers
    ]
    by = [
        (f"{one.cause.value} ({one.outcome.value})", [str(number) for number in one.programs])
        for one in causes(page)
    ]
    affected: Sequence[tuple[str, list[str]]] = [("**affected**", list(map(str, _affected(page))))]
    lines = ["# ksurf summary", "", *table("Program", columns, programs), ""]
    lines += [*table("Programs", columns, [*affected, *by])]
    for one in page.unreadable:
        lines += ["", f"**Not checked:** {code(one.path)}: {one.reason}"]
    return "\n".join(lines) + "\n"


def summary_json(page: Page) -> str:
    """The table as one JSON document, with a newline at its end."""
    columns = page.columns
    document = {
        "schema": "ksurf.summary",
        "version": SCHEMA_VERSION,
        "kernels": [column_document(column) for column in columns],
        "affected": _affected(page),
        "causes": [
            {
                "cause": one.cause.value,
                "outcome": one.outcome.value,
                "programs": list(one.programs),
                "total": one.total,
            }
            for one in causes(page)
        ],
        "consumers": [
            {
                "kind": one.consumer.kind.value,
                "name": one.consumer.name,
                "path": one.consumer.path,
                "member": one.consumer.member,
                "incomplete": list(one.consumer.incomplete),
                "dependencies": len(one.consumer.dependencies),
                "outcomes": [
                    {"outcome": outcome.value, "accepted": accepted}
                    for outcome, accepted in _worst(one, page)
                ],
            }
            for one in page.report.consumers
        ],
        "skipped": page.skipped,
        "unreadable": [unreadable_document(one) for one in page.unreadable],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
