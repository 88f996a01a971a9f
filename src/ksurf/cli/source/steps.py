"""What the commands that make trees have in common: what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ksurf.acquire.files import megabytes

if TYPE_CHECKING:
    from ksurf.source.kernels import PreparedNow
    from ksurf.source.tree import SourceTree

__all__ = ["print_prepared", "print_tree"]


def print_tree(tree: SourceTree, *, is_new: bool) -> None:
    """Say what a tree is."""
    if not is_new:
        click.echo(f"{tree.id}: already in the dataset")
    elif tree.files is None or tree.byte_size is None:
        click.echo(f"{tree.id}: {tree.root}, in place")
    else:
        click.echo(f"{tree.id}: {tree.files:,} files, {megabytes(tree.byte_size)}")


def print_prepared(now: PreparedNow) -> None:
    """Say how many units a kernel has, and which configuration that is true of."""
    prepared = now.prepared
    took = "already known" if now.seconds is None else f"found in {now.seconds:.1f} s"
    click.echo(f"  {prepared.kernel.release} {prepared.kernel.arch}: {prepared.units:,} units, {took}")
    click.echo(f"    configuration: {prepared.config}")
