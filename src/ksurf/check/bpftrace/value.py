"""What is known of a value in a script, as far as it tells which fields of the kernel are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ksurf.check.bpftrace.declaration import Type

__all__ = ["Nothing", "Parts", "Unread", "Value", "parts", "pointed", "sum_of"]


PARTS_LIMIT = 256
"""How many values a tuple may be made of, those of tuples in it too. One in itself would double each time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A tuple, whose parts are called 0, 1, ..., or a record."""

    values: tuple[tuple[str, Value], ...]
    size: int
    """How many values it is made of, those of tuples in it too."""

    def get(self, name: str) -> Value:
        """The part of that name."""
        return next((value for own, value in self.values if own == name), None)


@dataclass(frozen=True, slots=True)
class Unread:
    """A value whose type is the kernel's, and nobody told it."""

    of: str
    """The name of the dependency that it comes from: ``task_struct::parent``."""


class Nothing(Enum):
    """Values that fields are read from without needing anything of the kernel by that."""

    ARGUMENTS = "args"
    """The arguments of the probe: each of them is a dependency of its own."""
    FOREIGN = "foreign"
    """Of a user's program, or of bpftrace itself."""


Value = Type | Parts | Unread | Nothing | None
"""``None`` is a number or text, or what the script does not tell."""


def parts(values: Sequence[Value], names: Sequence[str] | None = None) -> Value:
    """A tuple, or a record with ``names``; ``None`` if it is larger than :data:`PARTS_LIMIT`."""
    size = sum(one.size if isinstance(one, Parts) else 1 for one in values)
    if size > PARTS_LIMIT:
        return None
    keys = names if names is not None else [str(number) for number in range(len(values))]
    return Parts(tuple(zip(keys, values, strict=True)), size)


def pointed(value: Value) -> Value:
    """What ``*value`` and ``value[i]`` are."""
    return value.pointed() if isinstance(value, Type) else value


def sum_of(values: list[Value], operators: list[str]) -> Value:
    """The type of operands joined by operators: that of a pointer to which something is added."""
    if operators[0] not in "+-":
        return None
    for value in values[:2]:
        if (isinstance(value, Type) and value.suffix) or isinstance(value, Unread | Nothing):
            return value
    return None
