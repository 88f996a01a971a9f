"""matplotlib, loaded so that neither the machine's settings nor its fonts change what is drawn."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from functools import cache
from typing import Any

from ksurf.paths import cache_dir

__all__ = ["FONT", "library"]

FONT = "DejaVu Sans"
"""It comes with matplotlib, and has the signs."""


@cache
def library() -> Any:
    """The package ``matplotlib``, set up once. No part of it that knows of windows is ever loaded."""
    # Otherwise it makes a folder in the user's configuration, and complains where it may not.
    os.environ.setdefault("MPLCONFIGDIR", str(cache_dir() / "matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Text that no font has is written anyway; in SVG the reader's fonts may have it.
    warnings.filterwarnings("ignore", message="Glyph .* missing from")
    if sys.modules.get("numpy", sys) is None:
        del sys.modules["numpy"]  # the commands keep it away (cli/__init__.py)
    import matplotlib
    import matplotlib.figure

    # It has read the user's settings, and a file of the current folder, which may be anybody's.
    matplotlib.rcParams.update(matplotlib.rcParamsDefault)
    matplotlib.rcParams.update(
        {
            "font.family": FONT,
            "hatch.linewidth": 1.2,
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "ksurf",  # ids are the same each time
            # Names are no formulas, whatever signs of dollars are in them.
            "text.parse_math": False,
            "text.usetex": False,
            "axes.formatter.use_mathtext": False,
            "axes.formatter.useoffset": False,
        }
    )
    return matplotlib
