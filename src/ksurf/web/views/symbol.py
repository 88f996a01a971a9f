"""The page of a symbol: what it is on each kernel, how it changed, what can be attached, who calls it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ksurf.dataset.rows import Definition
from ksurf.kernel import Kernel
from ksurf.report.find import near_names
from ksurf.report.found import function_reports, symbol_reports
from ksurf.report.kinds import KINDS, SymbolKind, comparison
from ksurf.report.layout import Report
from ksurf.series import Member, group
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.attach_change import by_name
from ksurf.surface.function import FunctionStatus
from ksurf.surface.function_change import compare_functions
from ksurf.web.addresses import FORMS, field_name, symbol_path
from ksurf.web.explorer import Explorer, Snapshot, chosen
from ksurf.web.matrix import table_of
from ksurf.web.pages import NotFoundError, explorer_of, page
from ksurf.web.symbol_model import (
    FieldStory,
    attach_table,
    callers_of,
    cells_of,
    field_stories,
    history_of,
    texts_of,
)

__all__ = ["ROUTES", "kind_title"]

_CALLERS = 60
"""Callers on a symbol's page; there is a page for all of them."""


def kind_title(kind: str) -> str:
    """A kind as a heading has it."""
    return "Function" if kind == "function" else KINDS[kind].title


def symbol(kind: str, request: Request) -> Response:
    """A symbol of any kind, as HTML, Markdown or JSON."""
    name, form = _asked(kind, request)
    snapshot = explorer_of(request).snapshot()
    found = _report(kind, name, snapshot, in_full=form != "md")
    if not found.present:
        raise _missing(kind, name, explorer_of(request))
    if form is not None:
        return _written(kind, found, form)
    if kind == "function":
        return _function_page(request, snapshot, found)
    return _symbol_page(request, snapshot, KINDS[kind], found)


def _asked(kind: str, request: Request) -> tuple[str, str | None]:
    name: str = request.path_params["name"]
    form = None
    for one in FORMS:
        if name.endswith(f".{one}"):
            name, form = name.removesuffix(f".{one}"), one
    return field_name(name) if kind == "field" else name, form


def _report(kind: str, name: str, snapshot: Snapshot, *, in_full: bool) -> Report[Any]:
    groups, places = snapshot.groups, snapshot.places
    if kind == "function":
        return function_reports([name], places, groups, in_full=in_full)[0]
    return symbol_reports(kind, [name], places, groups, in_full=in_full)[0]


def _missing(kind: str, name: str, explorer: Explorer) -> NotFoundError:
    snapshot, catalog = explorer.snapshot(), explorer.catalog()
    names = catalog.near(kind, name, snapshot.places) if catalog else near_names(kind, snapshot.places, name)
    near = [(one, symbol_path(kind, one)) for one in names]
    shown = name if len(name) <= 100 else f"{name[:100]}…"
    count = len(snapshot.kernels)
    what = kind_title(kind)
    what = what if what[:2].isupper() else what.lower()
    return NotFoundError(f"no {what} {shown} on {count} kernel{'s' if count != 1 else ''}", near)


def _written(kind: str, found: Report[Any], form: str) -> Response:
    if form == "json":
        from ksurf.report.json import function_json, symbol_json

        text = function_json([found]) if kind == "function" else symbol_json(KINDS[kind], [found])
        return Response(text, media_type="application/json")
    from ksurf.report.markdown import function_markdown, symbol_markdown

    text = function_markdown(found) if kind == "function" else symbol_markdown(KINDS[kind], found)
    return Response(text, media_type="text/markdown; charset=utf-8")


def _statuses(found: Report[Any]) -> dict[Kernel, Any]:
    return {member.kernel: status for group in found.groups for member, status in group.members}


def _common(snapshot: Snapshot, found: Report[Any]) -> dict[str, Any]:
    return {
        "snapshot": snapshot,
        "labels": snapshot.labels,
        "name": found.name,
        "table": table_of(snapshot.kernels),
    }


def _function_page(request: Request, snapshot: Snapshot, found: Report[FunctionStatus]) -> Response:
    statuses = _statuses(found)
    present = [kernel for kernel in snapshot.kernels if statuses[kernel].is_present]
    kernel = chosen(snapshot, request.query_params.get("kernel"), present)
    status = statuses[kernel]
    attach, reasons = attach_table(found, present, lambda one: by_name(one.attach or ()))
    callers = callers_of(status)
    return page(
        request,
        "function.html",
        **_common(snapshot, found),
        kind="function",
        title="Function",
        cells=cells_of(found, None),
        texts=texts_of(found, None),
        history=history_of(found.name, found, compare_functions),
        attach=attach,
        reasons=reasons,
        present=present,
        kernel=kernel,
        status=status,
        callers=callers[:_CALLERS],
        callers_total=len(callers),
        source_at=explorer_of(request).source_links(kernel),
    )


def _symbol_page(request: Request, snapshot: Snapshot, kind: SymbolKind[Any], found: Report[Any]) -> Response:
    statuses = _statuses(found)
    present = [kernel for kernel in snapshot.kernels if statuses[kernel].is_present]
    kernel = chosen(snapshot, request.query_params.get("kernel"), present)
    attach, reasons = attach_table(found, present, _attach)
    stories = _stories(snapshot, statuses, kernel)
    return page(
        request,
        "symbol.html",
        **_common(snapshot, found),
        kind=kind.name,
        title=kind.title,
        cells=cells_of(found, kind),
        texts=texts_of(found, kind, kernel, stories),
        gone=[story for story in stories.values() if story.is_gone],
        history=history_of(found.name, found, comparison(kind)),
        attach=attach,
        reasons=reasons,
        present=present,
        kernel=kernel,
        status=statuses[kernel],
    )


def _attach(status: Any) -> Mapping[Mechanism, Verdict]:
    verdicts: Mapping[Mechanism, Verdict] = status.attach
    return verdicts


def _stories(snapshot: Snapshot, statuses: Mapping[Kernel, Any], kernel: Kernel) -> dict[str, FieldStory]:
    """What happened to the fields along the series of the kernel that is shown."""
    series = _series(snapshot.kernels, kernel)
    contents = [
        (member.label, statuses[member.kernel].variants[0].content)
        for member in series
        if statuses[member.kernel].is_present
    ]
    if not all(isinstance(content, Definition) for _, content in contents):
        return {}
    return field_stories(contents)


@lru_cache(maxsize=256)  # the same for all symbols
def _series(kernels: tuple[Kernel, ...], kernel: Kernel) -> tuple[Member, ...]:
    """The versions of a kernel's architecture and flavor."""
    return group([one for one in kernels if one.distro == kernel.distro], kernel).regular


ROUTES = [Route(f"/{kind}/{{name:path}}", partial(symbol, kind), name=kind) for kind in ("function", *KINDS)]
