"""What all figures have: their kernels, their words, and their numbers as rows."""

from __future__ import annotations

import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from ksurf.series import Column, Groups

__all__ = ["Figure", "Value", "command_line", "kernels_text", "regular_of"]

_VERSIONS, _SERIES = 6, 6
"""So many versions of a series, and series, are named one by one."""

Value = str | int | float | bool | None
"""What stands in a field of a row."""


@dataclass(frozen=True)
class Figure(ABC):
    """The data of a plot."""

    name: ClassVar[str]
    """What ``ksurf plot`` calls it."""

    columns: tuple[Column, ...]
    """The kernels that it is about, group by group."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it shows, in one line."""

    @property
    @abstractmethod
    def facts(self) -> str:
        """Of which kernels, or of what, in one line or two."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """How it was counted, and what a reader may ask."""

    @property
    @abstractmethod
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of a row."""

    @abstractmethod
    def rows(self) -> Iterable[Mapping[str, Value]]:
        """Every number that is drawn. The field ``source`` is a command line that tells the same number."""


def regular_of(groups: Groups) -> tuple[Column, ...]:
    """The versions of the baseline's distribution, architecture and flavor, the oldest first: from one
    distribution's kernel to another's is no step between versions.
    """
    return tuple(
        Column("Regular", member.label, member.kernel)
        for member in groups.regular
        if member.kernel.distro == groups.baseline.distro
    )


def kernels_text(columns: Sequence[Column]) -> str:
    """The kernels in a line: ``debian amd64 cloud 5.10.251, 6.1.192; arm64 cloud 6.1.192``."""

    def series(column: Column) -> tuple[str, str, str]:
        return column.kernel.distro, column.kernel.arch, column.kernel.flavor

    parts = []
    distro = None
    for key, own in groupby(columns, series):
        versions = list(dict.fromkeys(column.kernel.upstream for column in own))
        named = ", ".join(versions)
        if len(versions) > _VERSIONS:
            named = f"{versions[0]} to {versions[-1]} ({len(versions)} versions)"
        parts.append(" ".join([*([key[0]] if key[0] != distro else []), *key[1:], named]))
        distro = key[0]
    rest = len(parts) - _SERIES
    return "; ".join([*parts[:_SERIES], *([f"and {rest} more"] if rest > 0 else [])])


def command_line(*words: str) -> str:
    """A command line that a person can paste into a shell."""
    return shlex.join(("ksurf", *words))
