"""What source needs from outside, for a terminal: by kernel, the worst first, then what changed."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ksurf.report.check_layout import plain
from ksurf.report.check_terminal import matrix, terminal_width
from ksurf.report.outside import Depended, Standing
from ksurf.report.outside_layout import OutsidePage, cells, counts, forms, status_text, steps
from ksurf.report.terminal import change_line

__all__ = ["outside_text"]

_SIGNS = {
    Standing.UNKNOWN: ("?", "bright_black"),
    Standing.SAME: ("✔", "green"),
    Standing.FORM: ("◐", "yellow"),
    Standing.CHANGED: ("≠", "magenta"),
    Standing.ABSENT: ("✘", "red"),
}
_CHANGES = 4
_USES = 3
_UNTOLD = 12


def outside_text(
    page: OutsidePage, *, changed: bool = False, everything: bool = False, width: int | None = None
) -> str:
    """The page; with ``changed`` only what is not the same everywhere, with ``everything`` all changes."""
    return "\n".join(_document(page, changed, everything, terminal_width(width))) + "\n"


def _document(page: OutsidePage, changed: bool, everything: bool, width: int) -> Iterator[str]:
    kernel = f" as {page.source.release} compiles it" if page.source is not None else ""
    yield f"{click.style(' '.join(map(plain, page.roots)), bold=True)} of {page.tree}{kernel}"
    for note in page.notes:
        yield f"  {click.style('!', fg='yellow')} {plain(note)}"
    shown = page.shown(changed=changed)
    columns = page.columns
    if shown and columns:
        signs = [
            [
                click.style(_SIGNS[cell.standing][0], fg=_SIGNS[cell.standing][1])
                for cell in cells(one, columns)
            ]
            for one in shown
        ]
        yield from matrix([_named(one, width // 2 - 4) for one in shown], signs, columns, width)
    for one in shown:
        if not one.is_same:
            yield ""
            yield from _story(one, page, everything)
    untold = page.untold
    if untold and not changed:
        yield ""
        names = untold if everything else untold[:_UNTOLD]
        more = f" and {len(untold) - len(names)} more (--explain)" if len(names) < len(untold) else ""
        yield f"no binary tells of {len(untold)}: {', '.join(plain(one.need.title) for one in names)}{more}"
    yield ""
    yield from _tail(page)


def _named(one: Depended, room: int) -> str:
    """The name, and what is to be said of it if there is room: the name must not be cut for that."""
    title, status = plain(one.need.title), status_text(one)
    named = f"{title} ({status})"
    return named if status and len(named) <= room else title


def _story(one: Depended, page: OutsidePage, everything: bool) -> Iterator[str]:
    sign, color = _SIGNS[one.worst]
    need = one.need
    where = f"  {need.place}" if need.place is not None else ""
    mark, name = click.style(f"{sign} {one.worst.value}", fg=color), click.style(plain(need.title), bold=True)
    yield f"{mark}  {name}{where}"
    uses = need.uses if everything else need.uses[:_USES]
    more = f" and {len(need.uses) - len(uses)} more" if len(uses) < len(need.uses) else ""
    by = " by macros" if need.by_macro else ""
    yield f"    used{by} at {', '.join(map(str, uses))}{more}"
    for text, labels in forms(one, page.columns):
        yield f"    {text}: {labels}"
    for series, old, new, changes in steps(one):
        lines = [change_line(change) for change in changes]
        for line in lines if everything else lines[:_CHANGES]:
            yield f"    {series} {old} → {new}  {line}"
        if len(lines) > _CHANGES and not everything:
            hidden = f"and {len(lines) - _CHANGES} more (--explain)"
            yield click.style(f"    {series} {old} → {new}  {hidden}", dim=True)


def _tail(page: OutsidePage) -> Iterator[str]:
    for kind, counted in counts(page):
        parts = [
            click.style(f"{_SIGNS[standing][0]} {counted[standing]} {standing.value}", fg=_SIGNS[standing][1])
            for standing in reversed(Standing)
            if counted[standing]
        ]
        yield f"{kind.ljust(10)}  {', '.join(parts)}"
    units = f"{page.seen} unit{'s' if page.seen != 1 else ''} read"
    unread = f", {len(page.unread)} could not be read" if page.unread else ""
    number = len(page.columns)
    yield f"{len(page.depended)} dependencies on {number} kernel{'s' if number != 1 else ''}; {units}{unread}"
    for line in page.unread:
        yield f"  {click.style('!', fg='red')} {plain(line)}"
