"""Plots: what ``ksurf plot`` draws of the dataset, as pictures that can be saved."""

from __future__ import annotations

import asyncio
import hashlib
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ksurf.dataset.lookup import types_named
from ksurf.report.find import near_names
from ksurf.web.addresses import symbol_path
from ksurf.web.explorer import Snapshot, state_of
from ksurf.web.pages import NotFoundError, explorer_of, page

__all__ = ["ROUTES"]

_KINDS = {"churn": "Churn", "inlining": "Inlining and transformation", "struct-growth": "Struct growth"}
_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
_STRUCTS = ("task_struct", "kvm", "sk_buff", "file")
_NAMES = re.compile(r"[A-Za-z_]\w{0,99}(?:,[A-Za-z_]\w{0,99}){0,7}")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""A picture has a sheet of styles in it, and nothing that runs."""


def plots(request: Request) -> Response:
    """All plots of a series, and of some structs."""
    snapshot = explorer_of(request).snapshot()
    structs = _structs(snapshot, request.query_params.get("structs", "").replace(" ", ""))
    baseline = request.query_params.get("baseline")
    return page(
        request,
        "plots.html",
        snapshot=snapshot,
        labels=snapshot.labels,
        kinds={kind: title for kind, title in _KINDS.items() if structs or kind != "struct-growth"},
        structs=structs,
        baseline=None if not snapshot.kernels else _baseline(snapshot, baseline),
    )


def _structs(snapshot: Snapshot, asked: str) -> str:
    """The structs that are asked for, else those of a few well-known ones that are there."""
    if asked and not _NAMES.fullmatch(asked):
        raise NotFoundError("that are no names of structs", hint="up to eight names, with commas between")
    names = asked.split(",") if asked else _STRUCTS
    rows = types_named(names, snapshot.places, kinds=("struct",))
    missing = [name for name in names if not any(one.types for one in rows[name])]
    if asked and missing:
        near = near_names("struct", snapshot.places, missing[0])
        raise NotFoundError(f"no struct {missing[0]}", [(name, symbol_path("struct", name)) for name in near])
    return ",".join(name for name in names if name not in missing)


def _baseline(snapshot: Snapshot, text: str | None) -> str:
    if text:
        return snapshot.kernel(text).id
    return snapshot.groups.baseline.id


async def plot(request: Request) -> Response:
    """One picture; it may take seconds the first time, in which other pages are answered."""
    kind, form = request.path_params["kind"], request.path_params["form"]
    if kind not in _KINDS or form not in _TYPES:
        raise NotFoundError("there is no such plot", hint=f"there are {', '.join(_KINDS)}, as svg and png")
    explorer = explorer_of(request)
    asked = request.query_params
    arguments = [kind]
    if kind == "struct-growth":
        structs = asked.get("structs") or ",".join(_STRUCTS)
        if not _NAMES.fullmatch(structs):
            raise NotFoundError("that are no names of structs", hint="up to eight names, with commas between")
        arguments += structs.split(",")
    snapshot = explorer.snapshot()
    if not snapshot.kernels:
        raise NotFoundError("there are no kernels")
    arguments += ["--baseline", _baseline(snapshot, asked.get("baseline"))]
    if asked.get("dark"):
        arguments.append("--dark")
    state = hashlib.sha256(repr(state_of(explorer.settings.dataset)).encode()).hexdigest()
    try:
        content = await explorer.drawings.drawn(arguments, form, state)
    except asyncio.CancelledError:  # the server stops
        return Response(status_code=503)
    return Response(content, media_type=_TYPES[form], headers={"content-security-policy": _POLICY})


ROUTES = [Route("/plots", plots), Route("/plot/{kind}.{form}", plot)]
