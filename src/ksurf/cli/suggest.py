"""What is said of names that exist on no kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ksurf.cli import print_error
from ksurf.report.find import Kernels, statuses_of
from ksurf.report.near import near

__all__ = ["suggest"]

_TYPES = ("struct", "union", "enum", "typedef")


def suggest(
    kind: str, title: str, missing: Sequence[str], kernels: Kernels, known: Callable[[str], Iterable[str]]
) -> int:
    """Name each on standard error, with what may have been meant; the exit status.

    ``title`` is what the kind is called, ``known`` gives the names among which near ones are looked for.
    """
    what = title if title[:2].isupper() else title.lower()
    for name in missing:
        print_error(
            f"no {what} {name} on {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}",
            _hint(kind, name, kernels, known),
        )
    return 1 if missing else 0


def _hint(kind: str, name: str, kernels: Kernels, known: Callable[[str], Iterable[str]]) -> str:
    if kind == "field" and "::" not in name:
        return "a field is named by its struct and its path: kvm::mmu_lock, task_struct::se.vruntime"
    for other in _TYPES:
        if other != kind and any(status.is_present for status in statuses_of(other, [name], kernels)[name]):
            return f"there is {'an' if other == 'enum' else 'a'} {other} {name}"
    close = near(name, known(name))
    return f"near names: {', '.join(close)}" if close else "ksurf ls lists the kernels that were searched"
