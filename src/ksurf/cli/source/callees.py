"""``ksurf source callees``: whom a function calls."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, on_option
from ksurf.cli.source.shared import kernel_option, limit_option

__all__ = ["command"]

_LIMIT = 200
_EXAMPLES = """\b
Examples:
  ksurf source callees vgic_v4_init
  ksurf source callees kvm_vcpu_kick --on 7.3-cloud-arm64
  ksurf source callees vfs_read --format json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="NAME")
@on_option
@kernel_option
@limit_option(_LIMIT)
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@dataset_option
def command(
    name: str, selectors: tuple[str, ...], kernel: str | None, limit: int, form: str, dataset: Path
) -> int:
    """Show the functions that the code of NAME calls or holds copies of, on the kernels of the dataset.

    Those that are called in inlined functions follow with these in front. Functions that are stored in a
    field through which NAME calls are marked possible; they are known of the units that were read so far.
    Where no kernel of the dataset has NAME, the text of the tree is asked. The exit status is 1 if there is
    no such function, or it calls nothing.
    """
    from ksurf.cli.source.calls import printed_calls

    return printed_calls(name, "callees", selectors, kernel, limit, form, dataset)
