"""The growth of structs as bars: a panel for each struct, in it a bar for each version, holes marked."""

from __future__ import annotations

from functools import partial
from typing import Any

from ksurf.plot.drawing.bars import scale, slot_labels
from ksurf.plot.drawing.sheet import MARGIN, Sheet, cut, text_width
from ksurf.plot.drawing.theme import Fill, Theme
from ksurf.plot.model.struct_growth import Growth, StructGrowth

__all__ = ["draw_struct_growth"]

_SLOT = 80
"""Pixels that a version should have."""
_HIGH, _ALONE = 240, 400
"""The height of a panel, and where there is one row of them."""
_AXIS, _GAP, _HEAD, _FOOT = 52, 30, 30, 40
_NUMBER = 12


def draw_struct_growth(figure: StructGrowth, theme: Theme) -> Sheet:
    """Put the figure on a sheet."""
    sheet = Sheet(figure, theme)
    fills = Fill(theme.blue), Fill(theme.orange, "////")
    sheet.legend([("fields", fills[0], ""), ("holes", fills[1], "")])
    wanted = len(figure.columns) * _SLOT + _AXIS + _GAP
    across = max(1, min(3, len(figure.structs), int((sheet.inner + _GAP) // wanted)))
    wide = (sheet.inner + _GAP) / across
    high = _HIGH if len(figure.structs) > across else _ALONE
    for number, one in enumerate(figure.structs):
        column = number % across
        if number and not column:
            sheet.y += _HEAD + high + _FOOT
        x = MARGIN + column * wide
        name = cut(f"struct {one.name}", wide - _GAP, 16, bold=True)
        sheet.text(x, sheet.y, name, 16, bold=True, valign="top")
        drawing = partial(_panel, sheet, figure, one, fills, wide - _AXIS - _GAP)
        sheet.axes(x + _AXIS, sheet.y + _HEAD, wide - _AXIS - _GAP, high, drawing)
    sheet.y += _HEAD + high + _FOOT
    return sheet.finish()


def _panel(
    sheet: Sheet, figure: StructGrowth, one: Growth, fills: tuple[Fill, Fill], width: float, axes: Any
) -> None:
    theme = sheet.theme
    places = [float(place) for place in range(len(one.sizes))]
    slot = width / len(places)
    scale(axes, places, max(size.byte_size for size in one.sizes if size))
    axes.set_ylabel("bytes", color=theme.muted, fontsize=9)
    before: int | None = None
    for place, size in zip(places, one.sizes, strict=True):
        if size is None:
            sheet.label(axes, place, 0, "absent", _NUMBER, color=theme.muted)
            continue
        holes = size.hole_bytes or 0
        axes.bar(place, size.byte_size - holes, 0.66, **sheet.filled(fills[0]))
        axes.bar(place, holes, 0.66, bottom=size.byte_size - holes, **sheet.filled(fills[1]))
        lines = [f"{size.byte_size:,}"]
        if before is not None and before != size.byte_size:
            lines.append(_percent(before, size.byte_size))
        if holes:
            lines.append(f"holes {holes:,}")
        before = size.byte_size
        if max(text_width(line, _NUMBER) for line in lines) <= slot + 4:
            _above(sheet, axes, place, size.byte_size, lines)
    slot_labels(sheet, axes, places, [column.label for column in figure.columns], slot)


def _percent(before: int, now: int) -> str:
    """By how much it grew or shrank."""
    return f"{(now - before) / before:+.1%}".replace("-", "−") if before else "from 0"


def _above(sheet: Sheet, axes: Any, place: float, height: float, lines: list[str]) -> None:
    """Lines on a bar: the first is what counts."""
    for number, line in enumerate(reversed(lines)):
        is_first = number == len(lines) - 1
        sheet.label(
            axes,
            place,
            height,
            line,
            _NUMBER if is_first else _NUMBER - 1,
            color=sheet.theme.text if is_first else sheet.theme.muted,
            fontweight="bold" if is_first else "normal",
            bbox={"facecolor": sheet.theme.ground, "edgecolor": "none", "pad": 0.5},
            xytext=(0, 2 + number * _NUMBER * 0.95),
            textcoords="offset points",
        )
