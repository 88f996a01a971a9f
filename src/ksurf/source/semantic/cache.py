"""Results on disk, by what they were made of: the arguments, and the contents of all files that clang read.

A result names its inputs with time, size and digest. Where time and size are what they were, a file is the
same; where not, its content decides, so that a tree that was moved or unpacked again keeps its results.

There is one result for a unit and a file, and the next one takes its place. What could pile up is of units
that a kernel has no more, since it was prepared anew with another configuration, and of other formats. A
folder holds what is of one kernel, group and format, so that it goes as a whole when the kernel is prepared.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from ksurf._core import file_stamps
from ksurf.recent import Recent
from ksurf.source.flags import BUILD, TREE
from ksurf.source.semantic.codec import Input, decode, decode_inputs, encode
from ksurf.source.semantic.model import SemanticFile, Unparsed
from ksurf.source.units import COMPILER_HEADERS, Group, Unit, Units, write_whole

__all__ = ["Cache"]

_LAYOUT = "v5-"
"""Begins the name of each folder of results; another number is another format of them."""
_THROUGH = "through"
_KEPT_BYTES = 2 << 20
"""Of results, as they lie on disk: in memory they take ten to twenty times as much."""


class _Loaded(NamedTuple):
    """A result as it was read from disk."""

    stamp: tuple[int, int, int]
    """The time, size and inode of the file."""
    inputs: list[Input]
    result: SemanticFile | Unparsed


class Cache:
    """The results of one kernel's units in one folder."""

    def __init__(self, units: Units, folder: Path) -> None:
        """Name the folder; it is made by the first write."""
        self._units = units
        self._folder = folder
        # Kernels of one tree have prepared folders of their own: they would take turns at one result.
        kernel = sha256(units.folder.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        self._kernel = f"{_LAYOUT}{kernel}"
        self._inputs: dict[str, Input] = {}
        self._loaded: Recent[_Loaded] = Recent(_KEPT_BYTES)

    def path(self, unit: Unit, file: str, is_generated: bool) -> Path:
        """Return where the result for a file in a unit lies, or would lie."""
        return self._folder / self.name(unit, file, is_generated)

    def name(self, unit: Unit, file: str, is_generated: bool) -> str:
        """Return the same, counted from the folder of results."""
        words = (unit.object, unit.file, file, str(is_generated), *unit.own_arguments)
        digest = sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()
        return f"{self._group_folder(unit.group)}/{digest[:32]}.sem"

    def _group_folder(self, group: Group) -> str:
        return f"{self._kernel}-{group.digest}"

    def load(self, unit: Unit, file: str, is_generated: bool) -> SemanticFile | Unparsed | None:
        """Return the result, if there is one and no file behind it has changed."""
        path = self.path(unit, file, is_generated)
        content = b""
        try:
            found = path.stat()
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            kept = self._loaded.get(path)
            if kept is not None and kept.stamp == stamp:
                inputs = kept.inputs
            else:
                kept, content = None, path.read_bytes()
                _, inputs = decode_inputs(content)
            state = self._compare(inputs, {})
            if state is None:
                return None
            result = decode(content) if kept is None else kept.result
        except (OSError, ValueError):
            return None
        if state:
            self._write(path, result, [name for name, _, _, _ in inputs])
        elif kept is None:
            self._loaded.put(path, _Loaded(stamp, inputs, result), len(content))
        return result

    def knows(self, unit: Unit, stats: dict[str, tuple[int, int] | None]) -> bool | None:
        """Tell if a unit's own file was read (``False``: clang gave nothing back); ``None`` if it is not
        known.

        ``stats`` keeps times and sizes of files from one unit to the next.
        """
        try:
            is_read, inputs = decode_inputs(self.path(unit, unit.file, unit.is_generated).read_bytes())
        except (OSError, ValueError):
            return None
        return is_read if self._compare(inputs, stats) is not None else None

    def forget_other_groups(self) -> None:
        """Remove results of groups of units that the kernel does not have, and those of other formats."""
        kept = {_THROUGH, *(self._group_folder(unit.group) for unit in self._units)}
        for path in self._folder.glob("*"):
            is_others = path.name.startswith(_LAYOUT) and not path.name.startswith(f"{self._kernel}-")
            if not is_others and path.name not in kept:
                rmtree(path, ignore_errors=True)

    def _compare(self, inputs: list[Input], stats: dict[str, tuple[int, int] | None]) -> bool | None:
        """Tell if times or sizes have changed; ``None`` if contents have."""
        unknown = [name for name, _, _, _ in inputs if name not in stats]
        stats.update(zip(unknown, file_stamps([*map(self._real, unknown)]), strict=True))
        changed = False
        for name, time, size, digest in inputs:
            if stats[name] != (time, size):
                now = self._input(name)
                if now is None or now[3] != digest:
                    return None
                changed = True
        return changed

    def through(self, file: str, is_generated: bool) -> str | None:
        """Return the object of the unit through which a header was read before."""
        try:
            return self._through(file, is_generated).read_text()
        except (OSError, ValueError):
            return None

    def keep_through(self, file: str, is_generated: bool, unit: Unit) -> None:
        """Keep through which unit a header was read."""
        write_whole(self._through(file, is_generated), unit.object.encode("utf-8", "surrogateescape"))

    def _through(self, file: str, is_generated: bool) -> Path:
        digest = sha256(f"{is_generated}\0{file}".encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / _THROUGH / digest[:32]

    def store(
        self,
        unit: Unit,
        file: str,
        is_generated: bool,
        result: SemanticFile | Unparsed,
        inputs: Iterable[str],
    ) -> None:
        """Keep a result, made of the files with these paths."""
        self._write(self.path(unit, file, is_generated), result, [self._marked(path) for path in inputs])

    def _write(self, path: Path, result: SemanticFile | Unparsed, names: Iterable[str]) -> None:
        known = [self._input(name) for name in names]
        write_whole(path, encode(result, [one for one in known if one is not None]))

    def _marked(self, path: str) -> str:
        for root, mark in self._roots():
            if path.startswith(root + "/"):
                return mark + path[len(root) :]
        return path

    def _real(self, name: str) -> str:
        for root, mark in self._roots():
            if name.startswith(mark + "/"):
                return root + name[len(mark) :]
        return name

    def _roots(self) -> tuple[tuple[str, str], ...]:
        return (str(self._units.build), BUILD), (str(self._units.tree), TREE)

    def _input(self, name: str) -> Input | None:
        if name.startswith(str(COMPILER_HEADERS)):
            return None
        path = Path(self._real(name))
        try:
            found = path.stat()
            known = self._inputs.get(name)
            if known is None or known[1:3] != (found.st_mtime_ns, found.st_size):
                digest = sha256(path.read_bytes()).hexdigest()[:32]
                known = self._inputs[name] = (name, found.st_mtime_ns, found.st_size, digest)
        except OSError:
            return None
        return known
