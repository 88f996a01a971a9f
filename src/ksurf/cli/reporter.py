"""Progress on a terminal: bars while work goes on, nothing of them left over; plain lines elsewhere."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Task as Shown
from rich.text import Text

from ksurf.progress import BYTES, Task

__all__ = ["TerminalReporter"]

_LABEL_LENGTH = 40


class _Amount(ProgressColumn):
    """How much is done: bytes with their speed, or how many of how many; nothing where nobody counts."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())

    def render(self, task: Shown) -> Text:
        unit, done = task.fields["unit"], int(task.completed)
        if unit == BYTES and (task.total is not None or done):
            return Text(" ").join(column.render(task) for column in self._bytes)
        if task.total is not None:
            return Text(f"{done:,}/{int(task.total):,} {unit}")
        return Text(f"{done:,} {unit}" if done else f"{int(task.elapsed or 0)} s")


class TerminalReporter:
    """Shows tasks and warnings on standard error."""

    def __init__(self) -> None:
        """Show bars if standard error is a terminal."""
        self._progress: Progress | None = None
        if sys.stderr.isatty():
            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                _Amount(),
                console=Console(stderr=True),
                transient=True,
            )
        self._lock = threading.Lock()
        self._running = 0

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = BYTES) -> Iterator[Task]:
        """Show a task while the context lasts."""
        if self._progress is None:
            yield _Line(label)
            return
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._progress.start()
        shown = self._progress.add_task(label, total=total, unit=unit)
        try:
            yield _Bar(self._progress, shown, label)
        finally:
            self._progress.remove_task(shown)
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self._progress.stop()

    def warn(self, message: str) -> None:
        """Print a warning above the bars."""
        plain = bool(os.environ.get("NO_COLOR")) or self._progress is None
        if self._progress is not None and self._running:
            style = "" if plain else "[bold yellow]"
            self._progress.console.print(
                f"ksurf: {style}warning[/]: " if style else "ksurf: warning: ", end=""
            )
            self._progress.console.print(message, markup=False, highlight=False, soft_wrap=True)
        else:
            label = "warning" if plain else click.style("warning", fg="yellow", bold=True)
            click.echo(f"ksurf: {label}: {message}", err=True)


class _Bar:
    def __init__(self, progress: Progress, task: TaskID, label: str) -> None:
        self._progress = progress
        self._task = task
        self._label = label

    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        # A file's name may have anything in it.
        shown = "".join(c if c.isprintable() else "?" for c in label or "")
        if len(shown) > _LABEL_LENGTH:
            shown = f"{shown[:_LABEL_LENGTH]}…"
        description = f"{self._label}: {shown}" if shown else self._label
        self._progress.update(self._task, completed=done, total=total, description=description)


class _Line:
    """A task where there is no terminal: one line, once it is known to take a while."""

    def __init__(self, label: str) -> None:
        self._label: str | None = label

    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        if self._label is not None and done > 0:
            click.echo(f"{self._label} ...", err=True)
            self._label = None
