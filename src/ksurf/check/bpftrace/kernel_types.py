"""The types of what a script reads of the kernel, as any kernel of a dataset has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ksurf.check.bcc.kernel_types import FieldTypes
from ksurf.check.dependency import Kind
from ksurf.dataset.lookup import tracepoints_named, types_named
from ksurf.dataset.rows import Definition
from ksurf.kernel import Kernel
from ksurf.surface.tracepoint import prototype_names

__all__ = ["KernelTypes"]


class KernelTypes:
    """Answers what :func:`~ksurf.check.bpftrace.read_script` asks for as ``type_of``.

    Each name is looked up once. Kernels may differ in a type: it is that of the first which has it.
    """

    def __init__(self, kernels: Sequence[tuple[Kernel, Path]]) -> None:
        """Ask these kernels, which are given with their directories."""
        self._kernels = kernels
        self._fields = FieldTypes(kernels)
        self._parameters: dict[str, dict[str, str]] = {}
        self._events: dict[str, dict[str, str]] = {}

    def __call__(self, kind: Kind, name: str) -> str | None:
        """The C type of a field, a parameter, what a function returns, or a field of an event."""
        owner, _, rest = name.partition("::")
        match kind:
            case Kind.FIELD:
                return self._fields(owner, rest)
            case Kind.PARAMETER:
                return self._of((owner,), owner).get(rest)
            case Kind.TRACEPOINT_FIELD if ":" not in owner:
                return self._of(prototype_names(owner), f"{owner}::").get(rest)
            case Kind.TRACEPOINT_FIELD:
                return self._event(owner).get(rest)
            case _:
                return None

    def _of(self, functions: Sequence[str], key: str) -> dict[str, str]:
        """Parameters by name and by place, and ``return``."""
        if key not in self._parameters:
            held: dict[str, str] = {}
            found = types_named(sorted(functions), self._kernels, kinds=("func", "typedef"))
            for function in functions:
                for rows in found[function]:
                    for row in rows.types:
                        for name, type in _parameters(row.definition, traced=len(functions) > 1):
                            held.setdefault(name, type)
            self._parameters[key] = held
        return self._parameters[key]

    def _event(self, event: str) -> dict[str, str]:
        if event not in self._events:
            held: dict[str, str] = {}
            for rows in tracepoints_named([event], self._kernels)[event]:
                for row in rows:
                    for field in row.fields:
                        # An array's size stands after the name: char prev_comm[16].
                        name, bracket, size = field.name.partition("[")
                        held.setdefault(name, f"{field.type} {bracket}{size}".strip())
            self._events[event] = held
        return self._events[event]


def _parameters(definition: Definition, *, traced: bool) -> Iterator[tuple[str, str]]:
    """The first parameter of what calls a tracepoint's probes is theirs, and is not what is traced."""
    for at, member in enumerate(definition.members[traced:]):
        if member.type is not None:
            yield str(at), member.type
            if member.name is not None:
                yield member.name, member.type
    if definition.type is not None and definition.kind == "func":
        yield "return", definition.type
