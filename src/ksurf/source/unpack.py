"""A tree's files, out of an archive or a folder, as plain files below one folder and nothing else.

Links and devices are left out; a link to a file of the tree itself becomes that file. What an archive holds
is not trusted: names that lead elsewhere, and more than any kernel has, are refused.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ksurf.acquire.files import megabytes
from ksurf.errors import DiskFullError, InputError
from ksurf.kernel import upstream_version
from ksurf.progress import Reporter, Task

__all__ = [
    "Unpacked",
    "check_room",
    "copy_folder",
    "is_package",
    "source_version",
    "unpack",
    "unpacked_byte_size",
]

_FILES_LIMIT = 1_000_000
_BYTE_LIMIT = 16 << 30
"""A kernel's source has 100,000 files and 1.6 GB."""
_FILE_BYTE_LIMIT = 128 << 20
"""The longest file of a kernel has 24 MB; longer ones are left out."""
_INNER_BYTE_LIMIT = 1 << 30
"""Of the archive in a package, compressed."""
_PATH_LIMIT = 1024
_BLOCK = 4096
_INNER = re.compile(r"(?:usr/src/)?linux-source-[^/]+\.tar(?:\.xz|\.gz|\.zst)?")
# How much longer files are than the archive, at most: source compresses well, and files take whole blocks.
_GROWTH = ((b"\xfd7zXZ\0", 13), (b"\x28\xb5\x2f\xfd", 11), (b"\x1f\x8b", 9), (b"", 2))

# What builds leave in a tree, and what is kept there of its history.
_FOLDERS_LEFT_OUT = re.compile(
    r"\..*|include/config|include/generated|arch/[^/]+/include/generated|debian/build|.*\.tmp_versions"
)
_FILES_LEFT_OUT = re.compile(
    r".*\.(?:o|a|ko|ko\.\w+|cmd|d|so|dbg|dwo|mod|mod\.c|order|symvers|gz|xz|zst|bz2|deb|rpm|pyc)"
    r"|\.config.*|\.version|\.tmp_.*|\..*\.cmd|vmlinux|vmlinux\.(?:o|bin.*|map|unstripped|a|symvers|objs|relocs)|System\.map|Module\.symvers|modules\.builtin.*"
)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of an archive or a folder."""

    files: int
    byte_size: int
    left_out: int
    """How many files were too large."""


def source_version(root: Path) -> str | None:
    """Return the kernel's version (``7.3.4``, ``7.3-rc7``) that a tree's Makefile says; ``None`` if it says
    none.
    """
    try:
        with (root / "Makefile").open("rb") as file:
            text = file.read(_BLOCK).decode("utf-8", "replace")
    except OSError:
        return None
    found = dict(re.findall(r"(?m)^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)$", text))
    if not all(re.fullmatch(r"\d{1,5}", found.get(name, "")) for name in ("VERSION", "PATCHLEVEL")):
        return None
    version = f"{found['VERSION']}.{found['PATCHLEVEL']}"
    if found.get("SUBLEVEL", "0") != "0":
        version += f".{found['SUBLEVEL']}"
    return upstream_version(version + found.get("EXTRAVERSION", ""))


def unpacked_byte_size(archive: Path) -> int:
    """Return about how much room an archive's files need, at most."""
    with _readable(archive), archive.open("rb") as file:
        start = file.read(8)
        size = os.fstat(file.fileno()).st_size
    if start == b"!<arch>\n":
        # The archive in it is written to disk, and then unpacked.
        return size * 14
    return size * next(growth for magic, growth in _GROWTH if start.startswith(magic))


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise ``DiskFullError`` if there is no room for that many bytes where ``folder`` is, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DiskFullError(
            f"{folder}: {what} needs about {megabytes(needed)}, {megabytes(free)} is free",
            "free some room, or name another dataset with --dataset",
        )


def is_package(archive: Path) -> bool:
    """Tell if an archive is a Debian package."""
    with _readable(archive), archive.open("rb") as file:
        return file.read(8) == b"!<arch>\n"


def unpack(archive: Path, target: Path, reporter: Reporter) -> Unpacked:
    """Put a kernel's source into ``target``, which is made; its Makefile is then directly there.

    ``archive`` is a tar archive, compressed or not, or a package with one in it. Raises ``InputError`` if it
    is damaged, or is something else.
    """
    aside = target.with_name(f"{target.name}.unpacking")
    inner = target.with_name(f"{target.name}.archive")
    try:
        if is_package(archive):
            _take_inner(archive, inner, reporter)
        found = unpack_files(inner if inner.exists() else archive, aside, reporter, name=archive.name)
        root = _root(aside)
        if root is None:
            raise InputError(
                f"{archive}: no kernel's source: no Makefile with a version in it",
                "a tree's root is expected, as kernel.org and linux-source-* have it",
            )
        root.rename(target)
    finally:
        inner.unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
    return found


def unpack_files(archive: Path, target: Path, reporter: Reporter, *, name: str | None = None) -> Unpacked:
    """Put the files of an archive or a package below ``target`` under the names that they have there."""
    from ksurf import _core

    name = name or archive.name
    try:
        with reporter.task(f"Unpacking {name}", unit="files") as task:
            files = _core.Archive(str(archive))
            writer = _Writer(target, name, task)
            while member := files.next_file(_FILE_BYTE_LIMIT):
                writer.add(*member)
            for path, link_target in files.links():
                writer.link(path, link_target)
            return writer.done()
    except _core.ReadError as error:
        # The archive in a package has a name that nobody knows.
        message = str(error).replace(str(archive), name)
        raise InputError(message, "the file is damaged or incomplete: fetch it again") from error


def copy_folder(folder: Path, target: Path, reporter: Reporter) -> Unpacked:
    """Copy a tree without its history and without what was built in it."""
    with reporter.task(f"Copying {folder}", unit="files") as task:
        writer, root = _Writer(target, str(folder), task), folder.resolve()
        for here, folders, files in os.walk(folder):
            below = Path(here).relative_to(folder).as_posix()
            prefix = "" if below == "." else f"{below}/"
            folders[:] = sorted(
                one
                for one in folders
                if not one.startswith(".") and not _FOLDERS_LEFT_OUT.fullmatch(prefix + one)
            )
            for one in sorted(files):
                if not _FILES_LEFT_OUT.fullmatch(one):
                    writer.copy(Path(here, one), prefix + one, root)
        return writer.done()


class _Writer:
    """Writes files below a folder in which there is nothing yet, so that there is no link to follow."""

    def __init__(self, target: Path, name: str, task: Task) -> None:
        self._target = target
        self._name = name
        self._task = task
        self._folders: set[str] = set()
        self._files = 0
        self._byte_size = 0
        self._left_out = 0
        target.mkdir()

    def add(self, path: str, content: bytes | None, byte_size: int) -> None:
        """Write a file; without content it is too large and is left out."""
        self._count(byte_size)
        if content is None:
            self._left_out += 1
            return
        self._write(self._place(path), content)

    def link(self, path: str, target: str) -> None:
        """Write again the file that a link means, if it means one; anything else is left out.

        ``target`` counts from the archive's root.
        """
        source = self._target / self._place(target)
        if not source.is_file() or (self._target / path).exists():
            return
        content = source.read_bytes()
        self._count(len(content))
        self._write(self._place(path), content)

    def copy(self, source: Path, path: str, root: Path) -> None:
        """Write what a regular file below ``root`` holds, or a link to one."""
        try:
            found = source.lstat()
            if stat.S_ISLNK(found.st_mode):
                real = source.resolve()
                if not (real.is_file() and real.is_relative_to(root)):
                    return
                found = real.stat()
            elif not stat.S_ISREG(found.st_mode):
                return
            if found.st_size > _FILE_BYTE_LIMIT:
                self.add(path, None, found.st_size)
                return
            content = source.read_bytes()
        except OSError as error:
            raise InputError(f"{source}: {error.strerror}") from error
        self.add(path, content, len(content))

    def done(self) -> Unpacked:
        return Unpacked(self._files, self._byte_size, self._left_out)

    def _count(self, byte_size: int) -> None:
        self._files += 1
        self._byte_size += byte_size
        if self._files > _FILES_LIMIT or self._byte_size > _BYTE_LIMIT:
            limits = f"{_FILES_LIMIT:,} files or {_BYTE_LIMIT >> 30} GiB"
            raise InputError(f"{self._name}: more than {limits}: no kernel's source")
        self._task.update(self._files)

    def _place(self, path: str) -> str:
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "\0" in path or len(path) > _PATH_LIMIT:
            shown = path if len(path) <= _PATH_LIMIT else f"{path[:60]}..."
            raise InputError(f"{self._name}: it has a file named {shown!r}, which is refused")
        return "/".join(part for part in parts if part not in {"", "."})

    def _write(self, path: str, content: bytes) -> None:
        folder = path.rpartition("/")[0]
        whole = f"{self._target}/{path}"
        try:
            if folder not in self._folders:
                (self._target / folder).mkdir(parents=True, exist_ok=True)
                self._folders.add(folder)
            # A kernel's build, if anybody starts it, runs scripts; their first line says what they are.
            mode = 0o755 if content.startswith(b"#!") else 0o644
            fd = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(fd, view) :]
            finally:
                os.close(fd)
        except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
            raise InputError(f"{self._name}: {path!r} is a file and a folder in it") from error


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{archive}: {error.strerror}") from error


def _take_inner(package: Path, target: Path, reporter: Reporter) -> None:
    """Take the archive with the source out of a package."""
    from ksurf import _core

    try:
        with reporter.task(f"Reading {package.name}"):
            files = _core.Archive(str(package))
            while member := files.next_file(_INNER_BYTE_LIMIT):
                path, content, _ = member
                if content is not None and _INNER.fullmatch(path):
                    target.write_bytes(content)
                    return
    except _core.ReadError as error:
        raise InputError(str(error), "the file is damaged or incomplete: fetch it again") from error
    raise InputError(f"{package}: no source of a kernel in it", "what is needed is linux-source-*")


def _root(folder: Path) -> Path | None:
    """The tree's root: the folder, or the only one in it, and so on."""
    while True:
        if source_version(folder) is not None:
            return folder
        inside = [*folder.iterdir()]
        if len(inside) != 1 or not inside[0].is_dir():
            return None
        folder = inside[0]
