"""Results that a link keeps: until they expire, whatever happens to processes, and for nobody who guesses."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

import ksurf
from ksurf.web.results import Results, default_folder

DOCUMENT = b'{"schema": "ksurf.check"}\n'
WRITER = f"""
import sys
sys.path.insert(0, {str(Path(ksurf.__file__).parents[1])!r})
from pathlib import Path
from ksurf.web.results import Results
results = Results(Path(sys.argv[1]), byte_limit=int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    print(results.keep(b"%s %d " % (sys.argv[4].encode(), number) * 100), flush=True)
"""


def kept(results: Results, document: bytes = DOCUMENT) -> str:
    token = results.keep(document)
    assert token is not None
    return token


def aged(results: Results, token: str, age: timedelta) -> None:
    then = time.time() - age.total_seconds()
    os.utime(results.folder / f"{token}.result", (then, then))


def names(results: Results) -> set[str]:
    return {path.name.partition(".")[0] for path in results.folder.iterdir()}


def test_what_is_kept_is_found_by_any_process(tmp_path: Path) -> None:
    token = kept(Results(tmp_path / "deep" / "folder"))
    assert len(token) == 22
    found = Results(tmp_path / "deep" / "folder").find(token)
    assert found is not None
    assert (found.token, found.document) == (token, DOCUMENT)
    assert found.expires - found.created == timedelta(days=7)
    assert (tmp_path / "deep" / "folder").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "deep" / "folder" / f"{token}.result").stat().st_mode & 0o777 == 0o600


def test_by_default_they_are_below_the_cache(tmp_path: Path) -> None:
    assert default_folder() == Results().folder == tmp_path / "cache" / "checks"
    assert Results().find("A" * 22) is None
    assert not default_folder().exists()


@pytest.mark.parametrize(
    "token",
    [
        *(
            "",
            "..",
            ".",
            "/etc/passwd",
            "a" * 21,
            "a" * 23,
            "a" * 21 + "\n",
            "a" * 22 + "\n",
            "a" * 21 + "\0",
        ),
        *("../" * 7 + "x", "a" * 10_000, "<script>alert(1)</scr>", "é" * 22, "a" * 21 + "%", "a" * 21 + "/"),
        *("a" * 21 + ".", "٣" * 22),
    ],
)
def test_what_is_no_token_is_not_looked_for(
    tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was looked for"))
    assert Results(tmp_path).find(token) is None


def test_what_has_expired_is_gone(tmp_path: Path) -> None:
    results = Results(tmp_path, expiry=timedelta(hours=1))
    old, older, new = (kept(results) for _ in range(3))
    aged(results, old, timedelta(minutes=61))
    aged(results, older, timedelta(minutes=62))
    assert results.find(old) is None
    assert names(results) == {older, new}
    assert kept(results) in names(results)
    assert older not in names(results)
    assert results.find(new) is not None


def test_the_oldest_go_where_there_are_too_many_bytes(tmp_path: Path) -> None:
    noise = random.Random(0)
    results = Results(tmp_path, byte_limit=10_000)
    tokens = []
    for number in range(12):
        tokens.append(kept(results, noise.randbytes(2_000)))
        aged(results, tokens[-1], timedelta(minutes=60 - number))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10_000
    assert names(results) == set(tokens[-4:])
    assert results.keep(noise.randbytes(11_000)) is None
    assert names(results) == set(tokens[-4:])


@pytest.mark.parametrize("at", [0, 5, 20, 60, -1])
def test_a_damaged_file_is_a_miss_and_is_removed(tmp_path: Path, at: int) -> None:
    results = Results(tmp_path)
    for damage in ("change", "cut"):
        token = kept(results)
        file = tmp_path / f"{token}.result"
        data = bytearray(file.read_bytes())
        if damage == "cut":
            del data[at:]
        else:
            data[at] ^= 1
        file.write_bytes(data)
        assert results.find(token) is None
        assert not file.exists()


def test_a_file_that_stands_for_too_much_is_a_miss(tmp_path: Path) -> None:
    import hashlib
    import zlib

    results = Results(tmp_path)
    (tmp_path / f"{'z' * 22}.result").write_bytes(
        b"ksurf result 1\n" + hashlib.sha256(b"").digest() + zlib.compress(bytes(100 << 20))
    )
    assert results.find("z" * 22) is None


def test_what_is_no_file_is_a_miss(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    results.folder.mkdir()
    target = tmp_path / "secret"
    target.write_bytes(b"secret")
    (results.folder / f"{'l' * 22}.result").symlink_to(target)
    os.mkfifo(results.folder / f"{'p' * 22}.result")
    (results.folder / f"{'d' * 22}.result").mkdir()
    for letter in "lpd":
        assert results.find(letter * 22) is None
    assert target.read_bytes() == b"secret"
    kept(results)


def test_a_full_disk_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = Results(tmp_path)
    first = kept(results)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert results.keep(DOCUMENT) is None
    assert names(results) == {first}


def test_several_processes_write_and_remove_at_once(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", WRITER, str(tmp_path), "4000", "40", str(number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    said = Counter(line for writer in writers for line in writer.communicate()[0].split())
    assert [writer.returncode for writer in writers] == [0] * 4
    assert len(said) == 160
    results = Results(tmp_path, byte_limit=4000)
    assert kept(results) in names(results)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4000
    found = [results.find(token) for token in said]
    assert 0 < sum(one is not None for one in found) < 160


def test_a_writer_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    results = Results(tmp_path, byte_limit=1 << 20)
    for delay in (0.0, 0.002, 0.005):
        writer = subprocess.Popen(
            [sys.executable, "-I", "-c", WRITER, str(tmp_path), str(1 << 20), "100000", "x"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(10)]
        time.sleep(delay)
        writer.kill()
        said += writer.communicate()[0].split("\n")[:-1]
        assert all(results.find(token) is not None for token in said)
        # Whatever has a name is whole.
        for path in tmp_path.glob("*.result"):
            assert results.find(path.stem) is not None


def test_what_a_killed_writer_left_is_removed_later(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for name, age in (("a", 2 * 3600), ("b", 60)):
        path = tmp_path / f"{name * 22}.part"
        path.write_bytes(b"ksurf")
        os.utime(path, (time.time() - age,) * 2)
    kept(results)
    assert not (tmp_path / f"{'a' * 22}.part").exists()
    assert (tmp_path / f"{'b' * 22}.part").exists()
