"""Who calls a function, and whom it calls: from the code of kernels, from fields, or from names alone.

Pure functions over rows; the kernels on which the same is true are told together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ksurf.dataset.rows import FileRows, FunctionRows
from ksurf.kernel import Kernel
from ksurf.source.join.dispatch import Dispatch
from ksurf.source.place import Place

__all__ = ["Edge", "EdgeKind", "callees", "callers", "possible_callees", "possible_callers"]


class EdgeKind(StrEnum):
    """How one function leads to another, in the order of a list."""

    INLINED = "inlined"
    """A copy of the called function stands in the other's code."""
    DIRECT = "called"
    """The code of the called function is called."""
    POSSIBLE = "possible"
    """A call through a field in which the function is stored."""
    WRITTEN = "written"
    """The text says so; no kernel was asked."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A function on the other side of a call, and the kernels where it is so."""

    function: str
    kind: EdgeKind
    chain: tuple[str, ...]
    """Functions that are inlined between the one whose code it is and the call, outermost first."""
    place: Place | None
    """Where the call is written, in the source of the newest of the kernels."""
    kernels: tuple[Kernel, ...]
    copies: int = 1
    """Places in the code of the newest of the kernels."""
    field: str | None = None
    """Of a possible call: the field, ``file_operations::read``."""


_Key = tuple[str, EdgeKind, tuple[str, ...], str | None]


class _Edges:
    """Edges by what they have in common on several kernels."""

    def __init__(self) -> None:
        self._places: dict[_Key, dict[Kernel, list[tuple[int | None, int]]]] = {}

    def add(
        self,
        function: str,
        kind: EdgeKind,
        chain: tuple[str, ...],
        file: str | None,
        line: int | None,
        kernel: Kernel,
        copies: int,
    ) -> None:
        held = self._places.setdefault((function, kind, chain, file), {})
        held.setdefault(kernel, []).append((line, copies))

    def made(self) -> tuple[Edge, ...]:
        order = list(EdgeKind)
        found = [self._edge(key, held) for key, held in self._places.items()]
        return tuple(sorted(found, key=lambda one: (order.index(one.kind), one.function, one.chain)))

    def _edge(self, key: _Key, held: dict[Kernel, list[tuple[int | None, int]]]) -> Edge:
        function, kind, chain, file = key
        newest = held[max(held)]
        line = min((line for line, _ in newest if line is not None), default=None)
        place = None if file is None or line is None else Place(file, line)
        return Edge(function, kind, chain, place, tuple(sorted(held)), sum(copies for _, copies in newest))


def callers(kernels: Iterable[FunctionRows]) -> tuple[Edge, ...]:
    """The functions whose code calls another, or holds copies of it, on these kernels."""
    edges = _Edges()
    for rows in kernels:
        for site in rows.call_sites:
            chain = tuple(frame.function for frame in site.chain or ())
            kind = EdgeKind.INLINED if site.inline else EdgeKind.DIRECT
            edges.add(site.caller, kind, chain, site.file, site.line, rows.kernel, 1)
    return edges.made()


def callees(kernels: Iterable[FileRows]) -> tuple[Edge, ...]:
    """The functions that another's code calls or holds copies of, on these kernels."""
    edges = _Edges()
    for rows in kernels:
        files = {function.id: function.decl_file for function in rows.functions}
        for call in rows.calls:
            # In an inlined function a call without a file is in that function's, which is not known here.
            file = call.file or (files.get(call.function) if not call.chain else None)
            kind = EdgeKind.INLINED if call.inline else EdgeKind.DIRECT
            edges.add(call.callee, kind, call.chain, file, call.line, rows.kernel, call.copies)
    return edges.made()


def possible_callers(name: str, dispatch: Dispatch, kernels: Sequence[Kernel]) -> tuple[Edge, ...]:
    """Those who call through a field in which the function is stored."""
    return tuple(
        Edge(call.caller or "", EdgeKind.POSSIBLE, (), call.place, tuple(kernels), field=str(call.field))
        for call in dispatch.callers_of(name)
    )


def possible_callees(name: str, dispatch: Dispatch, kernels: Sequence[Kernel]) -> tuple[Edge, ...]:
    """The functions that are stored in a field through which the function calls."""
    return tuple(
        Edge(one.function, EdgeKind.POSSIBLE, (), one.place, tuple(kernels), field=str(field))
        for field in dispatch.calls_in(name)
        for one in dispatch.stored_in(field)
    )
