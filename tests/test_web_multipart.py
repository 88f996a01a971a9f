"""Forms as browsers send them, and as nobody should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ksurf.web.multipart import FormError, parts

TYPE = "multipart/form-data; boundary=----WebKitFormBoundaryx"
FORM = (
    b"------WebKitFormBoundaryx\r\n"
    b'Content-Disposition: form-data; name="kernel"\r\n\r\n'
    b"6.12\r\n"
    b"------WebKitFormBoundaryx\r\n"
    b'content-disposition: form-data; name="text"\r\n\r\n'
    b"\r\n"
    b"------WebKitFormBoundaryx\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a \\"b\\" <i>.o"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"\x7fELF\r\n------WebKitFormBoundar\r\n--\r\n\r\n"
    b"------WebKitFormBoundaryx--\r\n"
)

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes is the machine's business."""


async def stream(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def read(data: bytes, kind: str = TYPE, size: int = 7) -> list[tuple[str, str | None, bytes]]:
    async def run() -> list[tuple[str, str | None, bytes]]:
        return [
            (part.name, part.filename, b"".join([chunk async for chunk in part.chunks]))
            async for part in parts(stream(data, size), kind)
        ]

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 2, 3, 27, 28, 29, 1000])
def test_a_browsers_form(size: int) -> None:
    assert read(FORM, size=size) == [
        ("kernel", None, b"6.12"),
        ("text", None, b""),
        ("file", 'a "b" <i>.o', b"\x7fELF\r\n------WebKitFormBoundar\r\n--\r\n"),
    ]


def test_what_is_not_read_is_passed_over() -> None:
    async def names() -> list[str]:
        return [part.name async for part in parts(stream(FORM, 5), TYPE)]

    assert asyncio.run(names()) == ["kernel", "text", "file"]


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (FORM, "text/plain", "multipart/form-data is expected"),
        (FORM, "multipart/form-data", "multipart/form-data is expected"),
        (FORM, "multipart/form-data; boundary=" + "x" * 71, "boundary"),
        (FORM, "multipart/form-data; boundary=other", "ends in the middle"),
        (FORM[:-30], TYPE, "ends in the middle"),
        (b"", TYPE, "ends in the middle"),
        (
            b"------WebKitFormBoundaryx\r\nno name\r\n\r\nx\r\n------WebKitFormBoundaryx--",
            TYPE,
            "has no name",
        ),
        (b"------WebKitFormBoundaryx\r\n" + b"a" * 100_000, TYPE, "too long"),
        (FORM.partition(b"\r\n------WebKitFormBoundaryx\r\ncontent")[0] * 160, TYPE, "more than 150 parts"),
    ],
)
def test_what_is_no_form(data: bytes, kind: str, reason: str) -> None:
    if "more than" in reason:
        data = data.replace(b"6.12", b"6.12\r\n")
    with pytest.raises(FormError, match=reason):
        read(data, kind, size=1000)


def test_a_field_has_a_limit() -> None:
    async def run() -> None:
        async for part in parts(stream(FORM, 100), TYPE):
            await part.text(3)

    with pytest.raises(FormError, match="'kernel' is longer than 3 bytes"):
        asyncio.run(run())


@SLOW
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, len(FORM) - 1), st.binary(max_size=4))),
    st.integers(1, 99),
)
def test_a_damaged_form_is_read_or_refused(damage: Sequence[tuple[bool, int, bytes]], size: int) -> None:
    data = bytearray(FORM)
    for inserts, at, value in damage:
        data[at : at if inserts else at + len(value)] = value
    with suppress(FormError):
        read(bytes(data), size=size)


@SLOW
@given(st.binary(max_size=300).filter(lambda data: b"--b" not in data), st.integers(1, 50))
def test_any_content_arrives_as_it_is(content: bytes, size: int) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + content + b"\r\n--b--"
    assert read(form, "multipart/form-data; boundary=b", size) == [("f", "x", content)]
