"""What source needs from outside, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from ksurf.report.check_markdown import code, escaped, table
from ksurf.report.outside import Depended, Standing
from ksurf.report.outside_layout import OutsidePage, cells, counts, forms, status_text, steps

__all__ = ["outside_markdown"]

_SIGNS = {
    Standing.UNKNOWN: "?",
    Standing.SAME: "✅",
    Standing.FORM: "🔶",
    Standing.CHANGED: "⚠️",
    Standing.ABSENT: "❌",
}


def outside_markdown(page: OutsidePage, *, changed: bool = False) -> str:
    """The page; with ``changed`` only what is not the same everywhere."""
    return "\n".join(_document(page, changed)) + "\n"


def _document(page: OutsidePage, changed: bool) -> Iterator[str]:
    yield f"# Depends on: {', '.join(map(code, page.roots))}"
    yield ""
    kernel = f", as {code(page.source.release)} compiles it" if page.source is not None else ""
    unread = f"; {len(page.unread)} could not be read" if page.unread else ""
    yield f"{code(page.tree)}{kernel}: {page.seen} unit{'s' if page.seen != 1 else ''} read{unread}."
    for note in (*page.notes, *page.unread):
        yield ""
        yield f"**Note:** {escaped(note)}"
    yield ""
    yield " ".join(f"{_SIGNS[standing]} {standing.value}" for standing in Standing)
    columns = page.columns
    shown = page.shown(changed=changed)
    if shown and columns:
        yield ""
        yield from table(
            "Dependency",
            columns,
            [
                (
                    f"{code(one.need.title, cell=True)} {status_text(one)}".rstrip(),
                    [_SIGNS[cell.standing] for cell in cells(one, columns)],
                )
                for one in shown
            ],
        )
    for one in shown:
        if not one.is_same:
            yield ""
            yield from _story(one, page)
    if page.untold and not changed:
        yield ""
        names = ", ".join(code(one.need.title) for one in page.untold)
        yield f"No binary tells of {len(page.untold)}: {names}."
    yield ""
    yield "## Counts"
    yield ""
    order = list(reversed(Standing))
    yield f"| Kind | {' | '.join(standing.value for standing in order)} |"
    yield f"| --- |{' --: |' * len(order)}"
    for kind, counted in counts(page):
        yield f"| {kind} | {' | '.join(str(counted[standing]) for standing in order)} |"


def _story(one: Depended, page: OutsidePage) -> Iterator[str]:
    need = one.need
    yield f"### {_SIGNS[one.worst]} {code(need.title)}"
    yield ""
    where = f", defined at {code(str(need.place))}" if need.is_defined and need.place is not None else ""
    by = " by macros" if need.by_macro else ""
    yield f"Used{by} at {', '.join(code(str(place)) for place in need.uses)}{where}."
    yield ""
    for text, labels in forms(one, page.columns):
        yield f"- {escaped(text)}: {escaped(labels)}"
    for series, old, new, changes in steps(one):
        yield f"- {escaped(series)}, {escaped(old)} → {escaped(new)}:"
        for change in changes:
            sides = " → ".join(code(side) for side in (change.before, change.after) if side is not None)
            yield f"  - {change.label}: {sides}"
