"""Names that may have come for names that went, between two kernels of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from ksurf.check.dependency import Kind
from ksurf.check.rules.parameter import parsed
from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import callers_named
from ksurf.dataset.lookup.table import values_of
from ksurf.kernel import Kernel
from ksurf.surface.change import RenameProposed
from ksurf.surface.lsm import HOOKS_UNION, hooks
from ksurf.surface.rename import NAME_LIMIT, Whole, name_similarity, propose_wholes

__all__ = ["named_successors"]

Place = tuple[Kernel, Path]


def named_successors(kind: Kind, names: Collection[str], old: Place, new: Place) -> list[RenameProposed]:
    """The renames that are proposed of functions, exports, events and hooks that the new kernel has not.

    All that went and came in the same places takes part, so that a name goes to what it fits best.
    """
    find = _FIND.get(kind)
    if find is None:
        return []
    return [rename for rename in propose_wholes(*find(names, old, new)) if rename.old in names]


Wholes = tuple[list[Whole], list[Whole]]


def _functions(names: Collection[str], old: Place, new: Place) -> Wholes:
    """Functions declared in the same files; static ones take no part if none of those that went is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {"functions": ("name", "decl_file", "external", "prototype")}
    before, after = (held["functions"] for held in lookup.read_tables([old[1], new[1]], columns))
    wanted = before.filter(pc.is_in(before["name"], value_set=pa.array(sorted(names), pa.string())))
    files = pc.drop_null(wanted["decl_file"].combine_chunks()).unique()
    all_external = pc.all(wanted["external"], skip_nulls=False).as_py()
    result = []
    for place, own, other in ((old, before, after), (new, after, before)):
        rows = own.filter(pc.is_in(own["decl_file"], value_set=files))
        rows = rows.filter(pc.invert(pc.is_in(rows["name"], value_set=other["name"].combine_chunks())))
        if all_external:
            rows = rows.filter(rows["external"])
        held = sorted({*rows["name"].to_pylist()})
        near = [one for one in held if any(name_similarity(one, name) >= NAME_LIMIT for name in names)]
        rows = rows.filter(pc.is_in(rows["name"], value_set=pa.array(near, pa.string())))
        callers = callers_named(near, [place])[0] if near else {}
        result.append(_function_wholes(rows, callers))
    return result[0], result[1]


def _function_wholes(rows: Any, callers: Mapping[str, frozenset[str]]) -> list[Whole]:
    found: dict[str, Whole] = {}
    for name, file, prototype in zip(
        *(values_of(rows[column]) for column in ("name", "decl_file", "prototype")), strict=True
    ):
        taken = parsed([] if prototype is None else [prototype], name)
        shape = [taken[0].return_type, *(param.text for param in taken[0].params)] if taken else []
        found.setdefault(name, Whole(name, name, file, frozenset(shape), callers[name]))
    return list(found.values())


def _exports(names: Collection[str], old: Place, new: Place) -> Wholes:
    """Functions as above, of which the new kernel exports those that may be successors."""
    went, came = _functions(names, old, new)
    exported = set(lookup.export_names([new]).to_pylist())
    return went, [whole for whole in came if whole.name in exported]


def _events(names: Collection[str], old: Place, new: Place) -> Wholes:
    before, after = (lookup.tracepoint_names([place]) for place in (old, new))
    gone, come = sorted(before - after), sorted(after - before)
    systems = {name.partition(":")[0] for name in names if ":" in name}
    result = []
    for place, chosen in ((old, gone), (new, come)):
        near = [name for name in chosen if name.partition(":")[0] in systems]
        found = lookup.tracepoints_named(near, [place])
        result.append(
            [
                Whole(name, name, row.system, frozenset(f"{f.type} {f.name}" for f in row.fields))
                for name in near
                for row in found[name][0][:1]
            ]
        )
    return result[0], result[1]


def _hooks(names: Collection[str], old: Place, new: Place) -> Wholes:
    found = lookup.types_named([HOOKS_UNION], [old, new], kinds=("union",))[HOOKS_UNION]
    sides = [hooks(rows.types[0].definition if rows.types else None, ()) for rows in found]
    result = []
    for own, other in ((sides[0], sides[1]), (sides[1], sides[0])):
        result.append(
            [
                Whole(name, name, "lsm", frozenset(hook.prototype.partition(f"{name}(")[2].split(", ")))
                for name, hook in own.items()
                if name not in other
            ]
        )
    return result[0], result[1]


_FIND: Mapping[Kind, Callable[[Collection[str], Place, Place], Wholes]] = {
    Kind.FUNCTION: _functions,
    Kind.EXPORT: _exports,
    Kind.TRACEPOINT: _events,
    Kind.LSM: _hooks,
}
