"""One symbol on two kernels, side by side."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ksurf.dataset.lookup import attach_rows, functions_named, kernel_marks, type_names
from ksurf.dataset.rows import Definition, Function
from ksurf.report.attachability import ATTACHABILITY, EVERY_FUNCTION
from ksurf.report.condense import condensed
from ksurf.report.find import Kernels, near_names, statuses_of
from ksurf.report.kinds import KINDS, SymbolKind, comparison
from ksurf.report.near import near
from ksurf.report.verdicts import with_verdicts
from ksurf.surface.attach import Mechanism, Verdict, attach_any, features_of
from ksurf.surface.attach_change import by_name
from ksurf.surface.change import Change
from ksurf.surface.function import judge
from ksurf.surface.function_change import compare_functions
from ksurf.surface.holes import layout
from ksurf.surface.symbol import SymbolStatus
from ksurf.web.addresses import LiveAddresses, compare_path, field_name
from ksurf.web.pages import NotFoundError, explorer_of, page
from ksurf.web.side_by_side import (
    Line,
    attach_pairs,
    enum_lines,
    folded,
    is_laid_out,
    layout_lines,
    prototype_lines,
    summary,
    text_lines,
)
from ksurf.web.symbol_model import Cell, cell_of
from ksurf.web.views.kernels import kernels_named

__all__ = ["symbol"]

T = TypeVar("T")
_Place = tuple[str | None, int | None]

_VARIABLE: SymbolKind[Definition] = replace(
    KINDS["typedef"], name="var", title="Variable", facts=lambda one: {"type": one.type or "void"}
)
_SHOWN_PARTS = 24
"""Definitions of one name that are shown."""
_SHOWN_LINES = 6000
"""Lines of one definition that are shown; the longest enums have some thousands."""
_ATTACHED = ("function", "tracepoint", "syscall", "lsm", "kfunc")
"""Kinds of which something can be attached to, or called, by the name."""


@dataclass(frozen=True, slots=True)
class Part:
    """One definition beside the other."""

    lines: tuple[Line, ...]
    left: str = ""
    """Where it is on the old kernel, and how large."""
    right: str = ""
    changed: bool = True
    more: int = 0
    """Lines that are left out."""

    @property
    def placed(self) -> bool:
        """Its lines have offsets and sizes."""
        return any(cell.offset for line in self.lines for cell in (line.left, line.right) if cell is not None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A symbol of a kind on two kernels."""

    title: str
    cells: tuple[Cell, Cell]
    parts: tuple[Part, ...]
    changes: tuple[Change, ...]
    attach: tuple[Mapping[Mechanism, Verdict], Mapping[Mechanism, Verdict]]
    places: tuple[tuple[_Place, ...], tuple[_Place, ...]] = ((), ())
    """File and line where a function is declared."""


def symbol(request: Request) -> Response:
    """The page of one symbol."""
    params, explorer = request.path_params, explorer_of(request)
    snapshot = explorer.snapshot()
    old, new = kernels_named(snapshot, params["old"], params["new"])
    kind = params["kind"]
    name = field_name(params["name"]) if kind == "field" else params["name"]
    if kind not in {"function", *KINDS, _VARIABLE.name, ATTACHABILITY}:
        raise NotFoundError(
            "there is no such kind of symbol", [(f"{old.id} and {new.id}", compare_path(old.id, new.id))]
        )
    if (params["old"], params["new"]) != (old.id, new.id):
        here = compare_path(old.id, new.id, None, kind, name)
        return RedirectResponse(LiveAddresses().to(here, dict(request.query_params)), 303)
    places = [(kernel, snapshot.store.directory(kernel.id)) for kernel in (old, new)]
    found = _compare(kind, name, places)
    if found is None:
        raise _missing(kind, name, places)
    only = request.query_params.get("only") == "changes"
    parts = [replace(part, lines=tuple(folded(part.lines))) if only else part for part in found.parts]
    return page(
        request,
        "compare_symbol.html",
        labels=snapshot.labels,
        old=old,
        new=new,
        kind=kind,
        name=name,
        found=found,
        parts=parts[:_SHOWN_PARTS],
        left_out=len(parts) - _SHOWN_PARTS,
        attach=attach_pairs(*found.attach),
        only=only,
        has_page=kind in {"function", *KINDS},
        here=compare_path(old.id, new.id, None, kind, name),
        turned=compare_path(new.id, old.id, None, kind, name),
        whole=compare_path(old.id, new.id),
        source=[explorer.source_links(kernel) for kernel in (old, new)] if any(found.places) else [],
    )


def _missing(kind: str, name: str, places: Kernels) -> NotFoundError:
    ids = [kernel.id for kernel, _ in places]
    if kind == _VARIABLE.name:
        names = near(name, type_names(places, kinds=(kind,)))
    else:
        names = near_names("function" if kind == ATTACHABILITY else kind, places, name)
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    what = "nothing to attach to" if kind == ATTACHABILITY else f"no {kind}"
    return NotFoundError(
        f"{what} {shown} on either kernel",
        [(one, compare_path(ids[0], ids[1], None, kind, one)) for one in names],
    )


def _compare(kind: str, name: str, places: Kernels) -> Comparison | None:
    """Look a symbol up on both kernels; ``None`` if neither has it."""
    if kind == "function":
        return _function(name, places)
    if kind == ATTACHABILITY:
        return _attachability(name, places)
    return _symbol(kind, name, places)


def _function(name: str, places: Kernels) -> Comparison | None:
    rows, about = functions_named([name], places)[name], attach_rows([name], places)[name]
    old, new = (judge(own, also) for own, also in zip(rows, about, strict=True))
    if not old.is_present and not new.is_present:
        return None
    _, changes = compare_functions(old, new)
    return Comparison(
        "Function",
        (cell_of(old, None), cell_of(new, None)),
        tuple(_prototypes(name, old.definitions, new.definitions)),
        tuple(changes or ()),
        (by_name(old.attach or ()), by_name(new.attach or ())),
        (_decls(old.definitions), _decls(new.definitions)),
    )


def _decls(functions: Sequence[Function]) -> tuple[_Place, ...]:
    return tuple(dict.fromkeys((one.decl_file, one.decl_line) for one in functions if one.decl_file))


def _prototypes(name: str, old: Sequence[Function], new: Sequence[Function]) -> list[Part]:
    """The distinct prototypes: the same ones, those of one file, and what is left in its order."""
    sides = [{one.prototype: one for one in reversed(own) if one.prototype} for own in (old, new)]
    left, right = (list(reversed(own.values())) for own in sides)
    parts = []
    for a, b in paired(left, right, lambda one: one.prototype, lambda one: one.decl_file):
        texts = [None if one is None else one.prototype for one in (a, b)]
        places = ["" if one is None else one.decl_file or "" for one in (a, b)]
        several = len(left) > 1 or len(right) > 1
        lines = prototype_lines(texts[0], texts[1], name)
        parts.append(_part(lines, places if several else ("", ""), changed=texts[0] != texts[1]))
    return sorted(parts, key=lambda part: not part.changed)


def _part(lines: Sequence[Line], notes: Sequence[str], *, changed: bool) -> Part:
    more = max(0, len(lines) - _SHOWN_LINES)
    return Part(tuple(lines[:_SHOWN_LINES]), notes[0], notes[1], changed, more)


def _symbol(kind: str, name: str, places: Kernels) -> Comparison | None:
    about = KINDS.get(kind, _VARIABLE)
    old, new = with_verdicts(kind, statuses_of(kind, [name], places), places)[name]
    if not old.is_present and not new.is_present:
        return None
    _, changes = comparison(about)(old, new)
    return Comparison(
        about.title,
        (cell_of(old, about), cell_of(new, about)),
        tuple(_variants(about, old, new)),
        tuple(condensed(changes or ())),
        (old.attach, new.attach),
    )


def _variants(kind: SymbolKind[Any], old: SymbolStatus[Any], new: SymbolStatus[Any]) -> list[Part]:
    several = len(old.variants) > 1 or len(new.variants) > 1
    pairs = paired(
        old.variants,
        new.variants,
        lambda one: (one.scope, one.key),
        lambda one: (one.scope, one.images),
        lambda one: one.scope,
    )
    parts = []
    for a, b in pairs:
        contents = [None if one is None else one.content for one in (a, b)]
        notes = ["" if one is None or not several else one.place for one in (a, b)]
        same = a is not None and b is not None and (a.scope, a.key) == (b.scope, b.key)
        parts.append(_content(kind, contents, notes, changed=not same))
    return sorted(parts, key=lambda part: not part.changed)


def _content(kind: SymbolKind[Any], contents: Sequence[Any], notes: Sequence[str], *, changed: bool) -> Part:
    types = [one for one in contents if isinstance(one, Definition)]
    if any(map(is_laid_out, types)):
        old, new = (None if one is None else layout(one) for one in contents)
        sizes = ["" if one is None else summary(one) for one in (old, new)]
        words = ["; ".join(text for text in own if text) for own in zip(notes, sizes, strict=True)]
        return _part(layout_lines(old, new), words, changed=changed)
    if any(member.value is not None for one in types for member in one.members):
        return _part(enum_lines(contents[0], contents[1]), notes, changed=changed)
    texts = [[] if one is None else [line.text for line in kind.lines(one, True)] for one in contents]
    return _part(text_lines(*texts), notes, changed=changed)


def paired(
    old: Sequence[T], new: Sequence[T], *keys: Callable[[T], Hashable]
) -> list[tuple[T | None, T | None]]:
    """Pairs of what has the same key, by one key after the other, then by order; what is left has none."""
    left, right = list(old), list(new)
    pairs: list[tuple[T | None, T | None]] = []
    for key in keys:
        waiting: dict[Hashable, list[T]] = {}
        for one in right:
            waiting.setdefault(key(one), []).append(one)
        rest = []
        for one in left:
            if others := waiting.get(key(one)):
                pairs.append((one, others.pop(0)))
            else:
                rest.append(one)
        left, right = rest, [one for others in waiting.values() for one in others]
    common = min(len(left), len(right))
    pairs += zip(left[:common], right[:common], strict=True)
    pairs += [(one, None) for one in left[common:]]
    pairs += [(None, one) for one in right[common:]]
    return pairs


def _attachability(name: str, places: Kernels) -> Comparison | None:
    """What can be attached by a name, whatever has it."""
    if name == EVERY_FUNCTION:
        marks = kernel_marks(places)
        old, new = (attach_any(features_of(own)) for own in marks)
        cell = Cell("", "", "what the kernel can attach to functions at all")
        return Comparison("Attachability", (cell, cell), (), (), (old, new))
    found = [one for kind in _ATTACHED if (one := _compare(kind, name, places)) is not None]
    sides: list[Mapping[Mechanism, Verdict]] = [by_name(one.attach[at] for one in found) for at in (0, 1)]
    if not any(sides):
        return None
    words = ", ".join(one.title.lower() for one in found)
    cells = [Cell("", "", words if any(own) else "nothing") for own in sides]
    return Comparison("Attachability", (cells[0], cells[1]), (), (), (sides[0], sides[1]))
