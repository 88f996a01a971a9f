"""What a part of the source needs from outside, on each kernel: looked up, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import total_ordering
from typing import Any

from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import functions_in_brief
from ksurf.dataset.rows import Definition, FunctionRows
from ksurf.kernel import Kernel
from ksurf.report.find import Kernels, statuses_of
from ksurf.report.kinds import KINDS
from ksurf.source.join.functions import own_functions
from ksurf.source.outside import Need, NeedKind
from ksurf.surface.change import Change
from ksurf.surface.function import FunctionStatus, Status, judge
from ksurf.surface.history import SeriesHistory, histories
from ksurf.surface.prototype import compare_definitions
from ksurf.surface.symbol import SymbolStatus, compare_statuses, found
from ksurf.surface.type_change import EnumValueChanged
from ksurf.surface.types import enumerators, fields

__all__ = ["Cell", "Depended", "Standing", "depended"]

AnyStatus = FunctionStatus | SymbolStatus[Any]
Compare = Callable[[Any, Any], tuple[tuple[bool, bool], tuple[Change, ...] | None]]


@total_ordering
class Standing(Enum):
    """How something that the source needs stands on a kernel, from the best to the worst."""

    UNKNOWN = "not told"
    """No binary tells of such things, or not of this one."""
    SAME = "same"
    """As on the kernel that is compared with."""
    FORM = "other form"
    """Defined alike, but inlined, renamed, duplicated or placed otherwise: source does not notice."""
    CHANGED = "changed"
    """Defined otherwise."""
    ABSENT = "absent"

    def __lt__(self, other: object) -> bool:
        """Order by badness."""
        if not isinstance(other, Standing):
            return NotImplemented
        order = list(Standing)
        return order.index(self) < order.index(other)


@dataclass(frozen=True, slots=True)
class Cell:
    """Something that the source needs, on one kernel."""

    kernel: Kernel
    standing: Standing
    statuses: tuple[Status, ...] = ()
    """What is to be said of it there; none of them is OK."""
    changes: tuple[Change, ...] = ()
    """What differs from the kernel that is compared with."""


@dataclass(frozen=True, slots=True)
class Depended:
    """Something that the source needs, on all kernels."""

    need: Need
    cells: tuple[Cell, ...]
    """In the order of the kernels."""
    reference: Kernel | None
    """The kernel that the others are compared with; ``None`` if none has it."""
    histories: tuple[SeriesHistory, ...] = ()

    @property
    def worst(self) -> Standing:
        """The worst of the kernels."""
        return max((cell.standing for cell in self.cells), default=Standing.UNKNOWN)

    @property
    def is_same(self) -> bool:
        """It is the same wherever anything is known of it."""
        return self.worst <= Standing.SAME


def depended(needs: Sequence[Need], kernels: Kernels, source: Sequence[Kernel]) -> tuple[Depended, ...]:
    """How all that is needed stands on each of the kernels, the worst first, else in the order of the needs.

    It is compared with the first of ``source``, the kernels that were built from the source that was read,
    that has it; else with the newest that does.
    """
    statuses = _statuses(needs, kernels)
    order = [kernel for kernel, _ in kernels]
    made = [
        _depended(need, dict(zip(order, statuses[need], strict=True)), source)
        if need in statuses
        else Depended(need, tuple(Cell(kernel, Standing.UNKNOWN) for kernel in order), None)
        for need in needs
    ]
    worst_first = list(reversed(Standing))
    return tuple(sorted(made, key=lambda one: worst_first.index(one.worst)))


def _depended(need: Need, statuses: Mapping[Kernel, AnyStatus], source: Sequence[Kernel]) -> Depended:
    compare = _COMPARE[need.kind]
    having = [kernel for kernel in sorted(statuses) if statuses[kernel].is_present]
    first = next((kernel for kernel in source if kernel in having), having[-1] if having else None)
    if first is None:
        return Depended(need, tuple(Cell(kernel, Standing.UNKNOWN) for kernel in statuses), None)
    cells = tuple(
        _cell(kernel, status, statuses[first], compare, uses_it=kernel in source)
        for kernel, status in statuses.items()
    )
    return Depended(need, cells, first, tuple(histories(need.name, statuses, compare)))


def _cell(
    kernel: Kernel, status: AnyStatus, reference: AnyStatus, compare: Compare, *, uses_it: bool
) -> Cell:
    if not status.is_present:
        # Its source uses it, so that it is there: the binary alone has nothing of it.
        return Cell(kernel, Standing.UNKNOWN if uses_it else Standing.ABSENT, status.statuses)
    changes = compare(reference, status)[1] or ()
    if any(not change.incidental for change in changes):
        standing = Standing.CHANGED
    elif changes or status.statuses != reference.statuses:
        standing = Standing.FORM
    else:
        standing = Standing.SAME
    return Cell(kernel, standing, status.statuses, tuple(changes))


def _statuses(needs: Sequence[Need], kernels: Kernels) -> dict[Need, Sequence[AnyStatus]]:
    result: dict[Need, Sequence[AnyStatus]] = {}
    of_kind: dict[NeedKind, list[Need]] = {}
    for need in needs:
        of_kind.setdefault(need.kind, []).append(need)
    with lookup.reading_once():
        for kind, own in of_kind.items():
            match kind:
                case NeedKind.FUNCTION:
                    result.update(_functions(own, kernels))
                case NeedKind.FIELD:
                    result.update(_fields(own, kernels))
                case NeedKind.ENUMERATOR:
                    result.update(_enumerators(own, kernels))
                case NeedKind.GLOBAL:
                    result.update(_named("export", own, kernels))
                case NeedKind.MACRO:
                    pass
                case _:
                    result.update(_named(kind.value, own, kernels))
    return result


def _named(kind: str, needs: Sequence[Need], kernels: Kernels) -> dict[Need, Sequence[AnyStatus]]:
    statuses = statuses_of(kind, [need.name for need in needs], kernels)
    return {need: statuses[need.name] for need in needs}


def _functions(needs: Sequence[Need], kernels: Kernels) -> dict[Need, Sequence[AnyStatus]]:
    names = [need.name for need in needs]
    rows = functions_in_brief(names, kernels, placed=names, callers=False, prototypes=True)
    return {need: [judge(_meant(need, own)) for own in rows[need.name]] for need in needs}


def _meant(need: Need, rows: FunctionRows) -> FunctionRows:
    """Only the function that the source means, of all that share its name."""
    if need.is_defined and need.place is not None:
        functions = own_functions(rows.functions, need.place.file)
    else:
        # Declared in a header and defined elsewhere: nothing that is static.
        functions = tuple(one for one in rows.functions if one.external is not False)
    ids = {function.id for function in functions}
    return replace(
        rows,
        functions=functions,
        instances=tuple(one for one in rows.instances if one.function in ids),
        symbols=tuple(one for one in rows.symbols if one.function in ids),
    )


def _fields(needs: Sequence[Need], kernels: Kernels) -> dict[Need, Sequence[AnyStatus]]:
    """Fields by their path; the source names those of unnamed structs by the struct around these."""
    owned = [need for need in needs if "::" in need.name]
    owners = sorted({need.name.partition("::")[0] for need in owned})
    types = lookup.types_named(owners, kernels, kinds=("struct", "union", "typedef"), uses=False)
    paths: dict[Need, str] = {}
    for need in owned:
        owner, _, name = need.name.partition("::")
        definitions = (row.definition for rows in reversed(types[owner]) for row in rows.types)
        paths[need] = f"{owner}::{_path(definitions, name)}"
    statuses = statuses_of("field", sorted(set(paths.values())), kernels) if paths else {}
    return {need: statuses[path] for need, path in paths.items()}


def _path(definitions: Iterable[Definition], name: str) -> str:
    """The way to a field of a struct, or in an unnamed one inside of it, if there is one such way."""
    for definition in definitions:
        own = fields(definition)
        if name in own:
            return name
        inside = [path for path in own if path.endswith(f".{name}")]
        if len(inside) == 1:
            return inside[0]
    return name


def _enumerators(needs: Sequence[Need], kernels: Kernels) -> dict[Need, Sequence[AnyStatus]]:
    """Of enums that have a name: no table tells of the others."""
    owned = [need for need in needs if "::" in need.name]
    owners = sorted({need.name.partition("::")[0] for need in owned})
    types = lookup.types_named(owners, kernels, kinds=("enum",), uses=False)
    result: dict[Need, Sequence[AnyStatus]] = {}
    for need in owned:
        owner, _, name = need.name.partition("::")
        result[need] = [
            found(
                kernel,
                need.name,
                (
                    (value, (own, value), row.image, None)
                    for row in rows.types
                    for own, value in enumerators(row.definition).items()
                    if own == name
                ),
            )
            for (kernel, _), rows in zip(kernels, types[owner], strict=True)
        ]
    return result


def _compare_functions(
    old: FunctionStatus, new: FunctionStatus
) -> tuple[tuple[bool, bool], tuple[Change, ...] | None]:
    """Prototypes, also of what is only inlined: the source is compiled against these."""
    present = (old.is_present, new.is_present)
    return present, tuple(compare_definitions(old.definitions, new.definitions)) if all(present) else None


def _comparing(compare: Callable[[Any, Any], Sequence[Change]]) -> Compare:
    def both(
        old: SymbolStatus[Any], new: SymbolStatus[Any]
    ) -> tuple[tuple[bool, bool], tuple[Change, ...] | None]:
        present = (old.is_present, new.is_present)
        return present, compare_statuses(old, new, compare) if all(present) else None

    return both


def _compare_values(old: tuple[str, int], new: tuple[str, int]) -> Sequence[Change]:
    if old == new:
        return ()
    return (EnumValueChanged(*(f"{name} = {value}" for name, value in (old, new))),)


_COMPARE: dict[NeedKind, Compare] = {
    NeedKind.FUNCTION: _compare_functions,
    NeedKind.ENUMERATOR: _comparing(_compare_values),
    NeedKind.GLOBAL: _comparing(KINDS["export"].compare),
    **{
        kind: _comparing(KINDS[kind.value].compare)
        for kind in (NeedKind.STRUCT, NeedKind.UNION, NeedKind.ENUM, NeedKind.TYPEDEF, NeedKind.FIELD)
    },
}
