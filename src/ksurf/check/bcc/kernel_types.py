"""The types of kernel structs' fields, as any kernel of a dataset has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ksurf.check.bcc.c_types import parse_type
from ksurf.dataset.lookup import types_named
from ksurf.dataset.rows import Definition
from ksurf.kernel import Kernel

__all__ = ["FieldTypes"]

_KINDS = ("struct", "union", "typedef")
_DEPTH = 16
"""Structs inside each other."""


class FieldTypes:
    """Answers what the type of a field is; each struct is looked up once."""

    def __init__(self, kernels: Sequence[tuple[Kernel, Path]]) -> None:
        """Ask these kernels, which are given with their directories."""
        self._kernels = kernels
        self._known: dict[str, list[Definition]] = {}

    def __call__(self, struct: str, path: str) -> str | None:
        """The C type of ``struct``'s field ``path``, where some kernel has it."""
        return self._found(struct, path, 0)

    def _found(self, struct: str, path: str, depth: int) -> str | None:
        if depth > _DEPTH:
            return None
        for definition in self._definitions(struct):
            for name, type in _members(definition):
                if name == path:
                    return type
                inner = parse_type(type) if path.startswith(f"{name}.") else None
                if inner is None or inner.pointers:
                    continue
                base = inner.base.removeprefix("struct ").removeprefix("union ")
                if (found := self._found(base, path[len(name) + 1 :], depth + 1)) is not None:
                    return found
        return None

    def _definitions(self, struct: str) -> list[Definition]:
        if struct not in self._known:
            distinct: dict[int, Definition] = {}
            for rows in types_named([struct], self._kernels, kinds=_KINDS)[struct]:
                distinct.update((one.definition.key, one.definition) for one in rows.types)
            self._known[struct] = list(distinct.values())
        return self._known[struct]


def _members(definition: Definition) -> Iterator[tuple[str, str]]:
    """The named members, those of unnamed structs too, by their path; and their types."""
    above: list[str | None] = []
    for member in definition.members:
        del above[member.depth :]
        above.append(member.name)
        if member.name is not None and member.type is not None:
            yield ".".join(name for name in above if name), member.type
