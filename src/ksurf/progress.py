"""How long work tells what it is doing, without knowing where that is shown."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

__all__ = ["BYTES", "Reporter", "Silent", "Task", "counted"]

BYTES = "bytes"
"""What tasks are counted in where nothing else is said."""

_Item = TypeVar("_Item")


class Task(Protocol):
    """One piece of work under way."""

    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        """Say how much is done by now, and, where they have changed, of how much and what."""


class Reporter(Protocol):
    """Shows tasks and warnings to a person. Its methods may be called by several threads."""

    def task(self, label: str, total: int | None = None, unit: str = BYTES) -> AbstractContextManager[Task]:
        """Show a task for as long as the context lasts; ``total`` in units, if it is known."""

    def warn(self, message: str) -> None:
        """Say something that does not stop the work."""


class Silent:
    """A reporter that shows nothing; ``warnings`` keeps what it was told."""

    def __init__(self) -> None:
        """Start without warnings."""
        self.warnings: list[str] = []

    def task(self, label: str, total: int | None = None, unit: str = BYTES) -> AbstractContextManager[Task]:
        """Show nothing."""
        return nullcontext(_NoTask())

    def warn(self, message: str) -> None:
        """Keep the warning."""
        self.warnings.append(message)


class _NoTask:
    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        pass


def counted(reporter: Reporter, label: str, items: Sequence[_Item], unit: str) -> Iterator[_Item]:
    """Go through something, and show how many are done."""
    with reporter.task(label, len(items), unit) as task:
        for done, item in enumerate(items, start=1):
            yield item
            task.update(done)
