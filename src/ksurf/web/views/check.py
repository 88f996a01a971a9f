"""Check: a form that takes a file or a text, and the page of what came of it.

What is sent is worth nothing to whoever makes a stranger's browser send it, and costs this server time: posts
of other sites' pages are refused. A program that is no browser may send what it likes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ksurf.errors import InputError
from ksurf.report.check_layout import Page
from ksurf.report.check_markdown import check_markdown
from ksurf.report.check_read import check_page
from ksurf.web.addresses import FORMS
from ksurf.web.body import Body
from ksurf.web.check_model import check_model, shown
from ksurf.web.matrix import table_of
from ksurf.web.pages import NotFoundError, explorer_of, page
from ksurf.web.refusal import Reason, Refusal
from ksurf.web.results import Result, Results
from ksurf.web.upload import Checked, Checks

__all__ = ["ROUTES", "CheckRoom"]

_RETRY_SECONDS = 60
_CHUNK = 64 << 10
_TITLE_PROGRAMS = 3

T = TypeVar("T")


class CheckRoom:
    """What checks take in a process of the server: turns, kept results, and memory for one of these."""

    def __init__(self, checks: Checks, results: Results) -> None:
        """Start nothing yet."""
        self.checks = checks
        self.results = results
        # A result may be large, and larger still when it is read: one at a time, and not in the threads in
        # which other pages are made.
        self._reading = CapacityLimiter(1)

    async def read(self, work: Callable[[], T]) -> T:
        """Do something with results beside what else the process does."""
        return await to_thread.run_sync(work, limiter=self._reading)


def _room(request: Request) -> CheckRoom:
    room: CheckRoom = request.app.state.checking
    return room


def form(request: Request) -> Response:
    """The form."""
    return _form(request)


def _form(request: Request, refusal: Refusal | None = None, status: int = 200) -> Response:
    explorer, room = explorer_of(request), _room(request)
    snapshot = explorer.snapshot()
    answer = page(
        request,
        "check.html",
        http_status=status,
        refusal=refusal,
        uploads=explorer.settings.uploads,
        snapshot=snapshot,
        labels=snapshot.labels,
        count=len(snapshot.kernels),
        table=table_of(snapshot.kernels),
        bounds=room.checks.bounds,
        days=room.results.expiry.days,
    )
    # With none at all browsers do not say where a form comes from, which is looked at when it is sent.
    answer.headers["referrer-policy"] = "same-origin"
    return answer


async def send(request: Request) -> Response:
    """Check what is sent, and lead to its page."""
    room = _room(request)
    if not explorer_of(request).settings.uploads:
        off = Refusal(Reason.NOTHING, "this server does not check files that are sent (--no-uploads)")
        return await _refused(request, off, 403)
    if _is_foreign(request.headers):
        other = Refusal(Reason.NOTHING, "it was sent by a page of another site", "send it with the form here")
        return await _refused(request, other, 403)
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        hint = "curl -F file=@biotop.bpf.o does that"
        return await _refused(
            request,
            Refusal(Reason.BROKEN_OFF, "a form of the type multipart/form-data is expected", hint),
            415,
        )
    length = request.headers.get("content-length", "")
    limit = room.checks.bounds.form_byte_size
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > limit):
        return await _refused(request, room.checks.too_large)
    try:
        async with Body(request.receive) as body:
            answer = await body.while_there(room.checks.check_form(aiter(body), kind))
    except ConnectionResetError:
        answer = None
    if answer is None:
        return Response(status_code=400)  # nobody is there to read it
    if isinstance(answer, Refusal):
        return await _refused(request, answer)
    return await _kept(request, answer)


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site's page sends this.

    ``Sec-Fetch-Site`` is only sent to what browsers trust: this machine, or HTTPS. Source: Fetch Metadata,
    RFC 6454 (7).
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    try:
        return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


async def _kept(request: Request, answer: Checked) -> Response:
    room = _room(request)
    token = await room.read(lambda: room.results.keep(answer.document))
    if token is None:
        return await _refused(request, Refusal(Reason.NO_ROOM, "there is no room to keep the result"))
    path = f"/check/{token}"
    if _wants_json(request):
        return JSONResponse({"location": path}, 201, {"location": path})
    return RedirectResponse(path, 303)


async def _refused(request: Request, refusal: Refusal, status: int | None = None) -> Response:
    """Say why; what is still on its way is not read."""
    code = refusal.status if status is None else status
    answer: Response
    if _wants_json(request):
        answer = JSONResponse({"error": shown(refusal.text, 1000), "hint": refusal.hint}, code)
    else:
        told = Refusal(refusal.reason, shown(refusal.text, 1000), refusal.hint)
        answer = await to_thread.run_sync(_form, request, told, code)
    answer.headers["connection"] = "close"
    if refusal.reason is Reason.BUSY:
        answer.headers["retry-after"] = str(_RETRY_SECONDS)
    return answer


def _wants_json(request: Request) -> bool:
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


async def result(request: Request) -> Response:
    """A result that was kept, as a page, as Markdown, or as it is."""
    token, form = request.path_params["token"], None
    for one in FORMS:
        if token.endswith(f".{one}"):
            token, form = token.removesuffix(f".{one}"), one
    room = _room(request)
    everything = bool(request.query_params.get("all"))
    if form == "json":
        found = await room.read(lambda: _found(room, token))
        return StreamingResponse(_chunks(found.document), media_type="application/json")
    return await room.read(lambda: _written(request, _found(room, token), form, everything=everything))


def _found(room: CheckRoom, token: str) -> Result:
    found = room.results.find(token)
    if found is None:
        days = room.results.expiry.days
        raise NotFoundError(
            "there is no result of a check at this address",
            hint=f"a result is kept for {days} days, then it has to be checked again",
        )
    return found


def _written(request: Request, found: Result, form: str | None, *, everything: bool) -> Response:
    try:
        read = check_page(found.document)
    except InputError as error:
        raise NotFoundError(f"the result cannot be shown: {error.message}", hint="check it again") from error
    if form == "md":
        text = check_markdown(read, everything=everything).encode("utf-8", "replace")
        return StreamingResponse(_chunks(text), media_type="text/markdown; charset=utf-8")
    return page(
        request,
        "check_result.html",
        result=check_model(read, everything=everything),
        heading=_heading(read),
        here=f"/check/{found.token}",
        expires=found.expires,
        everything=everything,
    )


def _heading(read: Page) -> str:
    names = list(dict.fromkeys(one.consumer.path for one in read.report.consumers))
    more = len(names) - _TITLE_PROGRAMS
    return ", ".join(map(shown, names[:_TITLE_PROGRAMS])) + (f" and {more} more" if more > 0 else "")


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    """A long text in pieces: compressing it at once would keep everybody waiting."""
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


ROUTES = [
    Route("/check", form, methods=["GET"]),
    Route("/check", send, methods=["POST"]),
    Route("/check/{token}", result),
]
