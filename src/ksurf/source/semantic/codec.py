"""What the semantic layer says, as bytes on disk: two compressed pieces of JSON.

The first says what the second was made of, and is enough to tell if that still holds.
"""

from __future__ import annotations

import itertools
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ksurf.source.place import Place
from ksurf.source.semantic.model import (
    Call,
    Definition,
    Diagnostic,
    Expansion,
    Hint,
    Include,
    LineRange,
    Registration,
    Role,
    SemanticFile,
    Symbol,
    SymbolKind,
    Tokens,
    Unparsed,
)

_T = TypeVar("_T")

__all__ = ["Input", "decode", "decode_inputs", "encode"]

Input = tuple[str, int, int, str]
"""A file's name with its mark, its time in nanoseconds, its size in bytes, and the digest of its content."""

_KINDS = tuple(SymbolKind)
_ROLES = tuple(Role)
_KIND_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_ROLE_NUMBERS = {role: number for number, role in enumerate(_ROLES)}
_LENGTH = struct.Struct("<I")
_MAX_BYTE_SIZE = 1 << 30
"""What a damaged file may unfold to at most."""


class _Places:
    """Places, each once, in columns; the first is none."""

    def __init__(self) -> None:
        self.numbers: dict[Place | None, int] = {None: 0}

    def number(self, place: Place | None) -> int:
        return self.numbers.setdefault(place, len(self.numbers))

    def columns(self) -> list[Any]:
        return _columns(place for place in self.numbers if place is not None)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    # Numbers in columns are read in half the time of rows, each of which is an object.
    return [*zip(*rows, strict=True)]


def encode(result: SemanticFile | Unparsed, inputs: Sequence[Input]) -> bytes:
    """Put a result, and the files that it came of, into bytes."""
    places = _Places()
    if isinstance(result, Unparsed):
        body: dict[str, Any] = {"reason": result.reason}
    else:
        names: dict[str | None, int] = {None: 0}

        def name(value: str | None) -> int:
            return names.setdefault(value, len(names))

        tokens = result.tokens
        body = {
            "is_generated": result.is_generated,
            "symbols": _columns(
                (
                    *(_KIND_NUMBERS[one.kind], one.name, one.usr, one.type),
                    *(places.number(one.definition), places.number(one.declaration)),
                    *(one.owner, one.is_local),
                )
                for one in result.symbols
            ),
            "tokens": [
                *(tokens.lines, tokens.columns, tokens.byte_lengths, tokens.symbols),
                [_ROLE_NUMBERS[role] for role in tokens.roles],
                [*map(name, tokens.functions)],
            ],
            "expansions": _columns(result.expansions),
            "hints": _columns(result.hints),
            "calls": _columns(
                (one.line, one.column, name(one.caller), one.symbol, one.is_direct, one.macro)
                for one in result.calls
            ),
            "registrations": _columns(result.registrations),
            "definitions": _columns(result.definitions),
            "includes": _columns((one.line, places.number(one.place)) for one in result.includes),
            "inactive": _columns(result.inactive),
            "names": [*names],
        }
    body |= {
        "file": result.file,
        "unit": result.unit,
        "diagnostics": [(places.number(one.place), one.severity, one.message) for one in result.diagnostics],
        "places": places.columns(),
    }
    head = _pack({"is_read": isinstance(result, SemanticFile), "inputs": list(inputs)})
    return _LENGTH.pack(len(head)) + head + _pack(body)


def _pack(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 3)


def _unpack(content: bytes) -> Any:
    return json.loads(zlib.decompressobj().decompress(content, _MAX_BYTE_SIZE))


def decode_inputs(content: bytes) -> tuple[bool, list[Input]]:
    """Return whether the file could be read, and what that was made of; raises ``ValueError`` for anything
    else."""
    try:
        (size,) = _LENGTH.unpack_from(content)
        head = _unpack(content[_LENGTH.size : _LENGTH.size + size])
        inputs = [
            (str(path), int(time), int(size), str(digest)) for path, time, size, digest in head["inputs"]
        ]
        return bool(head["is_read"]), inputs
    except (struct.error, zlib.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a result of the semantic layer: {error!r}") from error


def decode(content: bytes) -> SemanticFile | Unparsed:
    """Read what :func:`encode` wrote; raises ``ValueError`` for anything else."""
    try:
        (size,) = _LENGTH.unpack_from(content)
        body = _unpack(content[_LENGTH.size + size :])
        places = [None, *_rows(Place, body["places"])]
        diagnostics = tuple(
            Diagnostic(places[at], severity, said) for at, severity, said in body["diagnostics"]
        )
        if "reason" in body:
            return Unparsed(body["file"], body["unit"], body["reason"], diagnostics)
        return _semantic_file(body, places, diagnostics)
    except (struct.error, zlib.error, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"not a result of the semantic layer: {error!r}") from error


def _rows(make: Callable[..., _T], columns: list[list[Any]]) -> tuple[_T, ...]:
    return tuple(itertools.starmap(make, zip(*columns, strict=True)))


def _semantic_file(
    body: dict[str, Any], places: list[Place | None], diagnostics: tuple[Diagnostic, ...]
) -> SemanticFile:
    names: list[str | None] = body["names"]
    lines, columns, byte_lengths, numbers, roles, functions = body["tokens"]
    if any(len(column) != len(lines) for column in body["tokens"]):
        raise ValueError("columns of tokens differ in length")
    tokens = Tokens(
        lines,
        columns,
        byte_lengths,
        numbers,
        [_ROLES[role] for role in roles],
        [names[function] for function in functions],
    )
    return SemanticFile(
        file=body["file"],
        is_generated=body["is_generated"],
        unit=body["unit"],
        symbols=tuple(
            Symbol(
                _KINDS[kind], name, usr, type_text, places[definition], places[declaration], owner, is_local
            )
            for kind, name, usr, type_text, definition, declaration, owner, is_local in zip(
                *body["symbols"], strict=True
            )
        ),
        tokens=tokens,
        expansions=_rows(Expansion, body["expansions"]),
        hints=_rows(Hint, body["hints"]),
        calls=tuple(
            Call(line, column, names[caller], symbol, is_direct, macro)
            for line, column, caller, symbol, is_direct, macro in zip(*body["calls"], strict=True)
        ),
        registrations=_rows(Registration, body["registrations"]),
        definitions=_rows(Definition, body["definitions"]),
        includes=tuple(Include(line, places[at]) for line, at in zip(*body["includes"], strict=True)),
        inactive=_rows(LineRange, body["inactive"]),
        diagnostics=diagnostics,
    )
