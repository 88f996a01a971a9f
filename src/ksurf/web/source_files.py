"""The files of a source tree: by a part of their name, by folders, and near to one that is not there."""

from __future__ import annotations

import difflib
import os
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from ksurf.errors import InputError
from ksurf.source.browse import Browser
from ksurf.source.files import is_plain_path, shown_name
from ksurf.source.tree import SourceTree

__all__ = ["Entry", "FileList", "clean_path", "files_matching", "folder_entries", "list_of", "real_path"]

_LONGEST = 4096
_LONGEST_PART = 255
_BESIDE = ("Documentation/", "LICENSES/", "samples/", "scripts/", "tools/")
"""What is no part of a kernel, and comes after it."""
_WAYS = 1000
"""So many of the files that match in one way are looked at."""
_NEAR = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """What a folder holds."""

    name: str
    path: str | None
    """From the tree's root; ``None`` for a name that no address can say."""
    is_folder: bool
    byte_size: int | None
    target: str | None = None
    """Of a link: where it leads."""


def clean_path(file: str) -> str | None:
    """A path of an address as the tree has it; ``None`` if it can be none of a tree."""
    if not file or len(file) > _LONGEST or not is_plain_path(file) or not file.isprintable():
        return None
    parts = PurePosixPath(file).parts
    if any(len(part.encode()) > _LONGEST_PART for part in parts):
        return None
    return "/".join(parts)


def real_path(root: Path, file: str) -> str | None:
    """Where a path leads in the tree after all links; ``None`` if that is nowhere in it."""
    try:
        real = Path(os.path.realpath(root / file, strict=True)).relative_to(os.path.realpath(root))
    except (OSError, ValueError):
        return None
    return "" if str(real) == "." else str(real)


def folder_entries(root: Path, folder: str) -> list[Entry]:
    """What a folder of the tree holds, folders first; raises ``InputError`` if it is none or elsewhere."""
    path = root / folder
    try:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
            raise InputError(f"{folder}: it leads out of the tree")
        with os.scandir(path) as entries:
            found = [_entry(entry, folder) for entry in entries]
    except OSError as error:
        raise InputError(f"{folder or 'the tree'}: {error.strerror}") from error
    return sorted(found, key=lambda entry: (not entry.is_folder, entry.name))


def _entry(entry: os.DirEntry[str], folder: str) -> Entry:
    name = shown_name(entry.name)
    path = f"{folder}/{entry.name}" if folder else entry.name
    is_link = entry.is_symlink()
    size = None
    try:
        is_folder = entry.is_dir()
        size = None if is_folder else entry.stat().st_size
    except OSError:
        is_folder = False
    target = None
    if is_link:
        try:
            target = shown_name(str(Path(entry.path).readlink()))
        except OSError:
            target = "?"
    return Entry(name, path if clean_path(path) == path else None, is_folder, size, target)


class FileList:
    """The paths of a tree, to be searched at once."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Take the paths, in their order; those that no address can say are left out."""
        self.paths = [path for path in paths if path.isprintable()]
        self._folded, self._starts = _joined(path.lower() for path in self.paths)
        names = (path.rpartition("/")[2].lower() for path in self.paths)
        self._names, self._name_starts = _joined(names)

    def matching(self, text: str, limit: int) -> list[str]:
        """Files with the text in their path: first those that are called so, then those whose name begins so.

        Then come those with it in their name, and last those that have it elsewhere in their path.
        """
        folded = text.strip().lower()
        if not folded or "\n" in folded:
            return []
        found: dict[str, None] = {}
        in_names = () if "/" in folded else (f"\n{folded}\n", f"\n{folded}.", f"\n{folded}", folded)
        ways = [(self._names, self._name_starts, wanted) for wanted in in_names]
        for string, starts, wanted in (*ways, (self._folded, self._starts, folded)):
            matching = {self.paths[at]: None for at in _rows(string, starts, wanted)}
            found.update(dict.fromkeys(sorted(matching, key=_rank)))
            if len(found) >= limit:
                break
        return list(found)[:limit]

    def near(self, file: str) -> list[str]:
        """Files that are called the same or almost so, those in a near folder first."""
        name = file.rpartition("/")[2].lower()
        own = [self.paths[at] for at in _rows(self._names, self._name_starts, f"\n{name}\n")]
        if not own:
            stem = name.partition(".")[0]
            candidates = {self.paths[at] for at in _rows(self._names, self._name_starts, stem)}
            folder = f"{file.rpartition('/')[0].lower()}/"
            candidates.update(self.paths[at] for at in _rows(self._folded, self._starts, f"\n{folder}"))
            by_name: dict[str, list[str]] = {}
            for path in candidates:
                by_name.setdefault(path.rpartition("/")[2].lower(), []).append(path)
            close = difflib.get_close_matches(name, by_name, n=_NEAR, cutoff=0.6)
            own = [path for one in close for path in by_name[one]]
        matcher = difflib.SequenceMatcher(None, "", file)

        def distance(path: str) -> float:
            matcher.set_seq1(path)
            return -matcher.ratio()

        return sorted(own[: _WAYS // 10], key=distance)[:_NEAR]


def _joined(lines: Iterator[str]) -> tuple[str, list[int]]:
    """Lines as one string, with an end before and behind each, and where each of these ends stands."""
    parts, starts, at = ["\n"], [], 0
    for line in lines:
        starts.append(at)
        parts.append(f"{line}\n")
        at += len(line) + 1
    return "".join(parts), starts


def _rows(string: str, starts: Sequence[int], wanted: str) -> Iterator[int]:
    """The lines that hold a text, up to a limit."""
    at = string.find(wanted)
    for _ in range(_WAYS):
        if at < 0 or not starts:
            return
        row = bisect_right(starts, at) - 1
        yield min(row, len(starts) - 1)
        following = starts[row + 1] if row + 1 < len(starts) else len(string)
        at = string.find(wanted, max(following, at + 1))


def _rank(path: str) -> tuple[bool, int, int, str]:
    return path.startswith(_BESIDE), path.count("/"), len(path), path


_kept: dict[Path, tuple[object, FileList]] = {}
_keeping = Lock()
_READ_AGAIN = 60.0
"""Seconds after which the files of a tree without an index are listed anew."""


def list_of(browser: Browser, tree: SourceTree) -> FileList:
    """The files of a tree; they are listed anew when its index is made anew."""
    try:
        stamp: object = tree.names.stat().st_mtime_ns
    except OSError:
        stamp = time.monotonic() // _READ_AGAIN
    with _keeping:
        found = _kept.get(tree.path)
        if found is None or found[0] != stamp:
            found = stamp, FileList(list(browser.files(tree)))
            _kept[tree.path] = found
        return found[1]


def files_matching(browser: Browser, text: str, limit: int) -> list[tuple[str, str]]:
    """Files of the newest tree with a text in their path, the best first: the tree's id, and the path."""
    trees = browser.trees.all()
    if not trees:
        return []
    tree = trees[-1]
    return [(tree.id, path) for path in list_of(browser, tree).matching(text, limit)]
