"""``ksurf plot inlining``: what the compiler makes of functions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import on_option
from ksurf.cli.plot.shared import baseline_option, output_options

if TYPE_CHECKING:
    from ksurf.cli.plot.shared import Output

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf plot inlining --output inlining.svg
  ksurf plot inlining --on cloud --output inlining.png --dark --width 1920
  ksurf plot inlining --format json | jq '.rows[] | select(.measure == ".isra")'
"""


@click.command(epilog=_EXAMPLES)
@on_option
@baseline_option
@output_options
def command(selectors: tuple[str, ...], baseline: str | None, output: Output, dataset: Path) -> None:
    """Draw the shares of functions that are inlined, and that are transformed, by version and architecture.

    What a function is, is judged as ksurf show function does it, by its name.
    """
    from ksurf.cli.plot.shared import kernels, put
    from ksurf.plot import inlining

    put(inlining(*kernels(dataset, selectors, baseline)), output)
