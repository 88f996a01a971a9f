"""Files of a tree by name, and their bytes; never one outside of the tree, whatever names and links say."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from ksurf.errors import InputError

__all__ = ["file_named", "files_below", "is_plain_path", "read_file", "shown_name"]

MAX_BYTE_SIZE = 64 << 20
"""The largest files of a kernel's source are tables of 30 MB."""
_LISTED = 10
_READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(root: Path, file: str) -> bytes:
    """Return the content of a file of the tree; raises ``InputError`` where that is not to be had."""
    path = root / file
    # Opened before it is looked at, so that it is the same file; a pipe would keep us waiting.
    try:
        handle = os.open(path, _READ_FLAGS)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    try:
        found = os.fstat(handle)
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(os.path.realpath(root)):
            raise InputError(f"{path}: it leads out of the tree, to {real}")
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{path}: it is a folder", "name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{path}: it is no plain file")
        if found.st_size > MAX_BYTE_SIZE:
            raise InputError(f"{path}: {found.st_size:,} bytes are more than a page can show")
        with os.fdopen(handle, "rb", closefd=False) as opened:
            return opened.read(MAX_BYTE_SIZE)
    finally:
        os.close(handle)


def file_named(root: Path, name: str, every_file: Callable[[], Iterable[str]]) -> str:
    """Return the file of the tree that a person means: its path in the tree, or the end of that path.

    ``every_file`` is asked only for an end. Raises ``InputError`` if there is none, or are several.
    """
    given = PurePosixPath(name)
    if given.is_absolute():
        try:
            given = given.relative_to(root)
        except ValueError:
            raise InputError(f"{name}: it is not in the tree {root}") from None
    parts = [part for part in given.parts if part != "."]
    if not parts or ".." in parts:
        raise InputError(f"{name!r} names no file of the tree {root}", "name it from the root of the tree")
    wanted = "/".join(parts)
    if os.path.lexists(root / wanted):
        return wanted
    every = list(every_file())
    found = sorted(file for file in every if file.endswith(f"/{wanted}"))
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        hint = f"which one? {', '.join(found[:_LISTED])}{more}"
        raise InputError(f"{len(found)} files of {root} end in {wanted}", hint)
    by_name: dict[str, list[str]] = {}
    for file in every:
        by_name.setdefault(file.rpartition("/")[2], []).append(file)
    close = difflib.get_close_matches(parts[-1], by_name, n=3, cutoff=0.7)
    near = [file for one in close for file in by_name[one][:3]]
    raise InputError(f"{root} has no file {wanted}", f"did you mean {', '.join(near)}?" if near else None)


def files_below(root: Path) -> Iterable[str]:
    """Go through the plain files of a tree that has no index; folders behind links are not entered."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{folder}{entry.name}/")
                    elif entry.is_file(follow_symlinks=False):
                        yield folder + entry.name
        except OSError:
            # A folder that may not be read has no files to show.
            continue


def is_plain_path(name: str) -> bool:
    """Tell if a name is a path from a root, with nothing in it that leads elsewhere but links."""
    given = PurePosixPath(name)
    return not given.is_absolute() and bool(given.parts) and ".." not in given.parts


def shown_name(file: str) -> str:
    """Return a file's name as text that can be written: bytes that are no UTF-8 are U+FFFD."""
    return os.fsencode(file).decode("utf-8", "replace")
