"""Through which unit a header is seen: who includes whom, as the ``#include`` lines say.

Lines that a configuration leaves out are read as if they were there, so that a unit found here may turn out
not to include the header; the next one is tried then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from ksurf.progress import Reporter
from ksurf.source.flags import BUILD, TREE
from ksurf.source.units import INCLUDES, Group, Unit, Units, write_whole

__all__ = ["units_of_header", "write_includes"]

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*([<"])([^">\n]{1,250})[">]', re.MULTILINE)
_MAX_BYTE_SIZE = 16 << 20
"""Larger files are tables, which include nothing."""


class _Scan:
    """Finds what files include, in the folders where one group of units looks."""

    def __init__(self, units: Units) -> None:
        self._roots = {TREE: str(units.tree), BUILD: str(units.build)}
        self._lines: dict[str, list[tuple[bool, str]]] = {}
        self._folders: dict[str, tuple[list[str], list[str]]] = {}
        self._exists: dict[str, bool] = {}

    def of(self, file: str, group: Group) -> Iterator[str]:
        """The files that ``file`` includes, all with their marks."""
        quoted, angled = self._of_group(group)
        here = file.rpartition("/")[0]
        for is_quoted, name in self._read(file):
            for folder in (here, *quoted) if is_quoted else angled:
                path = _joined(folder, name)
                if path is not None and self._is_file(path):
                    yield path
                    break

    def forced(self, group: Group) -> list[str]:
        """The files that the command line includes."""
        words = group.arguments
        return [value for word, value in pairwise(words) if word in {"-include", "-imacros"}]

    def _of_group(self, group: Group) -> tuple[list[str], list[str]]:
        known = self._folders.get(group.digest)
        if known is None:
            words = group.arguments
            angled = [word[2:] for word in words if word.startswith("-I")]
            quoted = [value for word, value in pairwise(words) if word == "-iquote"]
            angled += [value for word, value in pairwise(words) if word == "-isystem"]
            known = self._folders[group.digest] = ([*quoted, *angled], angled)
        return known

    def _read(self, file: str) -> list[tuple[bool, str]]:
        known = self._lines.get(file)
        if known is None:
            known = []
            path = Path(self._real(file))
            try:
                if path.stat().st_size <= _MAX_BYTE_SIZE:
                    found = _INCLUDE.finditer(path.read_bytes())
                    known = [(line[1] == b'"', line[2].decode("utf-8", "surrogateescape")) for line in found]
            except OSError:
                pass
            self._lines[file] = known
        return known

    def _is_file(self, file: str) -> bool:
        known = self._exists.get(file)
        if known is None:
            known = self._exists[file] = Path(self._real(file)).is_file()
        return known

    def _real(self, file: str) -> str:
        mark, _, rest = file.partition("/")
        return f"{self._roots[mark]}/{rest}" if mark in self._roots else "/dev/null"


def _joined(folder: str, name: str) -> str | None:
    """Put a name after a folder; ``None`` if that leads out of tree and prepared folder."""
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == "..":
            if len(parts) <= 1:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts) if parts and parts[0] in {TREE, BUILD} else None


def write_includes(units: Units, reporter: Reporter) -> None:
    """Write which file includes which, for :func:`units_of_header`."""
    scan = _Scan(units)
    ids: dict[str, int] = {}
    included_by: dict[int, set[int]] = {}
    # A header is looked into once, as the first unit that reaches it would: groups look in the same folders
    # but for their own, and those come in through units.
    done: set[str] = set()
    with reporter.task("reading #include lines", len(units), "units") as task:
        for count, unit in enumerate(units, start=1):
            waiting = [(BUILD if unit.is_generated else TREE) + "/" + unit.file]
            for forced in scan.forced(unit.group):
                included_by.setdefault(ids.setdefault(forced, len(ids)), set()).add(
                    ids.setdefault(waiting[0], len(ids))
                )
                waiting.append(forced)
            while waiting:
                file = waiting.pop()
                if file in done:
                    continue
                done.add(file)
                own = ids.setdefault(file, len(ids))
                for path in scan.of(file, unit.group):
                    included_by.setdefault(ids.setdefault(path, len(ids)), set()).add(own)
                    waiting.append(path)
            task.update(count)
    table = {"files": list(ids), "included_by": [sorted(included_by.get(at, ())) for at in range(len(ids))]}
    write_whole(units.folder / INCLUDES, json.dumps(table, separators=(",", ":"), ensure_ascii=True).encode())


def units_of_header(units: Units, header: str, *, is_generated: bool = False) -> Iterator[Unit]:
    """Go through units that may include the header, the likeliest first.

    Who includes it directly comes before who does so through others, and among them who is nearer in the
    tree.
    """
    try:
        table = json.loads((units.folder / INCLUDES).read_bytes())
        files, included_by = table["files"], table["included_by"]
        start = files.index((BUILD if is_generated else TREE) + "/" + header)
    except (OSError, ValueError, KeyError, TypeError):
        return
    seen = {start}
    level = [start]
    while level:
        above = sorted({by for at in level for by in included_by[at]} - seen)
        seen.update(above)
        level = above
        found = [unit for at in above for unit in _of_marked(units, files[at])]
        yield from sorted(found, key=lambda unit: _distance(unit.file, header))


def _of_marked(units: Units, file: str) -> list[Unit]:
    mark, _, name = file.partition("/")
    return [unit for unit in units.of_file(name) if unit.is_generated == (mark == BUILD)][:1]


def _distance(file: str, header: str) -> int:
    """How many steps through the tree lie between the folders of two files."""
    ours, theirs = file.split("/")[:-1], header.split("/")[:-1]
    common = 0
    for one, other in zip(ours, theirs, strict=False):
        if one != other:
            break
        common += 1
    return len(ours) + len(theirs) - 2 * common
