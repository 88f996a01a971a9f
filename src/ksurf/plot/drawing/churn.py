"""Churn as bars: a panel for each kind of symbol, in it three bars for each step."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

from ksurf.plot.drawing.bars import Series, grouped_bars, slot_labels
from ksurf.plot.drawing.sheet import MARGIN, Sheet, compact
from ksurf.plot.drawing.theme import Fill, Theme
from ksurf.plot.model.churn import Churn

__all__ = ["draw_churn"]

_NAMES = {
    "function": "Functions",
    "struct": "Structs",
    "union": "Unions",
    "enum": "Enums",
    "typedef": "Typedefs",
    "var": "Variables",
    "tracepoint": "Tracepoints",
    "syscall": "System calls",
    "lsm": "LSM hooks",
    "kfunc": "Kfuncs",
    "export": "Exported symbols",
    "config": "Config options",
}
_LEGEND = ("+ added", "− removed", "~ changed")
_MOST = 4
_SLOT = 76
"""Pixels that a step should have."""
_HIGH = {1: 400, 2: 230, 3: 150}
"""The height of a panel by how many there are on top of each other; of more it is the least."""
_LEAST_HIGH = 130
_AXIS, _GAP, _HEAD, _FOOT = 40, 22, 26, 52
"""Room for the numbers at an axis, between panels, above and below one."""


def draw_churn(figure: Churn, theme: Theme) -> Sheet:
    """Put the figure on a sheet."""
    sheet = Sheet(figure, theme)
    fills = (Fill(theme.blue), Fill(theme.vermillion, "///"), Fill(theme.grey, "---"))
    sheet.legend([(words, fill, "") for words, fill in zip(_LEGEND, fills, strict=True)])
    wanted = len(figure.steps) * _SLOT + _AXIS + _GAP
    across = max(1, min(_across(len(figure.kinds)), int((sheet.inner + _GAP) // wanted)))
    wide = (sheet.inner + _GAP) / across
    high = _LEAST_HIGH if across == _MOST else _HIGH.get(ceil(len(figure.kinds) / across), _LEAST_HIGH)
    for number, kind in enumerate(figure.kinds):
        column = number % across
        if number and not column:
            sheet.y += _HEAD + high + _FOOT
        x = MARGIN + column * wide
        sheet.text(x, sheet.y, _NAMES.get(kind, kind), 15, bold=True, valign="top")
        drawing = partial(_panel, sheet, figure, number, fills, wide - _AXIS - _GAP)
        sheet.axes(x + _AXIS, sheet.y + _HEAD, wide - _AXIS - _GAP, high, drawing)
    sheet.y += _HEAD + high + _FOOT
    return sheet.finish()


def _across(kinds: int) -> int:
    """How many panels are side by side, so that the sheet is about as wide as a slide."""
    return 1 if kinds == 1 else 2 if kinds <= 4 else 3 if kinds <= 9 else _MOST


def _panel(
    sheet: Sheet, figure: Churn, number: int, fills: tuple[Fill, ...], width: float, axes: Any
) -> None:
    counts = [step.counts[number] for step in figure.steps]
    places = [float(place) for place in range(len(counts))]
    slot = width / len(counts)
    series = [
        Series(fills[0], [count.added for count in counts]),
        Series(fills[1], [count.removed for count in counts]),
        Series(fills[2], [count.changed for count in counts]),
    ]
    grouped_bars(sheet, axes, places, series, slot=slot, write=compact)
    slot_labels(sheet, axes, places, [f"{s.old.label}\n→ {s.new.label}" for s in figure.steps], slot)
    if number == 0:
        axes.set_ylabel("symbols", color=sheet.theme.muted, fontsize=9)
