"""Things that strangers send, checked each in a process of its own with limits, never run and never kept.

What is sent goes into a file without a name, which the system removes with its last user, whatever ends that
one. It is then handed to a process (:mod:`ksurf.web.check_worker`) that waits for it, loaded, and that checks
this one thing and ends. The next one is started when it has ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ksurf.errors import is_full
from ksurf.web.check_worker import Job
from ksurf.web.limits import Limits
from ksurf.web.multipart import FormError, parts
from ksurf.web.refusal import Reason, Refusal

__all__ = ["Bounds", "Checked", "Checks", "clean_name"]

_NAME_LENGTH = 80
_KERNELS_LIMIT = 100
_SELECTOR_LENGTH = 200
_UNNAMED = "upload"
_PASTED = "pasted"
_TEXT_BYTES = 1 << 20
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from ksurf.web.check_worker import main; main(json.loads(sys.argv[2]))"
)
"""An isolated Python looks for modules nowhere but where this one does."""
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    # Threads take addresses: those of a machine with many processors would take all.
    "RAYON_NUM_THREADS": "2",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "2",
    "MALLOC_ARENA_MAX": "2",
    # Arrow's own allocator takes more memory, and time.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""All that the process sees of the environment."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is taken from strangers."""

    upload_byte_size: int = 64 << 20
    upload_seconds: float = 120
    """In which it has to arrive."""
    beside_byte_size: int = 2 << 20
    """What a form may hold beside its file: a pasted text, and kernels."""
    check_seconds: float = 60
    """In which it has to be checked, by the clock, and for which it waits for its turn."""
    result_byte_size: int = 16 << 20
    running: int = 2
    """Checks at once."""
    waiting: int = 8
    """Uploads that may arrive, or wait for their turn, beside these."""
    limits: Limits = field(default_factory=Limits)
    """Of each process."""

    @property
    def form_byte_size(self) -> int:
        """How long a form may be."""
        return self.upload_byte_size + self.beside_byte_size


@dataclass(frozen=True, slots=True)
class Checked:
    """A check that has a result."""

    name: str
    """What was checked, as it may be shown."""
    document: bytes
    """The JSON of ``ksurf check --format json`` (docs/report-json.md), in UTF-8."""


def clean_name(name: str | None) -> str:
    """The name of a file as a stranger gives it, fit to be shown: one line, no folders, not too long.

    Markup stays what it is: whoever shows it escapes it, as any text.
    """
    last = re.split(r"[/\\]", name or "")[-1][-_NAME_LENGTH * 4 :]
    shown = "".join(c if c.isprintable() else "_" for c in last).strip()
    if len(shown) > _NAME_LENGTH:
        suffix = PurePosixPath(shown).suffix[-_NAME_LENGTH // 4 :]
        shown = shown[: _NAME_LENGTH - len(suffix) - 1] + "…" + suffix
    return shown if shown.strip("._ ") else _UNNAMED


class Checks:
    """Checks what is sent, a few at a time.

    For one event loop at a time. A coroutine that is cancelled takes its process and its file with it.
    """

    def __init__(self, dataset: Path, bounds: Bounds | None = None) -> None:
        """Check against the kernels of a dataset. Nothing is started yet."""
        self._dataset = dataset.absolute()
        self._bounds = bounds or Bounds()
        self._admitted = 0
        self._turns = asyncio.Semaphore(self._bounds.running)
        self._spare: _Worker | None = None
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def bounds(self) -> Bounds:
        """How much is taken."""
        return self._bounds

    @property
    def too_large(self) -> Refusal:
        """What to say of a file that is known to be too large before it arrives."""
        return _too_large(self._bounds)

    def start(self) -> None:
        """Have a process ready for the first check, which without it takes half a second longer."""
        if self._spare is None and not self._is_closed:
            self._spare = _Worker(self._bounds)

    async def close(self) -> None:
        """End the process that is ready; what comes from now on finds none."""
        self._is_closed = True
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.end()

    async def check(
        self,
        chunks: AsyncIterable[bytes],
        name: str | None = None,
        kernels: Sequence[str] = (),
        baseline: str = "",
    ) -> Checked | Refusal:
        """Check what arrives, under a name that the stranger gave.

        ``kernels`` are selectors; without any all kernels of the dataset are looked at. ``baseline`` is one
        for the kernel that it was made for. What ``chunks`` raises goes on to the caller.
        """
        self._same_loop()
        bounds = self._bounds
        if len(kernels) > _KERNELS_LIMIT or any(
            len(text) > _SELECTOR_LENGTH for text in (*kernels, baseline)
        ):
            return Refusal(Reason.KERNELS, "so many kernels, or names so long, are not looked for")
        if self._admitted >= bounds.running + bounds.waiting:
            return _busy(self._admitted)
        self._admitted += 1
        try:
            with tempfile.TemporaryFile(prefix="ksurf-upload-") as file:
                refusal = await _receive(chunks, file, bounds)
                if refusal is not None:
                    return refusal
                job = Job(clean_name(name), str(self._dataset), tuple(kernels), baseline)
                return await self._in_turn(job, file)
        except OSError as error:
            if is_full(error):
                return Refusal(Reason.NO_ROOM, f"there is no room for it here ({error.strerror})")
            raise
        finally:
            self._admitted -= 1

    async def check_form(self, chunks: AsyncIterable[bytes], content_type: str) -> Checked | Refusal:
        """Check what a form sends, as it arrives.

        Of its fields ``kernel`` is a selector, of which there may be several; ``baseline`` is one, too;
        ``text`` is something pasted; ``file`` is a file. The first of the latter two that is not empty is
        checked, and what comes after it is not read.
        """
        bounds = self._bounds
        kernels: list[str] = []
        baseline = ""
        try:
            async with asyncio.timeout(bounds.upload_seconds + 2 * bounds.check_seconds):
                async for part in parts(_at_most(chunks, bounds), content_type):
                    if part.name == "kernel":
                        kernels += filter(None, [await part.text(_SELECTOR_LENGTH)])
                    elif part.name == "baseline":
                        baseline = await part.text(_SELECTOR_LENGTH)
                    elif part.name == "text":
                        # Browsers write the ends of lines as mail does.
                        if text := (await part.text(_TEXT_BYTES)).replace("\r\n", "\n").strip():
                            return await self.check(_once(f"{text}\n".encode()), _PASTED, kernels, baseline)
                    elif part.name == "file" and (first := await anext(part.chunks, b"")):
                        rest = _with(first, part.chunks)
                        return await self.check(rest, part.filename, kernels, baseline)
        except FormError as error:
            return Refusal(Reason.BROKEN_OFF, str(error))
        except TimeoutError:
            return _too_slow(bounds)
        return Refusal(Reason.EMPTY, "it is empty: neither a file nor a text was sent")

    async def _in_turn(self, job: Job, file: BinaryIO) -> Checked | Refusal:
        try:
            async with asyncio.timeout(self._bounds.check_seconds):
                await self._turns.acquire()
        except TimeoutError:
            return _busy(self._admitted)
        try:
            worker = await self._worker()
            try:
                return await worker.check(job, file)
            finally:
                await worker.end()
        finally:
            self._turns.release()
            self.start()

    async def _worker(self) -> _Worker:
        """The process that is ready, or a new one."""
        worker, self._spare = self._spare, None
        if worker is not None:
            if worker.is_alive:
                return worker
            await worker.end()
        return _Worker(self._bounds)

    def _same_loop(self) -> None:
        """Forget who waited in a loop that is no more."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._turns = asyncio.Semaphore(self._bounds.running)
            self._admitted = 0


def _busy(count: int) -> Refusal:
    others = "another check" if count == 1 else f"{count} other checks"
    return Refusal(Reason.BUSY, f"{others} are under way or wait for their turn", "try again in a minute")


async def _receive(chunks: AsyncIterable[bytes], file: BinaryIO, bounds: Bounds) -> Refusal | None:
    """Put what arrives into the file, as far as it may be that long."""
    size = 0
    try:
        async with asyncio.timeout(bounds.upload_seconds):
            async for chunk in chunks:
                size += len(chunk)
                if size > bounds.upload_byte_size:
                    return _too_large(bounds)
                file.write(chunk)
        file.flush()
    except TimeoutError:
        return _too_slow(bounds)
    return None


def _too_large(bounds: Bounds) -> Refusal:
    return Refusal(
        Reason.TOO_LARGE,
        f"it is larger than the {_mib(bounds.upload_byte_size)} that are looked at here",
        "ksurf check, on your own machine, reads files of any size",
    )


def _too_slow(bounds: Bounds) -> Refusal:
    return Refusal(Reason.TOO_SLOW, f"it did not arrive within {bounds.upload_seconds:g} seconds")


async def _at_most(chunks: AsyncIterable[bytes], bounds: Bounds) -> AsyncIterator[bytes]:
    """A form as far as one may be long: fields that nobody asked for are passed over, but not for ever."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > bounds.form_byte_size:
            raise FormError(f"the form is longer than {_mib(bounds.form_byte_size)}")
        yield chunk


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _with(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


def _mib(size: int) -> str:
    return f"{size / (1 << 20):g} MiB"


class _Worker:
    """A process that waits for its one job.

    asyncio's own processes are not used: who is cancelled while one starts may wait for it without an end.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        paths = [path for path in sys.path if os.path.isabs(path)]  # noqa: PTH117
        self._jobs, jobs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answers, answers = socket.socketpair()
        self._answers.setblocking(False)
        with jobs, answers:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, json.dumps(paths), json.dumps(asdict(bounds.limits))],
                stdin=jobs.fileno(),
                stdout=answers.fileno(),
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def check(self, job: Job, file: BinaryIO) -> Checked | Refusal:
        bounds = self._bounds
        try:
            async with asyncio.timeout(bounds.check_seconds):
                with suppress(BrokenPipeError, ConnectionResetError):  # how it ended tells why
                    socket.send_fds(self._jobs, [job.message()], [file.fileno()])
                answer = await self._read(bounds.result_byte_size)
                if answer is None:
                    return Refusal(
                        Reason.RESULT,
                        f"what there is to say of it is more than {_mib(bounds.result_byte_size)}",
                        "check a part of it, or on fewer kernels",
                    )
                status = await asyncio.to_thread(self._process.wait)
        except TimeoutError:
            return _too_long(f"{bounds.check_seconds:g} seconds")
        return _ended(status, bounds.limits) if status else _answer(job, answer)

    async def _read(self, limit: int) -> bytes | None:
        """All that it says; ``None`` if that is more than may be."""
        loop = asyncio.get_running_loop()
        found = bytearray()
        with suppress(ConnectionResetError):
            while chunk := await loop.sock_recv(self._answers, 1 << 16):
                found += chunk
                if len(found) > limit:
                    return None
        return bytes(found)

    def kill(self) -> None:
        """End it now, and whatever it may have started."""
        self._jobs.close()
        self._answers.close()
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """End it, and wait until it has ended."""
        self.kill()
        await asyncio.to_thread(self._process.wait)


def _too_long(limit: str) -> Refusal:
    return Refusal(
        Reason.TIME,
        f"checking it takes longer than the {limit} that there are for it here",
        "ksurf check, on your own machine, takes the time that it needs",
    )


def _ended(status: int, limits: Limits) -> Refusal:
    """Why a process ended without an answer, which its status tells."""
    if status == -signal.SIGXCPU:
        return _too_long(f"{limits.cpu_seconds} seconds of processor time")
    memory = f"{_mib(limits.address_byte_size)} of memory"
    if status == -signal.SIGABRT:  # what Rust and C++ do where Python raises MemoryError
        return Refusal(Reason.MEMORY, f"checking it takes more than {memory}, or fails for another reason")
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return Refusal(Reason.ENDED, f"the process that read it ended {how}", "ksurf check may tell more of it")


def _answer(job: Job, answer: bytes) -> Checked | Refusal:
    """What the process said, which has read what a stranger sent: it is not believed to be well-formed."""
    head, _, document = answer.partition(b"\n")
    try:
        said: Any = json.loads(head)
        if said == {} and document:
            return Checked(job.name, document)
        hint = said["hint"]
        return Refusal(Reason(said["refused"]), str(said["text"]), None if hint is None else str(hint))
    except (ValueError, KeyError, TypeError):
        return Refusal(Reason.ENDED, "the process that read it gave no answer")
