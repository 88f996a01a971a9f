"""Files are whole or not there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from full_disk import room_for
from ksurf.atomic import replacing, write_whole


def test_an_interrupted_writer_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "below/file"
    write_whole(path, b"before")
    with pytest.raises(KeyboardInterrupt), replacing(path) as beside:
        beside.write_bytes(b"af")
        raise KeyboardInterrupt
    with room_for(3), pytest.raises(OSError, match="too large"):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [bytes([letter]) * 100_000 for letter in b"abcdefgh"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(path, content), contents * 4))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]
