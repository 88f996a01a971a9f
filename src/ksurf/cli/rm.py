"""``ksurf rm``: take kernels out of the dataset."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ksurf.cli.options import dataset_option
from ksurf.errors import InputError

__all__ = ["command", "confirm_removal"]


@click.command(epilog="\b\nExamples:\n  ksurf rm 5.10-cloud-amd64\n  ksurf rm debian:6.1 --yes")
@click.argument("selectors", metavar="SELECTOR...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dataset_option
def command(selectors: tuple[str, ...], yes: bool, dataset: Path) -> None:
    """Remove kernels from the dataset.

    What was downloaded for them stays in the cache. On a terminal the kernels are listed and a question is
    asked; elsewhere --yes is needed.
    """
    from ksurf.cli.choose import manifests
    from ksurf.dataset.store import Store

    store = Store(dataset)
    # What this version cannot read has no identity to select by; it goes by its id.
    refused = {kernel.id for kernel in store.refused()}
    chosen = [text for text in selectors if text in refused]
    wanted = [text for text in selectors if text not in refused]
    if wanted:
        chosen += [m.kernel.id for m in manifests(store, wanted)]
    if not yes:
        confirm_removal(chosen, "kernels", dataset)
    for kernel_id in chosen:
        store.remove(kernel_id)
        click.echo(f"removed {kernel_id}")


def confirm_removal(chosen: Sequence[str], what: str, dataset: Path) -> None:
    """Ask a person before something is removed; where nobody can be asked it is an error."""
    if not sys.stdin.isatty():
        raise InputError(f"this would remove {len(chosen)} {what}", "--yes says that it shall")
    click.echo("\n".join(chosen))
    click.confirm(f"Remove {'these' if len(chosen) > 1 else 'this'} from {dataset}?", abort=True)
