"""The body of a request as it arrives, and whether whoever sends it is still there.

Of ASGI's interface, on which frameworks stand: a client that has gone is told only to who goes on receiving.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["Body"]

_T = TypeVar("_T")
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_AHEAD = 4
"""Messages that are received before they are asked for. What comes after the end of a form is fewer."""


class Body:
    """A request's body; inside its context nobody else may receive."""

    def __init__(self, receive: _Receive) -> None:
        """Take ASGI's ``receive``; nothing is received yet."""
        self._receive = receive
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)
        self._is_whole = False
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Body:
        """Begin to receive."""
        self._pump = asyncio.create_task(self._pumped())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Receive no more."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)

    async def _pumped(self) -> None:
        """Receive until whoever sends has gone."""
        while (message := await self._receive())["type"] != "http.disconnect":
            if not self._is_whole:
                await self._messages.put(message.get("body", b""))
                if not message.get("more_body", False):
                    self._is_whole = True
                    await self._messages.put(None)
        if not self._is_whole:
            await self._messages.put(None)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes; raises :class:`ConnectionResetError` where they end before the body does."""
        while (found := await self._messages.get()) is not None:
            yield found
        if not self._is_whole:
            raise ConnectionResetError("whoever sent it has gone")

    async def while_there(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """Do something; cancel it, and give ``None``, when whoever sends goes away meanwhile."""
        assert self._pump is not None
        task = asyncio.create_task(work)
        try:
            await asyncio.wait({task, self._pump}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
