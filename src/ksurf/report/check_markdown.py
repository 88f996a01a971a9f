"""A check as Markdown, for a comment on a change or a page of a wiki."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ksurf.check.verdict import ConsumerReport, Finding, Outcome
from ksurf.report.check_layout import Page, Reason, Row, folded, place, reasons, rows, title
from ksurf.series import Column

__all__ = ["SIGNS", "check_markdown", "code", "escaped", "table"]

SIGNS = {
    Outcome.OK: "✅",
    Outcome.GUARDED: "☑️",
    Outcome.PARTIAL: "🔶",
    Outcome.CHANGED: "⚠️",
    Outcome.BROKEN: "❌",
}


def check_markdown(page: Page, *, everything: bool = False) -> str:
    """The page; also what is fine, if ``everything`` is asked for."""
    return "\n".join(_document(page, everything)) + "\n"


def _document(page: Page, everything: bool) -> Iterator[str]:
    columns = page.columns
    yield "# ksurf check"
    yield ""
    yield " ".join(f"{SIGNS[outcome]} {outcome.value}" for outcome in Outcome)
    yield ""
    overview = [
        (code(one.consumer.name, cell=True), [_worst(one, column, page) for column in columns])
        for one in page.report.consumers
    ]
    yield from table("Program", columns, overview)
    yield from _notes(page)
    for one in page.report.consumers:
        found = rows(one, columns)
        if everything or one.consumer.incomplete or any(row.outcome is not Outcome.OK for row in found):
            yield ""
            yield from _consumer(one, found, page, everything)


def _worst(one: ConsumerReport, column: Column, page: Page) -> str:
    here = [finding for finding in one.findings if finding.kernel == column.kernel]
    worst = max((finding.outcome for finding in here), default=Outcome.OK)
    hidden = worst > Outcome.GUARDED and page.applied.worst(here) < worst
    return f"({SIGNS[worst]})" if hidden else SIGNS[worst]


def table(head: str, columns: Sequence[Column], lines: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Names against kernels; nothing if there are none."""
    if not lines:
        return
    yield f"| {head} | {' | '.join(escaped(column.label) for column in columns)} |"
    yield f"| --- |{' :-: |' * len(columns)}"
    for name, cells in lines:
        yield f"| {name} | {' | '.join(cells)} |"


def _notes(page: Page) -> Iterator[str]:
    notes = []
    if page.applied.accepted:
        number = len(page.applied.accepted)
        notes.append(f"In parentheses: accepted ({number} finding{'s' if number != 1 else ''}).")
    for acceptance, again in page.applied.expired:
        notes.append(
            f"**Expired** on {acceptance.expires}: {code(acceptance.what)} "
            f"({escaped(acceptance.reason)}), {again} finding{'s' if again != 1 else ''} again."
        )
    for acceptance in page.applied.unused:
        notes.append(f"Accepts nothing here: {code(acceptance.what)}.")
    for one in page.unreadable:
        notes.append(f"**Not checked:** {code(one.path)}: {escaped(one.reason)}")
    if page.skipped:
        notes.append(f"{page.skipped} other file{'s' if page.skipped != 1 else ''} skipped.")
    for note in notes:
        yield ""
        yield note


def _consumer(one: ConsumerReport, found: Sequence[Row], page: Page, everything: bool) -> Iterator[str]:
    consumer = one.consumer
    shown, following, fine = folded(found, everything=everything)
    where = consumer.path if consumer.member is None else f"{consumer.path}: {consumer.member}"
    yield f"## {escaped(consumer.name)}"
    yield ""
    yield f"{consumer.kind.value}, {code(where)}"
    for reason in consumer.incomplete:
        yield ""
        yield f"**Not read:** {escaped(reason)}"
    lines = [
        (code(title(row.dependency), cell=True), [_cell(finding, page) for finding in row.findings])
        for row in shown
    ]
    if lines:
        yield ""
        yield from table("Dependency", page.columns, lines)
    words = [f"{following} more follow{'s' if following == 1 else ''} from these"] if following else []
    words += [f"{fine} {'more ' if shown else ''}ok on all kernels"] if fine else []
    if words:
        yield ""
        yield f"{', '.join(words)}."
    for told in reasons(consumer, shown, page, everything=everything):
        yield ""
        yield from _reason(told)


def _cell(finding: Finding | None, page: Page) -> str:
    if finding is None:
        return ""
    sign = SIGNS[finding.outcome]
    return f"({sign})" if page.applied.of(finding) is not None else sign


def _reason(reason: Reason) -> Iterator[str]:
    yield f"### {SIGNS[reason.outcome]} {code(title(reason.dependency))} on {escaped(reason.kernels)}"
    yield ""
    cause = f" ({reason.cause.value})" if reason.cause is not None else ""
    told = f": {escaped(reason.consequence)}" if reason.consequence else ""
    yield f"**{reason.outcome.value}**{cause}{told}"
    if reason.acceptance is not None:
        yield ""
        yield f"**Accepted:** {escaped(reason.acceptance.reason)}"
    items = [escaped(evidence) for evidence in reason.evidence]
    for use in reason.uses:
        text = f": {code(use.text.strip())}" if use.text else ""
        guard = f", guarded by {code(use.guard.text)}" if use.guard is not None else ""
        items.append(f"{escaped(place(use, reason.consumer))}{text}{guard}")
    if items:
        yield ""
        for item in items:
            yield f"- {item}"
    for suggestion in reason.suggestions:
        yield ""
        yield f"💡 {escaped(suggestion.text)}"
        if suggestion.code:
            yield ""
            # Longer than any fence that the code may hold.
            fence = "```" if "```" not in suggestion.code else "`" * 12
            yield f"{fence}{suggestion.language or ''}"
            yield from suggestion.code.splitlines()
            yield fence


def escaped(text: str) -> str:
    """One line of words that no table and no HTML ends in, and that nothing in it formats."""
    line = (
        " ".join(text.split())
        .replace("\\", "\\\\")
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
    return re.sub(r"[|*`]|(?<!\w)_|_(?!\w)", r"\\\g<0>", line)


def code(text: str, *, cell: bool = False) -> str:
    """One line as it is written; in it nothing is special but the sign that ends it, and that of a table."""
    line = " ".join(text.split()).replace("`", "'")
    return f"`{line.replace('|', chr(92) + '|') if cell else line}`"
