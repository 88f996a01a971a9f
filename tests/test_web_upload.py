"""What strangers send: checked with limits or refused with the reason, and gone afterwards."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ksurf.cli import run as ksurf
from ksurf.web import upload
from ksurf.web.body import Body
from ksurf.web.limits import Limits
from ksurf.web.refusal import Reason, Refusal
from ksurf.web.upload import Bounds, Checked, Checks, clean_name
from made_bpf import Elf
from made_kernel import bpf_kernel, kernel, kvm_kernel, offering_kernel

_T = TypeVar("_T")
LIST = b"kprobe:vfs_read\nstruct:nothing_such\n"
CONFINED = (
    "import json, os, socket, sys, time; sys.path[:] = json.loads(sys.argv[1]); "
    "from ksurf.web.limits import Limits, confine; confine(Limits(**json.loads(sys.argv[2]))); "
    "socket.recv_fds(socket.socket(fileno=0), 1 << 16, 1); "
)
"""A worker that gives up what it should, takes its job, and then does what a test says."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for number, version in enumerate(("5.10.1", "6.1.5")):
        offering_kernel(number).write(folder, kernel(version))
    kvm_kernel().write(folder, kernel("6.12.1"))
    bpf_kernel().write(folder, kernel("6.13.1"))
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither a file nor a process, whatever a test did."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = children()
    yield
    assert list(folder.iterdir()) == []
    assert children() <= before


def children() -> set[str]:
    """The processes that this one has started and that are not gone."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread may end meanwhile
            found |= set((task / "children").read_text().split())
    return found


async def once(data: bytes, size: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def use(dataset: Path, work: Callable[[Checks], Coroutine[Any, Any, _T]], bounds: Bounds | None = None) -> _T:
    """Do something with checks."""

    async def run() -> _T:
        checks = Checks(dataset, bounds)
        try:
            return await work(checks)
        finally:
            await checks.close()

    return asyncio.run(run())


def check(
    dataset: Path, data: bytes, name: str | None = "file", bounds: Bounds | None = None
) -> Checked | Refusal:
    return use(dataset, lambda checks: checks.check(once(data), name), bounds)


def refusal(dataset: Path, data: bytes, bounds: Bounds | None = None) -> Refusal:
    answer = check(dataset, data, bounds=bounds)
    assert isinstance(answer, Refusal)
    return answer


def document(answer: Checked | Refusal) -> dict[str, Any]:
    assert isinstance(answer, Checked), answer
    found: dict[str, Any] = json.loads(answer.document)
    return found


def test_the_result_is_that_of_ksurf_check(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = Elf()
    elf.program("kprobe/vfs_read", "prog")
    elf.section("license", b"GPL\0")
    script = b"kprobe:vfs_read { @ = count(); }\nkprobe:nowhere { exit(); }\n"
    tool = b"from bcc import BPF\nBPF(text='int kprobe__vfs_read(void *c) { return 0; }')\n"
    monkeypatch.chdir(tmp_path)
    for name, data in {"x.list": LIST, "x.bpf.o": elf.finish(), "x.bt": script, "x": tool}.items():
        (tmp_path / name).write_bytes(data)
        ksurf(["check", name, "--dataset", str(dataset), "--format", "json"])
        assert document(check(dataset, data, name)) == json.loads(capsys.readouterr().out)


def test_kernels_can_be_chosen(dataset: Path) -> None:
    def chosen(*kernels: str) -> Checked | Refusal:
        return use(dataset, lambda checks: checks.check(once(LIST), "x", kernels))

    assert [one["label"] for one in document(chosen("5.10", "6.12"))["kernels"]] == ["5.10", "6.12"]
    for selectors in (["9.99"], ["x" * 201], ["5.10"] * 101, [":"]):
        answer = chosen(*selectors)
        assert isinstance(answer, Refusal)
        assert (answer.reason, answer.status) == (Reason.KERNELS, 404)


def test_a_baseline_can_be_named(dataset: Path) -> None:
    async def compared(checks: Checks) -> list[Checked | Refusal]:
        return [await checks.check(once(LIST), "x", ["5.10"], baseline) for baseline in ("", "6.12", "9.99")]

    own, named, none = use(dataset, compared)
    assert document(own)["consumers"][0]["baseline"] is None
    assert document(named)["consumers"][0]["baseline"] == kernel("6.12.1").id
    assert [one["label"] for one in document(named)["kernels"]] == ["5.10"]
    assert isinstance(none, Refusal)
    assert none.reason is Reason.KERNELS


def test_a_dataset_without_kernels(tmp_path: Path) -> None:
    assert refusal(tmp_path, LIST) == Refusal(Reason.KERNELS, "the dataset has no kernels")


def archives() -> Iterator[tuple[str, bytes]]:
    with io.BytesIO() as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("bomb", bytes(1 << 24))
        yield "zip", made.getvalue()
    with io.BytesIO() as made:
        with tarfile.open(fileobj=made, mode="w") as tar:
            member = tarfile.TarInfo("x.list")
            member.size = len(LIST)
            tar.addfile(member, io.BytesIO(LIST))
        yield "tar", made.getvalue()
        yield "tar.gz", gzip.compress(made.getvalue())
        yield "tar.xz", lzma.compress(made.getvalue())
    yield "deb", b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"
    yield "list.gz", gzip.compress(LIST)
    yield "list.bz2", bz2.compress(LIST)


@pytest.mark.parametrize(("kind", "data"), list(archives()))
def test_archives_are_not_opened(dataset: Path, kind: str, data: bytes) -> None:
    answer = refusal(dataset, data)
    assert (answer.reason, answer.status) == (Reason.ARCHIVE, 422)
    assert answer.hint


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (bytes(range(256)) * 1000, Reason.NOTHING),
        (b"nothing but words\n", Reason.NOTHING),
        (b"\x7fELF", Reason.NOTHING),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 1, 247) + bytes(100), Reason.UNREADABLE),
        (b"kprob:vfs_read\n", Reason.UNREADABLE),
        (b"\x1f\x8b" + bytes(100), Reason.UNREADABLE),
        (b"#!/usr/bin/bpftrace\nkprobe:{{{{\n", Reason.UNREADABLE),
    ],
)
def test_what_cannot_be_checked(dataset: Path, data: bytes, reason: Reason) -> None:
    answer = refusal(dataset, data)
    assert answer.reason is reason, answer
    assert "/proc" not in answer.text
    assert answer.status == 422


def test_what_is_too_large_is_not_taken_in(dataset: Path) -> None:
    taken = 0

    async def gigabyte() -> AsyncIterator[bytes]:
        nonlocal taken
        chunk = bytes(1 << 20)
        while taken < 1 << 30:
            taken += len(chunk)
            yield chunk

    answer = use(dataset, lambda checks: checks.check(gigabyte(), "big"))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.status) == (Reason.TOO_LARGE, 413)
    assert "64 MiB" in answer.text
    assert taken == 65 << 20


def test_what_does_not_arrive_is_not_waited_for(dataset: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"kprobe:"
        await asyncio.sleep(60)

    answer = use(dataset, lambda checks: checks.check(slow(), "x"), Bounds(upload_seconds=0.1))
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.status) == (Reason.TOO_SLOW, 408)


def module(content: bytes) -> bytes:
    """What looks like a module, with that at its end."""
    elf = Elf(62)
    elf.section(".gnu.linkonce.this_module", bytes(64))
    elf.section(".modinfo", b"license=GPL\0name=made\0")
    return elf.finish() + content


def test_a_compressed_module_is_read_up_to_a_limit(dataset: Path) -> None:
    small = check(dataset, gzip.compress(module(b"")), "made.ko.gz")
    plain = check(dataset, module(b""), "made.ko.gz")
    assert small == plain
    bounds = Bounds(limits=Limits(file_byte_size=1 << 20))
    for compress in (gzip.compress, lzma.compress):
        answer = refusal(dataset, compress(module(bytes(32 << 20))), bounds)
        assert answer.reason is Reason.UNREADABLE, answer


def looping() -> Iterator[tuple[str, bytes]]:
    """Objects whose sections, symbols and relocations lead to each other, or stand for all of the file."""
    elf = Elf()
    section = elf.program("kprobe/vfs_read", "prog")
    elf.relocate(section, [(0, 1, 10)])
    made = elf.finish()
    (table,) = struct.unpack_from("<Q", made, 40)
    count = (len(made) - table) // 64
    for field, size in (("link", 40), ("info", 44)):
        data = bytearray(made)
        for number in range(count):
            struct.pack_into("<I", data, table + 64 * number + size, (number + 1) % count)
        yield field, bytes(data)
    for number in range(1, count):
        data = bytearray(made)
        struct.pack_into("<QQ", data, table + 64 * number + 24, 0, len(made))
        yield f"section {number} is the file", bytes(data)
    data = bytearray(made)
    for number in range(1, count):
        struct.pack_into("<QQ", data, table + 64 * number + 24, 0, len(made))
    yield "every section is the file", bytes(data)
    data = bytearray(made)
    struct.pack_into("<H", data, 60, 0xFFFF)
    yield "more sections than there are", bytes(data)
    many = Elf()
    for _ in range(60_000):
        many.section("kprobe/vfs_read", b"")
    yield "many sections", many.finish()
    yield "objects in an object", b"\x7fELF" + bytes(60) + made * 2_000


@pytest.mark.parametrize(("kind", "data"), list(looping()))
def test_looping_objects_are_bounded(dataset: Path, kind: str, data: bytes) -> None:
    began = time.monotonic()
    answer = check(dataset, data)
    assert isinstance(answer, Checked) or answer.reason in {
        *(Reason.UNREADABLE, Reason.NOTHING, Reason.TIME, Reason.MEMORY, Reason.RESULT)
    }, answer
    assert time.monotonic() - began < 90


@pytest.mark.parametrize(
    "script",
    [
        "kprobe:vfs_read {" + "{" * 50_000,
        "kprobe:vfs_read { @ = " + "(" * 50_000 + "1" + ")" * 50_000 + "; }",
        "kprobe:vfs_read { @ = 1" + " + 1" * 100_000 + "; }",
        "kprobe:vfs_read { while (1) { @ = count(); } }",
        "".join(f"kprobe:f{n} {{ exit(); }}\n" for n in range(20_000)),
        "kprobe:" + "*?" * 50_000 + " { exit(); }",
        "/*" * 100_000 + "kprobe:vfs_read { exit(); }",
    ],
    ids=range(7),
)
def test_endless_scripts_are_bounded(dataset: Path, script: str) -> None:
    began = time.monotonic()
    answer = check(dataset, f"#!/usr/bin/bpftrace\n{script}\n".encode(), "x.bt")
    assert isinstance(answer, Checked) or answer.reason in {
        *(Reason.UNREADABLE, Reason.NOTHING, Reason.TIME, Reason.MEMORY, Reason.RESULT)
    }, answer
    assert time.monotonic() - began < 90


def test_nothing_that_lies_on_the_server_is_read(dataset: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.c"
    secret.write_text("int kprobe__secret_of_the_server(void *c) { return 0; }\n")
    for name in (str(secret), os.path.relpath(secret, "/")):
        tool = f"from bcc import BPF\nBPF(src_file={name!r})\n"
        answer = check(dataset, tool.encode(), f"{tmp_path}/tool")
        said = answer.document.decode() if isinstance(answer, Checked) else answer.text
        assert "secret_of_the_server" not in said


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("biotop.bpf.o", "biotop.bpf.o"),
        ("../../etc/passwd", "passwd"),
        ("C:\\tools\\x.bt", "x.bt"),
        ("<script>alert(1)</script>", "script>"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("a\0b\nc\x1b[31m\u202etxt.o", "a_b_c_[31m_txt.o"),
        ("\udcff\ud800", "upload"),
        ("..", "upload"),
        ("  ", "upload"),
        ("", "upload"),
        (None, "upload"),
        ("a" * 10_000, "a" * 79 + "…"),
        ("a" * 10_000 + ".ko.xz", "a" * 76 + "….xz"),
        ("." + "x" * 10_000, "x" * 79 + "…"),
        ("-", "-"),
    ],
)
def test_names_are_fit_to_be_shown(dataset: Path, name: str | None, shown: str) -> None:
    assert clean_name(name) == shown
    assert len(clean_name(name)) <= 80


def test_any_name_is_only_a_name(dataset: Path) -> None:
    async def all_names(checks: Checks) -> list[str]:
        names = ("-", "../x.list", "a\0b", "<b>.list", "x" * 10_000, "/proc/self/environ", "")
        answers = [await checks.check(once(LIST), name) for name in names]
        return [document(answer)["consumers"][0]["path"] for answer in answers]

    assert use(dataset, all_names) == ["-", "x.list", "a_b", "<b>.list", "x" * 79 + "…", "environ", "upload"]


def worker(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have another worker, under the same limits."""
    monkeypatch.setattr(upload, "_START", CONFINED + "\n" + code)


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("while True: pass", Reason.TIME, "1 seconds of processor time"),
        ("time.sleep(60)", Reason.TIME, "3 seconds"),
        ("os.close(1); time.sleep(60)", Reason.TIME, "3 seconds"),
        ("os.write(1, b'{}\\n'); os.abort()", Reason.MEMORY, "256 MiB of memory"),
        ("os.write(1, b'{}\\n'); os.kill(os.getpid(), 11)", Reason.ENDED, "with status"),
        ("import ctypes; ctypes.string_at(1)", Reason.ENDED, "by signal 11"),
        ("bytearray(1 << 30)", Reason.ENDED, "with status 1"),
        ("while True: os.write(1, b'{}\\n' + bytes(1 << 16))", Reason.RESULT, "more than 1 MiB"),
        ("os._exit(0)", Reason.ENDED, "no answer"),
        ("os.write(1, b'nonsense')", Reason.ENDED, "no answer"),
        ("os.write(1, b'[]\\n')", Reason.ENDED, "no answer"),
        ('os.write(1, b\'{"refused": "for fun"}\\n\')', Reason.ENDED, "no answer"),
        ("os.setsid()", Reason.ENDED, "with status 1"),
    ],
)
def test_a_worker_that_misbehaves_is_ended(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: Reason, words: str
) -> None:
    worker(monkeypatch, code)
    limits = Limits(address_byte_size=256 << 20, cpu_seconds=1)
    # Where the machine is busy all else takes longer than it should.
    seconds = 3 if "3 seconds" in words else 60
    bounds = Bounds(check_seconds=seconds, result_byte_size=1 << 20, limits=limits)
    answer = refusal(dataset, LIST, bounds)
    assert (answer.reason, words in answer.text) == (reason, True), answer


def test_memory_that_is_not_there_is_told(dataset: Path) -> None:
    lines = b"".join(b"struct:some_structure_%d::some_field\n" % number for number in range(150_000))
    bounds = Bounds(limits=Limits(address_byte_size=500 << 20))
    assert refusal(dataset, lines, bounds).reason in {Reason.MEMORY, Reason.TIME, Reason.RESULT}


def test_a_few_are_checked_at_once_and_the_others_wait_or_go(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(monkeypatch, "time.sleep(0.5); os.write(1, b'{}\\n{}')")
    most = 0

    async def many(checks: Checks) -> list[Checked | Refusal]:
        nonlocal most
        waiting = [asyncio.create_task(checks.check(once(LIST), str(number))) for number in range(7)]
        while not all(task.done() for task in waiting):
            most = max(most, len(children() - before))
            await asyncio.sleep(0.02)
        return await asyncio.gather(*waiting)

    before = children()
    answers = use(dataset, many, Bounds(running=2, waiting=3))
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert [(one.reason, one.status) for one in refused] == [(Reason.BUSY, 503)] * 2
    assert "5 other checks" in refused[0].text
    # Two, and at the end of the first the one that will be next.
    assert 2 <= most <= 3
    assert check(dataset, LIST) == Checked("file", b"{}")


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3])
def test_whoever_goes_away_leaves_nothing(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    worker(monkeypatch, "time.sleep(60)")
    before = children()

    async def goes(checks: Checks) -> None:
        task = asyncio.create_task(checks.check(once(LIST), "x"))
        await asyncio.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await checks.close()
        assert children() <= before
        assert checks._admitted == 0

    use(dataset, goes)


def test_a_form_whose_sender_goes_away_leaves_nothing(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(monkeypatch, "time.sleep(60)")
    messages = [{"type": "http.request", "body": FORM % (b"", b"x", LIST)}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.sleep(0.5)
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def goes(checks: Checks) -> Checked | Refusal | None:
        async with Body(receive) as body:
            return await body.while_there(checks.check_form(body, "multipart/form-data; boundary=b"))

    assert use(dataset, goes) is None


def test_a_server_that_is_killed_leaves_nothing(dataset: Path, tmp_path: Path) -> None:
    code = f"""
import asyncio, sys
sys.path[:] = {sys.path}
from pathlib import Path
from ksurf.web import upload
upload._START = {CONFINED!r} + "os.write(1, b'up'); time.sleep(60)"
async def once():
    yield {LIST!r}
async def run():
    checks = upload.Checks(Path({str(dataset)!r}))
    task = asyncio.create_task(checks.check(once()))
    while checks._turns._value == 2:
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    print("up", flush=True)
    await task
asyncio.run(run())
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        (started,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        server.kill()
    ended = time.monotonic() + 10
    while Path("/proc", started).exists() and is_running(started):
        assert time.monotonic() < ended
        time.sleep(0.01)


def is_running(process: str) -> bool:
    """Whether it is more than what its new parent has not looked at yet."""
    with suppress(FileNotFoundError):
        return Path("/proc", process, "stat").read_text().rpartition(") ")[2][0] != "Z"
    return False


def test_what_breaks_while_it_arrives_goes_on(dataset: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"kprobe:"
        raise ConnectionResetError

    async def twice(checks: Checks) -> Checked | Refusal:
        with pytest.raises(ConnectionResetError):
            await checks.check(breaks(), "x")
        return await checks.check(once(LIST), "x")

    assert document(use(dataset, twice))["outcome"] == "broken"


def test_a_full_disk_is_told(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> io.BytesIO:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    assert refusal(dataset, LIST).status == 507


def test_the_process_that_is_ready_takes_the_next_one_and_may_die(dataset: Path) -> None:
    async def kills(checks: Checks) -> list[str]:
        outcomes = []
        for kills in (False, True):
            checks.start()
            assert checks._spare is not None
            if kills:
                checks._spare._process.kill()
                checks._spare._process.wait()
            outcomes.append(document(await checks.check(once(LIST), "x"))["outcome"])
        return outcomes

    assert use(dataset, kills) == ["broken", "broken"]


def test_checks_outlive_their_loop(dataset: Path) -> None:
    checks = Checks(dataset)
    for _ in range(2):
        assert document(asyncio.run(checks.check(once(LIST), "x")))["outcome"] == "broken"
    asyncio.run(checks.close())


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="kernel"\r\n\r\n6.12\r\n'
    b'--b\r\nContent-Disposition: form-data; name="kernel"\r\n\r\n\r\n'
    b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n%s\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n%s\r\n--b--\r\n"
)


def form(dataset: Path, data: bytes, bounds: Bounds | None = None) -> Checked | Refusal:
    kind = "multipart/form-data; boundary=b"
    return use(dataset, lambda checks: checks.check_form(once(data, 100), kind), bounds)


def test_a_form_sends_a_file_or_a_text(dataset: Path) -> None:
    file = document(form(dataset, FORM % (b"\r\n ", b"../x.list", LIST)))
    assert [one["label"] for one in file["kernels"]] == ["6.12"]
    assert [one["path"] for one in file["consumers"]] == ["x.list"]
    text = document(form(dataset, FORM % (LIST.replace(b"\n", b"\r\n"), b"", b"")))
    assert [one["path"] for one in text["consumers"]] == ["pasted"]
    assert file["consumers"][0]["dependencies"] == text["consumers"][0]["dependencies"]


def test_forms_that_are_refused(dataset: Path) -> None:
    def reason(data: bytes, bounds: Bounds | None = None) -> Reason:
        answer = form(dataset, data, bounds)
        assert isinstance(answer, Refusal)
        return answer.reason

    assert reason(FORM % (b"", b"", b"")) is Reason.EMPTY
    assert reason((FORM % (b"", b"x", LIST))[:-9]) is Reason.BROKEN_OFF
    assert reason(FORM % (b"a" * (2 << 20), b"", b"")) is Reason.BROKEN_OFF
    assert reason(FORM % (b"", b"x", bytes(2_000)), Bounds(upload_byte_size=1_000)) is Reason.TOO_LARGE


def test_every_reason_has_a_status() -> None:
    assert all(400 <= Refusal(reason, "").status < 600 for reason in Reason)
    assert replace(Refusal(Reason.EMPTY, "it is empty"), hint="x").hint == "x"
