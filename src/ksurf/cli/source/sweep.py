"""``ksurf source sweep``: units of a kernel read ahead, so that their pages are there at once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from ksurf.cli.options import dataset_option
from ksurf.cli.source.shared import kernel_option
from ksurf.errors import InputError

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source sweep arch/arm64/kvm virt/kvm
  ksurf source sweep fs/ext4 --kernel 7.3-cloud-amd64 --processes 1
  ksurf source sweep . --kernel 7.3-cloud-amd64 &
"""


@click.command(epilog=_EXAMPLES)
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True)
@kernel_option
@click.option(
    "--processes",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many processes read; by default one per core.",
)
@dataset_option
def command(paths: tuple[str, ...], kernel: str | None, processes: int | None, dataset: Path) -> int:
    """Read the units of files and folders of a source tree ahead of their pages.

    What is read stays: interrupted, the same command goes on from there, and what was read before is passed
    over. Calls through fields are known of what was read. The exit status is 1 if a unit could not be read.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.cli.source.shared import browser
    from ksurf.source.semantic.sweep import sweep

    roots = [_plain(path) for path in paths]
    with browser(dataset) as opened:
        view = opened.view(kernel, next((root for root in roots if root.endswith(".c")), None))
        if view.kernel is None:
            raise InputError(f"{view.tree.id}: {view.missing}", view.remedy)
        units = opened.units(view.tree, view.kernel)
        wanted = units.below(roots)
        if not wanted:
            raise InputError(
                f"{' '.join(paths)}: {view.kernel.release} ({view.kernel.arch}) compiles nothing of it",
                "paths count from the root of the tree; --kernel names another kernel",
            )
        swept = sweep(units, view.tree.semantic, wanted, TerminalReporter(), processes=processes)
    click.echo(
        f"{view.kernel.release} {view.kernel.arch}: {swept.read:,} units read, {swept.known:,} known before"
    )
    for problem in swept.failed:
        click.echo(f"  not read: {problem.unit}: {problem.reason}", err=True)
    return 1 if swept.failed else 0


def _plain(path: str) -> str:
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts:
        raise InputError(f"{path}: paths count from the root of the tree", "ksurf source sweep virt/kvm")
    return "" if str(plain) == "." else str(plain)
