"""``ksurf source index``: the index of a tree's names."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, threads_option
from ksurf.cli.source.steps import index

__all__ = ["command"]


@click.command(epilog="\b\nExamples:\n  ksurf source index debian:7.3\n  ksurf source index mine --again")
@click.argument("tree", metavar="TREE")
@click.option("--again", is_flag=True, help="Make it anew, although it is there: the files have changed.")
@threads_option("index a tree")
@dataset_option
def command(tree: str, again: bool, threads: int, dataset: Path) -> None:
    """Index the names of a source tree: definitions, references, and the text of all files.

    ksurf source pull and add do that, too. Interrupted, it leaves what was there before.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.source.tree import Trees

    found = Trees(dataset).named(tree)
    click.echo(f"{found.id}:")
    index(found, TerminalReporter(), threads, again=again)
