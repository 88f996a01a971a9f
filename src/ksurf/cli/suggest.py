"""What is said of names that exist on no kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ksurf.cli import print_error
from ksurf.report.near import near

__all__ = ["suggest"]


def suggest(title: str, missing: Sequence[str], kernels: int, known: Callable[[str], Iterable[str]]) -> int:
    """Name each on standard error, with what is near it among the known; the exit status.

    ``title`` is what the kind is called, ``kernels`` how many were searched.
    """
    what = title if title[:2].isupper() else title.lower()
    for name in missing:
        close = near(name, known(name))
        print_error(
            f"no {what} {name} on {kernels} kernel{'s' if kernels != 1 else ''}",
            f"near names: {', '.join(close)}" if close else "ksurf ls lists the kernels that were searched",
        )
    return 1 if missing else 0
