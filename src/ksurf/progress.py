"""How long work tells what it is doing, without knowing where that is shown."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

__all__ = ["BYTES", "Reporter", "Silent", "Task", "counted", "watched"]

BYTES = "bytes"
"""What tasks are counted in where nothing else is said."""

_POLL_SECONDS = 0.1
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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


def watched(
    label: str,
    work: Callable[[], _Result],
    reporter: Reporter,
    *,
    show: Callable[[Task], None],
    cancel: Callable[[], None],
) -> _Result:
    """Do work of the Rust part in a thread, and have it shown all the while.

    Interrupted, it has it cancelled, waits for its end and raises ``KeyboardInterrupt``.
    """
    from concurrent.futures import ThreadPoolExecutor
    from concurrent.futures import TimeoutError as StillRunning

    with ThreadPoolExecutor(1, thread_name_prefix="watched") as pool:
        try:
            with reporter.task(label) as task:
                future = pool.submit(work)
                while True:
                    try:
                        return future.result(timeout=_POLL_SECONDS)
                    except StillRunning:
                        if future.done():  # the work itself raised it
                            raise
                        show(task)
        except KeyboardInterrupt:
            cancel()  # or the pool would wait for all of it
            raise
        except InterruptedError as error:
            raise KeyboardInterrupt from error
