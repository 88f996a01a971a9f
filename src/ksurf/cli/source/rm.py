"""``ksurf source rm``: take source trees out of the dataset."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option
from ksurf.cli.rm import confirm_removal

__all__ = ["command"]


@click.command(epilog="\b\nExamples:\n  ksurf source rm debian:7.3\n  ksurf source rm custom_7.3-rc2 --yes")
@click.argument("trees", metavar="TREE...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@dataset_option
def command(trees: tuple[str, ...], yes: bool, dataset: Path) -> None:
    """Remove source trees from the dataset, with the index and all that was found out about their kernels.

    A TREE is an id, as ksurf source list prints it, or a version (debian:7.3), which means all that it
    matches. What was downloaded stays in the cache, and a folder that is used in place stays as it is.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.source.tree import Trees

    found = Trees(dataset)
    refused = {tree.id for tree in found.load()[1]}
    chosen = [text for text in trees if text in refused]
    chosen += [tree.id for text in trees if text not in refused for tree in found.matching(text)]
    chosen = [*dict.fromkeys(chosen)]
    if not yes:
        confirm_removal(chosen, "source trees", dataset)
    reporter = TerminalReporter()
    for tree_id in chosen:
        # A hundred thousand files take a while.
        with reporter.task(f"Removing {tree_id}"):
            found.remove(tree_id)
        click.echo(f"removed {tree_id}")
