"""Calls through fields, and the functions that are stored in these: what may reach what.

A binary does not tell whom a call through a pointer reaches. The source tells which functions are stored in
a field (``.handler = f``), and which calls go through it: that makes it possible that the one reaches the
other, and no more. Only files that the semantic layer has read are known, so that how much was looked at
belongs to every answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ksurf.source.place import Place
from ksurf.source.semantic.model import SemanticFile, SymbolKind

__all__ = ["Dispatch", "DispatchCall", "Field", "FileDispatch", "Stored", "file_dispatch"]


class Field(NamedTuple):
    """A field by the struct that it belongs to."""

    owner: str
    name: str

    def __str__(self) -> str:
        """Return ``file_operations::read``."""
        return f"{self.owner}::{self.name}"


class Stored(NamedTuple):
    """A function that is stored in a field."""

    function: str
    field: Field
    holder: str | None
    """The variable that is initialised, or the function that assigns."""
    place: Place


class DispatchCall(NamedTuple):
    """A call through a field."""

    caller: str | None
    field: Field
    place: Place


class FileDispatch(NamedTuple):
    """What one file stores in fields, and calls through them."""

    unit: str
    stored: tuple[Stored, ...]
    calls: tuple[DispatchCall, ...]


def file_dispatch(file: SemanticFile) -> FileDispatch:
    """Look through a file."""
    stored: dict[Stored, None] = {}
    for one in file.registrations:
        field, value = _field(file, one.field), file.symbols[one.value]
        if field is not None and value.kind is SymbolKind.FUNCTION:
            place = Place(file.file, one.line, one.column, file.is_generated)
            stored[Stored(value.name, field, one.holder, place)] = None
    calls: dict[DispatchCall, None] = {}
    for call in file.calls:
        if not call.is_direct and call.symbol is not None:
            field = _field(file, call.symbol)
            if field is not None:
                place = Place(file.file, call.line, call.column, file.is_generated)
                calls[DispatchCall(call.caller, field, place)] = None
    return FileDispatch(file.unit, tuple(stored), tuple(calls))


class Dispatch:
    """What some files store in fields, and call through them."""

    def __init__(self, files: Iterable[FileDispatch], units: int | None = None) -> None:
        """Put files together. ``units`` is how many the kernel has, if that is known."""
        self.units = units
        """Of the whole kernel; ``None`` if that is not known."""
        self._stored: dict[Field, dict[Stored, None]] = defaultdict(dict)
        self._fields: dict[str, dict[Field, None]] = defaultdict(dict)
        self._calls: dict[Field, dict[DispatchCall, None]] = defaultdict(dict)
        self._made: dict[str, dict[Field, None]] = defaultdict(dict)
        seen = set()
        for file in files:
            seen.add(file.unit)
            for one in file.stored:
                self._stored[one.field][one] = None
                self._fields[one.function][one.field] = None
            for call in file.calls:
                self._calls[call.field][call] = None
                if call.caller is not None:
                    self._made[call.caller][call.field] = None
        self.seen = len(seen)
        """Units that were looked at."""

    def stored_in(self, field: Field) -> Sequence[Stored]:
        """The functions that are stored in a field: a call through it may reach any of them."""
        return tuple(self._stored.get(field, ()))

    def fields_of(self, function: str) -> Sequence[Field]:
        """The fields that a function is stored in."""
        return tuple(self._fields.get(function, ()))

    def stores_of(self, function: str) -> Sequence[Stored]:
        """Where a function is stored."""
        return tuple(
            one
            for field in self._fields.get(function, ())
            for one in self._stored[field]
            if one.function == function
        )

    def callers_of(self, function: str) -> Sequence[DispatchCall]:
        """The calls that may reach a function."""
        return tuple(call for field in self.fields_of(function) for call in self._calls.get(field, ()))

    def calls_in(self, function: str) -> Sequence[Field]:
        """The fields that a function calls through."""
        return tuple(self._made.get(function, ()))

    @property
    def coverage(self) -> str:
        """How much was looked at, in words: ``3 of 5640 units``."""
        return f"{self.seen} units" if self.units is None else f"{self.seen} of {self.units} units"


def _field(file: SemanticFile, number: int) -> Field | None:
    symbol = file.symbols[number]
    if symbol.kind is not SymbolKind.FIELD or symbol.owner is None:
        return None
    return Field(symbol.owner, symbol.name)
