"""Calls through fields, of all units of a kernel that were read so far, kept in one file.

To take apart the results of thousands of units for one question would take a minute. What matters of them
lies beside the kernel's table of units, with the time and size of each result, so that only what is new
is read.
"""

from __future__ import annotations

import json
from pathlib import Path
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
from ksurf.source.semantic.model import SemanticFile
from ksurf.source.units import Units, write_whole

__all__ = ["known_dispatch"]

_FORMAT = 1
_TABLE = "dispatch.json"


def known_dispatch(units: Units, folder: Path) -> Dispatch:
    """What the units of a kernel whose results lie in ``folder`` store in fields, and call through them."""
    path = units.folder / _TABLE
    before = _load(path)
    cache = Cache(units, folder)
    now: dict[str, list[Any]] = {}
    changed = False
    for unit in units:
        result = cache.path(unit, unit.file, unit.is_generated)
        try:
            found = result.stat()
        except OSError:
            continue
        stamp = [found.st_mtime_ns, found.st_size]
        row = before.get(unit.object)
        if row is None or row[:2] != stamp:
            changed = True
            try:
                seen = decode(result.read_bytes())
            except (OSError, ValueError):
                continue
            row = [*stamp, *(_rows(seen) if isinstance(seen, SemanticFile) else ([], []))]
        now[unit.object] = row
    if changed or len(now) != len(before):
        _save(path, now)
    return Dispatch((_file(unit, row) for unit, row in now.items()), units=len(units))


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        document = json.loads(path.read_bytes())
        units: dict[str, list[Any]] = document["units"] if document["format"] == _FORMAT else {}
        for unit, row in units.items():
            _file(unit, row)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # Damaged or of another version: all of it is made anew.
        return {}
    return units


def _save(path: Path, units: dict[str, list[Any]]) -> None:
    document = {"format": _FORMAT, "units": units}
    try:
        write_whole(path, json.dumps(document, separators=(",", ":")).encode())
    except KsurfError:
        return  # It only saves time: a dataset may be another's, or its disk full.


def _rows(seen: SemanticFile) -> tuple[list[Any], list[Any]]:
    found = file_dispatch(seen)
    stored = [[one.function, *one.field, one.holder, *_place(one.place)] for one in found.stored]
    calls = [[call.caller, *call.field, *_place(call.place)] for call in found.calls]
    return stored, calls


def _place(place: Place) -> tuple[str, int, int, bool]:
    return place.file, place.line, place.column, place.is_generated


def _file(unit: str, row: list[Any]) -> FileDispatch:
    _, _, stored, calls = row
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
