"""``ksurf source add``: a kernel's source of one's own into the dataset."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli import print_error
from ksurf.cli.options import dataset_option, threads_option
from ksurf.cli.source.steps import index, index_option, print_tree
from ksurf.errors import KsurfError

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source add linux-7.3.tar.xz
  ksurf source add ~/src/linux --name mine
  ksurf source add ~/src/linux --in-place
  ksurf source add linux-source-6.8.0_6.8.0-31.31_all.deb
"""


@click.command(epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--in-place", is_flag=True, help="Use a folder as it is, instead of a copy of it.")
@click.option("--name", metavar="NAME", help="What to call the tree; by default custom_VERSION.")
@click.option("--distro", metavar="NAME", help="Whose source it is: debian, ubuntu, or any name of yours.")
@index_option
@threads_option("index a tree")
@dataset_option
def command(
    paths: tuple[Path, ...],
    in_place: bool,
    name: str | None,
    distro: str | None,
    indexed: bool,
    threads: int,
    dataset: Path,
) -> None:
    """Add a kernel's source of your own to the dataset.

    A PATH is the root of a source tree, a tar archive of one (plain, gzip, xz, zstd), or a package with one
    (linux-source-*). Which version it is, its Makefile says. A folder is copied, without .git and what was
    built in it; with --in-place it is used as it is, and must stay as it is for what was indexed to be true.

    Nothing in it is run: the units of kernels are found by ksurf source prepare, which says what that runs.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.kernel import file_safe
    from ksurf.source.made import add_archive, add_folder
    from ksurf.source.tree import Trees

    if len(paths) > 1 and name is not None:
        raise click.UsageError("--name can be the name of one tree only")
    named = None if name is None else "_".join(map(file_safe, name.split("_")))
    reporter, trees = TerminalReporter(), Trees(dataset)
    failed = 0
    for path in paths:
        try:
            if path.is_dir():
                is_new = True
                tree = add_folder(trees, path, reporter, distro=distro, name=named, in_place=in_place)
            else:
                tree, is_new = add_archive(trees, path, reporter, distro=distro, name=named)
            print_tree(tree, is_new=is_new)
            if indexed:
                index(tree, reporter, threads)
        except KsurfError as error:
            failed += 1
            print_error(error.message, error.hint)
    if failed:
        click.get_current_context().exit(1)
