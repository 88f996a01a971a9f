"""A check for a terminal: each program's dependencies by kernel, then why, the worst first.

Colour only underlines what signs and words say. What is fine is counted, with the way to see it.
"""

from __future__ import annotations

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

import click

from ksurf.check.verdict import ConsumerReport, Finding, Outcome
from ksurf.report.check_layout import Page, Reason, Row, folded, place, plain, reasons, rows, title
from ksurf.series import Column

__all__ = ["COLORS", "SIGNS", "check_text", "matrix", "tail", "tail_text", "terminal_width"]

SIGNS = {
    Outcome.OK: "✔",
    Outcome.GUARDED: "◇",
    Outcome.PARTIAL: "◐",
    Outcome.CHANGED: "≠",
    Outcome.BROKEN: "✘",
}
COLORS = {
    Outcome.OK: "green",
    Outcome.GUARDED: "cyan",
    Outcome.PARTIAL: "yellow",
    Outcome.CHANGED: "magenta",
    Outcome.BROKEN: "red",
}
_WIDTH = 110
"""Where no terminal tells."""
_NARROWEST = 40
_PLACES = 2
_EVIDENCE = 4
_GAP = "  "


def check_text(page: Page, *, everything: bool = False, width: int | None = None) -> str:
    """The page; also what is fine, if ``everything`` is asked for. ``width`` is by default the terminal's."""
    return "\n".join(_document(page, everything, terminal_width(width))) + "\n"


def _document(page: Page, everything: bool, width: int) -> Iterator[str]:
    fine = []
    shown = 0
    worst_first = sorted(page.report.consumers, key=lambda one: -list(Outcome).index(_outcome(one)))
    for one in worst_first:
        if _outcome(one) <= Outcome.GUARDED and not everything and len(worst_first) > 1:
            fine.append(plain(one.consumer.name))
            continue
        if shown:
            yield ""
        yield from _consumer(one, page, everything, width)
        shown += 1
    if fine:
        if shown:
            yield ""
        kernels = _count(len(page.report.kernels), "kernel")
        sign = click.style(SIGNS[Outcome.OK], fg=COLORS[Outcome.OK])
        yield from _wrapped(f"{sign} {len(fine)} ok on {kernels}: {', '.join(fine)}", width, "  ")
    if fine or shown:
        yield ""
    yield from tail(page, width)


def tail_text(page: Page) -> str:
    """Only what stands at the end of the page: the sums, and what needs a look."""
    return "\n".join(tail(page, terminal_width(None))) + "\n"


def terminal_width(width: int | None) -> int:
    """The width that is asked for, else the terminal's, but never less than a page needs."""
    return max(width or shutil.get_terminal_size((_WIDTH, 24)).columns, _NARROWEST)


def _outcome(one: ConsumerReport) -> Outcome:
    return max((finding.outcome for finding in one.findings), default=Outcome.OK)


def _consumer(one: ConsumerReport, page: Page, everything: bool, width: int) -> Iterator[str]:
    consumer = one.consumer
    where = consumer.path if consumer.member is None else f"{consumer.path}: {consumer.member}"
    name = click.style(plain(consumer.name), bold=True)
    yield from _wrapped(f"{name}  {consumer.kind.value}, {plain(where)}", width, "  ")
    for reason in consumer.incomplete:
        yield from _wrapped(f"  {click.style('!', fg='yellow')} not read: {plain(reason)}", width, "    ")
    found = rows(one, page.columns)
    shown, following, fine = folded(found, everything=everything)
    yield from _matrix(shown, page, width)
    if following or fine:
        more = "more " if shown else ""
        words = [f"{_count(fine, f'{more}dependency', f'{more}dependencies')} ok on all"] if fine else []
        if following:
            words.insert(0, f"{following} more follow{'s' if following == 1 else ''} from these")
        them = "it" if following + fine == 1 else "them"
        yield from _dimmed(f"  {', '.join(words)}; --explain lists {them}", width)
    elif not found:
        yield from _dimmed("  it needs nothing of the kernel that ksurf knows", width)
    for told in reasons(consumer, shown, page, everything=everything):
        yield ""
        yield from _reason(told, everything, width)


def _matrix(found: Sequence[Row], page: Page, width: int) -> Iterator[str]:
    if found:
        names = [title(row.dependency) for row in found]
        cells = [[_cell(finding, page) for finding in row.findings] for row in found]
        yield from matrix(names, cells, page.columns, width)


def matrix(
    names: Sequence[str], cells: Sequence[Sequence[str]], columns: Sequence[Column], width: int
) -> Iterator[str]:
    """Rows against kernels, in as many blocks as the width asks for. Cells may be coloured."""
    room = min(max(map(len, names)), max(width // 2 - 4, 20))
    for start, end in _blocks(columns, width - room - 2):
        block = columns[start:end]
        widths = _widths(block)
        yield from _header(block, widths, " " * (room + 2))
        for name, row in zip(names, cells, strict=True):
            centred = [_centred(cell, size) for cell, size in zip(row[start:end], widths, strict=True)]
            yield f"  {_cut(name, room).ljust(room)}{''.join(_gaps(block, centred))}".rstrip()


def _header(block: Sequence[Column], widths: Sequence[int], indent: str) -> Iterator[str]:
    """The names of groups, and the labels of kernels below them, a word on each line."""
    groups = ""
    for name, members in groupby(zip(block, widths, strict=True), key=lambda pair: pair[0].group):
        size = sum(width + len(_GAP) for _, width in members) - len(_GAP)
        groups += _GAP * 2 + click.style(name, underline=True) + " " * (size - len(name))
    yield (indent + groups).rstrip()
    words = [column.label.split() for column in block]
    for line in range(max(map(len, words))):
        cells = [
            (word[line] if line < len(word) else "").center(width)
            for word, width in zip(words, widths, strict=True)
        ]
        yield click.style((indent + "".join(_gaps(block, cells))).rstrip(), dim=True)


def _gaps(block: Sequence[Column], cells: Sequence[str]) -> Iterator[str]:
    """Cells with the gaps before them: wider where a group begins."""
    group = None
    for column, cell in zip(block, cells, strict=True):
        yield (_GAP * 2 if column.group != group else _GAP) + cell
        group = column.group


def _widths(block: Sequence[Column]) -> list[int]:
    """Each column takes its longest word; the last of a short group also what the group's name needs."""
    widths = [max(3, *map(len, column.label.split())) for column in block]
    last = 0
    for name, members in groupby(block, key=lambda column: column.group):
        first, last = last, last + len(list(members))
        taken = sum(widths[first:last]) + len(_GAP) * (last - first - 1)
        widths[last - 1] += max(len(name) - taken, 0)
    return widths


def _blocks(columns: Sequence[Column], room: int) -> Iterator[tuple[int, int]]:
    start = 0
    for end in range(1, len(columns) + 1):
        block = columns[start : end + 1]
        cells = ["x" * size for size in _widths(block)]
        if end == len(columns) or len("".join(_gaps(block, cells))) > room:
            yield start, end
            start = end


def _cell(finding: Finding | None, page: Page) -> str:
    if finding is None:
        return ""
    sign = SIGNS[finding.outcome]
    if page.applied.of(finding) is not None:
        return click.style(f"({sign})", dim=True)
    return click.style(sign, fg=COLORS[finding.outcome])


def _centred(cell: str, width: int) -> str:
    free = width - len(click.unstyle(cell))
    return " " * (free // 2) + cell + " " * (free - free // 2)


def _cut(text: str, width: int) -> str:
    """The end of a name tells more than its middle."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def _reason(reason: Reason, everything: bool, width: int) -> Iterator[str]:
    color = COLORS[reason.outcome]
    mark = click.style(f"{SIGNS[reason.outcome]} {reason.outcome.value}", fg=color)
    head = f"  {mark}  {click.style(title(reason.dependency), bold=True)}  on {reason.kernels}"
    yield from _wrapped(head, width, "      ")
    if reason.consequence:
        yield from _wrapped(f"    {plain(reason.consequence)}", width, "    ")
    if everything and reason.cause is not None:
        yield from _wrapped(f"    cause: {reason.cause.value}", width, "      ")
    if reason.acceptance is not None:
        yield from _wrapped(f"    accepted: {plain(reason.acceptance.reason)}", width, "      ")
    shown = reason.evidence if everything else reason.evidence[:_EVIDENCE]
    for evidence in shown:
        yield from _wrapped(f"    {click.style('·', fg=color)} {plain(evidence)}", width, "      ")
    yield from _more(len(reason.evidence) - len(shown), "reason", width)
    uses = reason.uses if everything else reason.uses[:_PLACES]
    for use in uses:
        yield from _wrapped(f"    {place(use, reason.consumer, short=True)}", width, "       ")
        if use.text:
            yield click.style(f"       {plain(use.text)}", fg="cyan")
        if use.guard is not None:
            yield from _wrapped(f"       guarded by {plain(use.guard.text)}", width, "       ")
    yield from _more(len(reason.uses) - len(uses), "place", width)
    for suggestion in reason.suggestions:
        yield from _wrapped(f"    {click.style('→', fg='green')} {plain(suggestion.text)}", width, "      ")
        for line in (suggestion.code or "").splitlines():
            yield click.style(f"        {_code(line)}", fg="cyan")


def tail(page: Page, width: int) -> Iterator[str]:
    """What is said at the end of a page: sums, acceptances that need a look, what was not read."""
    columns = page.columns
    counted = Counter(_outcome(one) for one in page.report.consumers)
    parts = [
        click.style(f"{SIGNS[outcome]} {counted[outcome]} {outcome.value}", fg=COLORS[outcome])
        for outcome in reversed(Outcome)
        if counted[outcome]
    ]
    checked = _count(len(page.report.consumers), "program")
    line = (
        f"{checked} on {_count(len(columns), 'kernel')}: {', '.join(parts)}"
        if parts
        else "nothing was checked"
    )
    yield from _wrapped(line, width, "  ")
    if in_part := [plain(one.consumer.name) for one in page.report.consumers if one.consumer.incomplete]:
        text = f"read only in part (ksurf check --explain says what is missing): {', '.join(in_part)}"
        yield from _wrapped(f"{click.style('!', fg='yellow')} {text}", width, "  ")
    if page.applied.accepted:
        where = f" by {page.applied.path}" if page.applied.path else ""
        yield from _wrapped(f"({_count(len(page.applied.accepted), 'finding')} accepted{where})", width, "  ")
    for acceptance, again in page.applied.expired:
        text = f"expired on {acceptance.expires}, {_count(again, 'finding')} again: {acceptance.what}"
        yield from _wrapped(
            f"{click.style('!', fg='yellow')} {text} ({plain(acceptance.reason)})", width, "  "
        )
    for acceptance in page.applied.unused:
        text = f"accepts nothing here: {plain(f'{acceptance.what} ({acceptance.reason})')}"
        yield from _wrapped(f"{click.style('!', fg='yellow')} {text}", width, "  ")
    if page.skipped:
        yield click.style(f"{_count(page.skipped, 'other file')} skipped", dim=True)
    for one in page.unreadable:
        yield from _wrapped(
            f"{click.style('!', fg='red')} not checked: {plain(f'{one.path}: {one.reason}')}", width, "  "
        )


def _more(number: int, what: str, width: int) -> Iterator[str]:
    if number > 0:
        lists = f"--explain lists {'it' if number == 1 else 'them'}"
        yield from _dimmed(f"    and {_count(number, f'more {what}')}; {lists}", width)


def _code(line: str) -> str:
    """A line of code, whose spaces count."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line.expandtabs(4))


def _dimmed(text: str, width: int) -> Iterator[str]:
    return (click.style(line, dim=True) for line in _wrapped(text, width, "  "))


def _wrapped(text: str, width: int, indent: str) -> Iterator[str]:
    """A line that may be longer than the terminal is wide; colours in it take no room."""
    if len(click.unstyle(text)) <= width:
        yield text
        return
    # A wrapped line's colours are at its beginning: they add what they are long to what the first may hold.
    extra = len(text) - len(click.unstyle(text))
    first, *_ = textwrap.wrap(text, width + extra, break_on_hyphens=False, break_long_words=False) or [text]
    yield first
    rest = text[len(first) :].strip()
    yield from textwrap.wrap(
        rest, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def _count(number: int, one: str, several: str | None = None) -> str:
    return f"{number} {one if number == 1 else several or f'{one}s'}"
