"""Headers that many units share, read once: a precompiled header for units of one group.

It holds nothing but what each of its users includes anyway, and for sure, so that a unit sees the same text
with it and without it. Which headers these are depends on the units that it is made for. A unit that sets a
name before its includes which one of these headers asks for (``#ifdef``) is read without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from shutil import rmtree

from ksurf.source.includes import IncludeGraph, forced_includes, marked
from ksurf.source.semantic.clang import PRECOMPILED, ParseError, arguments_of, parse, save
from ksurf.source.units import Group, Unit, Units, write_whole

__all__ = ["Precompiled", "PrecompiledHeaders"]

_FORMAT = 2
_FEWEST_UNITS = 3
"""For fewer, making it takes longer than it saves."""
_MOST_HEADERS = 40
_MOST_CANDIDATES = 400
# The names that kbuild gives each unit. Headers ask for them in functions that they define, of which nobody
# looks at the bodies, and in macros, which are expanded in the unit.
_OWN_NAMES = ("KBUILD_MODFILE", "KBUILD_BASENAME", "KBUILD_MODNAME", "__KBUILD_MODNAME")
# Nearly each driver sets these; a header only asks for them in order to have them set.
_HARMLESS = {"pr_fmt", "dev_fmt"}
_ASKED = re.compile(rb"^[ \t]*#[ \t]*(?:el)?if(?:n?def)?\b((?:[^\n\\]|\\.|\\\n)*)", re.MULTILINE)
_NAME = re.compile(rb"[A-Za-z_]\w*")
_SET = re.compile(rb"^[ \t]*#[ \t]*(?:(?:define|undef)[ \t]+(\w+)|(include))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Precompiled:
    """One precompiled header."""

    path: Path
    group: str
    headers: tuple[str, ...]
    asked: frozenset[str]
    """The names that its headers ask for."""
    inputs: tuple[str, ...]
    """The files that are in it."""


class PrecompiledHeaders:
    """The precompiled headers of one kernel."""

    def __init__(self, units: Units) -> None:
        """Name the kernel's units; nothing is read before it is asked for."""
        self._units = units
        self._folder = units.folder / PRECOMPILED
        self._known: dict[str, list[Precompiled]] | None = None

    @cached_property
    def _graph(self) -> IncludeGraph:
        return IncludeGraph(self._units)

    def of(self, unit: Unit) -> Precompiled | None:
        """Return the one with most headers that the unit can use, if there is one."""
        known = self._all().get(unit.group.digest, [])
        if not known:
            return None
        file = self._graph.ids.get(marked(unit))
        if file is None:
            return None
        included = self._graph.closure([file])
        names = _set_before_includes(self._units.path(unit))
        for one in sorted(known, key=lambda one: -len(one.asked)):
            has_all = all(self._graph.ids.get(header) in included for header in one.headers)
            if has_all and not names & one.asked and one.path.is_file():
                return one
        return None

    def is_worth(self, units: Sequence[Unit]) -> bool:
        """Tell if most of these units have none that they could use."""
        without = sum(self.of(unit) is None for unit in units)
        return 2 * without > len(units)

    def forget(self, one: Precompiled) -> None:
        """Remove one that clang does not take any more: a file that it holds has changed."""
        for path in (one.path, one.path.with_suffix(".json")):
            with suppress(OSError):
                path.unlink()
        self._known = None

    def forget_all(self) -> None:
        """Remove them all, and what a killed process left."""
        rmtree(self._folder, ignore_errors=True)
        self._known = None

    def _all(self) -> dict[str, list[Precompiled]]:
        if self._known is None:
            known: dict[str, list[Precompiled]] = {}
            for path in sorted(self._folder.glob("*.json")):
                with suppress(OSError, ValueError, KeyError, TypeError):
                    one = json.loads(path.read_bytes())
                    if one["format"] == _FORMAT and one["roots"] == self._roots():
                        found = Precompiled(
                            path.with_suffix(".pch"),
                            str(one["group"]),
                            tuple(one["headers"]),
                            frozenset(one["asked"]),
                            tuple(one["inputs"]),
                        )
                        known.setdefault(found.group, []).append(found)
            self._known = known
        return self._known

    def _roots(self) -> list[str]:
        return [str(self._units.tree), str(self._units.build)]

    def make(self, group: Group, units: Sequence[Unit]) -> Precompiled | None:
        """Make one for these units of one group, unless they are too few or have too little in common."""
        headers = self._choose(units)
        if not headers:
            return None
        key = json.dumps([_FORMAT, group.digest, self._roots(), headers])
        path = self._folder / f"{sha256(key.encode()).hexdigest()[:20]}.pch"
        made = next((one for one in self._all().get(group.digest, []) if one.path == path), None)
        if made is not None and path.is_file():
            return made
        self._folder.mkdir(parents=True, exist_ok=True)
        source = path.with_suffix(".h")
        write_whole(source, self._text(group, headers).encode())
        # The names that units have of their own stand in the text; the rest of the arguments is theirs.
        plain = Unit("", False, "", group, ())
        arguments = [*arguments_of(self._units, plain, forced=False), "-x", "c-header"]
        try:
            with parse(self._units, source, arguments, to_save=True) as parsed:
                if parsed.diagnostics():
                    return None
                save(parsed, path)
                inputs = [name for name in parsed.inputs() if name != str(source)]
        except ParseError:
            return None
        asked = self._asked(group, headers)
        description = {
            "format": _FORMAT,
            "group": group.digest,
            "roots": self._roots(),
            "headers": headers,
            "asked": sorted(asked),
            "inputs": inputs,
        }
        write_whole(path.with_suffix(".json"), json.dumps(description).encode())
        self._known = None
        return Precompiled(path, group.digest, tuple(headers), frozenset(asked), tuple(inputs))

    def _choose(self, units: Sequence[Unit]) -> list[str]:
        """Choose the headers for which units times bytes is largest; those that others include are left
        out."""
        graph = self._graph
        files = [graph.ids[marked(unit)] for unit in units if marked(unit) in graph.ids]
        if len(files) < _FEWEST_UNITS:
            return []
        closures = [graph.closure([file]) - {file} for file in files]
        # What is worth naming is what units name; the rest comes with it.
        direct = {other for file in files for other in graph.sure[file] if graph.files[other].endswith(".h")}
        users: dict[int, set[int]] = {}
        for at, closure in enumerate(closures):
            for header in closure & direct:
                users.setdefault(header, set()).add(at)
        # The common ones, with what each includes, and how many bytes that is.
        candidates = sorted(users, key=lambda header: (-len(users[header]), header))[:_MOST_CANDIDATES]
        reached = {header: graph.closure([header]) for header in candidates}
        sizes = {at: self._byte_size(at) for at in set().union(*reached.values())}
        chosen: list[int] = []
        covered: set[int] = set()
        having = set(range(len(files)))
        covered_bytes = best = 0
        while len(chosen) < _MOST_HEADERS:
            gains = [
                (shared * (covered_bytes + sum(sizes[at] for at in reached[header] - covered)), header)
                for header in candidates
                if header not in covered and (shared := len(having & users[header])) >= _FEWEST_UNITS
            ]
            if not gains or max(gains)[0] <= best:
                break
            best, header = max(gains)
            chosen.append(header)
            covered |= reached[header]
            covered_bytes = sum(sizes[at] for at in covered)
            having &= users[header]
        # In the order in which a unit that has them all includes them.
        order = _order(graph, files[min(having)]) if having else {}
        return [graph.files[header] for header in sorted(chosen, key=lambda header: order.get(header, 0))]

    def _byte_size(self, file: int) -> int:
        try:
            return Path(self._units.expanded([self._graph.files[file]])[0]).stat().st_size
        except OSError:
            return 0

    def _text(self, group: Group, headers: Sequence[str]) -> str:
        forced = [f'#include "{path}"' for path in self._units.expanded(forced_includes(group))]
        named = [f'#define {name} "ksurf"' for name in _OWN_NAMES]
        included = [f'#include "{path}"' for path in self._units.expanded(headers)]
        unnamed = [f"#undef {name}" for name in _OWN_NAMES]
        return "\n".join((*forced, *named, *included, *unnamed, ""))

    def _asked(self, group: Group, headers: Sequence[str]) -> set[str]:
        graph = self._graph
        ids = [graph.ids[name] for name in (*headers, *forced_includes(group)) if name in graph.ids]
        asked: set[str] = set()
        for at in graph.closure(ids):
            with suppress(OSError):
                content = Path(self._units.expanded([graph.files[at]])[0]).read_bytes()
                for line in _ASKED.finditer(content):
                    asked.update(name.decode() for name in _NAME.findall(line[1]))
        return asked - _HARMLESS


def _set_before_includes(path: Path) -> set[str]:
    """Return the names that a unit's own file sets before its last ``#include``."""
    found: set[str] = set()
    names: list[str] = []
    try:
        content = path.read_bytes()
    except OSError:
        return found
    for line in _SET.finditer(content):
        if line[2]:
            found.update(names)
            names.clear()
        else:
            names.append(line[1].decode())
    return found


def _order(graph: IncludeGraph, file: int) -> dict[int, int]:
    """Return the order in which a file includes others, each after what it includes itself."""
    order: dict[int, int] = {}
    seen = {file}
    waiting: list[tuple[int, int]] = [(file, 0)]
    while waiting:
        at, index = waiting.pop()
        if index < len(graph.sure[at]):
            waiting.append((at, index + 1))
            other = graph.sure[at][index]
            if other not in seen:
                seen.add(other)
                waiting.append((other, 0))
        else:
            order[at] = len(order)
    return order
