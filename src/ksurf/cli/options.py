"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ksurf.paths import default_dataset

__all__ = [
    "archive_options",
    "dataset_option",
    "format_option",
    "kind_option",
    "on_option",
    "threads_option",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def dataset_option(command: _Command) -> _Command:
    """Give a command the option ``--dataset``, passed as ``dataset``, a :class:`~pathlib.Path`."""
    return click.option(
        "--dataset",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_dataset,
        metavar="FOLDER",
        help="The dataset; by default KSURF_DATASET, else ksurf in the user's XDG data folder.",
    )(command)


def format_option(*forms: str, text: str) -> Callable[[_Command], _Command]:
    """Give a command the option ``--format``, passed as ``form``; the first of ``forms`` is the usual one."""
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], help=text)


def kind_option(*kinds: str) -> Callable[[_Command], _Command]:
    """Give a command the option ``--kind``, passed as ``kinds``: those of the symbols that it is about."""
    return click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice(kinds),
        help="Only symbols of this kind; may be repeated.",
    )


def on_option(command: _Command) -> _Command:
    """Give a command the option ``--on``, passed as ``selectors``: the kernels that it is about."""
    return click.option(
        "--on",
        "selectors",
        multiple=True,
        metavar="SELECTOR",
        help="Only these kernels of the dataset (6.12, arm64, debian:6.1-cloud-amd64, an exact release); "
        "may be repeated.",
    )(command)


def threads_option(work: str) -> Callable[[_Command], _Command]:
    """Give a command the option ``--threads``, passed as ``threads``; 0 is one per core."""
    return click.option(
        "--threads",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help=f"How many threads {work}; by default one per core.",
    )


def archive_options(command: _Command) -> _Command:
    """Give a command ``--mirror``, ``--keyring``, ``--unsigned``: ``mirrors``, ``keyrings``, ``unsigned``."""
    for option in (
        click.option(
            "--unsigned", is_flag=True, help="Take the archive's indexes without checking their signatures."
        ),
        click.option(
            "--keyring",
            "keyrings",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False),
            metavar="FILE",
            help="Check signatures with this keyring instead of the system's; may be repeated.",
        ),
        click.option(
            "--mirror",
            "mirrors",
            multiple=True,
            metavar="URL",
            help="Ask this archive, and the one beside it whose name ends in -security, instead of those "
            "that apt is configured with; repeated, exactly these.",
        ),
    ):
        command = option(command)
    return command
