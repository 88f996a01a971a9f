"""Bars side by side, of several series, with their numbers on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ksurf.plot.drawing.sheet import Sheet, cut, text_width
from ksurf.plot.drawing.theme import Fill
from ksurf.series import Column

__all__ = ["Series", "grouped_bars", "places_of", "scale", "slot_labels"]

_GAP = 0.7
"""Between groups of kernels, in widths of a kernel."""
_NUMBER, _LEAST_NUMBER = 11.5, 8.0
"""Sizes of the numbers on bars, in pixels: the usual one, and that from which on there are none."""
_LABEL = 12.0
_LABEL_LEAST = 34
"""Pixels for a kernel from which on its label stands upright."""


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of bar."""

    fill: Fill
    values: Sequence[float | None]
    """For each place; ``None``: nothing is known."""


def places_of(columns: Sequence[Column]) -> list[float]:
    """Where kernels stand on an axis: side by side, groups apart."""
    places = [0.0]
    for old, new in pairwise(columns):
        places.append(places[-1] + 1 + (_GAP if old.group != new.group else 0))
    return places[: len(columns)]


def scale(axes: Any, places: Sequence[float], most: float) -> None:
    """Set the limits, and round numbers at the lines."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    axes.set_ylim(0, most * 1.2 if most else 1)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=most > 3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _round(value)))


def _round(number: float) -> str:
    """A round number: ``0.5``, ``1,500``, ``30k``."""
    return f"{number / 1000:,g}k" if number >= 10_000 else f"{number:,.6g}"


def slot_labels(sheet: Sheet, axes: Any, places: Sequence[float], labels: Sequence[str], slot: float) -> None:
    """Write under each place what it is; ``slot`` is how wide one is, in pixels."""
    axes.set_xticks(list(places))
    lines = [label.split("\n") for label in labels]
    widest = max((text_width(line, _LABEL) for own in lines for line in own), default=0)
    upright = slot >= _LABEL_LEAST or widest <= slot
    room = slot - 4 if upright else 120
    texts = ["\n".join(cut(line, room, _LABEL) for line in own) for own in lines]
    if not upright:
        texts = [text.replace("\n", " ") for text in texts]
    axes.set_xticklabels(texts, rotation=0 if upright else 90, color=sheet.theme.text)


def grouped_bars(
    sheet: Sheet,
    axes: Any,
    places: Sequence[float],
    series: Sequence[Series],
    *,
    slot: float,
    write: Callable[[float], str],
) -> None:
    """Draw the series side by side at each place, of which one is ``slot`` pixels wide."""
    wide = 0.84 / len(series)
    known = [value for one in series for value in one.values if value is not None]
    scale(axes, places, max(known, default=0))
    size = _fitting([write(value) for value in known], slot * wide)
    for number, one in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * wide
        for place, value in zip(places, one.values, strict=True):
            if value is None:
                continue
            axes.bar(place + shift, value, wide, **sheet.filled(one.fill))
            if size:
                color = sheet.theme.text if value else sheet.theme.muted
                sheet.label(axes, place + shift, value, write(value), size, color=color)
    for index, place in enumerate(places):
        if all(one.values[index] is None for one in series):
            sheet.label(axes, place, 0, "not known", 11, rotation=90, color=sheet.theme.muted)


def _fitting(texts: Sequence[str], width: float) -> float | None:
    """The size at which all texts are no wider than that; ``None`` if it were too small to read."""
    widest = max((text_width(text, 1) for text in texts), default=0)
    size = min(_NUMBER, width / widest) if widest else _NUMBER
    return size if size >= _LEAST_NUMBER else None
