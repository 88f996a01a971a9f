"""A sheet of paper: a title, a legend, what is drawn, and notes; measured in pixels from the top left."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cached_property
from html import escape
from typing import Any

from ksurf.plot.drawing.library import FONT, library
from ksurf.plot.drawing.theme import Fill, Theme, contrasting
from ksurf.plot.model.figure import Figure
from ksurf.report.check_layout import plain

__all__ = ["MARGIN", "WIDTH", "Sheet", "compact", "cut", "text_width", "wrapped"]

WIDTH = 1280
"""Of a sheet that need not be wider."""
MARGIN = 40
_DPI = 96
_POINTS = 72 / _DPI
"""Points in a pixel."""
_TITLE, _FACTS, _LEGEND, _NOTES = 28, 15, 14, 12
"""Sizes of text."""
_PATCH = 18
"""Side of a patch in the legend."""
_FAMILY = re.compile(rf"(<text style=\"[^\"]*font-family: '{FONT}')")
"""The font of a text in SVG, which the reader may not have: others as wide may stand for it."""
_HINTED = 1.03
"""How much wider a line may get when its letters are put on whole pixels."""


class Sheet:
    """A picture in the making. Its parts are put on it from the top to the bottom."""

    def __init__(self, figure: Figure, theme: Theme, width: int = WIDTH) -> None:
        """Begin with the figure's title and facts."""
        self.theme = theme
        self.width = width
        self.height = 0
        self._figure = figure
        self._texts: list[tuple[float, float, str, dict[str, Any]]] = []
        self._patches: list[tuple[float, float, float, float, dict[str, Any]]] = []
        self._axes: list[tuple[float, float, float, float, Any]] = []
        self.y: float = MARGIN
        """Where the next part begins."""
        for line in wrapped(figure.title, self.inner, _TITLE, bold=True, most=2):
            self.text(MARGIN, self.y, line, _TITLE, bold=True, valign="top")
            self.y += _TITLE * 1.3
        self.y += 4
        for line in wrapped(figure.facts, self.inner, _FACTS):
            self.text(MARGIN, self.y, line, _FACTS, color=theme.muted, valign="top")
            self.y += _FACTS * 1.4
        self.y += 10

    @property
    def inner(self) -> float:
        """The width between the margins."""
        return self.width - 2 * MARGIN

    @cached_property
    def _canvas(self) -> Any:
        """The picture of matplotlib, whose size is known only now."""
        from matplotlib.figure import Figure as Canvas
        from matplotlib.patches import FancyBboxPatch, Rectangle

        width, height = self.width, self.height
        canvas = Canvas((width / _DPI, height / _DPI), dpi=_DPI, facecolor=self.theme.ground)
        paper = canvas.add_axes((0, 0, 1, 1))
        paper.set_axis_off()
        paper.set_xlim(0, width)
        paper.set_ylim(height, 0)
        for x, y, wide, high, style in self._patches:
            radius = style.pop("radius", 0)
            if radius:
                shape = f"round,pad=0,rounding_size={radius}"
                paper.add_patch(FancyBboxPatch((x, y), wide, high, boxstyle=shape, **style))
            else:
                paper.add_patch(Rectangle((x, y), wide, high, **style))
        for x, y, text, style in self._texts:
            paper.text(x, y, text, **style)
        for x, y, wide, high, drawing in self._axes:
            box = (x / width, 1 - (y + high) / height, wide / width, high / height)
            drawing(canvas.add_axes(box))
        return canvas

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        color: str | None = None,
        bold: bool = False,
        align: str = "left",
        valign: str = "center",
        rotation: float = 0,
    ) -> None:
        """Write one line; ``size`` is in pixels."""
        style = {
            "fontsize": size * _POINTS,
            "color": color or self.theme.text,
            "fontweight": "bold" if bold else "normal",
            "ha": align,
            "va": valign,
            "rotation": rotation,
            "rotation_mode": "anchor",
        }
        self._texts.append((x, y, plain(text), style))

    def patch(
        self, x: float, y: float, width: float, height: float, fill: Fill, *, radius: float = 0
    ) -> None:
        """Draw a rectangle."""
        self._patches.append((x, y, width, height, {**self.filled(fill), "radius": radius}))

    def filled(self, fill: Fill) -> dict[str, Any]:
        """A fill as matplotlib's patches take it: the hatch is drawn in the colour of the ground."""
        return {
            "facecolor": fill.color,
            "edgecolor": self.theme.ground,
            "hatch": fill.hatch,
            "linewidth": 0.8,
        }

    def axes(self, x: float, y: float, width: float, height: float, drawing: Any) -> None:
        """Have ``drawing`` called with axes (``matplotlib.axes.Axes``) that fill a rectangle."""
        theme = self.theme

        def styled(axes: Any) -> None:
            axes.set_facecolor(theme.ground)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.spines["bottom"].set_color(theme.muted)
            axes.tick_params(colors=theme.muted, length=0, labelsize=12 * _POINTS, pad=5)
            axes.set_axisbelow(True)
            axes.grid(axis="y", color=theme.grid, linewidth=0.8)
            drawing(axes)

        self._axes.append((x, y, width, height, styled))

    def label(self, axes: Any, x: float, y: float, text: str, size: float, **style: Any) -> None:
        """Write into axes, at a place of theirs."""
        own = {"color": self.theme.text, "ha": "center", "va": "bottom", **style}
        axes.annotate(plain(text), (x, y), fontsize=size * _POINTS, annotation_clip=False, **own)

    def legend(self, entries: Sequence[tuple[str, Fill, str]]) -> None:
        """A row of patches with words, and on each patch a sign, if it has one."""
        x: float = MARGIN
        for text, fill, sign in entries:
            words = cut(text, self.inner / 2, _LEGEND)
            wide = _PATCH + 8 + text_width(words, _LEGEND)
            if x > MARGIN and x + wide > self.width - MARGIN:
                x = MARGIN
                self.y += _PATCH + 8
            self.patch(x, self.y, _PATCH, _PATCH, fill)
            if sign:
                self.text(
                    x + _PATCH / 2,
                    self.y + _PATCH / 2,
                    sign,
                    13,
                    color=contrasting(fill.color),
                    align="center",
                    valign="center_baseline",
                )
            self.text(x + _PATCH + 8, self.y + _PATCH / 2, words, _LEGEND, valign="center_baseline")
            x += wide + 28
        self.y += _PATCH + 18

    def finish(self) -> Sheet:
        """Put the notes under what was drawn; the height is known now."""
        self.y += 8
        for note in self._figure.notes:
            for line in wrapped(note, self.inner, _NOTES):
                self.text(MARGIN, self.y, line, _NOTES, color=self.theme.muted, valign="top")
                self.y += _NOTES * 1.45
        self.height = round(self.y + MARGIN * 0.6)
        return self

    def png(self, width: int) -> bytes:
        """The picture in pixels, so many of them wide."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        file = io.BytesIO()
        # A hair more than asked for: matplotlib cuts off what is no whole pixel.
        self._canvas.set_dpi(_DPI * (width + 0.01) / self.width)
        canvas: Any = FigureCanvasAgg(self._canvas)
        canvas.print_png(file, metadata={"Software": "ksurf"})
        return file.getvalue()

    def svg(self, width: int, height: int) -> bytes:
        """The picture as SVG: texts are texts, nothing is asked of another host."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        file = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas: Any = FigureCanvasSVG(self._canvas)
        canvas.print_svg(file, metadata=nothing)
        text = file.getvalue()
        # Put into a page, a picture has no type of document; its size is the one that was asked for, and who
        # does not see it is told what it is.
        start = text.index("<svg")
        end = text.index(">", start)
        head = re.sub(r'\s(?:width|height)="[^"]*"', "", text[start:end])
        words = escape(plain(f"{self._figure.title}. {self._figure.facts}"), quote=True)
        head += f' width="{width}" height="{height}" role="img" aria-label="{words}"'
        body = _FAMILY.sub(r"\1, Verdana, sans-serif", text[end:])
        return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{body}'.encode()


def compact(number: float) -> str:
    """A number in at most four characters: ``999``, ``1.2k``, ``32k``, ``1.4M``; ``1.0k`` is about 1,000."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if number >= factor * 0.9995:
            scaled = number / factor
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{number:.0f}"


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a line is, in pixels."""
    library()
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=FONT, weight="bold" if bold else "normal", size=size)
    width, _, _ = text_to_path.get_text_width_height_descent(plain(text), font, ismath=False)
    return float(width) * _HINTED


def cut(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """A line that is at most so wide: what is too much is taken out of its middle."""
    text = plain(text)[:2000]
    if text_width(text, size, bold=bold) <= width:
        return text
    least, most = 0, len(text)
    while least < most:
        kept = (least + most + 1) // 2
        if text_width(_shortened(text, kept), size, bold=bold) <= width:
            least = kept
        else:
            most = kept - 1
    return _shortened(text, least)


def _shortened(text: str, kept: int) -> str:
    """So many characters of a text."""
    front = kept * 2 // 3
    return f"{text[:front]}…{text[len(text) - (kept - front) :]}"


def wrapped(text: str, width: float, size: float, *, bold: bool = False, most: int = 4) -> list[str]:
    """Lines that are at most so wide; what does not fit into so many is left out."""
    lines: list[str] = []
    for word in plain(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        elif len(lines) == most:
            lines[-1] = cut(f"{lines[-1]} …", width, size, bold=bold)
            break
        else:
            lines.append(cut(word, width, size, bold=bold))
    return lines
