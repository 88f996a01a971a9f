"""What is reached of an eBPF object on a kernel, in the words that the judge needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ksurf.check.dependency import Consumer
from ksurf.check.facts import Facts

__all__ = ["Place", "Relocated", "Walk", "Walked", "Walks"]


@dataclass(frozen=True, slots=True)
class Relocated:
    """What became of a CO-RE relocation on a kernel."""

    resolved: bool
    reached: bool = True
    """Whether the program gets to its instruction, with the constants of that kernel."""
    reason: str | None = None
    """Why it failed."""
    used: bool = True
    """Whether something depends on what the instruction gives, where it is reached."""


@dataclass(frozen=True, slots=True)
class Place:
    """What became of an instruction on a kernel."""

    reached: bool
    refused: bool = False
    """It is reached, and the program is refused for it: a weak function that is not there is called."""
    used: bool = True
    """Whether something depends on what the instruction gives, where it is reached."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What of an eBPF object is reached on a kernel, and what its relocations found there."""

    relocations: Mapping[int, Relocated] = field(default_factory=dict)
    """By :attr:`~ksurf.check.dependency.Use.relocation`."""
    places: Mapping[tuple[str, int], Place] = field(default_factory=dict)
    """By the program and the instruction of a use. Of places that are not here its guard tells."""


Walk = Callable[[Consumer, Facts], Walked]
"""Tells what is reached of a consumer on the kernel that the facts are of."""

Walks = Callable[[Sequence[Facts]], Walk]
"""Walks what there is on the kernels that the facts are of."""
