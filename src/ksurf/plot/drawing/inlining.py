"""Inlining as bars that make up 100%, and transformation by suffix below, for each kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from ksurf.plot.drawing.bars import Series, grouped_bars, places_of, slot_labels
from ksurf.plot.drawing.sheet import MARGIN, Sheet
from ksurf.plot.drawing.theme import Fill, Theme, contrasting
from ksurf.plot.model.inlining import Inlining, Shares

__all__ = ["draw_inlining"]

_MOST_SUFFIXES = 4
"""Beside those, the others are one bar."""
_HIGH = 250
_AXIS, _HEAD, _FOOT = 52, 56, 50
_LEAST = 5
"""Percent from which on a part is large enough for its number."""


def draw_inlining(figure: Inlining, theme: Theme) -> Sheet:
    """Put the figure on a sheet."""
    sheet = Sheet(figure, theme)
    kinds = (Fill(theme.blue), Fill(theme.sky, "//"), Fill(theme.orange, "x"), Fill(theme.grey, ".."))
    told = not any(shares.untold * 1000 >= shares.functions > 0 for shares in figure.shares)
    names = [name for name, _ in figure.shares[0].kinds]
    shown = 3 if told else 4
    sheet.text(MARGIN, sheet.y, "Inlining", 16, bold=True, valign="top")
    sheet.y += 28
    sheet.legend([(name, fill, "") for name, fill in zip(names[:shown], kinds, strict=False)])
    width = sheet.inner - _AXIS
    places = places_of(figure.columns)
    slot = width / (places[-1] + 1)
    _groups(sheet, figure, places, slot)
    sheet.axes(
        MARGIN + _AXIS, sheet.y, width, _HIGH, partial(_stacks, sheet, figure, places, slot, kinds[:shown])
    )
    sheet.y += _HIGH + _FOOT

    suffixes = _suffixes(figure.shares)
    fills = [Fill(theme.vermillion), Fill(theme.purple, "//"), Fill(theme.green, "xx"), Fill(theme.sky, "..")]
    sheet.text(MARGIN, sheet.y, "Transformation", 16, bold=True, valign="top")
    sheet.y += 28
    if not suffixes:
        sheet.text(MARGIN, sheet.y, "No function has a symbol with a suffix.", 14, valign="top")
        sheet.y += 30
        return sheet.finish()
    entries = [(f".{suffix}", fill, "") for suffix, fill in zip(suffixes, fills, strict=False)]
    rest = Fill(theme.grey, "++")
    others = any(set(dict(shares.suffixes)) - set(suffixes) for shares in figure.shares)
    sheet.legend([*entries, ("others", rest, "")] if others else entries)
    series = [
        Series(fill, [_percent(dict(shares.suffixes).get(suffix, 0), shares) for shares in figure.shares])
        for suffix, fill in zip(suffixes, fills, strict=False)
    ]
    if others:
        left = [
            sum(count for suffix, count in shares.suffixes if suffix not in suffixes)
            for shares in figure.shares
        ]
        series.append(Series(rest, [_percent(n, s) for n, s in zip(left, figure.shares, strict=True)]))
    sheet.axes(
        MARGIN + _AXIS, sheet.y, width, _HIGH * 0.7, partial(_bars, sheet, figure, places, slot, series)
    )
    sheet.y += _HIGH * 0.7 + _FOOT
    return sheet.finish()


def _groups(sheet: Sheet, figure: Inlining, places: Sequence[float], slot: float) -> None:
    """What the kernels of a group have in common, above them."""
    words = {"Regular": "by version", "Arch": "other architectures", "Flavor": "other flavors"}
    start = 0
    for group, own in groupby(figure.columns, lambda column: column.group):
        columns = list(own)
        text = words[group]
        if group == "Regular":
            text = f"{columns[0].kernel.arch} {columns[0].kernel.flavor}, {text}"
        middle = (places[start] + places[start + len(columns) - 1]) / 2
        sheet.text(MARGIN + _AXIS + (middle + 0.5) * slot, sheet.y + 6, text, 14, align="center")
        start += len(columns)
    sheet.y += 24


def _stacks(
    sheet: Sheet, figure: Inlining, places: Sequence[float], slot: float, fills: Sequence[Fill], axes: Any
) -> None:
    axes.set_xlim(places[0] - 0.5, places[-1] + 0.5)
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of functions", color=sheet.theme.muted, fontsize=9)
    for place, shares in zip(places, figure.shares, strict=True):
        bottom = 0.0
        for (_, count), fill in zip(shares.kinds, fills, strict=False):
            percent = _percent(count, shares)
            axes.bar(place, percent, 0.72, bottom=bottom, **sheet.filled(fill))
            if percent >= _LEAST and slot >= 44:
                room = 2 if percent > 3 * _LEAST else 0.5
                sheet.label(
                    axes,
                    place,
                    bottom + percent / 2,
                    f"{percent:.1f}",
                    12,
                    va="center_baseline",
                    color=contrasting(fill.color),
                    bbox={
                        "facecolor": fill.color,
                        "edgecolor": "none",
                        "pad": room,
                    },
                )
            bottom += percent
    labels = [f"{column.label}\n{shares.functions:,} names" for column, shares in _pairs(figure)]
    slot_labels(sheet, axes, places, labels, slot)


def _bars(
    sheet: Sheet, figure: Inlining, places: Sequence[float], slot: float, series: Sequence[Series], axes: Any
) -> None:
    grouped_bars(sheet, axes, places, series, slot=slot, write="{:.2f}".format)
    axes.set_ylabel("% of functions", color=sheet.theme.muted, fontsize=9)
    labels = [f"{column.label}\n{shares.transformed:,} names" for column, shares in _pairs(figure)]
    slot_labels(sheet, axes, places, labels, slot)


def _pairs(figure: Inlining) -> list[tuple[Any, Shares]]:
    return list(zip(figure.columns, figure.shares, strict=True))


def _percent(count: int, shares: Shares) -> float:
    return 100 * count / shares.functions if shares.functions else 0.0


def _suffixes(shares: Sequence[Shares]) -> list[str]:
    """The most frequent suffixes of all kernels."""
    total = Counter[str]()
    for one in shares:
        total.update(dict(one.suffixes))
    return [suffix for suffix, _ in total.most_common(_MOST_SUFFIXES)]
