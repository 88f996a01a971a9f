"""Everything that differs between two kernels, by kind of symbol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ksurf.surface.change import Change, RenameProposed
from ksurf.surface.rename import Whole, propose_wholes
from ksurf.surface.symbol import SymbolStatus, compare_statuses

__all__ = ["Changed", "KindDiff", "diff_kind", "diff_statuses"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changed:
    """A symbol that both kernels have, and that differs."""

    name: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class KindDiff:
    """What differs among the symbols of one kind.

    Names are in alphabetical order; of changed ones those come last whose changes only follow from others.
    """

    kind: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[Changed, ...]
    renames: tuple[RenameProposed, ...] = ()
    """Proposals, beside the additions and removals."""
    unknown: tuple[str, ...] = ()
    """Ids of the kernels of which nothing of the kind is known, so that nothing can be compared."""

    @property
    def total(self) -> int:
        """How many symbols differ."""
        return len(self.added) + len(self.removed) + len(self.changed)

    def counts(self) -> Counter[str]:
        """How many changes of each kind the changed symbols have, by label."""
        return Counter(change.label for entry in self.changed for change in entry.changes)


def diff_kind(
    kind: str,
    added: Iterable[str],
    removed: Iterable[str],
    changed: Iterable[tuple[str, Sequence[Change]]],
    wholes: tuple[Sequence[Whole], Sequence[Whole]] = ((), ()),
) -> KindDiff:
    """Put a kind's differences in order. ``wholes`` are what was removed and added, for renames."""
    return KindDiff(
        kind,
        tuple(sorted(added)),
        tuple(sorted(removed)),
        tuple(sorted((Changed(name, tuple(changes)) for name, changes in changed if changes), key=_order)),
        tuple(propose_wholes(*wholes)),
    )


def _order(entry: Changed) -> tuple[bool, str]:
    return all(change.incidental for change in entry.changes), entry.name


def diff_statuses(
    kind: str,
    old: Mapping[str, SymbolStatus[T]],
    new: Mapping[str, SymbolStatus[T]],
    compare: Callable[[T, T], Sequence[Change]],
    whole: Callable[[str, T], Whole] | None = None,
) -> KindDiff:
    """Compare the symbols of a kind by name; those that are on one side only have come or gone.

    ``whole`` tells what a symbol is recognized by under another name.
    """
    added = [name for name in new if name not in old]
    removed = [name for name in old if name not in new]
    changed = [(name, compare_statuses(old[name], new[name], compare)) for name in old if name in new]
    wholes: tuple[list[Whole], list[Whole]] = ([], [])
    if whole is not None:
        wholes = (
            [whole(name, old[name].variants[0].content) for name in removed],
            [whole(name, new[name].variants[0].content) for name in added],
        )
    return diff_kind(kind, added, removed, changed, wholes)
