"""What is said of names that exist on no kernel."""

from __future__ import annotations

from collections.abc import Sequence

from ksurf.cli import print_error
from ksurf.dataset.lookup import types_named
from ksurf.report.find import Kernels, near_names

__all__ = ["suggest"]

_TYPES = ("struct", "union", "enum", "typedef")


def suggest(kind: str, title: str, missing: Sequence[str], kernels: Kernels) -> int:
    """Name each on standard error, with what may have been meant; the exit status.

    ``title`` is what the kind is called.
    """
    what = title if title[:2].isupper() else title.lower()
    for name in missing:
        print_error(
            f"no {what} {name} on {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}",
            _hint(kind, name, kernels),
        )
    return 1 if missing else 0


def _hint(kind: str, name: str, kernels: Kernels) -> str:
    if kind == "field" and "::" not in name:
        return "a field is named by its struct and its path: kvm::mmu_lock, task_struct::se.vruntime"
    named = types_named([name], kernels, kinds=_TYPES)[name]
    held = {row.definition.kind for rows in named for row in rows.types}
    for other in _TYPES:
        if other != kind and other in held:
            return f"there is {'an' if other == 'enum' else 'a'} {other} {name}"
    close = near_names(kind, kernels, name)
    return f"near names: {', '.join(close)}" if close else "ksurf ls lists the kernels that were searched"
