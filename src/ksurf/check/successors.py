"""Names that may have come for names that went, between two kernels of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ksurf.check.dependency import Kind
from ksurf.check.rules.parameter import parsed
from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import callers_named
from ksurf.kernel import Kernel
from ksurf.surface.change import RenameProposed
from ksurf.surface.lsm import HOOKS_UNION, hooks
from ksurf.surface.rename import NAME_LIMIT, Whole, name_similarity, propose_wholes
from ksurf.surface.types import prototype_text

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

    columns = {"functions": ("name", "decl_file", "external")}
    before, after = (held["functions"] for held in lookup.read_tables([old[1], new[1]], columns))
    wanted = before.filter(pc.is_in(before["name"], value_set=pa.array(sorted(names), pa.string())))
    files = pc.drop_null(wanted["decl_file"].combine_chunks()).unique()
    all_external = pc.all(wanted["external"], skip_nulls=False).as_py()
    sides = []
    for own, other in ((before, after), (after, before)):
        rows = own.filter(pc.is_in(own["decl_file"], value_set=files))
        if all_external:
            rows = rows.filter(rows["external"])
        there = other["name"].filter(
            pc.is_in(other["name"], value_set=rows["name"].combine_chunks().unique())
        )
        known = set(there.to_pylist())
        files_of = dict(zip(rows["name"].to_pylist(), rows["decl_file"].to_pylist(), strict=True))
        sides.append(
            {
                name: file
                for name, file in files_of.items()
                if name not in known and any(name_similarity(name, one) >= NAME_LIMIT for one in names)
            }
        )
    went, came = sides
    if not went or not came:
        return [], []
    return _function_wholes(went, old), _function_wholes(came, new)


def _function_wholes(files: Mapping[str, str | None], place: Place) -> list[Whole]:
    names = sorted(files)
    prototypes = lookup.types_named(names, [place], kinds=("func",), uses=False)
    callers = callers_named(names, [place])[0]
    wholes = []
    for name in names:
        rows = prototypes[name][0].types
        taken = parsed([prototype_text(rows[0].definition)], name) if rows else []
        shape = [taken[0].return_type, *(param.text for param in taken[0].params)] if taken else []
        wholes.append(Whole(name, name, files[name], frozenset(shape), callers[name]))
    return wholes


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
