"""``ksurf source list``: the source trees of the dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ksurf.cli.options import dataset_option, format_option

if TYPE_CHECKING:
    from ksurf.source.tree import SourceTree

__all__ = ["command"]


@click.command(epilog="\b\nExamples:\n  ksurf source list\n  ksurf source list --format json")
@format_option("table", "json", text="How to print it.")
@dataset_option
def command(form: str, dataset: Path) -> int:
    """List the source trees of the dataset, in version order.

    Each line says what a tree is, whether its names are indexed, and of which kernels the units are known. A
    tree that this version of ksurf cannot use is named on standard error, and the exit status is 1.
    """
    from ksurf.cli import print_error
    from ksurf.source.tree import Trees

    trees, refused = Trees(dataset).load()
    if form == "json":
        click.echo(json.dumps([_document(tree) for tree in trees], indent=1, ensure_ascii=False))
    else:
        _print_table(trees, dataset)
    for tree in refused:
        hint = f"ksurf source rm {tree.id} removes it; then it can be made anew"
        print_error(f"{tree.path}: {tree.reason}", hint)
    return 1 if refused else 0


def _document(tree: SourceTree) -> dict[str, Any]:
    return {
        "id": tree.id,
        "distro": tree.distro,
        "package": tree.package,
        "version": tree.version,
        "upstream": tree.upstream,
        "base_version": tree.base_version,
        "origin": dict(tree.origin),
        "root": str(tree.root),
        "files": tree.files,
        "byte_size": tree.byte_size,
        "indexed": tree.names.is_dir(),
        "prepared": [
            {"kernel": one.kernel.id, "config": one.config, "units": one.units} for one in tree.prepared()
        ],
        "created": tree.created.isoformat(),
    }


def _print_table(trees: list[SourceTree], dataset: Path) -> None:
    from ksurf.cli.columns import print_columns

    if not trees:
        click.echo(f"no source trees in the dataset {dataset}", err=True)
        return
    heads = ("ID", "VERSION", "FILES", "BYTES", "NAMES", "PREPARED KERNELS")
    cells = [
        (
            tree.id,
            tree.upstream,
            "" if tree.files is None else f"{tree.files:,}",
            "in place" if tree.byte_size is None else f"{tree.byte_size / 1e6:.1f} MB",
            "yes" if tree.names.is_dir() else "no",
            ", ".join(f"{one.kernel.release} {one.kernel.arch}" for one in tree.prepared()),
        )
        for tree in trees
    ]
    print_columns(heads, cells, (False, False, True, True, False, False))
