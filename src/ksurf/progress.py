"""How long work tells what it is doing, without knowing where that is shown."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

__all__ = ["Reporter", "Silent", "Task"]


class Task(Protocol):
    """One piece of work under way, counted in bytes."""

    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        """Say how much is done by now, and, where they have changed, of how much and what."""


class Reporter(Protocol):
    """Shows tasks and warnings to a person. Its methods may be called by several threads."""

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Show a task for as long as the context lasts; ``total`` in bytes, if it is known."""

    def warn(self, message: str) -> None:
        """Say something that does not stop the work."""


class Silent:
    """A reporter that shows nothing; ``warnings`` keeps what it was told."""

    def __init__(self) -> None:
        """Start without warnings."""
        self.warnings: list[str] = []

    def task(self, label: str, total: int | None = None) -> AbstractContextManager[Task]:
        """Show nothing."""
        return nullcontext(_NoTask())

    def warn(self, message: str) -> None:
        """Keep the warning."""
        self.warnings.append(message)


class _NoTask:
    def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
        pass
