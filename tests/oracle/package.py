"""Images out of a Debian package, with nothing but the standard library."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

_AR_MAGIC = b"!<arch>\n"


class _Member(io.RawIOBase):
    """One member of an ar file, from where the file stands, as a file of its own."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)


def take_vmlinux(package: Path, target: Path) -> None:
    """Write the package's ``vmlinux`` to ``target``."""
    for name, source in images(package):
        if is_vmlinux(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".part")
            with unfinished.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            unfinished.rename(target)
            return
    raise AssertionError(f"{package}: no vmlinux")


def is_vmlinux(name: str) -> bool:
    """Tell whether a file of a package is the kernel, by its name."""
    return name == "vmlinux" or name.startswith("vmlinux-")


def images(package: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every file of the package: its name without folders, and its content, to be read before the next."""
    with package.open("rb") as file:
        assert file.read(len(_AR_MAGIC)) == _AR_MAGIC
        while header := file.read(60):
            name, size = header[:16].decode().strip(), int(header[48:58])
            if name.startswith("data.tar"):
                data = io.BufferedReader(_Member(file, size), 1 << 20)
                with tarfile.open(fileobj=data, mode="r|*") as tar:
                    for entry in tar:
                        if entry.isfile() and (source := tar.extractfile(entry)):
                            yield entry.name.rsplit("/", 1)[-1], source
                return
            file.seek(size + size % 2, io.SEEK_CUR)
    raise AssertionError(f"{package}: no data.tar")
