"""The kernels that are measured, the pieces of their packages that the peers read, and programs to check."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path
from typing import IO

__all__ = ["KSURF", "data_archive", "package", "source_dataset", "tools", "vmlinux"]

KSURF = Path(sys.executable).with_name("ksurf")
_PIECE = 1 << 22


def package(selector: str) -> Path:
    """Return the debug package of the newest kernel that matches; it stays in ksurf's own cache."""
    print(f"fetching {selector}, unless it is there", flush=True)
    command: list[str | Path] = [KSURF, "pull", "--download-only", selector]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit("the benchmarks need Debian's archive, or its packages in ksurf's cache")
    # The debug package comes first, that with the configuration second.
    return Path(done.stdout.splitlines()[0])


def data_archive(package: Path, folder: Path) -> Path:
    """Return the package's ``data.tar.xz`` as a file of its own."""
    target = folder / f"{package.stem}.data.tar.xz"
    if not target.exists():
        with package.open("rb") as file:
            size = _seek_member(file, "data.tar.xz")
            _copy(file, size, target)
    return target


def vmlinux(package: Path, folder: Path) -> Path:
    """Return the package's ``vmlinux`` as a file of its own."""
    target = folder / f"{package.stem}.vmlinux"
    if not target.exists():
        with tarfile.open(data_archive(package, folder)) as tar:
            entry = next(e for e in tar if e.isfile() and Path(e.name).name.startswith("vmlinux"))
            file = tar.extractfile(entry)
            assert file is not None
            _copy(file, entry.size, target)
    return target


def tools(name: str, folder: Path) -> Path:
    """Return the folder with a package's tools, fetched as the tests do it."""
    # Packages that are no kernels are fetched for the tests alone.
    sys.path.append(str(Path(__file__).parent.parent / "tests"))
    from material import Material

    return Material(folder).unpacked(name) / "usr" / "sbin"


def source_dataset(folder: Path) -> Path:
    """Return a dataset with Debian's source of 7.3, in which a kernel for arm64 is prepared."""
    dataset = folder / "source"
    pull: list[str | Path] = [KSURF, "source", "pull", "debian:7.3-cloud-arm64", "--dataset", dataset]
    if subprocess.run(pull).returncode:
        sys.exit("the benchmarks need the source of Debian's 7.3")
    return dataset


def _seek_member(file: IO[bytes], name: str) -> int:
    """Go to a member of an ar file and return its size."""
    file.seek(len(b"!<arch>\n"))
    while header := file.read(60):
        size = int(header[48:58])
        if header[:16].decode().rstrip(" /") == name:
            return size
        file.seek(size + size % 2, 1)
    sys.exit(f"{file.name}: no {name}; the peer here is xz")


def _copy(file: IO[bytes], size: int, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    with unfinished.open("wb") as out:
        while size:
            size -= out.write(file.read(min(size, _PIECE)))
    unfinished.rename(target)
