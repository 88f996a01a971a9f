"""The semantic layer of one kernel: a file's tokens, from the cache or from clang.

Clang reads files that anybody may have written. It runs in a process of its own, with limits on memory and
time; what it does not survive costs one unit, of which the reason is told.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ksurf.recent import Recent
from ksurf.source.includes import units_of_header
from ksurf.source.semantic.cache import Cache
from ksurf.source.semantic.clang import NOT_INCLUDED, ParseError, arguments_of, parse
from ksurf.source.semantic.model import SemanticFile, Unparsed
from ksurf.source.semantic.precompiled import PrecompiledHeaders
from ksurf.source.semantic.reader import read_file
from ksurf.source.semantic.worker import Limits, Worker
from ksurf.source.units import Unit, Units

__all__ = ["Semantics", "read_unit"]

_MOST_UNITS = 5
"""So many units are tried for a header."""
_KEPT_INCLUDERS = 1000
"""Headers of which these units are kept: to read who includes whom takes some 20 ms."""


def read_unit(
    units: Units, unit: Unit, file: str, is_generated: bool, headers: PrecompiledHeaders | None
) -> tuple[SemanticFile | Unparsed, list[str]]:
    """Read a file through a unit, in this process; return what was found, and the paths of all files behind
    it."""
    own = units.path(unit)
    path = (units.build if is_generated else units.tree) / file
    # A header may be one of the precompiled ones.
    one = headers.of(unit) if headers is not None and path == own else None
    if headers is not None and one is not None:
        try:
            with parse(units, own, arguments_of(units, unit, one.path)) as parsed:
                # What goes wrong may be the precompiled header's fault.
                if not parsed.diagnostics():
                    return read_file(parsed, path, unit.object), [*parsed.inputs(), *one.inputs]
        except ParseError:
            # A file in it has changed.
            headers.forget(one)
    try:
        with parse(units, own, arguments_of(units, unit)) as parsed:
            return read_file(parsed, path, unit.object), parsed.inputs()
    except ParseError as error:
        return Unparsed(file, unit.object, error.message), [str(own)]


class Semantics:
    """What clang says of the files of one kernel. Close it, or use it in a ``with``."""

    def __init__(self, units: Units, folder: Path, limits: Limits | None = None) -> None:
        """Name the units, and the folder of results."""
        self.units = units
        self._cache = Cache(units, folder)
        self._worker = Worker(units, folder, limits or Limits())
        self._includers: Recent[list[Unit]] = Recent(_KEPT_INCLUDERS)

    def __enter__(self) -> Semantics:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the process that reads."""
        self._worker.close()

    def candidates(self, file: str, is_generated: bool = False) -> list[Unit]:
        """Return the units through which a file may be seen, the likeliest first."""
        own = [unit for unit in self.units.of_file(file) if unit.is_generated == is_generated]
        if own:
            return own[:1]
        known = self._cache.through(file, is_generated)
        if known is not None and (unit := self.units.of_object(known)) is not None:
            return [unit]
        found = self._includers.get((file, is_generated))
        if found is None:
            found = [*islice(units_of_header(self.units, file, is_generated=is_generated), _MOST_UNITS)]
            self._includers.put((file, is_generated), found, 1)
        return found

    def cached(self, file: str, is_generated: bool = False) -> SemanticFile | Unparsed | None:
        """Return what is known of a file without reading it."""
        for unit in self.candidates(file, is_generated):
            known = self._cache.load(unit, file, is_generated)
            if known is None or not _is_elsewhere(known):
                return known
        return None

    def read(self, file: str, is_generated: bool = False) -> SemanticFile | Unparsed:
        """Return what a file's tokens are; reads it if that is not known."""
        last: SemanticFile | Unparsed | None = None
        for unit in self.candidates(file, is_generated):
            last = self._cache.load(unit, file, is_generated)
            if last is None:
                last = self._worker.read(unit, file, is_generated) or self._cache.load(
                    unit, file, is_generated
                )
            if last is None:
                last = Unparsed(file, unit.object, "the result could not be kept: is the disk full?")
            if not _is_elsewhere(last):
                if unit.file != file and isinstance(last, SemanticFile):
                    self._cache.keep_through(file, is_generated, unit)
                return last
        return last or Unparsed(file, "", "no unit of this kernel compiles or includes it")


def _is_elsewhere(result: SemanticFile | Unparsed) -> bool:
    return isinstance(result, Unparsed) and result.reason == NOT_INCLUDED
