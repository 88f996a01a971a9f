"""What is common to all symbols but functions: a name on a kernel, with one definition, several, or none."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.change import Change, DefinitionAdded, DefinitionRemoved
from ksurf.surface.function import Status

__all__ = ["SymbolStatus", "Variant", "compare_statuses", "found", "images_text"]

T = TypeVar("T")

_NEAREST_LIMIT = 8
"""Definitions without a namesake in the same place are compared each with each; not if there are more."""


@dataclass(frozen=True, slots=True)
class Variant(Generic[T]):
    """One definition of a name, and where it is."""

    key: Hashable
    """Equal for equal definitions."""
    content: T
    images: tuple[str, ...] = ()
    """The images that have it, vmlinux first; empty for what belongs to the kernel as a whole."""
    scope: str | None = None
    """The system of a trace event, the ABI of a system call: what may repeat a name without a collision."""

    @property
    def place(self) -> str:
        """Where it is, in words."""
        where = [*([self.scope] if self.scope else []), *([images_text(self.images)] if self.images else [])]
        return " in ".join(where)


def images_text(images: Sequence[str], limit: int = 4) -> str:
    """The names of images; the first few of many."""
    rest = len(images) - limit
    return ", ".join(images[:limit]) + (f" and {rest} more" if rest > 0 else "")


@dataclass(frozen=True, slots=True)
class SymbolStatus(Generic[T]):
    """A name of one kind on one kernel."""

    kernel: Kernel
    name: str
    variants: tuple[Variant[T], ...]
    reasons: tuple[str, ...] = ()
    """For a person: what the status rests on, where that is not plain from the rest."""
    attach: Mapping[Mechanism, Verdict] = field(default_factory=dict)
    """What can be attached to it by its name, or called; empty where that is no question."""

    @property
    def is_present(self) -> bool:
        """The kernel has it."""
        return bool(self.variants)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Absent, a collision, or none of these, which is OK."""
        if not self.variants:
            return (Status.ABSENT,)
        scopes = [variant.scope for variant in self.variants]
        return (Status.COLLISION,) if len(set(scopes)) < len(scopes) else ()


def found(
    kernel: Kernel,
    name: str,
    rows: Iterable[tuple[Hashable, T, str | None, str | None]],
    reasons: tuple[str, ...] = (),
) -> SymbolStatus[T]:
    """The status that rows make: of each its key, its content, its image and its scope.

    Rows of one key are one definition in several images. The definition of vmlinux comes first.
    """
    rows = list(rows)
    if len(rows) == 1:  # nearly always
        key, content, image, scope = rows[0]
        only = Variant(key, content, () if image is None else (image,), scope)
        return SymbolStatus(kernel, name, (only,), reasons)
    contents: dict[tuple[str | None, Hashable], T] = {}
    images: dict[tuple[str | None, Hashable], list[str]] = {}
    for key, content, image, scope in rows:
        contents.setdefault((scope, key), content)
        held = images.setdefault((scope, key), [])
        if image is not None and image not in held:
            held.append(image)
    variants = [
        Variant(key, content, tuple(sorted(images[scope, key], key=_image_order)), scope)
        for (scope, key), content in contents.items()
    ]
    variants.sort(key=lambda v: (v.scope or "", [_image_order(image) for image in v.images]))
    return SymbolStatus(kernel, name, tuple(variants), reasons)


def _image_order(image: str) -> tuple[bool, str]:
    return image != "vmlinux", image


def compare_statuses(
    old: SymbolStatus[T], new: SymbolStatus[T], compare: Callable[[T, T], Sequence[Change]]
) -> tuple[Change, ...]:
    """The changes between what two kernels have under one name.

    Definitions that both have are unchanged. Of the others those in the same scope are compared: the only one
    with the only one, else those of the same image, else each with the one that is nearest to it.
    """
    if len(old.variants) == len(new.variants) == 1:  # nearly always
        (only,), (other,) = old.variants, new.variants
        if only.scope == other.scope:
            return () if only.key == other.key else tuple(compare(only.content, other.content))
    same = {(v.scope, v.key) for v in old.variants} & {(v.scope, v.key) for v in new.variants}
    gone = [v for v in old.variants if (v.scope, v.key) not in same]
    come = [v for v in new.variants if (v.scope, v.key) not in same]
    changes: list[Change] = []
    left = list(come)
    unpaired = []
    for before in gone:
        after = _counterpart(before, left, compare, alone=len(gone) == 1)
        if after is None:
            unpaired.append(before)
            continue
        left.remove(after)
        changes += [change for change in compare(before.content, after.content) if change not in changes]
    changes += [DefinitionAdded(variant.place) for variant in left]
    changes += [DefinitionRemoved(variant.place) for variant in unpaired]
    return tuple(changes)


def _counterpart(
    before: Variant[T],
    candidates: Sequence[Variant[T]],
    compare: Callable[[T, T], Sequence[Change]],
    *,
    alone: bool,
) -> Variant[T] | None:
    candidates = [other for other in candidates if other.scope == before.scope]
    if alone and len(candidates) == 1:
        return candidates[0]
    here = set(before.images)
    near = [other for other in candidates if here.intersection(other.images)] or candidates
    if not near or len(near) > _NEAREST_LIMIT:
        return near[0] if near and near is not candidates else None
    return min(near, key=lambda other: len(compare(before.content, other.content)))
