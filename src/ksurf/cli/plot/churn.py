"""``ksurf plot churn``: what changes from kernel to kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import kind_option, on_option
from ksurf.cli.plot.shared import baseline_option, output_options

if TYPE_CHECKING:
    from ksurf.cli.plot.shared import Output

__all__ = ["command"]

_KINDS = (
    *("function", "struct", "union", "enum", "typedef", "var"),
    *("tracepoint", "syscall", "lsm", "kfunc", "export", "config"),
)

_EXAMPLES = """\b
Examples:
  ksurf plot churn --output churn.svg
  ksurf plot churn --baseline 6.12-cloud-arm64 --kind function --kind struct --output churn.png --width 1920
  ksurf plot churn --on 6.1 --on 6.12 --format csv
"""


@click.command(epilog=_EXAMPLES)
@on_option
@baseline_option
@kind_option(*_KINDS)
@output_options
def command(
    selectors: tuple[str, ...], baseline: str | None, kinds: tuple[str, ...], output: Output, dataset: Path
) -> None:
    """Draw how many symbols of each kind were added, removed and changed from version to version.

    The versions are those of one distribution, architecture and flavor; each is compared with the next, as
    ksurf diff does it.
    """
    from ksurf.cli.garbage import none_looked_for
    from ksurf.cli.plot.shared import kernels, put
    from ksurf.plot import churn

    store, groups = kernels(dataset, selectors, baseline)
    with none_looked_for():
        figure = churn(store, groups, kinds or _KINDS)
    put(figure, output)
