"""``ksurf ls``: what is in the dataset."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ksurf.cli.options import dataset_option

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
)


@click.command(epilog="\b\nExamples:\n  ksurf ls\n  ksurf ls --unreadable\n  ksurf ls --format json")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv"]), default="table", help="How to print it."
)
@click.option("--unreadable", is_flag=True, help="List the images that could not be read instead, and why.")
@dataset_option
def command(form: str, unreadable: bool, dataset: Path) -> int:
    """List the kernels of the dataset, in version order, with what each holds.

    A kernel that this version of ksurf cannot use is named on standard error, and the exit status is 1.
    """
    from ksurf.cli import print_error
    from ksurf.dataset.store import Store

    store = Store(dataset)
    found = store.kernels()
    if unreadable:
        columns: tuple[str, ...] = ("kernel", "image", "path", "reason")
        rows: list[dict[str, Any]] = [
            {"kernel": m.kernel.id, "image": u.image, "path": u.path, "reason": u.reason}
            for m in found
            for u in m.unreadable
        ]
    else:
        columns = ("id", *_COLUMNS)
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
        _print_table(columns if unreadable else _COLUMNS, rows, dataset)
    refused = store.refused()
    for kernel in refused:
        print_error(f"{kernel.path}: {kernel.reason}", f"ksurf rm {kernel.id} removes it")
    return 1 if refused else 0


def _print_table(columns: Sequence[str], rows: Sequence[dict[str, Any]], dataset: Path) -> None:
    if not rows:
        click.echo(f"nothing in the dataset {dataset}", err=True)
        return
    heads = [column.replace("_", " ").upper() for column in columns]
    cells = [[_cell(column, row[column]) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    numeric = [isinstance(rows[0][column], int) for column in columns]
    for number, line in enumerate([heads, *cells]):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        text = "  ".join(padded).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column == "bytes":
        return f"{value / 1e6:.1f} MB"
    return f"{value:,}" if isinstance(value, int) else str(value)
