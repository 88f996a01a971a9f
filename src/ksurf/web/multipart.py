"""What a browser's form sends (``multipart/form-data``), as it arrives: files are not put down.

Source: RFC 7578, RFC 2046 (5.1.1). Frameworks write all files of a form to disk before anybody can say that
one is too large; here each part's bytes go on as they come.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from email.message import Message

__all__ = ["FormError", "Part", "parts"]

_PARTS_LIMIT = 150
"""A form names a hundred kernels, say."""
_HEAD_LIMIT = 32 << 10
"""Bytes of the lines before a part's content: a file's name may be long."""
_BOUNDARY_LENGTH = 70
_DISPOSITION = re.compile(rb"content-disposition:[ \t]*(form-data.*)", re.IGNORECASE)


class FormError(Exception):
    """It is no form, or not a whole one."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form."""

    name: str
    filename: str | None
    """As the browser sends it; ``None`` for what is no file."""
    chunks: AsyncIterator[bytes]
    """Its content, to be read before the next part is asked for; what is not read is passed over."""

    async def text(self, limit: int) -> str:
        """The content of a field that is no file."""
        found = bytearray()
        async for chunk in self.chunks:
            found += chunk
            if len(found) > limit:
                raise FormError(f"the field {self.name[:80]!r} is longer than {limit:,} bytes")
        return found.decode("utf-8", "replace")


def _parameters(value: str, header: str) -> Message:
    message = Message()
    message[header] = value
    return message


async def parts(chunks: AsyncIterable[bytes], content_type: str) -> AsyncIterator[Part]:
    """The parts of a form, one after the other; raises :class:`FormError` where it is none."""
    boundary = _parameters(content_type, "content-type").get_param("boundary", header="content-type")
    if not content_type.lower().startswith("multipart/form-data") or not isinstance(boundary, str):
        raise FormError("a form of the type multipart/form-data is expected")
    if not 0 < len(boundary) <= _BOUNDARY_LENGTH or not boundary.isascii():
        raise FormError("the boundary of the form is none")
    reader = _Reader(chunks, b"\r\n--" + boundary.encode())
    await _pass(reader.content())
    for _ in range(_PARTS_LIMIT):
        head = await reader.head()
        if head is None:
            return
        content = reader.content()
        yield _part(head, content)
        await _pass(content)
    raise FormError(f"the form has more than {_PARTS_LIMIT} parts")


def _part(head: bytes, content: AsyncIterator[bytes]) -> Part:
    for line in head.split(b"\r\n"):
        if found := _DISPOSITION.match(line):
            said = _parameters(found[1].decode("utf-8", "replace"), "content-disposition")
            name = said.get_param("name", header="content-disposition")
            filename = said.get_param("filename", header="content-disposition")
            if isinstance(name, str):
                return Part(name, filename if isinstance(filename, str) else None, content)
    raise FormError("a part of the form has no name")


async def _pass(content: AsyncIterator[bytes]) -> None:
    async for _ in content:
        pass


class _Reader:
    """The bytes of a form, cut at its boundaries."""

    def __init__(self, chunks: AsyncIterable[bytes], boundary: bytes) -> None:
        self._chunks = aiter(chunks)
        self._boundary = boundary
        # The first boundary has no end of line before it where nothing stands before it.
        self._held = bytearray(b"\r\n")

    async def _more(self) -> None:
        try:
            self._held += await anext(self._chunks)
        except StopAsyncIteration:
            raise FormError("the form ends in the middle") from None

    async def content(self) -> AsyncIterator[bytes]:
        """What comes before the next boundary, which is taken away too.

        The end of the line before it stands first: in an empty part it is that of the boundary.
        """
        skip = 2
        while (at := self._held.find(self._boundary)) < 0:
            # What may be the beginning of a boundary waits for the rest of it.
            sure = len(self._held) - len(self._boundary) + 1
            if sure > skip:
                found = bytes(self._held[skip:sure])
                del self._held[:sure]
                skip = 0
                yield found
            await self._more()
        found = bytes(self._held[skip:at])
        del self._held[: at + len(self._boundary)]
        if found:
            yield found

    async def head(self) -> bytes | None:
        """The lines before a part's content; ``None`` after the last part."""
        while len(self._held) < 2:
            await self._more()
        if self._held.startswith(b"--"):
            return None
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEAD_LIMIT:
                raise FormError("what stands before a part of the form is too long")
            await self._more()
        head = bytes(self._held[:end])
        del self._held[: end + 2]
        return head.lstrip(b" \t\r\n")
