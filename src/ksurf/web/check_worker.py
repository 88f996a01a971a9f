"""The process that checks one thing that a stranger sent, and then ends.

It gives up what it does not need (:mod:`ksurf.web.limits`), loads what checks take, and waits for its one job
on the socket that is its standard input: a message with the job, and with it a file without a name. Its
answer goes to standard output: a line that says what it is, and, if all went well, the document that
``ksurf check --format json`` prints.

Nothing of what was sent is run, and archives are not opened: one thing is checked at a time, so that what
little is sent cannot stand for much.
"""

from __future__ import annotations

import gc
import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ksurf.web.limits import Limits, confine
from ksurf.web.refusal import Reason, Refusal

__all__ = ["JOB_BYTE_LIMIT", "Job", "main"]

JOB_BYTE_LIMIT = 64 << 10
"""Of the message that a job is."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_OTHER_ARCHIVES = (b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07", b"\xed\xab\xee\xdb", b"07070", b"!<arch>\n")
"""7-Zip, RAR, rpm, cpio, ar."""
_OTHER_COMPRESSIONS = (b"BZh", b"\x04\x22\x4d\x18", b"\x5d\x00\x00")
"""bzip2, lz4, lzma."""
_WRONG_LINES_SHOWN = 3
_NEEDED = (
    *("pyarrow.compute", "pyarrow.parquet", "ksurf._core", "ksurf.dataset.store", "ksurf.report.check_json"),
    *("ksurf.check.bpf_object", "ksurf.check.consumer", "ksurf.check.judge", "ksurf.check.policy"),
    "ksurf.check.reached",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What to check, beside the file."""

    name: str
    """What to call it."""
    dataset: str
    kernels: tuple[str, ...] = ()
    """Selectors; all kernels if empty."""
    baseline: str = ""
    """A selector; without it each dependency has its own."""

    def message(self) -> bytes:
        """The job as it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def read(cls, message: bytes) -> Job:
        """The job that was sent."""
        values = json.loads(message)
        return cls(values["name"], values["dataset"], tuple(values["kernels"]), values["baseline"])


def main(limits: Mapping[str, int]) -> None:
    """Do one job; ends the process."""
    limit = Limits(**limits)
    confine(limit)
    try:
        _load()
        with socket.socket(fileno=0) as jobs:
            message, files, _, _ = socket.recv_fds(jobs, JOB_BYTE_LIMIT, 1)
        if not message:  # whoever wanted it has gone
            os._exit(0)
        answer = _answered(Job.read(message), files[0], limit)
    except MemoryError:
        answer = Refusal(
            Reason.MEMORY, f"checking it takes more than {limit.address_byte_size >> 20} MiB of memory"
        )
    except Exception as error:
        answer = Refusal(
            Reason.ENDED,
            f"this is a bug in ksurf: {type(error).__name__}: {' '.join(str(error).split())[:500]}",
            "please report it, with the file",
        )
    _write(answer)
    # Threads and garbage are not waited for.
    os._exit(0)


def _load() -> None:
    """Load what any check takes, while there is nothing to do."""
    for name in _NEEDED:
        import_module(name)
    gc.disable()  # what is made lives until the end, which is near


def _write(answer: str | Refusal) -> None:
    """Put the answer where the parent reads it."""
    if isinstance(answer, Refusal):
        data = (
            json.dumps({"refused": answer.reason, "text": answer.text, "hint": answer.hint}).encode() + b"\n"
        )
    else:
        data = b"{}\n" + answer.encode("utf-8", "replace")
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _answered(job: Job, file: int, limits: Limits) -> str | Refusal:
    """The document, or why there is none."""
    from ksurf._core import ReadError
    from ksurf.errors import KsurfError

    try:
        opened = _opened(file, limits)
    except ReadError as error:
        return Refusal(Reason.UNREADABLE, f"{job.name}: {error}")
    if isinstance(opened, Refusal):
        return opened
    try:
        return _checked(job, opened)
    except KsurfError as error:
        return Refusal(Reason.KERNELS, error.message, error.hint)


def _opened(file: int, limits: Limits) -> int | Refusal:
    """The file to read: the one that was sent, or the module that it is when it is decompressed."""
    from ksurf import _core
    from ksurf.check.content import HEAD_BYTES, TAR_HEADER_BYTES, is_archive, is_compressed, is_elf

    head = os.pread(file, HEAD_BYTES, 0)
    if not head:
        return Refusal(Reason.EMPTY, "it is empty")
    compressed = is_compressed(head)
    inside = _core.head(head, TAR_HEADER_BYTES) if compressed else head
    if is_archive(inside) or inside.startswith((*_ZIP, *_OTHER_ARCHIVES)):
        return Refusal(
            Reason.ARCHIVE,
            "archives and packages are not opened here",
            "send one of the files in it; ksurf check, on your own machine, reads packages and tar archives",
        )
    if not compressed and not head.startswith(_OTHER_COMPRESSIONS):
        return file
    if not compressed or not is_elf(inside):
        hint = "decompress it first; only modules may come as they are (.ko.xz, .ko.zst, .ko.gz)"
        return Refusal(Reason.ARCHIVE, "it is compressed", hint)
    whole = os.pread(file, os.fstat(file).st_size, 0)
    module = os.memfd_create("module")
    with os.fdopen(module, "wb", closefd=False) as opened:
        opened.write(_core.decompress(whole, limits.file_byte_size))
    return module


def _checked(job: Job, file: int) -> str | Refusal:
    """Read it, and judge it on the kernels: as ``ksurf check`` does, without a policy."""
    from datetime import date

    from ksurf.check.consumer import find_sent
    from ksurf.check.judge import judge
    from ksurf.check.policy import Policy, apply
    from ksurf.check.reached import Walks
    from ksurf.dataset.lookup import reading_ahead, reading_once
    from ksurf.dataset.store import Store
    from ksurf.errors import NoSuchKernelError
    from ksurf.report.check_json import check_json
    from ksurf.report.check_layout import Page
    from ksurf.selector import Selector, select
    from ksurf.series import default_baseline, group

    store = Store(Path(job.dataset))
    stored = [manifest.kernel for manifest in store.load()[0]]
    if not stored:
        raise NoSuchKernelError("the dataset has no kernels")
    kernels = select(stored, [Selector.parse(text) for text in job.kernels])
    compared = max(select(stored, [Selector.parse(job.baseline)])) if job.baseline else None
    groups = group(kernels, compared or default_baseline(kernels))
    with reading_once():
        with reading_ahead([(kernel, store.directory(kernel.id)) for kernel in kernels]):
            series = [member.kernel for member in reversed(groups.regular)]
            places = [(kernel, store.directory(kernel.id)) for kernel in series]
            found = find_sent(f"/proc/self/fd/{file}", job.name, places)
        if not found.consumers:
            return _nothing(found.unreadable)
        walks = Walks(found.consumers, store)
        report = judge(found.consumers, kernels, compared, store, walks, stored=stored)
    return check_json(
        Page(report, groups, apply(Policy(), report, date.today()), unreadable=found.unreadable)
    )


def _nothing(unreadable: Sequence[Any]) -> Refusal:
    """Why nothing of it can be checked."""
    if not unreadable:
        return Refusal(
            Reason.NOTHING,
            "it is none of what ksurf checks",
            "send an eBPF object or a program that carries one, a module, a bpftrace script, a BCC tool, or "
            "a list of names such as kprobe:vfs_read",
        )
    shown = [f"{one.path}: {one.reason}" for one in unreadable[:_WRONG_LINES_SHOWN]]
    return Refusal(Reason.UNREADABLE, "; ".join(shown))
