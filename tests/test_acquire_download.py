"""Downloads: resumed, checked, safe between two at once, and never more than was announced."""

import errno
import hashlib
import os
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from archive_server import ArchiveServer, Behaviour, serving
from ksurf.acquire import download as module
from ksurf.acquire import http as http_module
from ksurf.acquire.download import download, is_verified
from ksurf.acquire.http import Http, join
from ksurf.errors import DiskFullError, KsurfError, MirrorError, NotOnMirrorError, VerificationError
from ksurf.progress import Silent

CONTENT = os.urandom(3_000_000)
PATH = "pool/linux-image-6.12+deb13_1~x.deb"


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchiveServer]:
    monkeypatch.setattr(http_module, "PAUSES", (0.0, 0.0))
    with serving() as server:
        server.files[PATH] = CONTENT
        yield server


def fetch(
    archive: ArchiveServer, folder: Path, content: bytes = CONTENT, paths: tuple[str, ...] = (PATH,)
) -> Path:
    http = Http()
    try:
        return download(
            http,
            [join(archive.url, path) for path in paths],
            folder / "some" / "file.deb",
            byte_size=len(content),
            sha256=sha256(content).hexdigest(),
            reporter=Silent(),
        )
    finally:
        http.close()


def part_of(folder: Path) -> Path:
    return folder / "some" / f"file.deb.{sha256(CONTENT).hexdigest()[:12]}.part"


def test_a_download_is_fetched_once(archive: ArchiveServer, tmp_path: Path) -> None:
    target = fetch(archive, tmp_path)
    assert target.read_bytes() == CONTENT
    assert fetch(archive, tmp_path) == target
    assert archive.counts() == {PATH: 1}
    assert not part_of(tmp_path).exists()


def test_a_verified_file_is_known_without_being_read(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = fetch(archive, tmp_path)
    monkeypatch.setattr(hashlib, "sha256", None)
    assert fetch_again(archive, target) == target


def fetch_again(archive: ArchiveServer, target: Path) -> Path:
    digest = "0" * 64
    with pytest.raises(TypeError):  # another hash would have to be computed
        download(Http(), [], target, byte_size=len(CONTENT), sha256=digest, reporter=Silent())
    known = target.with_name(f"{target.name}.ok").read_text()
    digest = known.partition('"sha256": "')[2][:64]
    return download(Http(), [], target, byte_size=len(CONTENT), sha256=digest, reporter=Silent())


def test_a_file_that_was_touched_is_checked_again_but_not_fetched(
    archive: ArchiveServer, tmp_path: Path
) -> None:
    target = fetch(archive, tmp_path)
    os.utime(target)
    assert not is_verified(target, len(CONTENT), sha256(CONTENT).hexdigest())
    fetch(archive, tmp_path)
    assert is_verified(target, len(CONTENT), sha256(CONTENT).hexdigest())
    assert archive.counts() == {PATH: 1}


def test_a_file_that_was_changed_is_fetched_again(archive: ArchiveServer, tmp_path: Path) -> None:
    target = fetch(archive, tmp_path)
    target.write_bytes(CONTENT[:-1] + b"?")
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert archive.counts() == {PATH: 2}


def test_a_broken_connection_is_resumed(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.behaviour[PATH] = Behaviour(cut_after=1_000_000, times=2)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert [headers.get("range") for _, headers in archive.requests] == [
        None,
        "bytes=1000000-",
        "bytes=2000000-",
    ]


def test_tries_are_counted_from_the_last_progress(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.behaviour[PATH] = Behaviour(cut_after=400_000, times=7)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_a_killed_download_is_resumed_by_the_next_process(archive: ArchiveServer, tmp_path: Path) -> None:
    part_of(tmp_path).parent.mkdir()
    part_of(tmp_path).write_bytes(CONTENT[:1234])
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert archive.requests[0][1]["range"] == "bytes=1234-"


@pytest.mark.parametrize("left", [b"something else", CONTENT + b"more", os.urandom(len(CONTENT))])
def test_a_part_that_does_not_fit_is_replaced(archive: ArchiveServer, tmp_path: Path, left: bytes) -> None:
    part_of(tmp_path).parent.mkdir()
    part_of(tmp_path).write_bytes(left)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(archive: ArchiveServer, tmp_path: Path) -> None:
    part_of(tmp_path).parent.mkdir()
    part_of(tmp_path).write_bytes(CONTENT[:1234])
    archive.behaviour[PATH] = Behaviour(no_ranges=True)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_an_overloaded_server_is_asked_again(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.behaviour[PATH] = Behaviour(status=503, times=2)
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_overloaded_is_given_up(archive: ArchiveServer, tmp_path: Path) -> None:
    archive.behaviour[PATH] = Behaviour(status=503)
    with pytest.raises(MirrorError, match="503") as caught:
        fetch(archive, tmp_path)
    assert caught.value.hint
    assert archive.counts() == {PATH: 3}


def test_the_part_outlives_a_mirror_that_is_given_up(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "PAUSES", ())
    archive.behaviour[PATH] = Behaviour(cut_after=1000, times=1)
    with pytest.raises(MirrorError, match="received 1000 bytes"):
        fetch(archive, tmp_path)
    assert part_of(tmp_path).read_bytes() == CONTENT[:1000]
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("behaviour", "error", "reason"),
    [
        (Behaviour(status=404), NotOnMirrorError, "answers 404"),
        (Behaviour(status=403), NotOnMirrorError, "answers 403"),
        (Behaviour(body=b""), NotOnMirrorError, "empty file"),
        (Behaviour(body=b"", no_length=True), NotOnMirrorError, "empty file"),
        (Behaviour(status=401), MirrorError, "answered 401"),
        (Behaviour(body=CONTENT[:-1]), VerificationError, "2999999 bytes there, the archive lists 3000000"),
        (Behaviour(body=CONTENT + b"!"), VerificationError, "3000001 bytes there"),
        (Behaviour(body=CONTENT + b"!", no_length=True), VerificationError, "longer than the 3000000 bytes"),
        (
            Behaviour(body=CONTENT[:-1] + b"?"),
            VerificationError,
            "its SHA256 is [0-9a-f]{64}, the archive's list",
        ),
    ],
)
def test_what_is_not_the_file_is_refused(
    archive: ArchiveServer, tmp_path: Path, behaviour: Behaviour, error: type[KsurfError], reason: str
) -> None:
    archive.behaviour[PATH] = behaviour
    with pytest.raises(error, match=reason):
        fetch(archive, tmp_path)
    left = [path for path in (tmp_path / "some").iterdir() if path.suffix != ".lock"]
    assert left == []
    archive.behaviour.clear()
    assert fetch(archive, tmp_path).read_bytes() == CONTENT


def test_another_address_stands_in(archive: ArchiveServer, tmp_path: Path) -> None:
    assert fetch(archive, tmp_path, paths=("pool/gone.deb", PATH)).read_bytes() == CONTENT


def test_a_dead_mirror_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "PAUSES", (0.0,))
    with serving() as server:
        dead = ArchiveServer(url=server.url)
    with pytest.raises(MirrorError, match=f"{dead.url}/pool/.*refused"):
        fetch(dead, tmp_path)


def test_two_at_once_fetch_it_once(archive: ArchiveServer, tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(archive, tmp_path).read_bytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert archive.counts() == {PATH: 1}


def test_too_little_room_is_seen_before_anything_is_fetched(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 2_999_999))
    with pytest.raises(DiskFullError, match=r"needs 3\.0 MB"):
        fetch(archive, tmp_path)
    assert not archive.requests


def test_a_disk_that_fills_up_keeps_the_part(
    archive: ArchiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = module._Part._write

    def full(part: module._Part, chunk: bytes) -> None:
        if part._done >= 1 << 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(part, chunk)

    monkeypatch.setattr(module._Part, "_write", full)
    with pytest.raises(DiskFullError, match="No space left") as caught:
        fetch(archive, tmp_path)
    assert "run it again" in str(caught.value.hint)
    kept = part_of(tmp_path).read_bytes()
    assert len(kept) >= 1 << 20
    assert kept == CONTENT[: len(kept)]

    monkeypatch.undo()
    monkeypatch.setattr(http_module, "PAUSES", ())
    assert fetch(archive, tmp_path).read_bytes() == CONTENT
    assert archive.requests[-1][1]["range"] == f"bytes={len(kept)}-"


def test_a_folder_that_cannot_be_made_is_one_line(archive: ArchiveServer, tmp_path: Path) -> None:
    (tmp_path / "some").write_text("a file where the folder should be")
    with pytest.raises(KsurfError, match="some"):
        fetch(archive, tmp_path)
