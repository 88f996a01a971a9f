"""Two kernels compared: which to choose, how much differs, and a list of it."""

from __future__ import annotations

import asyncio
import gzip
import math
from dataclasses import asdict, dataclass
from itertools import groupby
from time import monotonic
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ksurf.dataset.manifest import Manifest
from ksurf.kernel import Kernel
from ksurf.surface.history import neighbours
from ksurf.web.addresses import LiveAddresses, compare_path
from ksurf.web.explorer import Snapshot
from ksurf.web.pages import explorer_of, page
from ksurf.web.pair_file import RENAMED, SIGNS, SORTS, KindCounts, Pair, Question
from ksurf.web.pairs import Job
from ksurf.web.views.compare_symbol import symbol
from ksurf.web.views.kernels import kernels_named, page_number

__all__ = ["ROUTES"]

T = TypeVar("T")

_PATIENCE = 0.3
"""Seconds after which a page says that it is being computed."""
_PATIENCE_JSON = 120.0
"""The same for a program, which could do nothing else with such an answer than to ask again."""
_POLL = 0.02
_ROWS = 200
"""Of a page."""
_BAR = 400
"""Units of the longest bar."""
_LONGEST = 200
"""Characters of a text that is looked for; no name is longer."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A kind's numbers and the lengths of their bars."""

    counts: KindCounts
    parts: tuple[tuple[str, int, int], ...]
    """What became of them, where the part begins and how long it is."""


async def choose(request: Request) -> Response:
    """Choose two kernels; the form's answer leads to their own address."""
    snapshot = await run_in_threadpool(explorer_of(request).snapshot)
    old, new = (request.query_params.get(side, "").strip() for side in ("old", "new"))
    if old and new:
        before, after = kernels_named(snapshot, old, new)
        return RedirectResponse(compare_path(before.id, after.id), 303)
    series = [
        (key, list(pairs))
        for key, pairs in groupby(
            neighbours(snapshot.kernels), key=lambda pair: (pair[1].distro, pair[1].arch, pair[1].flavor)
        )
    ]
    return page(
        request,
        "compare.html",
        snapshot=snapshot,
        labels=snapshot.labels,
        series=series,
        others=_across(snapshot),
        chosen=_suggested(snapshot, old, new),
    )


def _across(snapshot: Snapshot) -> list[tuple[Kernel, Kernel]]:
    """The baseline and the kernels of its version on other architectures and in other flavors."""
    baseline = snapshot.baseline
    return [
        (baseline, other)
        for other in snapshot.kernels
        if baseline is not None
        and other.base_version == baseline.base_version
        and (other.arch, other.flavor) != (baseline.arch, baseline.flavor)
    ]


def _suggested(snapshot: Snapshot, old: str, new: str) -> tuple[str, str]:
    """The ids that the form begins with: what was named already, else the newest step to the baseline."""
    pairs = [pair for pair in neighbours(snapshot.kernels) if pair[1] == snapshot.baseline] or [
        (kernel, kernel) for kernel in snapshot.kernels[:1]
    ]
    before, after = pairs[-1] if pairs else (None, None)
    named = snapshot.by_id
    return (
        old if old in named else before.id if before else "",
        new if new in named else after.id if after else "",
    )


async def pair(request: Request) -> Response:
    """What differs between two kernels, as a page or as JSON."""
    old, new = request.path_params["old"], request.path_params["new"]
    is_json = new.endswith(".json")
    snapshot = await run_in_threadpool(explorer_of(request).snapshot)
    before, after = kernels_named(snapshot, old, new.removesuffix(".json"))
    here = compare_path(before.id, after.id, "json" if is_json else None)
    if (old, new.removesuffix(".json")) != (before.id, after.id):
        return RedirectResponse(LiveAddresses().to(here, dict(request.query_params)), 303)
    sides = _manifest(snapshot, before), _manifest(snapshot, after)
    return await (_json(request, sides) if is_json else _page(request, snapshot, sides))


def _manifest(snapshot: Snapshot, kernel: Kernel) -> Manifest:
    return next(manifest for manifest in snapshot.manifests if manifest.kernel == kernel)


async def _json(request: Request, sides: tuple[Manifest, Manifest]) -> Response:
    pairs = explorer_of(request).pairs
    deadline = monotonic() + _PATIENCE_JSON
    while isinstance(found := await run_in_threadpool(pairs.json, *sides), Job):
        if not await _done(found, deadline):
            return Response("it is being computed\n", 503, {"retry-after": "5"}, "text/plain")
    # It is asked for again after a change of the kernel only, under the same address: nobody is to keep it.
    headers = {"vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found, headers={**headers, "content-encoding": "gzip"}, media_type="application/json")
    plain = await run_in_threadpool(gzip.decompress, found)
    return Response(plain, headers=headers, media_type="application/json")


async def _page(request: Request, snapshot: Snapshot, sides: tuple[Manifest, Manifest]) -> Response:
    pairs = explorer_of(request).pairs
    deadline = monotonic() + _PATIENCE
    while isinstance(found := await run_in_threadpool(pairs.pair, *sides), Job):
        if not await _done(found, deadline):
            return await run_in_threadpool(_waiting, request, snapshot, sides)
    return await run_in_threadpool(_list, request, snapshot, sides, found)


async def _done(job: Job, deadline: float) -> bool:
    """Wait for a job; no thread waits, so that as many may as like."""
    while not job.is_done():
        if monotonic() >= deadline:
            return False
        await asyncio.sleep(_POLL)
    return True


def _waiting(request: Request, snapshot: Snapshot, sides: tuple[Manifest, Manifest]) -> Response:
    """Say that it takes a while; the browser asks again by itself, with or without scripts."""
    old, new = (side.kernel for side in sides)
    answer = page(request, "compare_wait.html", http_status=202, old=old, new=new, labels=snapshot.labels)
    answer.headers["refresh"] = "1"
    return answer


def _list(request: Request, snapshot: Snapshot, sides: tuple[Manifest, Manifest], found: Pair) -> Response:
    old, new = (side.kernel for side in sides)
    question = _asked(request, found)
    shown = found.ask(question, (page_number(request) - 1) * _ROWS, _ROWS)
    pages = max(1, math.ceil(shown.total / _ROWS))
    here = compare_path(old.id, new.id)
    query = {key: _word(value) for key, value in asdict(question).items()}
    query["sort"] = "" if question.sort == "kind" else question.sort

    def with_(**changed: str) -> str:
        return LiveAddresses().to(here, {**query, **changed}, "list")

    return page(
        request,
        "compare_pair.html",
        snapshot=snapshot,
        labels=snapshot.labels,
        old=old,
        new=new,
        here=here,
        bars=_bars(found),
        kinds=[one for one in found.kinds if one.total],
        label_counts={label: n for label, n in found.label_counts.items() if label != RENAMED},
        question=question,
        shown=shown,
        number=shown.start // _ROWS + 1,
        pages=pages,
        with_=with_,
        detail=lambda kind, name: compare_path(old.id, new.id, None, kind, name),
    )


def _word(value: str | bool) -> str:
    return value if isinstance(value, str) else "1" if value else ""


def _asked(request: Request, found: Pair) -> Question:
    """What the query asks for; words that mean nothing ask for nothing."""
    query = request.query_params
    kind, what, sort = (query.get(name, "") for name in ("kind", "what", "sort"))
    return Question(
        kind if any(kind == one.kind for one in found.kinds) else "",
        what if what in {*SIGNS, RENAMED, *found.labels} else "",
        query.get("text", "").strip()[:_LONGEST],
        bool(query.get("own")),
        sort if sort in SORTS else "kind",
    )


def _bars(found: Pair) -> list[Bar]:
    """Bars as long as the square root of their number, so that small kinds are seen beside large ones."""
    most = max((one.total for one in found.kinds), default=0)
    bars = []
    for one in found.kinds:
        length = _BAR * math.sqrt(one.total / most) if most else 0
        parts = []
        start = 0.0
        for sign in SIGNS:
            share = length * getattr(one, sign) / one.total if one.total else 0
            if share:
                parts.append((sign, round(start), max(1, round(start + share) - round(start))))
            start += share
        bars.append(Bar(one, tuple(parts)))
    return bars


ROUTES = [
    Route("/compare", choose),
    Route("/compare/{old}/{new}", pair),
    Route("/compare/{old}/{new}/{kind}/{name:path}", symbol),
]
