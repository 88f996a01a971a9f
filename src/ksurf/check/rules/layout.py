"""What a module was compiled with: the layout of a type, the prototype of a function."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ksurf.check.c_type import resolved, same_type
from ksurf.check.cause import Cause
from ksurf.check.facts import Facts
from ksurf.check.rules.case import FINE, Case, Ruling, changed, with_module
from ksurf.check.rules.parameter import parsed
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.dataset.rows import Definition
from ksurf.surface.change import Change
from ksurf.surface.prototype import (
    ParamRenamed,
    ParamTypeChanged,
    ReturnTypeChanged,
    compare_prototypes,
)
from ksurf.surface.type_change import EnumValueAdded, SizeChanged, compare_types

__all__ = ["REBUILD", "has_layout", "layout_rule", "prototype_changes", "told"]

REBUILD = Suggestion("build the module against this kernel's headers")
_RESTRICT = re.compile(r"\s*\brestrict\b")
_LONG = {"size_t": "long unsigned int", "ssize_t": "long int"}
_SIZES = re.compile(r"\b(s?size_t)\b")
_SHOWN = 4
"""Changes that are told one by one."""


def has_layout(definition: Definition, facts: Facts) -> bool:
    """Whether a kernel has a type just as it was compiled in."""
    rows = facts.definitions(definition.name, definition.kind)
    return any(row.definition.key == definition.key for row in rows)


def layout_rule(case: Case) -> Ruling:
    """Judge a type of the kernel by the layout that was compiled into a module."""
    built, *inside = case.dependency.layout
    what = f"{built.kind} {built.name}"
    rows = case.facts.definitions(built.name, built.kind)
    if not rows:
        if case.baseline is None or not case.baseline.definitions(built.name, built.kind):
            # Nothing of the kernel itself uses it, or the kernel does not tell: no debug information has it.
            return Ruling(Outcome.OK, "", (f"the kernel's types have no {what} to compare with",))
        return changed(
            Cause.TYPE_ABSENT,
            f"the kernel has no {what}: the module was built with it, for another kernel",
            (f"it is there on {case.baseline.kernel.release}",),
            (REBUILD,),
        )
    images = [row.image for row in rows]
    changes = _changes(built, case.facts)
    if not changes:
        inner = {f"{one.kind} {one.name}": found for one in inside if (found := _changes(one, case.facts))}
        if not inner:
            return with_module(FINE, images)
        what = f"{next(iter(inner))}, which is in {what}"
        changes = next(iter(inner.values()))
    # The size first: it tells most, and is told last.
    changes.sort(key=lambda change: (not isinstance(change, SizeChanged), change.incidental))
    consequence = (
        f"the module was built with other values of {what}"
        if built.kind == "enum"
        else f"the module was built with another layout of {what}: it reads and writes other memory"
    )
    return with_module(changed(Cause.LAYOUT_CHANGED, consequence, tuple(told(changes)), (REBUILD,)), images)


def _changes(built: Definition, facts: Facts) -> list[Change]:
    """How the kernel's types of that name differ, the nearest of them; none if it has none."""
    if has_layout(built, facts):
        return []
    rows = facts.definitions(built.name, built.kind)
    found = [compare_types(built, row.definition) for row in rows]
    # Who was built with some values does not care for more of them.
    return min(([c for c in one if not isinstance(c, EnumValueAdded)] for one in found), key=len, default=[])


def told(changes: Sequence[Change]) -> Iterable[str]:
    """The first changes in words, and how many more there are."""
    for change in changes[:_SHOWN]:
        yield f"{change.label}: {' -> '.join(text for text in (change.before, change.after) if text)}"
    if len(changes) > _SHOWN:
        yield f"and {len(changes) - _SHOWN} more changes"


def prototype_changes(name: str, built: str, facts: Facts) -> list[Change] | None:
    """How a kernel's prototypes of a function differ from the one that was compiled in, the nearest of them.

    Names of parameters, of types too, qualifiers and a result that was not there do not count. ``None`` if
    the kernel tells of no prototype.
    """
    aliases = facts.aliases()
    before = parsed((_plain(built),), name)
    found = [
        [change for change in compare_prototypes(before[0], other) if _matters(change, aliases)]
        for other in parsed([_plain(text) for text in facts.prototypes.get(name, ())], name)
        # Debug information says of functions in assembly that they take nothing and return nothing.
        if before and (other.params or other.return_type != "void" or not before[0].params)
    ]
    return min(found, key=len, default=None)


def _plain(prototype: str) -> str:
    """A prototype as a caller sees it; ``size_t`` is as wide as ``long`` wherever the kernel runs."""
    return _SIZES.sub(lambda found: _LONG[found[1]], _RESTRICT.sub("", prototype))


def _matters(change: Change, aliases: Mapping[str, str]) -> bool:
    def same(old: str, new: str) -> bool:
        return same_type(old, new) or same_type(resolved(old, aliases), resolved(new, aliases))

    match change:
        case ParamRenamed():
            return False
        case ParamTypeChanged(old=old, new=new):
            return not same(old.type, new.type)
        case ReturnTypeChanged(old=old_text, new=new_text):
            return old_text != "void" and not same(old_text, new_text)
        case _:
            return True
