"""``ksurf ls``: what is in the dataset."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ksurf.cli.columns import print_columns
from ksurf.cli.options import dataset_option, format_option

if TYPE_CHECKING:
    from ksurf.dataset.manifest import Manifest

__all__ = ["command"]

_COLUMNS = (
    "release",
    "version",
    "flavor",
    "arch",
    "images",
    "functions",
    "call_sites",
    "bytes",
    "unreadable",
    "incomplete",
)

_LONG = ("types", "tracepoints", "syscalls", "exports", "config", "compiler", "created")
"""What --long adds: rows of tables, and facts of the manifest."""


_EXAMPLES = """\b
Examples:
  ksurf ls
  ksurf ls --long
  ksurf ls --unreadable
  ksurf ls --format json
"""


@click.command(epilog=_EXAMPLES)
@format_option("table", "json", "csv", text="How to print it.")
@click.option(
    "--unreadable",
    is_flag=True,
    help="List the images that could not be read, or only in part, instead, and why.",
)
@click.option(
    "--long",
    is_flag=True,
    help="Also say how many types and other things there are, what compiled it, and when it was added.",
)
@dataset_option
def command(form: str, unreadable: bool, long: bool, dataset: Path) -> int:
    """List the kernels of the dataset, in version order.

    Each line says what a kernel holds. A kernel that this version of ksurf cannot use is named on standard
    error, and the exit status is 1.
    """
    from ksurf.cli import print_error
    from ksurf.dataset.store import Store

    store = Store(dataset)
    found = store.kernels()
    if unreadable:
        columns: tuple[str, ...] = ("kernel", "image", "path", "missing", "reason")
        rows: list[dict[str, Any]] = [
            {"kernel": m.kernel.id, "image": u.image, "path": u.path, "missing": missing, "reason": u.reason}
            for m in found
            for missing, images in (("all", m.unreadable), ("part", m.incomplete))
            for u in images
        ]
    else:
        columns = ("id", *_COLUMNS, *(_LONG if long else ()))
        rows = [
            {
                "id": m.kernel.id,
                "release": m.kernel.release,
                "version": m.kernel.version,
                "flavor": m.kernel.flavor,
                "arch": m.kernel.arch,
                **{table: m.tables[table].rows for table in ("images", "functions", "call_sites")},
                "bytes": m.byte_size,
                "unreadable": len(m.unreadable),
                "incomplete": len(m.incomplete),
                **(_long(m) if long else {}),
            }
            for m in found
        ]
    if form == "json":
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(columns if unreadable else columns[1:], rows, dataset)
    refused = store.refused()
    for kernel in refused:
        print_error(
            f"{kernel.path}: {kernel.reason}", f"ksurf rm {kernel.id} removes it; then it can be made anew"
        )
    return 1 if refused else 0


def _long(manifest: Manifest) -> dict[str, Any]:
    from ksurf.dataset.banner import parse_banner

    rows = {name: manifest.tables[name].rows for name in _LONG if name in manifest.tables}
    compiler = None if manifest.banner is None else parse_banner(manifest.banner).compiler
    return {**rows, "compiler": compiler, "created": manifest.created.isoformat()}


def _print_table(columns: Sequence[str], rows: Sequence[dict[str, Any]], dataset: Path) -> None:
    if not rows:
        what = "no unreadable images" if "reason" in columns else "no kernels"
        click.echo(f"{what} in the dataset {dataset}", err=True)
        return
    heads = [column.replace("_", " ").upper() for column in columns]
    cells = [[_cell(column, row[column]) for column in columns] for row in rows]
    numeric = [isinstance(rows[0][column], int) for column in columns]
    print_columns(heads, cells, numeric)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "bytes":
        return f"{value / 1e6:.1f} MB"
    return f"{value:,}" if isinstance(value, int) else str(value)
