"""Which file includes which, as the ``#include`` lines say.

Of a line below an ``#if`` it is not known whether it counts. Through which unit a header is seen is looked
for along all lines, and the unit tells if it was right; what a unit includes for sure is looked for along
those outside of any ``#if``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from ksurf.progress import Reporter
from ksurf.source.flags import BUILD, TREE
from ksurf.source.units import Group, Unit, Units, write_whole

__all__ = ["IncludeGraph", "forced_includes", "marked", "units_of_header", "write_includes"]

_TABLE = "includes.json"
_DIRECTIVE = re.compile(
    rb"""^[ \t]*\#[ \t]*(?:(include)[ \t]*([<"])([^">\n]{1,250})[">]|(if)|(endif)|(define|pragma))""",
    re.MULTILINE | re.VERBOSE,
)
_BLANK = re.compile(rb"\s+|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/")
_GUARD = re.compile(rb"#[ \t]*ifndef[ \t]+(\w+)[^\n]*\n\s*#[ \t]*define[ \t]+\1\b")
_MAX_BYTE_SIZE = 16 << 20
"""Larger files are tables, which include nothing."""


def marked(unit: Unit) -> str:
    """Return a unit's file as the graph names it."""
    return f"{BUILD if unit.is_generated else TREE}/{unit.file}"


def forced_includes(group: Group) -> list[str]:
    """Return the files that the command line includes."""
    return [value for word, value in pairwise(group.arguments) if word in {"-include", "-imacros"}]


class _Scan:
    """Finds what files include, in the folders where one group of units looks."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self._lines: dict[str, list[tuple[bool, str, bool]]] = {}
        self._folders: dict[str, tuple[list[str], list[str]]] = {}
        self._exists: dict[str, bool] = {}

    def of(self, file: str, unit: Unit) -> Iterator[tuple[str, bool]]:
        """The files that ``file`` includes, and whether it does so for sure."""
        quoted, angled = self._of_unit(unit)
        here = file.rpartition("/")[0]
        for is_quoted, name, is_sure in self._read(file):
            for folder in (here, *quoted) if is_quoted else angled:
                path = _joined(folder, name)
                if path is not None and self._is_file(path):
                    yield path, is_sure
                    break

    def _of_unit(self, unit: Unit) -> tuple[list[str], list[str]]:
        key = f"{unit.group.digest} {unit.own_arguments}"
        known = self._folders.get(key)
        if known is None:
            words = (*unit.group.arguments, *unit.own_arguments)
            angled = [word[2:] for word in words if word.startswith("-I")]
            quoted = [value for word, value in pairwise(words) if word == "-iquote"]
            angled += [value for word, value in pairwise(words) if word == "-isystem"]
            known = self._folders[key] = ([*quoted, *angled], angled)
        return known

    def _read(self, file: str) -> list[tuple[bool, str, bool]]:
        known = self._lines.get(file)
        if known is None:
            path = Path(self._units.expanded([file])[0])
            try:
                known = _lines(path.read_bytes() if path.stat().st_size <= _MAX_BYTE_SIZE else b"")
            except OSError:
                known = []
            self._lines[file] = known
        return known

    def _is_file(self, file: str) -> bool:
        known = self._exists.get(file)
        if known is None:
            known = self._exists[file] = Path(self._units.expanded([file])[0]).is_file()
        return known


def _lines(content: bytes) -> list[tuple[bool, str, bool]]:
    """Return each ``#include``: whether it has quotes, its name, and whether it stands outside of any
    ``#if``."""
    found = []
    start = 0
    while blank := _BLANK.match(content, start):
        start = blank.end()
    # What guards a header against being included twice is no condition.
    depth = -1 if _GUARD.match(content, start) else 0
    for line in _DIRECTIVE.finditer(content):
        if line[1]:
            found.append((line[2] == b'"', line[3].decode("utf-8", "surrogateescape"), depth <= 0))
        elif line[4]:
            depth += 1
        elif line[5]:
            depth -= 1
    return found


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
    """Write which file includes which, for :class:`IncludeGraph`."""
    scan = _Scan(units)
    ids: dict[str, int] = {}
    includes: dict[int, dict[int, bool]] = {}
    with reporter.task("reading #include lines", len(units), "units") as task:
        for count, unit in enumerate(units, start=1):
            waiting = [marked(unit), *forced_includes(unit.group)]
            while waiting:
                file = waiting.pop()
                own = ids.setdefault(file, len(ids))
                # A header is looked into once, as the first unit that reaches it would.
                if own in includes:
                    continue
                edges = includes[own] = {}
                for path, is_sure in scan.of(file, unit):
                    other = ids.setdefault(path, len(ids))
                    edges[other] = edges.get(other, False) or is_sure
                    waiting.append(path)
            task.update(count)
    rows = [includes.get(at, {}) for at in range(len(ids))]
    table = {
        "files": list(ids),
        "sure": [[other for other, is_sure in row.items() if is_sure] for row in rows],
        "maybe": [[other for other, is_sure in row.items() if not is_sure] for row in rows],
    }
    write_whole(units.folder / _TABLE, json.dumps(table, separators=(",", ":")).encode())


class IncludeGraph:
    """Which file includes which; empty where no table was written."""

    def __init__(self, units: Units) -> None:
        """Read the table."""
        try:
            table = json.loads((units.folder / _TABLE).read_bytes())
            self.files: list[str] = table["files"]
            self.sure: list[list[int]] = table["sure"]
            self.maybe: list[list[int]] = table["maybe"]
        except (OSError, ValueError, KeyError, TypeError):
            self.files, self.sure, self.maybe = [], [], []
        self.ids = {file: at for at, file in enumerate(self.files)}

    def closure(self, starts: Iterable[int]) -> set[int]:
        """Return what files include for sure, through others, too, and themselves."""
        seen: set[int] = set()
        waiting = list(starts)
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += self.sure[at]
        return seen

    def included_by(self) -> list[set[int]]:
        """Return who includes each file, surely or maybe."""
        found: list[set[int]] = [set() for _ in self.files]
        for rows in (self.sure, self.maybe):
            for at, others in enumerate(rows):
                for other in others:
                    found[other].add(at)
        return found


def units_of_header(units: Units, header: str, *, is_generated: bool = False) -> Iterator[Unit]:
    """Go through units that may include the header, the likeliest first.

    Who includes it directly comes before who does so through others, and among them who is nearer in the
    tree.
    """
    graph = IncludeGraph(units)
    start = graph.ids.get(f"{BUILD if is_generated else TREE}/{header}")
    if start is None:
        return
    included_by = graph.included_by()
    for unit in units:
        if graph.files[start] in forced_includes(unit.group):
            yield unit
            break
    seen = {start}
    level = [start]
    while level:
        level = sorted({by for at in level for by in included_by[at]} - seen)
        seen.update(level)
        found = [unit for at in level for unit in _of_marked(units, graph.files[at])]
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
