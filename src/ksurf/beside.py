"""Work in a second process, beside this one: Python computes on one core only."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ksurf.errors import KsurfError

__all__ = ["beside"]

T = TypeVar("T")


@contextmanager
def beside(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Start ``work`` in a forked process; what comes is a function that waits for its result.

    An error of the work is raised by that function. Whatever happens here, the process is gone afterwards.
    On a machine of one core the work is done in this process, when its result is asked for.

    It is for commands, which have no threads of their own yet when they begin.
    """
    if (os.cpu_count() or 1) < 2:
        yield work
        return
    reading, writing = os.pipe()
    # Ctrl-C goes to both. It is the parent that ends, and ends the other, which never hears it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.close(reading)
        _run(work, writing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.close(writing)
    results = os.fdopen(reading, "rb")

    def result() -> T:
        try:
            worked, value = pickle.loads(results.read())  # what our own child wrote
        except (EOFError, pickle.UnpicklingError) as error:
            raise KsurfError(
                "the process that did a part of the work was killed", "is there enough memory?"
            ) from error
        if worked:
            return value  # type: ignore[no-any-return]
        raise value

    try:
        yield result
    finally:
        results.close()
        # Killing one that has ended, and was not waited for yet, does nothing.
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _run(work: Callable[[], Any], writing: int) -> None:
    """Do the work and end the process, without what the parent has left to do at its end."""
    try:
        outcome = (True, work())
    except BaseException as error:
        outcome = (False, error)
    with os.fdopen(writing, "wb") as stream:
        stream.write(pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL))
    os._exit(0)
