"""Names that may have come for names that went, between two kernels of the dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ksurf.check.dependency import Kind
from ksurf.check.rules.parameter import parsed
from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import callers_named
from ksurf.dataset.rows import Definition
from ksurf.kernel import Kernel
from ksurf.surface.change import RenameProposed
from ksurf.surface.kfunc import is_kfunc
from ksurf.surface.lsm import HOOKS_UNION, Hook, hook_callers, hooks
from ksurf.surface.rename import NAME_LIMIT, Whole, name_similarity, propose_wholes
from ksurf.surface.type_change import type_whole
from ksurf.surface.types import prototype_text

__all__ = ["Successors"]

Place = tuple[Kernel, Path]
Wholes = tuple[list[Whole], list[Whole]]

_CLOSE = 0.5
"""Names that have so much in common are worth a look at who calls them."""
_ALIKE = 2 / 3
"""Types of a single part, a typedef of ``int``, are too many to tell any: their names must have this much in
common."""
_TYPES = {Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF}


class Successors:
    """Looks for successors; what it has read of a kernel it keeps for the next pair."""

    def __init__(self) -> None:
        """Read nothing yet."""
        self._functions_of: dict[Path, Any] = {}

    def named(self, kind: Kind, names: Collection[str], old: Place, new: Place) -> list[RenameProposed]:
        """The renames that are proposed of functions, exports, kfuncs, events, hooks and types that the new
        kernel has not.

        All that went and came in the same places takes part, so that a name goes to what it fits best.
        """
        match kind:
            case Kind.FUNCTION:
                proposed = self._functions(names, old, new)
            case Kind.EXPORT:
                proposed = self._functions(names, old, new, _exports)
            case Kind.KFUNC:
                proposed = self._functions(names, old, new, _kfuncs)
            case Kind.TRACEPOINT:
                proposed = propose_wholes(*_events(names, old, new))
            case Kind.LSM:
                proposed = self._hooks(names, old, new)
            case _ if kind in _TYPES:
                proposed = _types(kind, names, old, new)
            case _:
                proposed = []
        return [rename for rename in proposed if rename.old in names]

    def _functions(
        self,
        names: Collection[str],
        old: Place,
        new: Place,
        among: Callable[[Place], set[str]] | None = None,
    ) -> list[RenameProposed]:
        """Functions declared in the same files, by their parameters, or if these do not tell, by callers.

        ``among`` tells which of a kernel's are looked at.
        """
        went, came = self._gone_and_come(names, old, new)
        if among is not None and went and came:
            went, came = (
                {name: file for name, file in own.items() if name in known}
                for own, known in ((went, among(old)), (came, among(new)))
            )
        if not went or not came:
            return []
        sides = _function_wholes(went, old), _function_wholes(came, new)
        proposed = propose_wholes(*sides)
        left = set(names) - {rename.old for rename in proposed}
        if any(name_similarity(one, name) >= _CLOSE for one in left for name in came):
            proposed += [one for one in propose_wholes(*_with_callers(sides, old, new)) if one.old in left]
        return proposed

    def _hooks(self, names: Collection[str], old: Place, new: Place) -> list[RenameProposed]:
        """Hooks by the functions that call them: the same one, or its successor.

        What a hook takes tells less: a function that stays and calls none any more has lost its hook.
        """
        before, after = _all_hooks(old, new)
        callers = {name: hook_callers(name) for name in names}
        functions = {one for held in callers.values() for one in held}
        had, has = self._known(functions, old), self._known(functions, new)
        came: dict[str, str] = {}
        for name in sorted(after.keys() - before.keys(), reverse=True):
            came.update(dict.fromkeys(hook_callers(name), name))
        proposed: list[RenameProposed] = []
        gone: dict[str, str] = {}
        untold: set[str] = set()
        for name in sorted(names):
            caller = next((one for one in callers[name] if one in had), None)
            if caller is None:
                untold.add(name)
            elif caller not in has:
                gone[caller] = name
            elif caller in came:
                proposed.append(RenameProposed(name, came[caller], 1.0, (f"both called by {caller}",)))
        for rename in self._functions(gone, old, new) if gone else ():
            if rename.old in gone and rename.new in came:
                evidence = (f"called by {rename.new}, and that by {rename.old}", *rename.evidence)
                proposed.append(RenameProposed(gone[rename.old], came[rename.new], rename.score, evidence))
        if untold:
            proposed += [one for one in propose_wholes(*_hook_wholes(before, after)) if one.old in untold]
        return proposed

    def _known(self, names: Collection[str], place: Place) -> set[str]:
        """Those of the names that functions of a kernel have."""
        import pyarrow as pa
        import pyarrow.compute as pc

        own = self._table(place)["name"]
        mask = pc.is_in(own, value_set=pa.array(sorted(names), pa.string()))
        return set(own.filter(mask).to_pylist())

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
            columns = (rows[name].to_pylist() for name in ("name", "decl_file", "external"))
            files_of: dict[str, str | None] = {}
            for name, file, external in zip(*columns, strict=True):
                # Of several of a name the one that others call.
                if external or name not in files_of:
                    files_of[name] = file
            sides.append(
                {name: file for name, file in files_of.items() if name not in there and _is_near(name, names)}
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


def _all_hooks(old: Place, new: Place) -> tuple[dict[str, Hook], dict[str, Hook]]:
    found = lookup.types_named([HOOKS_UNION], [old, new], kinds=("union",), uses=False)[HOOKS_UNION]
    sides = [hooks(rows.types[0].definition if rows.types else None, ()) for rows in found]
    return sides[0], sides[1]


def _hook_wholes(old: Mapping[str, Hook], new: Mapping[str, Hook]) -> Wholes:
    result = []
    for own, other in ((old, new), (new, old)):
        result.append(
            [
                Whole(name, name, "lsm", frozenset(hook.prototype.partition(f"{name}(")[2].split(", ")))
                for name, hook in own.items()
                if name not in other
            ]
        )
    return result[0], result[1]


def _exports(place: Place) -> set[str]:
    return set(lookup.export_names([place]).to_pylist())


def _kfuncs(place: Place) -> set[str]:
    return {row.name for row in lookup.btf_ids([place])[0] if is_kfunc(row)}


def _types(kind: Kind, names: Collection[str], old: Place, new: Place) -> list[RenameProposed]:
    """Types of a kind by their parts."""
    before, after = (set(lookup.type_names([place], kinds=(kind.value,)).to_pylist()) for place in (old, new))
    went, came = (
        _definitions(kind, [one for one in own if _is_near(one, names)], place)
        for own, place in ((before - after, old), (after - before, new))
    )
    sides = [{name: type_whole(one) for name, one in own.items()} for own in (went, came)]
    return [
        rename
        for rename in propose_wholes(*(list(own.values()) for own in sides))
        if len(sides[0][rename.old].shape) > 1 or name_similarity(rename.old, rename.new) >= _ALIKE
    ]


def _is_near(name: str, names: Collection[str]) -> bool:
    return any(name_similarity(name, one) >= NAME_LIMIT for one in names)


def _definitions(kind: Kind, names: Collection[str], place: Place) -> dict[str, Definition]:
    found = lookup.types_named(sorted(names), [place], kinds=(kind.value,), uses=False)
    return {name: rows[0].types[0].definition for name, rows in found.items() if rows[0].types}
