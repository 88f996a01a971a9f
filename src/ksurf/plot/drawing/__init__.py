"""Figures as pictures: one file draws each kind of figure, on a sheet that all share."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ksurf.errors import InputError
from ksurf.plot.model.availability import Availability
from ksurf.plot.model.churn import Churn
from ksurf.plot.model.figure import Figure
from ksurf.plot.model.inlining import Inlining
from ksurf.plot.model.struct_growth import StructGrowth

if TYPE_CHECKING:
    from ksurf.plot.drawing.sheet import Sheet

__all__ = ["FORMS", "WIDEST", "draw"]

FORMS = ("svg", "png")
"""What a picture can be."""
WIDTH, NARROWEST, WIDEST = 1280, 320, 7680
"""Pixels: what is drawn where nobody asks for another width, and what can be asked for."""
_MOST_PIXELS = 1 << 26
"""Of a PNG: a quarter of a gigabyte while it is drawn."""

_turn = Lock()
"""matplotlib's objects may be used by any thread, and its fonts and settings by one at a time."""


def draw(figure: Figure, form: str = "svg", *, dark: bool = False, width: int = WIDTH) -> bytes:
    """A picture of a figure, ``svg`` or ``png``, the same bytes for the same figure.

    ``width`` is in pixels; the height follows from what there is to show. A wider picture is a larger one,
    not one with more in it. It may be called by several threads.
    """
    if form not in FORMS:
        raise ValueError(f"{form} is no form of a picture")
    if not NARROWEST <= width <= WIDEST:
        raise InputError(
            f"a picture {width} pixels wide cannot be drawn", f"from {NARROWEST} to {WIDEST} can"
        )
    with _turn:
        sheet = _drawn(figure, dark)
        height = round(sheet.height * width / sheet.width)
        if form == "svg":
            return sheet.svg(width, height)
        if width * height > _MOST_PIXELS:
            raise InputError(
                f"a PNG of {width} × {height} pixels is too large", "plot less, make it narrower, or take SVG"
            )
        return sheet.png(width)


def _drawn(figure: Figure, dark: bool) -> Sheet:
    """The figure on a sheet; only what it needs is loaded."""
    from ksurf.plot.drawing.theme import DARK, LIGHT

    theme = DARK if dark else LIGHT
    match figure:
        case Churn():
            from ksurf.plot.drawing.churn import draw_churn

            return draw_churn(figure, theme)
        case Availability():
            from ksurf.plot.drawing.availability import draw_availability

            return draw_availability(figure, theme)
        case Inlining():
            from ksurf.plot.drawing.inlining import draw_inlining

            return draw_inlining(figure, theme)
        case StructGrowth():
            from ksurf.plot.drawing.struct_growth import draw_struct_growth

            return draw_struct_growth(figure, theme)
    raise TypeError(f"{type(figure).__name__} cannot be drawn")
