"""What the commands that read source have in common."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ksurf.errors import InputError
from ksurf.progress import BYTES, Reporter, Task

if TYPE_CHECKING:
    from ksurf.source.browse import Browser, View
    from ksurf.source.names import NamesIndex

__all__ = ["browser", "index_of", "is_colored", "kernel_option", "limit_option", "parse_lines", "seen_as"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LINES = re.compile(r"(\d+)(-)?(\d+)?")


def kernel_option(command: _Command) -> _Command:
    """Give a command the option ``--kernel``, passed as ``kernel``."""
    return click.option(
        "--kernel",
        metavar="SELECTOR",
        help="The kernel whose source and configuration are shown, or a source tree; by default the newest "
        "tree, and a kernel that compiles what is asked for.",
    )(command)


def limit_option(usual: int) -> Callable[[_Command], _Command]:
    """Give a command the option ``--limit``, passed as ``limit``."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=usual,
        metavar="N",
        help=f"How many lines are listed, by default {usual}; 0 is all.",
    )


def parse_lines(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int | None] | None:
    """Read ``10-20``, ``10-`` or ``10``."""
    if value is None:
        return None
    found = _LINES.fullmatch(value.strip())
    if found is None or (found[3] and not found[2]):
        raise click.BadParameter(f"{value!r} is not 10-20, 10- or 10")
    first = int(found[1])
    return first, int(found[3]) if found[3] else None if found[2] else first


def browser(dataset: Path) -> Browser:
    """What opens pages, and shows on a terminal what takes a while."""
    from ksurf.source.browse import Browser

    return Browser(dataset, _Lazy() if sys.stderr.isatty() else None)


class _Lazy:
    """A reporter that is loaded once there is something to report: most pages are there at once."""

    @cached_property
    def _reporter(self) -> Reporter:
        from ksurf.cli.reporter import TerminalReporter

        return TerminalReporter()

    def task(self, label: str, total: int | None = None, unit: str = BYTES) -> AbstractContextManager[Task]:
        return self._reporter.task(label, total, unit)

    def warn(self, message: str) -> None:
        self._reporter.warn(message)


def is_colored() -> bool:
    """Whether what is printed is for eyes that see colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def index_of(opened: Browser, view: View) -> NamesIndex:
    """The index of a tree's names; raises ``InputError`` if it has none."""
    index = opened.names(view.tree)
    if index is None:
        raise InputError(f"the names of {view.tree.id} are not indexed", f"ksurf source index {view.tree.id}")
    return index


def seen_as(view: View) -> str:
    """Whose source is shown."""
    return view.tree.id if view.kernel is None else f"{view.tree.id}, as {view.kernel.release} has it"
