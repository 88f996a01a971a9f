"""Differences between two kernels: what all changes have, and those that any symbol can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "Added",
    "Change",
    "DefinitionAdded",
    "DefinitionRemoved",
    "PrototypeChanged",
    "Removed",
    "RenameProposed",
    "shown_text",
]


class Change:
    """One difference. Each kind of it is a class, with what was (``old``), what is (``new``), or both.

    These are texts, or have one in their attribute ``text``.
    """

    __slots__ = ()
    label: ClassVar[str]
    """What a report calls it."""
    incidental: ClassVar[bool] = False
    """It follows from another change, here or elsewhere, and tells little alone."""

    @property
    def before(self) -> str | None:
        """What was, as one line; ``None`` if there was nothing."""
        return _line(getattr(self, "old", None))

    @property
    def after(self) -> str | None:
        """What is, as one line; ``None`` if there is nothing."""
        return _line(getattr(self, "new", None))

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """What a program wants beside the texts: names and numbers."""
        return {}


def _line(value: object) -> str | None:
    return None if value is None else shown_text(value)


def shown_text(value: object) -> str:
    """The text of something that a change is about: itself, or its attribute, or those of its parts."""
    if isinstance(value, str):
        return value
    if type(value) is tuple:
        return ", ".join(map(shown_text, value))
    return str(getattr(value, "text", value))


@dataclass(frozen=True, slots=True)
class Added(Change):
    """The new kernel has the symbol, the old one does not."""

    label = "Added"
    new: str


@dataclass(frozen=True, slots=True)
class Removed(Change):
    """The old kernel has the symbol, the new one does not."""

    label = "Removed"
    old: str


@dataclass(frozen=True, slots=True)
class DefinitionAdded(Change):
    """Both have the symbol, and the new one a further definition of it: in an image, a system, an ABI."""

    label = "Definition added"
    new: str


@dataclass(frozen=True, slots=True)
class DefinitionRemoved(Change):
    """Both have the symbol, and the old one had a further definition of it."""

    label = "Definition removed"
    old: str


@dataclass(frozen=True, slots=True)
class PrototypeChanged(Change):
    """What the kernel calls, or is called with, has other parameters or another result."""

    label = "Prototype changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RenameProposed(Change):
    """Something that was removed may be something that was added, under another name.

    This stands beside the removal and the addition, never instead of them.
    """

    label = "Rename proposed"
    old: str
    new: str
    score: float
    """From 0 to 1."""
    evidence: tuple[str, ...]
    """What the two have in common, for a person."""

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """The score and what it rests on."""
        return {"score": round(self.score, 2), "evidence": list(self.evidence)}
