"""``ksurf source callers``: who calls a function."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, on_option
from ksurf.cli.source.shared import kernel_option, limit_option

__all__ = ["command"]

_LIMIT = 200
_EXAMPLES = """\b
Examples:
  ksurf source callers kvm_vcpu_kick
  ksurf source callers kvm_make_request --on 7.3-cloud-arm64
  ksurf source callers ext4_file_read_iter --format json
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
    """Show the functions whose code calls NAME or holds a copy of it, on the kernels of the dataset.

    Between the two stand the functions that are inlined there. Calls through a field in which NAME is stored
    are marked possible; they are known of the units that were read so far. Where no kernel of the dataset has
    NAME, the text of the tree is asked. The exit status is 1 if there is no such function, or no caller.
    """
    from ksurf.cli.source.calls import printed_calls

    return printed_calls(name, "callers", selectors, kernel, limit, form, dataset)
