"""What depends on the kernel, found in files, folders, archives, and standard input.

``content.py`` tells what a file is; nothing of it is run. What is none of the kinds that ksurf reads is
skipped and counted; what is one and cannot be read is named with the reason. Of an archive nothing is written
to disk but what has to be read from there, under a name that the archive does not choose.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ksurf.check.content import (
    HEAD_BYTES,
    TAR_HEADER_BYTES,
    Content,
    is_archive,
    is_compressed,
    is_elf,
    kind_of,
)
from ksurf.check.dependency import Consumer, ConsumerKind, Kind
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, Silent, Task

__all__ = ["STDIN", "Found", "Kernels", "Unreadable", "find", "find_sent"]

Kernels = Sequence[tuple[Kernel, Path]]
"""Kernels of a dataset, each with its directory."""

STDIN = "-"
"""The path that means standard input."""

_MEMBER_BYTES = 256 << 20
"""What a file of an archive, or what a compressed module stands for, may have."""
_ARCHIVE_BYTES = 8 << 30
_ARCHIVE_FILES = 500_000
_DEPTH = 2
"""Archives in archives are looked into: a package in a tar archive."""
_NAME_LENGTH = 60
_LINES_SHOWN = 20
_SOURCE_BYTES = 4 << 20
_SOURCES = (".c", ".h")

_ReadFile = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that should have been checked, and why it was not."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What can be checked, in the order in which it was found."""

    consumers: tuple[Consumer, ...] = ()
    skipped: int = 0
    """Files that are nothing that ksurf checks."""
    unreadable: tuple[Unreadable, ...] = ()


def find(paths: Sequence[str], reporter: Reporter, kernels: Kernels = ()) -> Found:
    """Read the consumers in some files, directories and archives; ``-`` is standard input.

    Scripts go through types that they do not define; the first of ``kernels`` that has one tells it.

    A file that has several names counts once. A path that does not exist is an :class:`Unreadable`, and so is
    a file that was named and is nothing that ksurf checks. Links in a directory are not followed.
    """
    with reporter.task("Reading what is to be checked", len(paths), "files") as task:
        return _Search(task, kernels).run(paths)


def find_sent(path: str, name: str, kernels: Kernels = ()) -> Found:
    """Read the consumers in one file that a stranger sent under a name; none if ksurf checks no such thing.

    It stands for itself: what lies beside it is not looked at, and what is an archive or compressed is not
    opened. What goes wrong without the reader's knowing why is raised.
    """
    with Silent().task("") as task:
        return _Search(task, kernels).sent(_Place(name, disk=path), path)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is for a person, wherever its bytes lie."""

    path: str
    member: str | None = None
    disk: str | None = None
    """Its path as the system has it; ``None`` if its bytes are no file of their own."""

    @property
    def text(self) -> str:
        return self.path if self.member is None else f"{self.path}: {self.member}"

    @property
    def file(self) -> str | None:
        """The path that a person knows, of a file of its own; all else is copied to one of its name."""
        return None if self.disk is None else self.path

    @property
    def name(self) -> str:
        """What a table calls it: the file's name without what only tells its language."""
        if self.path == STDIN and self.member is None:
            return "stdin"
        name = PurePosixPath(self.member or self.path).name
        for suffix in (".bt", ".py", ".txt"):
            name = name.removesuffix(suffix) or name
        return name

    def given(self, consumer: Consumer, path: str) -> Consumer:
        """What was read at ``path`` as if it had been read here."""
        parts = (self.member, consumer.member)
        return replace(
            consumer,
            path=self.path,
            member=": ".join(part for part in parts if part is not None) or None,
            incomplete=tuple(text.replace(path, self.text) for text in consumer.incomplete),
        )

    def inside(self, member: str) -> _Place:
        """A file of this archive."""
        return _Place(self.path, member if self.member is None else f"{self.member}: {member}")


class _Search:
    def __init__(self, task: Task, kernels: Kernels) -> None:
        self._readers = _Readers(kernels)
        self._task = task
        self._done = self._total = 0
        self._seen: set[tuple[int, int]] = set()
        self._consumers: list[Consumer] = []
        self._unreadable: list[Unreadable] = []
        self._skipped = 0
        self._has_read_stdin = False

    def run(self, paths: Sequence[str]) -> Found:
        self._total = len(paths)
        for path in paths:
            if path == STDIN:
                if not self._has_read_stdin:
                    self._stdin()
            elif os.path.isdir(path):  # noqa: PTH112  # a path is a text here, also one that is no valid name
                self._directory(path)
            else:
                self._file(path, named=True)
        return Found(tuple(self._whole()), self._skipped, tuple(self._unreadable))

    def sent(self, place: _Place, path: str) -> Found:
        with open(path, "rb") as file, _mapped(file) as data:  # noqa: PTH123
            kind = kind_of(data, strict=False)
            if kind is not None:
                self._consumers += self._readers.read(kind, data, place, None)
        return Found(tuple(self._whole()), 0, tuple(self._unreadable))

    def _whole(self) -> Iterator[Consumer]:
        """The consumers of which something was read; the others could not be, and no line of a list."""
        for one in self._consumers:
            if one.kind is ConsumerKind.LIST:  # whoever wrote one means each of its lines
                self._refuse_lines(one)
                if one.dependencies:
                    yield replace(one, incomplete=())
            elif one.incomplete and not one.programs and not one.dependencies:
                self._refuse(_Place(one.path, one.member), one.incomplete[0])
            else:
                yield one

    def _refuse_lines(self, names: Consumer) -> None:
        place = _Place(names.path, names.member)
        for wrong in names.incomplete[:_LINES_SHOWN]:
            number, _, reason = wrong.removeprefix(f"{names.member or names.path}:").partition(": ")
            self._unreadable.append(Unreadable(f"{place.text}:{number}", reason))
        if len(names.incomplete) > _LINES_SHOWN:
            self._refuse(place, f"and {len(names.incomplete) - _LINES_SHOWN:,} more lines")

    def _refuse(self, place: _Place, reason: object) -> None:
        if isinstance(reason, OSError) and reason.strerror:
            reason = reason.strerror
        text = str(reason)
        # A reader's message begins with the path that it was given.
        for path in (place.disk, place.path):
            text = text.removeprefix(f"{path}: ")
        self._unreadable.append(Unreadable(place.text or "''", text))

    def _stdin(self) -> None:
        self._has_read_stdin = True
        if sys.stdin is None:  # as Python has it where it is closed
            self._refuse(_Place(STDIN), "standard input is closed")
            return
        try:
            data = sys.stdin.buffer.read(_MEMBER_BYTES + 1)
        except OSError as error:
            self._refuse(_Place(STDIN), error)
            return
        if len(data) > _MEMBER_BYTES:
            self._refuse(_Place(STDIN), f"more than {_MEMBER_BYTES >> 20} MiB")
        else:
            self._content(data, _Place(STDIN), named=True)

    def _directory(self, path: str) -> None:
        def refuse(error: OSError) -> None:
            self._refuse(_Place(_shown(error.filename or path)), error)

        files = []
        for folder, folders, names in os.walk(path, onerror=refuse):
            folders.sort()
            files += [os.path.join(folder, name) for name in sorted(names)]  # noqa: PTH118
        self._total += len(files) - 1  # the folder was counted as one
        for file in files:
            self._file(file, named=False)

    def _file(self, path: str, *, named: bool) -> None:
        place = _Place(_shown(path), disk=path)
        self._task.update(self._done, self._total, PurePosixPath(place.path).name)
        self._done += 1
        try:
            # In a directory only what lies there itself: a link leads to what is found anyway, or out of it.
            found = os.stat(path, follow_symlinks=named)  # noqa: PTH116
            if not stat.S_ISREG(found.st_mode):
                if named:
                    self._refuse(place, "not a regular file; ksurf reads a stream as -, from standard input")
                return
            if (found.st_dev, found.st_ino) in self._seen:
                return
            self._seen.add((found.st_dev, found.st_ino))
            with open(path, "rb") as file, _mapped(file) as data:  # noqa: PTH123
                self._content(data, place, named=named, read_file=_Beside(path))
        except FileNotFoundError as error:
            if named:
                self._refuse(place, error)
            else:  # it was there when the folder was listed
                self._skipped += 1
            return
        except (OSError, ValueError) as error:
            self._refuse(place, error)

    def _content(
        self,
        data: Content,
        place: _Place,
        *,
        named: bool = False,
        depth: int = 0,
        read_file: _ReadFile | None = None,
    ) -> None:
        """Look at the bytes of a file; ``read_file`` finds those that lie beside it."""
        from ksurf import _core

        head = bytes(data[:HEAD_BYTES])
        inside = head[:TAR_HEADER_BYTES]
        if is_compressed(head):
            try:
                inside = _core.head(head, TAR_HEADER_BYTES)
                if is_elf(inside):  # a module, as most distributions ship them
                    data = _core.decompress(bytes(data), _MEMBER_BYTES)
                    place = replace(place, disk=None)
            except _core.ReadError as error:
                if named or is_elf(inside):
                    self._refuse(place, error)
                else:
                    self._skipped += 1
                return
        if is_archive(inside):
            if depth >= _DEPTH:
                self._refuse(place, "an archive in an archive in an archive is not looked into")
            else:
                self._archive(data, place, depth)
            return
        kind = kind_of(data, strict=not named)
        if kind is not None:
            try:
                self._consumers += self._readers.read(kind, data, place, read_file)
            except Exception as error:  # one file of many: what of the others?
                bug = f"this is a bug in ksurf, please report it: {type(error).__name__}: {error}"
                self._refuse(place, bug)
        elif named and not len(data):
            self._refuse(place, "it is empty")
        elif named:
            self._refuse(
                place,
                "none of what ksurf checks: an eBPF object or a program that carries one, a module, a "
                "bpftrace script, a BCC tool, a list of names",
            )
        else:
            self._skipped += 1

    def _archive(self, data: Content, place: _Place, depth: int) -> None:
        from ksurf import _core

        with _on_disk(data, place) as path:
            try:
                shelf = _Shelf()
                for member, content in self._members(path, place):
                    inside = f"{PurePosixPath(place.path).name}, {PurePosixPath(member).name}"
                    self._task.update(self._done, self._total, inside)
                    first = len(self._consumers)
                    beside = shelf.beside(member)
                    self._content(content, place.inside(member), depth=depth + 1, read_file=beside)
                    if beside.missed and len(self._consumers) == first + 1:
                        shelf.again[first] = (member, content)
                if shelf.again:
                    self._read_again(path, place, shelf)
            except (_core.ReadError, OSError) as error:
                self._refuse(replace(place, disk=path), error)

    def _members(self, path: str, place: _Place) -> Iterator[tuple[str, bytes]]:
        """The files of an archive, within what may be read of one."""
        from ksurf import _core

        size = count = 0
        archive = _core.Archive(path)
        while file := archive.next_file(_MEMBER_BYTES):
            member, content, byte_size = file
            size, count = size + byte_size, count + 1
            if content is None:
                limit = f"larger than the {_MEMBER_BYTES >> 20} MiB that are looked at"
                self._refuse(place.inside(member), limit)
            else:
                yield member, content
            # Before the next one is looked for: going past a file of any size takes time.
            if size > _ARCHIVE_BYTES or count >= _ARCHIVE_FILES:
                limit = f"{_ARCHIVE_BYTES >> 30} GiB or {_ARCHIVE_FILES:,} files"
                self._refuse(place, f"it holds more than {limit}; what comes after {member} was not read")
                return

    def _read_again(self, path: str, place: _Place, shelf: _Shelf) -> None:
        """Read tools whose sources lie elsewhere in the archive, now that it is known which these are."""
        from ksurf import _core

        archive = _core.Archive(path)
        while file := archive.next_file(_SOURCE_BYTES):
            if file[1] is not None and (name := _normal(file[0])) in shelf.wanted:
                shelf.files[name] = file[1]
        for number, (member, content) in shelf.again.items():
            beside = shelf.beside(member)
            (consumer,) = self._readers.read(ConsumerKind.BCC, content, place.inside(member), beside)
            self._consumers[number] = consumer


class _Beside:
    """The sources that come with a tool: below its folder, or at their path below a folder above it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, name: str) -> bytes | None:
        if not name.endswith(_SOURCES) or "\0" in name or ".." in PurePosixPath(name).parts:
            return None
        folders = list(Path(self._path).absolute().parents)
        # A package that is unpacked somewhere still names its files as it installs them.
        for folder in folders if name.startswith("/") else folders[:1]:
            with suppress(OSError):
                file = Path(folder, name.lstrip("/"))
                if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
                    with file.open("rb") as opened:
                        return opened.read(_SOURCE_BYTES)
        return None


class _Shelf:
    """The sources of an archive that its tools ask for; which these are is known when all were asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.wanted: set[str] = set()
        self.again: dict[int, tuple[str, bytes]] = {}
        """Tools that asked for more, by the number of their consumer."""

    def beside(self, member: str) -> _Asked:
        return _Asked(self, member)


class _Asked:
    """What one tool of an archive asks for."""

    def __init__(self, shelf: _Shelf, member: str) -> None:
        self._shelf = shelf
        self._folder = PurePosixPath(_normal(member)).parent
        self.missed = False

    def __call__(self, name: str) -> bytes | None:
        if not name.endswith(_SOURCES):
            return None
        path = _normal(name if name.startswith("/") else str(self._folder / name))
        if path not in self._shelf.files:
            self._shelf.wanted.add(path)
            self.missed = True
        return self._shelf.files.get(path)


def _normal(member: str) -> str:
    """A path in an archive, which is compared with others and never opened."""
    return str(PurePosixPath(member.lstrip("/")))


class _Readers:
    """The readers of consumers, each loaded when it is needed."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels

    def read(
        self, kind: ConsumerKind, data: Content, place: _Place, read_file: _ReadFile | None
    ) -> Sequence[Consumer]:
        """What the reader of that kind of consumer makes of a file."""
        if kind is ConsumerKind.BPF_OBJECT:
            from ksurf.check.bpf_object import read_objects

            with _on_disk(data, place) as path:
                return [place.given(one, path) for one in read_objects(path, place.file)]
        if kind is ConsumerKind.MODULE:
            from ksurf.check.module import read_module

            with _on_disk(data, place) as path:
                return [place.given(read_module(path, place.file), path)]
        shown = place.member or place.path
        if kind is ConsumerKind.BPFTRACE:
            from ksurf.check.bpftrace import read_script

            script = read_script(
                bytes(data), place.path, name=place.name, member=place.member, type_of=self._script_types
            )
            return [script]
        if kind is ConsumerKind.BCC:
            from ksurf.check.bcc import read_tool

            tool = read_tool(
                bytes(data), place.name, path=shown, type_of_field=self._field_types, read_file=read_file
            )
            return [replace(tool, path=place.path, member=place.member)]
        from ksurf.check.names import read_list

        names = read_list(bytes(data).decode("utf-8", "replace"), place.name, shown)
        return [replace(names, path=place.path, member=place.member)]

    @cached_property
    def _script_types(self) -> Callable[[Kind, str], str | None] | None:
        if not self._kernels:
            return None
        from ksurf.check.bpftrace.kernel_types import KernelTypes

        return KernelTypes(self._kernels)

    @cached_property
    def _field_types(self) -> Callable[[str, str], str | None] | None:
        if not self._kernels:
            return None
        from ksurf.check.bcc import FieldTypes

        return FieldTypes(self._kernels)


@contextmanager
def _on_disk(data: Content, place: _Place) -> Iterator[str]:
    """A path at which the bytes can be read, while the context lasts."""
    if place.disk is not None:
        yield place.disk
        return
    with tempfile.TemporaryDirectory(prefix="ksurf-check-") as folder:
        # Readers call a consumer by its file.
        name = re.sub(r"[\0-\x1f/]", "_", PurePosixPath(place.member or place.name).name)[-_NAME_LENGTH:]
        path = Path(folder, name if name.strip(".") else "file")
        path.write_bytes(data)
        yield str(path)


@contextmanager
def _mapped(file: BinaryIO) -> Iterator[Content]:
    try:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # it is empty
        yield b""
        return
    with data:
        yield data


def _shown(path: str) -> str:
    """A path as text: a name that is no UTF-8 cannot be printed as it is."""
    return os.fsencode(path).decode("utf-8", "replace")
