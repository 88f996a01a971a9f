"""Names that may have come for names that went, between two kernels of the dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ksurf.check.dependency import Kind
from ksurf.check.rules.parameter import parsed
from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import callers_named
from ksurf.kernel import Kernel
from ksurf.surface.change import RenameProposed
from ksurf.surface.lsm import HOOKS_UNION, hooks
from ksurf.surface.rename import NAME_LIMIT, Whole, name_similarity, propose_wholes
from ksurf.surface.types import prototype_text

__all__ = ["Successors"]

Place = tuple[Kernel, Path]
Wholes = tuple[list[Whole], list[Whole]]

_CLOSE = 0.5
"""Names that have so much in common are worth a look at who calls them."""


class Successors:
    """Looks for successors; what it has read of a kernel it keeps for the next pair."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._functions_of: dict[Path, Any] = {}

    def named(self, kind: Kind, names: Collection[str], old: Place, new: Place) -> list[RenameProposed]:
        """The renames that are proposed of functions, exports, events and hooks that the new kernel has not.

        All that went and came in the same places takes part, so that a name goes to what it fits best.
        """
        match kind:
            case Kind.FUNCTION | Kind.EXPORT:
                proposed = self._functions(names, old, new, exported=kind is Kind.EXPORT)
            case Kind.TRACEPOINT:
                proposed = propose_wholes(*_events(names, old, new))
            case Kind.LSM:
                proposed = propose_wholes(*_hooks(old, new))
            case _:
                proposed = []
        return [rename for rename in proposed if rename.old in names]

    def _functions(
        self, names: Collection[str], old: Place, new: Place, *, exported: bool
    ) -> list[RenameProposed]:
        """Functions declared in the same files, by their parameters, or if these do not tell, by callers."""
        went, came = self._gone_and_come(names, old, new)
        if exported and came:
            known = set(lookup.export_names([new]).to_pylist())
            came = {name: file for name, file in came.items() if name in known}
        if not went or not came:
            return []
        sides = _function_wholes(went, old), _function_wholes(came, new)
        proposed = propose_wholes(*sides)
        left = set(names) - {rename.old for rename in proposed}
        if any(name_similarity(one, name) >= _CLOSE for one in left for name in came):
            proposed += [one for one in propose_wholes(*_with_callers(sides, old, new)) if one.old in left]
        return proposed

    def _gone_and_come(
        self, names: Collection[str], old: Place, new: Place
    ) -> tuple[dict[str, str | None], dict[str, str | None]]:
        """The functions of the same files that only one kernel has, and the file of each; static ones take no
        part if none of those that are looked for is.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        before, after = self._table(old), self._table(new)
        wanted = before.filter(pc.is_in(before["name"], value_set=pa.array(sorted(names), pa.string())))
        files = pa.array(set(wanted["decl_file"].to_pylist()) - {None}, pa.string())
        all_external = pc.all(wanted["external"], skip_nulls=False).as_py()
        sides = []
        for own, other in ((before, after), (after, before)):
            rows = own.filter(pc.is_in(own["decl_file"], value_set=files))
            if all_external:
                rows = rows.filter(rows["external"])
            mine = rows["name"].combine_chunks().unique()
            there = set(other["name"].filter(pc.is_in(other["name"], value_set=mine)).to_pylist())
            files_of = dict(zip(rows["name"].to_pylist(), rows["decl_file"].to_pylist(), strict=True))
            sides.append(
                {
                    name: file
                    for name, file in files_of.items()
                    if name not in there and any(name_similarity(name, one) >= NAME_LIMIT for one in names)
                }
            )
        return sides[0], sides[1]

    def _table(self, place: Place) -> Any:
        directory = place[1]
        if directory not in self._functions_of:
            columns = {"functions": ("name", "decl_file", "external")}
            self._functions_of[directory] = lookup.read_tables([directory], columns)[0]["functions"]
        return self._functions_of[directory]


def _function_wholes(files: Mapping[str, str | None], place: Place) -> list[Whole]:
    names = sorted(files)
    prototypes = lookup.types_named(names, [place], kinds=("func",), uses=False)
    wholes = []
    for name in names:
        rows = prototypes[name][0].types
        taken = parsed([prototype_text(rows[0].definition)], name) if rows else []
        shape = [taken[0].return_type, *(param.text for param in taken[0].params)] if taken else []
        wholes.append(Whole(name, name, files[name], frozenset(shape)))
    return wholes


def _with_callers(sides: Wholes, old: Place, new: Place) -> Wholes:
    result = []
    for wholes, place in zip(sides, (old, new), strict=True):
        callers = callers_named([whole.name for whole in wholes], [place])[0]
        result.append([replace(whole, callers=callers[whole.name]) for whole in wholes])
    return result[0], result[1]


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


def _hooks(old: Place, new: Place) -> Wholes:
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
