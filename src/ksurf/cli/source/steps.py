"""What the commands that make trees have in common: their options, their steps, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ksurf.acquire.files import megabytes

if TYPE_CHECKING:
    from ksurf.progress import Reporter
    from ksurf.source.kernels import PreparedNow
    from ksurf.source.tree import SourceTree

__all__ = ["index", "index_option", "print_prepared", "print_tree"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def index_option(command: _Command) -> _Command:
    """Give a command the option ``--index``, passed as ``indexed``."""
    return click.option(
        "--index/--no-index",
        "indexed",
        default=True,
        help="Whether its names are indexed: definitions, references and the text of all files.",
    )(command)


def print_tree(tree: SourceTree, *, is_new: bool) -> None:
    """Say what a tree is."""
    if not is_new:
        click.echo(f"{tree.id}: already in the dataset")
    elif tree.files is None or tree.byte_size is None:
        click.echo(f"{tree.id}: {tree.root}, in place")
    else:
        click.echo(f"{tree.id}: {tree.files:,} files, {megabytes(tree.byte_size)}")


def index(tree: SourceTree, reporter: Reporter, threads: int, *, again: bool = False) -> None:
    """Index a tree's names unless that was done, and say so."""
    from ksurf.source.index import byte_size, index_tree

    seconds = index_tree(tree, reporter, threads=threads, again=again)
    took = "already indexed" if seconds is None else f"indexed in {seconds:.1f} s"
    click.echo(f"  names: {took}, {megabytes(byte_size(tree))}")


def print_prepared(now: PreparedNow) -> None:
    """Say how many units a kernel has, and which configuration that is true of."""
    prepared = now.prepared
    took = "already known" if now.seconds is None else f"found in {now.seconds:.1f} s"
    click.echo(f"  {prepared.kernel.release} {prepared.kernel.arch}: {prepared.units:,} units, {took}")
    click.echo(f"    configuration: {prepared.config}")
