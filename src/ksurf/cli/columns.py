"""A list as columns of text."""

from collections.abc import Sequence

import click

__all__ = ["print_columns"]


def print_columns(heads: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool]) -> None:
    """Print rows of cells below their heads; numbers stand to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for number, line in enumerate([heads, *cells]):
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        )
        text = "  ".join(padded).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)
