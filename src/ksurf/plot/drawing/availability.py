"""Availability as a map: a row for each dependency, a column for each kernel, a sign in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ksurf.check.verdict import Outcome
from ksurf.plot.drawing.sheet import MARGIN, WIDTH, Sheet, cut, text_width
from ksurf.plot.drawing.theme import Fill, Theme, contrasting
from ksurf.plot.model.availability import Availability, Row
from ksurf.report.check_terminal import SIGNS
from ksurf.series import Column

__all__ = ["draw_availability"]

_ROW, _TEXT = 30, 14
_NARROWEST, _WIDEST = 22, 120
"""Pixels of a column."""
_NAMES = 460
"""The most that the names of dependencies take."""
_GAP = 14
"""Between groups of kernels."""
_LABEL = 13
_SIGN, _NARROW_SIGN, _BRACKETS = 15, 10, 30
"""Sizes of signs: the smaller one of those in brackets, in columns that are narrower than that."""
_WORDS = {
    Outcome.OK: "ok",
    Outcome.GUARDED: "guarded: the program copes without it",
    Outcome.PARTIAL: "partial",
    Outcome.CHANGED: "changed",
    Outcome.BROKEN: "broken",
}


def draw_availability(figure: Availability, theme: Theme) -> Sheet:
    """Put the figure on a sheet."""
    programs = [program for program in figure.programs if program.rows]
    titles = [row.title for program in programs for row in program.rows]
    several = len(figure.programs) > 1
    heads = [program.name for program in programs] if several else []
    widest = max([text_width(title[:400], _TEXT) for title in titles] or [0])
    widest = max([widest, *(text_width(head[:400], 15, bold=True) for head in heads)])
    names = min(_NAMES, widest) + 20
    gaps = len({column.group for column in figure.columns}) - 1
    count = max(len(figure.columns), 1)
    needed = 2 * MARGIN + names + gaps * _GAP + count * _NARROWEST
    sheet = Sheet(figure, theme, max(WIDTH, round(needed)))
    cell = min(_WIDEST, (sheet.inner - names - gaps * _GAP) / count)
    fills = _fills(theme)
    used = {cell.outcome for program in programs for row in program.rows for cell in row.cells if cell}
    legend = [(_WORDS[outcome], fills[outcome], SIGNS[outcome]) for outcome in Outcome if outcome in used]
    if any(cell and cell.accepted for program in programs for row in program.rows for cell in row.cells):
        legend.append(("in brackets: accepted by the policy", Fill(theme.ground), "( )"))
    sheet.legend(legend)

    lefts = _lefts(figure.columns, MARGIN + names, cell)
    _heads(sheet, figure.columns, lefts, cell)
    for program in programs:
        if several:
            sheet.y += 6
            head = cut(program.name, sheet.inner, 15, bold=True)
            sheet.text(MARGIN, sheet.y + _ROW / 2, head, 15, bold=True, valign="center_baseline")
            sheet.y += _ROW
        for row in program.rows:
            _row(sheet, row, names, lefts, cell, fills)
    if not titles:
        sheet.text(MARGIN, sheet.y, "It needs nothing of the kernel that ksurf knows.", 15, valign="top")
        sheet.y += 30
    return sheet.finish()


def _fills(theme: Theme) -> dict[Outcome, Fill]:
    return {
        Outcome.OK: Fill(theme.pale),
        Outcome.GUARDED: Fill(theme.sky),
        Outcome.PARTIAL: Fill(theme.yellow),
        Outcome.CHANGED: Fill(theme.purple),
        Outcome.BROKEN: Fill(theme.vermillion),
    }


def _lefts(columns: Sequence[Column], start: float, cell: float) -> list[float]:
    """Where each column begins; groups are apart."""
    lefts: list[float] = []
    x = start
    for number, column in enumerate(columns):
        if number and columns[number - 1].group != column.group:
            x += _GAP
        lefts.append(x)
        x += cell
    return lefts


def _heads(sheet: Sheet, columns: Sequence[Column], lefts: Sequence[float], cell: float) -> None:
    """The groups, and the kernels' labels: on several lines, or upright where there is no room."""
    words = {"Regular": "Versions", "Arch": "Architectures", "Flavor": "Flavors"}
    pairs = zip(columns, lefts, strict=True)
    for group, held in groupby(pairs, lambda pair: pair[0].group):
        first = next(held)[1]
        sheet.text(first + 2, sheet.y, words[group], 12, color=sheet.theme.muted, valign="top")
    sheet.y += 20
    lines = [column.label.split() for column in columns]
    fits = all(text_width(line, _LABEL) <= cell - 4 for own in lines for line in own)
    if fits:
        high = max(map(len, lines), default=0)
        for own, left in zip(lines, lefts, strict=True):
            for number, line in enumerate(own):
                y = sheet.y + (high - len(own) + number) * 17
                sheet.text(left + cell / 2, y + 13, line, _LABEL, align="center", valign="baseline")
        sheet.y += high * 17 + 4
        return
    texts = [cut(column.label, 160, _LABEL) for column in columns]
    high = round(max((text_width(text, _LABEL) for text in texts), default=0))
    for text, left in zip(texts, lefts, strict=True):
        sheet.text(left + cell / 2, sheet.y + high, text, _LABEL, rotation=90)
    sheet.y += high + 6


def _row(
    sheet: Sheet, row: Row, names: float, lefts: Sequence[float], cell: float, fills: dict[Outcome, Fill]
) -> None:
    middle = sheet.y + _ROW / 2
    sheet.text(MARGIN, middle, cut(row.title, names - 12, _TEXT), _TEXT, valign="center_baseline")
    for found, left in zip(row.cells, lefts, strict=True):
        if found is None:
            sheet.text(
                left + cell / 2, middle, "·", _TEXT, align="center", color=sheet.theme.muted, valign="center"
            )
            continue
        fill = fills[found.outcome]
        sheet.patch(left + 1.5, sheet.y + 1.5, cell - 3, _ROW - 3, fill, radius=min(4, cell / 6))
        sign = SIGNS[found.outcome]
        sheet.text(
            left + cell / 2,
            middle,
            f"({sign})" if found.accepted else sign,
            _NARROW_SIGN if found.accepted and cell < _BRACKETS else _SIGN,
            color=contrasting(fill.color) if found.outcome is not Outcome.OK else sheet.theme.muted,
            align="center",
            valign="center_baseline",
        )
    sheet.y += _ROW
