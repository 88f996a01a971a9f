"""Bodies of requests that arrive, break off, or whose sender goes away while they are worked on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ksurf.web.body import Body

Receive = Callable[[], Awaitable[dict[str, Any]]]
GONE = {"type": "http.disconnect"}


def sent(*messages: dict[str, Any] | float) -> Receive:
    """What a server receives: messages, and how long nothing comes; in the end nothing comes any more."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        while left:
            message = left.pop(0)
            if isinstance(message, dict):
                return message
            await asyncio.sleep(message)
        await asyncio.Event().wait()
        raise AssertionError("it was not waited for")

    return receive


def part(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


async def whole(body: Body) -> bytes:
    return b"".join([chunk async for chunk in body])


def test_a_body_is_read() -> None:
    async def run(*messages: dict[str, Any] | float) -> bytes | None:
        async with Body(sent(*messages)) as body:
            return await body.while_there(whole(body))

    many = [part(b"%d " % number) for number in range(50)]
    assert (
        asyncio.run(run(*many, part(b"end", more=False))) == b"".join(b"%d " % n for n in range(50)) + b"end"
    )
    assert asyncio.run(run({"type": "http.request"})) == b""


def test_whoever_goes_away_while_it_arrives_is_noticed() -> None:
    async def run() -> bytes:
        async with Body(sent(part(b"a"), GONE)) as body:
            return await whole(body)

    with pytest.raises(ConnectionResetError):
        asyncio.run(run())


def test_whoever_goes_away_while_it_is_worked_on_ends_the_work() -> None:
    ended = []

    async def work(body: Body) -> bytes:
        # A form's last part ends before the body does.
        first = await anext(aiter(body))
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(first)
            raise
        return first

    async def run() -> bytes | None:
        messages = (part(b"form"), part(b"--\r\n"), part(b"", more=False), 0.05, GONE)
        async with Body(sent(*messages)) as body:
            return await body.while_there(work(body))

    assert asyncio.run(run()) is None
    assert ended == [b"form"]


def test_what_goes_wrong_is_raised_and_who_is_cancelled_ends() -> None:
    async def wrong() -> None:
        raise ValueError("wrong")

    async def run(work: Any) -> None:
        async with Body(sent()) as body:
            await asyncio.wait_for(body.while_there(work), 0.05)
            await asyncio.sleep(0)

    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(run(wrong()))
    with pytest.raises(TimeoutError):
        asyncio.run(run(asyncio.sleep(60)))
