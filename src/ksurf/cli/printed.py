"""What a command says, put where it is to go."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ksurf.errors import InputError

__all__ = ["printed", "written"]


def printed(text: str | bytes) -> None:
    """Print a text that has all its ends of lines, or bytes as they are.

    A reader that goes away (``| head``) has seen enough: the exit status still says what was found.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        _forget_the_rest()
    except OSError as error:
        _forget_the_rest()
        raise InputError(f"the output: {error.strerror or error}", "write it somewhere else") from error


def _forget_the_rest() -> None:
    """Python writes out what it holds at its end, and would complain and end with another status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def written(text: str | bytes, path: Path) -> None:
    """Write a text, or bytes, into a file."""
    try:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    except OSError as error:  # a full disk names no file
        raise InputError(f"{path}: {error.strerror or error}") from error
