"""``ksurf plot struct-growth``: how structs grow."""

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
  ksurf plot struct-growth task_struct kvm sk_buff --output growth.svg
  ksurf plot struct-growth inode --baseline 6.12-cloud-arm64 --output inode.png
  ksurf plot struct-growth net_device --format csv
"""


@click.command(epilog=_EXAMPLES)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@on_option
@baseline_option
@output_options
def command(
    names: tuple[str, ...], selectors: tuple[str, ...], baseline: str | None, output: Output, dataset: Path
) -> int:
    """Draw the sizes of structs from version to version, and how much of them are holes.

    The versions are those of one distribution, architecture and flavor. The exit status is 1 if one of the
    names is no struct of these; near names are suggested, and the others are drawn.
    """
    from ksurf.cli.plot.shared import kernels, put
    from ksurf.plot import struct_growth

    store, groups = kernels(dataset, selectors, baseline)
    figure = struct_growth(store, groups, names)
    if figure.structs:
        put(figure, output)
    if not figure.missing:
        return 0
    from ksurf.cli.suggest import suggest

    places = [(column.kernel, store.directory(column.kernel.id)) for column in figure.columns]
    return suggest("struct", "struct", figure.missing, places)
