"""What the plots share: their options, and the way from kernels to a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from ksurf.cli.options import dataset_option

if TYPE_CHECKING:
    from ksurf.dataset.store import Store
    from ksurf.plot import Figure
    from ksurf.series import Groups

__all__ = ["Output", "baseline_option", "kernels", "output_options", "put"]

_FORMS = ("svg", "png", "csv", "json")
_NARROWEST, _USUAL, _WIDEST = 320, 1280, 7680

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Output(NamedTuple):
    """What is to be written, and where."""

    form: str
    path: Path | None
    dark: bool
    width: int


def baseline_option(command: _Command) -> _Command:
    """Give a command ``--baseline``, passed as ``baseline``."""
    return click.option(
        "--baseline",
        metavar="SELECTOR",
        help="A kernel of the series to plot; by default one of those with the most kernels.",
    )(command)


def output_options(command: _Command) -> _Command:
    """Give a command ``--dataset``, and ``--output``, ``--format``, ``--dark`` and ``--width``: an
    :class:`Output`, which is passed as ``output``.
    """

    @wraps(command)
    def called(
        *arguments: Any, output_path: Path | None, form: str | None, dark: bool, width: int, **others: Any
    ) -> Any:
        return command(
            *arguments, output=Output(_form(output_path, form), output_path, dark, width), **others
        )

    made: Any = called
    options: tuple[Any, ...] = (
        click.option(
            "--width",
            type=click.IntRange(_NARROWEST, _WIDEST),
            default=_USUAL,
            show_default=True,
            metavar="PX",
            help="How wide the picture is, in pixels; its height follows.",
        ),
        click.option("--dark", is_flag=True, help="Light on dark."),
        click.option(
            "--format",
            "form",
            type=click.Choice(_FORMS),
            help="A picture (svg, png), or its numbers and where they come from (csv, json, "
            "docs/report-json.md); by default what the name of --output ends in.",
        ),
        click.option(
            "--output",
            "output_path",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write it there instead of to standard output.",
        ),
    )
    for option in options:
        made = option(made)
    result: _Command = dataset_option(made)
    return result


def _form(path: Path | None, form: str | None) -> str:
    context = click.get_current_context()
    if form is None and path is None:
        raise click.UsageError("one of --output FILE and --format is needed", context)
    suffix = "" if path is None else path.suffix.lower().removeprefix(".")
    if form is None and suffix not in _FORMS:
        known = ", ".join(f".{known}" for known in _FORMS)
        raise click.UsageError(f"{path}: the name ends in none of {known}, and there is no --format", context)
    if form == "png" and path is None and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show a PNG; --output FILE.png makes a file", context)
    return form or suffix


def kernels(dataset: Path, selectors: Sequence[str], baseline: str | None) -> tuple[Store, Groups]:
    """The dataset, and the chosen kernels around the baseline, which is one of them."""
    from ksurf.cli.choose import baseline_of, manifests
    from ksurf.dataset.store import Store
    from ksurf.series import group

    store = Store(dataset)
    chosen = [manifest.kernel for manifest in manifests(store, selectors)]
    return store, group(chosen, baseline_of(chosen, baseline))


def put(figure: Figure, output: Output) -> None:
    """Write the figure."""
    from ksurf.cli.printed import printed, written
    from ksurf.plot import draw, numbers_csv, numbers_json

    made: str | bytes
    match output.form:
        case "csv":
            made = numbers_csv(figure)
        case "json":
            made = numbers_json(figure)
        case form:
            made = draw(figure, form, dark=output.dark, width=output.width)
    if output.path is None:
        printed(made)
    else:
        written(made, output.path)
