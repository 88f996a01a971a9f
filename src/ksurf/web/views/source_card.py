"""What is said of a name where the pointer or the focus rests on it: a piece of a page for a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from ksurf.errors import InputError, KsurfError
from ksurf.kernel import Kernel
from ksurf.report.found import function_reports, symbol_reports
from ksurf.report.kinds import KINDS
from ksurf.source.browse import Browser, View
from ksurf.source.compose import signature, split_lines
from ksurf.source.files import read_file
from ksurf.source.names import Definition, Doc, NamesIndex
from ksurf.source.place import Place
from ksurf.web.addresses import LiveAddresses, source_path, symbol_path
from ksurf.web.explorer import Snapshot
from ksurf.web.matrix import table_of
from ksurf.web.pages import explorer_of, page
from ksurf.web.source_files import clean_path
from ksurf.web.source_place import address_of, lines_asked, tree_named, view_of
from ksurf.web.symbol_model import Cell, cells_of

__all__ = ["card"]

_LONGEST = 300
_DOC = 1_500
"""Characters of documentation; the rest stands with the definition."""
_LOCAL = {"parameter", "label", "local"}
_INDEXED = {"field": "member"}
"""How the index calls what the semantic layer calls otherwise."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A symbol's page, and its status on all kernels."""

    kind: str
    name: str
    address: str
    cells: Mapping[Kernel, Cell]


def card(request: Request) -> Response:
    """The card of a name; the query says what the page knows of it: kind, and the place that it leads to."""
    explorer, query = explorer_of(request), request.query_params
    tree = tree_named(explorer, request.path_params["tree"])
    name, kind = query.get("symbol", ""), query.get("kind", "")
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise InputError("no name is asked for")
    kernel = query.get("kernel") or None
    file = clean_path(query.get("file", ""))
    place = Place(file, lines_asked(query["line"])[0]) if file and query.get("line") else None

    def ask(browser: Browser) -> tuple[Definition | None, str, Doc | None]:
        view, index = view_of(browser, tree, kernel), browser.names(tree)
        found = _definition(index, name, kind, place)
        at = found.place if found else place
        text = _text(browser, view, name, kind, at, found) if at else ""
        doc = index.documentation(found) if index and found else None
        return found, text, doc

    found, text, doc = explorer.browse(ask)
    at = found.place if found else place
    snapshot = explorer.snapshot()
    known = _known(snapshot, name, kind, found) if snapshot.kernels else None
    to = LiveAddresses().to
    common = {"name": name, "kernel": kernel or ""}
    return page(
        request,
        "source_card.html",
        name=name,
        kind=found.kind if found else kind,
        owner=found.owner if found else None,
        text=text,
        doc=doc,
        sections=_sections(doc) if doc else [],
        place=at,
        place_address=address_of(tree.id, at.file, kernel, at.line) if at else None,
        known=known,
        table=table_of(snapshot.kernels),
        references=None if kind in _LOCAL else to(f"{source_path(tree.id)}/refs", common),
        definitions=None if kind in _LOCAL else to(f"{source_path(tree.id)}/defs", common),
    )


def _definition(index: NamesIndex | None, name: str, kind: str, place: Place | None) -> Definition | None:
    """What the index has at the place, else the one definition of that kind there is."""
    if index is None or kind in _LOCAL:
        return None
    every = index.definitions(name)
    if place is not None:
        here = [one for one in every if (one.place.file, one.place.line) == (place.file, place.line)]
        return here[0] if here else None
    wanted = _INDEXED.get(kind, kind)
    of_kind = [one for one in every if one.kind == wanted] or every
    own = [one for one in of_kind if not one.is_declaration] or of_kind
    return own[0] if len({(one.kind, one.owner) for one in own}) == 1 else None


def _text(browser: Browser, view: View, name: str, kind: str, place: Place, found: Definition | None) -> str:
    """The declaration, as its file has it."""
    roots = [view.tree.root, *([browser.units(view.tree, view.kernel).build] if view.kernel else [])]
    for root in roots:
        try:
            lines = split_lines(read_file(root, place.file))
        except KsurfError:
            continue
        if place.line > len(lines):
            return ""
        if found is None and (kind in _LOCAL or kind == "variable"):
            return lines[place.line - 1].decode("utf-8", "replace").strip()[:_LONGEST]
        texts = [line.decode("utf-8", "replace") for line in lines]
        return signature(texts, name, kind, found.start_line if found else place.line)
    return ""


def _sections(doc: Doc) -> list[tuple[str, str]]:
    """As much of the documentation as a card holds."""
    found, left = [], _DOC
    for head, text in (*((f"@{name}", text) for name, text in doc.parameters), *doc.sections):
        if left <= 0:
            break
        found.append((head, text if len(text) <= left else f"{text[:left]}…"))
        left -= len(text)
    return found


def _known(snapshot: Snapshot, name: str, kind: str, found: Definition | None) -> _Known | None:
    """The status of what has a page of its own."""
    kind = found.kind if found is not None else kind
    owner = found.owner.name if found is not None and found.owner is not None else None
    if kind == "macro" and name.startswith("CONFIG_"):
        kind = "config"
    if kind in {"function", "syscall"}:
        return _of_function(snapshot, name)
    if kind in {"member", "field"}:
        if owner is None:
            return None
        path = found.path if found is not None and found.path else name
        kind, name = "field", f"{owner}::{path}"
    if kind not in KINDS:
        return None
    try:
        (report,) = symbol_reports(kind, [name], snapshot.places, snapshot.groups, in_full=False)
    except KsurfError:
        return None
    if not report.present:
        return None
    return _Known(kind, name, symbol_path(kind, name), cells_of(report, KINDS[kind]))


def _of_function(snapshot: Snapshot, name: str) -> _Known | None:
    (report,) = function_reports([name], snapshot.places, snapshot.groups, in_full=False)
    if not report.present:
        return None
    return _Known("function", name, symbol_path("function", name), cells_of(report, None))
