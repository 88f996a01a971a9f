"""Calls through fields, of all units of a kernel that were read so far, kept in one file.

To take apart the results of thousands of units for one question would take a minute. What matters of them
lies beside the kernel's table of units, with the time and size of each result, so that only what is new
is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from ksurf.errors import KsurfError
from ksurf.source.join.dispatch import (
    Dispatch,
    DispatchCall,
    Field,
    FileDispatch,
    Stored,
    file_dispatch,
)
from ksurf.source.place import Place
from ksurf.source.semantic.cache import Cache
from ksurf.source.semantic.codec import decode
from ksurf.source.semantic.model import SemanticFile, Unparsed
from ksurf.source.units import Unit, Units, write_whole

__all__ = ["KnownDispatch"]

_FORMAT = 1
_TABLE = "dispatch.json"


class KnownDispatch:
    """Calls through fields in the units of a kernel whose results lie in a folder, as far as they were read.

    The folder may have the results of other kernels, and of headers, which are passed over.
    """

    def __init__(self, units: Units, folder: Path) -> None:
        """Name the units and the folder; nothing is read yet."""
        self._units = units
        self._folder = folder
        self._path = units.folder / _TABLE
        self._seen: list[tuple[str, int]] | None = None
        self._turn = Lock()
        self._dispatch = Dispatch((), len(units))

    def current(self) -> Dispatch:
        """What is known now. If nothing was read since it was last asked, that takes a millisecond."""
        with self._turn:
            folders = _folders(self._folder)
            if folders != self._seen:
                self._dispatch = self._read([name for name, _ in folders])
                self._seen = folders
            return self._dispatch

    def _read(self, folders: list[str]) -> Dispatch:
        before, passed = _load(self._path)
        results = {name: stamp for folder in folders for name, stamp in _results(self._folder / folder)}
        is_new = False
        now: dict[str, list[Any]] = {}
        for name, stamp in results.items():
            row = before.get(name)
            if row is not None and row[:2] == stamp:
                now[name] = row
            elif name not in passed:
                is_new = True
                unit = self._own.get(name)
                seen = None if unit is None else _decoded(self._folder / name)
                if unit is None:
                    passed.add(name)
                elif seen is not None:
                    now[name] = [
                        *stamp,
                        unit.object,
                        *(_rows(seen) if isinstance(seen, SemanticFile) else ([], [])),
                    ]
        if now != before or is_new:
            _save(self._path, now, passed & results.keys())
        return Dispatch(map(_file, now.values()), units=len(self._units))

    @cached_property
    def _own(self) -> dict[str, Unit]:
        """The units by the name that the result for their own file has in the folder."""
        cache = Cache(self._units, self._folder)
        return {cache.name(unit, unit.file, unit.is_generated): unit for unit in self._units}


def _folders(folder: Path) -> list[tuple[str, int]]:
    """The folders of results, with the time when something in them was last made or replaced."""
    try:
        with os.scandir(folder) as entries:
            return sorted((one.name, one.stat().st_mtime_ns) for one in entries if one.is_dir())
    except OSError:
        return []


def _results(folder: Path) -> Iterator[tuple[str, list[int]]]:
    try:
        with os.scandir(folder) as entries:
            for one in entries:
                if one.name.endswith(".sem"):
                    found = one.stat()
                    yield f"{folder.name}/{one.name}", [found.st_mtime_ns, found.st_size]
    except OSError:
        return  # it is made anew just now


def _decoded(path: Path) -> SemanticFile | Unparsed | None:
    try:
        return decode(path.read_bytes())
    except (OSError, ValueError):
        return None


def _load(path: Path) -> tuple[dict[str, list[Any]], set[str]]:
    """The rows by result, and results that are no unit's of this kernel."""
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != _FORMAT:
            return {}, set()
        results: dict[str, list[Any]] = document["results"]
        for row in results.values():
            _file(row)
        return results, set(document["others"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Damaged: all of it is made anew.
        return {}, set()


def _save(path: Path, results: dict[str, list[Any]], others: set[str]) -> None:
    document = {"format": _FORMAT, "results": results, "others": sorted(others)}
    # It only saves time: a dataset may be another's, or its disk full.
    with suppress(KsurfError):
        write_whole(path, json.dumps(document, separators=(",", ":")).encode())


def _rows(seen: SemanticFile) -> tuple[list[Any], list[Any]]:
    found = file_dispatch(seen)
    stored = [[one.function, *one.field, one.holder, *_place(one.place)] for one in found.stored]
    calls = [[call.caller, *call.field, *_place(call.place)] for call in found.calls]
    return stored, calls


def _place(place: Place) -> tuple[str, int, int, bool]:
    return place.file, place.line, place.column, place.is_generated


def _file(row: list[Any]) -> FileDispatch:
    _, _, unit, stored, calls = row
    return FileDispatch(
        unit,
        tuple(
            Stored(function, Field(owner, name), holder, Place(*place))
            for function, owner, name, holder, *place in stored
        ),
        tuple(
            DispatchCall(caller, Field(owner, name), Place(*place)) for caller, owner, name, *place in calls
        ),
    )
