"""``ksurf sql``: any question, in SQL."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click

from ksurf.cli.options import dataset_option, format_option, on_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf sql "SELECT kernel, count(*) FROM functions GROUP BY ALL"
  ksurf sql "SELECT unit, caller, line FROM call_sites WHERE callee = 'vfs_read'" --on 6.12-amd64
  ksurf sql "DESCRIBE instances"
  echo "SELECT * FROM kernels" | ksurf sql - --format csv
"""


@click.command(epilog=_EXAMPLES)
@click.argument("statement", metavar="STATEMENT")
@format_option("table", "csv", "json", text="How to print the rows; json is an array of objects.")
@on_option
@dataset_option
def command(statement: str, form: str, selectors: tuple[str, ...], dataset: Path) -> None:
    """Run a SQL statement (DuckDB's dialect) over all kernels.

    The statement - is read from standard input.

    There is a view for each table of docs/tables, with the kernel's id in its first column and names in place
    of numbers: kernels, functions, instances, call_sites, symbols, types, tracepoints, syscalls and more.
    fields, enumerators, lsm_hooks, kfuncs, struct_ops, bpf_enums and attachability are made of them.
    raw_images and so on have the columns as they are stored. Nothing can be written, no other file be read.
    """
    from ksurf.cli.choose import manifests
    from ksurf.dataset.query import connect, query
    from ksurf.dataset.store import Store
    from ksurf.surface.attach_facts import judge

    store = Store(dataset)
    chosen = manifests(store, selectors)
    text = sys.stdin.read() if statement == "-" else statement
    with connect(store, chosen, statement=text, judge=judge) as connection:
        result = query(connection, text)
        rows = (row for batch in result.batches() for row in batch)
        {"table": _print_table, "csv": _print_csv, "json": _print_json}[form](result.columns, rows)


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as their widest value; numbers to the right."""
    held = list(rows)
    numeric = [
        bool(held) and all(isinstance(row[i], int | float | Decimal | None) for row in held)
        for i in range(len(columns))
    ]
    cells = [[_cell(value) for value in row] for row in held]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for number, line in enumerate([list(columns), *cells]):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        text = "  ".join(padded).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _print_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else value for value in row])


def _print_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """One object a line inside an array, written as the rows come."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        text = json.dumps(dict(zip(columns, row, strict=True)), default=_plain, ensure_ascii=False)
        click.echo(f"{',' if number else ''}\n  {text}", nl=False)
    click.echo("\n]")


def _cell(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    # A value is one cell of one line, whatever is in it.
    return " ".join(str(value).split("\n"))


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
