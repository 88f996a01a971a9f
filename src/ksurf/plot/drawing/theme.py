"""Colours, for light and for dark, which people tell apart who do not see all of them.

They are those of Okabe and Ito's palette, made a little lighter on a dark ground. Each goes with a hatch or a
sign, so that a picture also reads in grey.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DARK", "LIGHT", "Fill", "Theme", "contrasting"]


@dataclass(frozen=True, slots=True)
class Fill:
    """A colour and its hatch, as matplotlib writes hatches."""

    color: str
    hatch: str = ""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a picture."""

    ground: str
    text: str
    muted: str
    grid: str
    blue: str
    sky: str
    vermillion: str
    orange: str
    purple: str
    green: str
    yellow: str
    grey: str
    pale: str
    """What is in order, and need not be looked at."""


LIGHT = Theme(
    ground="#ffffff",
    text="#1b1f24",
    muted="#57606a",
    grid="#dfe3e8",
    blue="#0072b2",
    sky="#56b4e9",
    vermillion="#d55e00",
    orange="#e69f00",
    purple="#cc79a7",
    green="#009e73",
    yellow="#f0e442",
    grey="#8c959f",
    pale="#dcebf7",
)
DARK = Theme(
    ground="#14181d",
    text="#f0f3f6",
    muted="#a4adb8",
    grid="#2f363e",
    blue="#3d9bd6",
    sky="#8fd0f5",
    vermillion="#ee7a2b",
    orange="#f0b429",
    purple="#d993bb",
    green="#26b98f",
    yellow="#efe563",
    grey="#7d8792",
    pale="#22394a",
)


def contrasting(color: str) -> str:
    """Black or white, whichever is easier to read on a colour: the one with the higher contrast ratio of
    WCAG 2.1.
    """
    channels = (int(color[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"
