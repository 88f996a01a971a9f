"""What kernels made of a source file, as a page shows it: filled by :mod:`ksurf.source.join`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ksurf.kernel import Kernel
from ksurf.source.place import Place
from ksurf.surface.change import Change

__all__ = [
    "CallMark",
    "CallOutcome",
    "Caller",
    "FunctionChange",
    "FunctionFacts",
    "FunctionOnKernel",
    "LineMarks",
    "PageFacts",
]


class CallOutcome(StrEnum):
    """What a binary did with a call."""

    INLINED = "inlined"
    """A copy of the callee stands here."""
    DIRECT = "called"
    """The callee's own code is called."""
    POSSIBLE = "possible"
    """A pointer is called, and the function is stored where that pointer is read."""
    ABSENT = "absent"
    """The binary holds nothing of it: left out by the configuration, or removed by the compiler."""


@dataclass(frozen=True, slots=True)
class CallMark:
    """What became of one call of a line, on the kernels where it became that."""

    callee: str
    outcome: CallOutcome
    kernels: tuple[Kernel, ...]
    copies: int = 1
    """Places in the code of the first of these kernels that the call became: the function that it is written
    in may itself stand in several."""
    by_line: bool = True
    """The kernels were built from this source. Of others only the function and the callee are known to be
    these."""


@dataclass(frozen=True, slots=True)
class LineMarks:
    """What the binaries did with the calls of one line, in its order."""

    calls: tuple[CallMark, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """A function that calls another, and where that is written, if it is known."""

    function: str
    place: Place | None
    outcome: CallOutcome


@dataclass(frozen=True, slots=True)
class FunctionOnKernel:
    """What one kernel made of one function; what its evidence does not tell is ``None``."""

    kernel: Kernel
    is_compiled: bool | None
    """Whether its unit is part of this kernel, and the configuration leaves the function in it."""
    is_inlined: bool | None
    """Another function holds a copy."""
    out_of_line: bool | None
    """It has code of its own."""
    callers: tuple[Caller, ...] = ()
    """Those of code that is there first, possible ones last."""
    symbols: tuple[str, ...] = ()
    """What its code is called by, suffixes kept."""
    reason: str | None = None
    """Why there is nothing of it, or nothing known: one line."""


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """What differs between two kernels that stand side by side in the series."""

    old: Kernel
    new: Kernel
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """One function, on each kernel that is looked at, oldest first."""

    kernels: tuple[FunctionOnKernel, ...] = ()
    changes: tuple[FunctionChange, ...] = ()


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The join for one file. Nothing is known of what is missing in the mappings."""

    marks: Mapping[int, LineMarks] = field(default_factory=dict)
    """By line number, from 1."""
    functions: Mapping[str, FunctionFacts] = field(default_factory=dict)
    """By the name of a function that the file defines."""
