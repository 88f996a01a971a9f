"""What depends on the kernel, found by content: in files, directories, archives, and standard input.

Nothing of it is run. What is none of the kinds that ksurf reads is skipped and counted; what is one and
cannot be read is named with the reason. What an archive holds is written to a folder of its own, one file at
a time and never under a path that the archive chooses.
"""

from __future__ import annotations

import ast
import mmap
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ksurf.check.dependency import Consumer, ConsumerKind
from ksurf.progress import Reporter, Task

_Bytes = bytes | mmap.mmap

__all__ = ["STDIN", "Found", "Unreadable", "find", "kind_of"]

STDIN = "-"
"""The path that means standard input."""

_MEMBER_BYTES = 256 << 20
"""What a file of an archive, or what a compressed module stands for, may have."""
_ARCHIVE_BYTES = 8 << 30
_ARCHIVE_FILES = 500_000
_DEPTH = 2
"""Archives in archives are looked into: a package in a tar archive."""
_TEXT_BYTES = 16 << 20
_HEAD_BYTES = 256 << 10
_TAR_HEADER = 512
_NAME_LENGTH = 120

_ELF = b"\x7fELF"
_COMPRESSED = (b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
_ET_REL = 1
_EM_BPF = 247


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


def find(paths: Sequence[str], reporter: Reporter) -> Found:
    """Read the consumers in some files, directories and archives; ``-`` is standard input.

    A file that has several names counts once. A path that does not exist is an :class:`Unreadable`, and so is
    a file that was named and is nothing that ksurf checks. Links in a directory are not followed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ksurf-check-") as folder,
        reporter.task("Reading what is to be checked") as task,
    ):
        return _Search(Path(folder), task).run(paths)


class _Search:
    def __init__(self, folder: Path, task: Task) -> None:
        self._folder = folder
        self._task = task
        self._done = 0
        self._made = 0
        self._seen: set[tuple[int, int]] = set()
        self._consumers: list[Consumer] = []
        self._unreadable: list[Unreadable] = []
        self._skipped = 0

    def run(self, paths: Sequence[str]) -> Found:
        for path in paths:
            if path == STDIN:
                self._stdin()
            elif os.path.isdir(path):  # noqa: PTH112  # a path is a text here, also one that is no valid name
                self._directory(path)
            else:
                self._file(path, named=True)
        return Found(tuple(self._consumers), self._skipped, tuple(self._unreadable))

    def _refuse(self, path: str, reason: object) -> None:
        path = _shown(path)
        if isinstance(reason, OSError) and reason.strerror:
            reason = reason.strerror
        # A reader's message begins with the path that it was given.
        self._unreadable.append(Unreadable(path, str(reason).removeprefix(f"{path}: ")))

    def _stdin(self) -> None:
        data = sys.stdin.buffer.read(_MEMBER_BYTES + 1)
        if len(data) > _MEMBER_BYTES:
            self._refuse(STDIN, f"more than {_MEMBER_BYTES >> 20} MiB")
            return
        with _Spooled(self._room(), "stdin", data) as path:
            self._place(path, _Place(STDIN), named=True)

    def _directory(self, path: str) -> None:
        def refuse(error: OSError) -> None:
            self._refuse(error.filename or path, error)

        for folder, folders, names in os.walk(path, onerror=refuse):
            folders.sort()
            for name in sorted(names):
                self._file(os.path.join(folder, name), named=False)  # noqa: PTH118

    def _file(self, path: str, *, named: bool) -> None:
        try:
            # In a directory only what lies there itself: a link leads to what is found anyway, or out of it.
            found = os.stat(path, follow_symlinks=named)  # noqa: PTH116
        except (OSError, ValueError) as error:
            self._refuse(path, error)
            return
        if not stat.S_ISREG(found.st_mode):
            if named:
                self._refuse(path, "not a regular file")
            return
        if (found.st_dev, found.st_ino) in self._seen:
            return
        self._seen.add((found.st_dev, found.st_ino))
        self._place(path, _Place(_shown(path)), named=named)
        self._done += found.st_size
        self._task.update(self._done, label=os.path.basename(path))  # noqa: PTH119

    def _place(self, path: str, place: _Place, *, named: bool, depth: int = 0) -> None:
        """Look at a file on disk that stands for ``place``."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                data = _mapped(file)
                try:
                    self._content(path, data, place, named=named, depth=depth)
                finally:
                    if isinstance(data, mmap.mmap):
                        data.close()
        except OSError as error:
            self._refuse(place.text, error)

    def _content(self, path: str, data: _Bytes, place: _Place, *, named: bool, depth: int) -> None:
        from ksurf import _core

        head = bytes(data[:_HEAD_BYTES])
        if head.startswith(_COMPRESSED):
            try:
                inside = _core.head(head, _TAR_HEADER)
            except _core.ReadError as error:
                if named:
                    self._refuse(place.text, error)
                else:
                    self._skipped += 1
                return
            if inside.startswith(_ELF):
                self._compressed(bytes(data), place, named=named, depth=depth)
                return
        else:
            inside = head[:_TAR_HEADER]
        if _is_archive(inside):
            if depth >= _DEPTH:
                self._refuse(place.text, "an archive in an archive in an archive is not looked into")
            else:
                self._archive(path, place, depth)
            return
        kind = kind_of(data, strict=not named)
        if kind is not None:
            self._consumers += _read(kind, path, data, place)
        elif named:
            self._refuse(
                place.text,
                "none of what ksurf checks: an eBPF object or a program that carries one, a module, a "
                "bpftrace script, a BCC tool, a list of names",
            )
        else:
            self._skipped += 1

    def _compressed(self, data: bytes, place: _Place, *, named: bool, depth: int) -> None:
        """A module, as most distributions ship them."""
        from ksurf import _core

        try:
            image = _core.decompress(data, _MEMBER_BYTES)
        except _core.ReadError as error:
            self._refuse(place.text, error)
            return
        name = PurePosixPath(place.name)
        with _Spooled(
            self._room(), name.stem if name.suffix in {".xz", ".zst", ".gz"} else name.name, image
        ) as path:
            self._place(path, place, named=named, depth=depth)

    def _archive(self, path: str, place: _Place, depth: int) -> None:
        from ksurf import _core

        size = count = 0
        try:
            archive = _core.Archive(path)
            while file := archive.next_file(_MEMBER_BYTES):
                member, content, byte_size = file
                size, count = size + byte_size, count + 1
                inner = place.inside(member)
                if content is None:
                    self._refuse(inner.text, f"larger than the {_MEMBER_BYTES >> 20} MiB that are looked at")
                elif _may_be(content):
                    with _Spooled(self._room(), inner.name, content) as spooled:
                        self._place(spooled, inner, named=False, depth=depth + 1)
                else:
                    self._skipped += 1
                # Before the next one is looked for: going past a file of any size takes time.
                if size > _ARCHIVE_BYTES or count >= _ARCHIVE_FILES:
                    limit = f"{_ARCHIVE_BYTES >> 30} GiB or {_ARCHIVE_FILES:,} files"
                    self._refuse(
                        place.text, f"it holds more than {limit}; what comes after {member} was not read"
                    )
                    return
        except (_core.ReadError, OSError) as error:
            self._refuse(place.text, str(error).removeprefix(f"{path}: "))

    def _room(self) -> Path:
        self._made += 1
        return self._folder / str(self._made)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something is for a person, wherever it lies while it is read."""

    path: str
    member: str | None = None

    @property
    def text(self) -> str:
        return self.path if self.member is None else f"{self.path}: {self.member}"

    @property
    def name(self) -> str:
        """A file name, safe as one, that looks like the one that it has."""
        name = re.sub(r"[\0-\x1f/]", "_", PurePosixPath(self.member or self.path).name)[:_NAME_LENGTH]
        if self.path == STDIN and self.member is None:
            return "stdin"
        return name if name.strip(".") else "file"

    @property
    def stem(self) -> str:
        """What a table calls a script: its name without what only tells its language."""
        return self.name.removesuffix(".bt").removesuffix(".py").removesuffix(".txt") or self.name

    def inside(self, member: str) -> _Place:
        """A file of this archive."""
        return replace(self, member=member if self.member is None else f"{self.member}: {member}")

    def moved(self, consumer: Consumer, path: str) -> Consumer:
        """What was read at ``path`` as if it had been read here."""
        if self.member is None and path == self.path:
            return consumer
        source = self.member or self.path
        parts = (self.member, consumer.member)
        return replace(
            consumer,
            path=self.path,
            member=": ".join(part for part in parts if part is not None) or None,
            incomplete=tuple(text.replace(path, source) for text in consumer.incomplete),
        )


def _shown(path: str) -> str:
    """A path as text: a name that is no UTF-8 cannot be printed as it is."""
    return os.fsencode(path).decode("utf-8", "replace")


class _Spooled:
    """A file that exists while the context lasts, in a folder of its own."""

    def __init__(self, folder: Path, name: str, content: bytes) -> None:
        self._folder = folder
        self._path = folder / name
        self._content = content

    def __enter__(self) -> str:
        self._folder.mkdir()
        self._path.write_bytes(self._content)
        self._content = b""
        return str(self._path)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._path.unlink()
            self._folder.rmdir()


def _mapped(file: BinaryIO) -> _Bytes:
    """A file's bytes, which are not all read only to look at some."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:  # it is empty
        return b""


def _is_archive(head: bytes) -> bool:
    """A Debian package, or a tar archive of POSIX's or GNU's making."""
    if head.startswith(b"!<arch>\n"):
        return head[8:].startswith(b"debian-binary")
    return head[257:262] == b"ustar"


def _may_be(content: bytes) -> bool:
    """Whether a file is worth writing down to be looked at."""
    return (
        content.startswith(_COMPRESSED) or _is_archive(content[:_TAR_HEADER]) or kind_of(content) is not None
    )


def kind_of(data: _Bytes, *, strict: bool = True) -> ConsumerKind | None:
    """What sort of consumer a file's bytes are; ``None`` if none.

    ``strict`` asks of a plain list that every line of it is one of a list; else the first line tells.
    """
    if data[:4] == _ELF:
        return _kind_of_elf(data)
    if not data or len(data) > _TEXT_BYTES or b"\0" in data[:_HEAD_BYTES]:
        return None
    text = bytes(data).decode("utf-8", "replace")
    for kind, is_one in _TEXTS.items():
        if is_one(text, strict):
            return kind
    return None


def _kind_of_elf(data: _Bytes) -> ConsumerKind | None:
    if _machine(data, 0) == _EM_BPF:
        return ConsumerKind.BPF_OBJECT
    is_object = int.from_bytes(data[16:18], "big" if data[5] == 2 else "little") == _ET_REL
    # include/linux/module.h, scripts/module.lds.S: only a module has this section.
    if is_object and data.find(b"\0.gnu.linkonce.this_module\0") >= 0:
        return ConsumerKind.MODULE
    at = data.find(_ELF, 1)
    while at >= 0:
        if _machine(data, at) == _EM_BPF:
            return ConsumerKind.BPF_OBJECT
        at = data.find(_ELF, at + 1)
    return None


def _machine(data: _Bytes, at: int) -> int | None:
    """``e_machine`` of an ELF header. Source: elf(5)."""
    header = data[at : at + 20]
    if len(header) < 20:
        return None
    return int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")


_SHEBANG = re.compile(r"#![ \t]*(.*)")
_BCC_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+bcc[ \t]+import\b|import[ \t]+bcc\b)", re.MULTILINE)


def _is_bcc(text: str, strict: bool) -> bool:
    if not _BCC_IMPORT.search(text):
        return False
    shebang = _SHEBANG.match(text)
    if shebang:
        return "python" in shebang[1]
    try:  # a text about Python is none: read, not run
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


# bpftrace's own names of probes, long and short (its language's manual, "Probes").
_PROVIDERS = (
    "kprobe kretprobe kfunc kretfunc fentry fexit tracepoint rawtracepoint uprobe uretprobe usdt profile "
    "interval software hardware watchpoint asyncwatchpoint iter self bench "
    "kr fr rt ur aw it k f t u U p i s h w"
).split()
_PROBE = rf"(?:(?:{'|'.join(_PROVIDERS)}):[^\s{{}},;]+)"
_PROBES = re.compile(rf"^[ \t]*{_PROBE}(?:\s*,\s*{_PROBE})*+\s*(?:/[^\n]*/\s*)?\{{", re.MULTILINE)
_BEGIN = re.compile(
    rf"\s*+(?:#[ \t]*(?:include|define|undef|if|ifdef|ifndef|else|endif)\b[^\n]*\n\s*+)*+"
    rf"(?:(?:struct|union|enum|config|macro|fn|import|BEGIN|END)\b|{_PROBE})"
)
# A comment without an end goes on to the end: else each that begins would be searched for one.
_COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)|\"(?:[^\"\\\n]|\\.)*+\"?", re.DOTALL)


def _is_bpftrace(text: str, strict: bool) -> bool:
    if shebang := _SHEBANG.match(text):
        return re.search(r"\bbpftrace\b", shebang[1]) is not None
    if ":" not in text or "{" not in text:
        return False
    code = _COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return _BEGIN.match(code) is not None and _PROBES.search(code) is not None


def _is_list(text: str, strict: bool) -> bool:
    lines = _significant(text)
    first = next(lines, None)
    if first is None or not _is_listed(first):
        return False
    return not strict or all(map(_is_listed, lines))


def _significant(text: str) -> Iterator[str]:
    """The lines that say something."""
    return (line for raw in text.splitlines() if (line := raw.partition("#")[0].strip()))


def _is_listed(line: str) -> bool:
    from ksurf.check.names import WORDS

    word, colon, name = line.removeprefix("?").lstrip().partition(":")
    return bool(colon) and word in WORDS and bool(name) and not re.search(r"[\s{}]", name.strip())


_TEXTS: dict[ConsumerKind, Callable[[str, bool], bool]] = {
    ConsumerKind.BPFTRACE: _is_bpftrace,
    ConsumerKind.BCC: _is_bcc,
    ConsumerKind.LIST: _is_list,
}


def _read(kind: ConsumerKind, path: str, data: _Bytes, place: _Place) -> Sequence[Consumer]:
    """What the reader of that kind of consumer, loaded when it is needed, makes of a file.

    Binaries are read at ``path``, where they are for now; of texts the readers take the bytes.
    """
    if kind is ConsumerKind.BPF_OBJECT:
        read_objects = import_module("ksurf.check.bpf_object").read_objects

        return [place.moved(one, path) for one in read_objects(path)]
    if kind is ConsumerKind.MODULE:
        read_module = import_module("ksurf.check.module").read_module

        return [place.moved(read_module(path), path)]
    shown = place.member or place.path
    if kind is ConsumerKind.BPFTRACE:
        from ksurf.check.bpftrace import read_script

        script = read_script(bytes(data), place.path, name=place.stem, member=place.member)
        return [replace(script, member=place.member)]
    if kind is ConsumerKind.BCC:
        from ksurf.check.bcc import read_tool

        tool = read_tool(bytes(data), place.stem, path=shown)
        return [replace(tool, path=place.path, member=place.member)]
    from ksurf.check.names import read_list

    names = read_list(bytes(data).decode("utf-8", "replace"), place.stem, shown)
    return [replace(names, path=place.path, member=place.member)]
