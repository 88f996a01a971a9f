"""What the semantic layer says, as bytes on disk: two compressed pieces of JSON.

The first says what the second was made of, and is enough to tell if that still holds.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

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
    Token,
    Unparsed,
)

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


class _Files:
    """Files' names, each once."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, bool], int] = {}

    def place(self, place: Place | None) -> list[int] | None:
        if place is None:
            return None
        number = self.numbers.setdefault((place.file, place.is_generated), len(self.numbers))
        return [number, place.line, place.column]


def encode(result: SemanticFile | Unparsed, inputs: Sequence[Input]) -> bytes:
    """Put a result, and the files that it came of, into bytes."""
    files = _Files()
    if isinstance(result, Unparsed):
        body: dict[str, Any] = {"reason": result.reason}
    else:
        names: dict[str | None, int] = {None: 0}

        def name(value: str | None) -> int:
            return names.setdefault(value, len(names))

        body = {
            "is_generated": result.is_generated,
            "symbols": [
                (
                    _KIND_NUMBERS[symbol.kind],
                    symbol.name,
                    symbol.usr,
                    symbol.type,
                    files.place(symbol.definition),
                    files.place(symbol.declaration),
                    symbol.owner,
                    symbol.is_local,
                )
                for symbol in result.symbols
            ],
            "tokens": [
                (
                    one.line,
                    one.column,
                    one.byte_length,
                    one.symbol,
                    _ROLE_NUMBERS[one.role],
                    name(one.function),
                )
                for one in result.tokens
            ],
            "expansions": [
                (one.line, one.column, one.byte_length, one.end_line, one.end_column, one.symbol)
                for one in result.expansions
            ],
            "hints": [(one.line, one.column, one.name) for one in result.hints],
            "calls": [
                (one.line, one.column, name(one.caller), one.symbol, one.is_direct, one.macro)
                for one in result.calls
            ],
            "registrations": [
                (one.line, one.column, one.field, one.value, one.holder) for one in result.registrations
            ],
            "definitions": [
                (one.symbol, one.line, one.first_line, one.last_line) for one in result.definitions
            ],
            "includes": [(one.line, files.place(one.place)) for one in result.includes],
            "inactive": [(one.first, one.last) for one in result.inactive],
            "names": list(names),
        }
    body |= {
        "file": result.file,
        "unit": result.unit,
        "diagnostics": [(files.place(one.place), one.severity, one.message) for one in result.diagnostics],
        "files": list(files.numbers),
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
        files = body["files"]

        def place(value: list[int] | None) -> Place | None:
            if value is None:
                return None
            file, is_generated = files[value[0]]
            return Place(file, value[1], value[2], is_generated)

        diagnostics = tuple(
            Diagnostic(place(at), severity, said) for at, severity, said in body["diagnostics"]
        )
        if "reason" in body:
            return Unparsed(body["file"], body["unit"], body["reason"], diagnostics)
        return _semantic_file(body, place, diagnostics)
    except (struct.error, zlib.error, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"not a result of the semantic layer: {error!r}") from error


def _semantic_file(
    body: dict[str, Any],
    place: Callable[[list[int] | None], Place | None],
    diagnostics: tuple[Diagnostic, ...],
) -> SemanticFile:
    names: list[str | None] = body["names"]
    return SemanticFile(
        file=body["file"],
        is_generated=body["is_generated"],
        unit=body["unit"],
        symbols=tuple(
            Symbol(_KINDS[kind], name, usr, type_text, place(definition), place(declaration), owner, is_local)
            for kind, name, usr, type_text, definition, declaration, owner, is_local in body["symbols"]
        ),
        tokens=tuple(
            Token(line, column, length, symbol, _ROLES[role], names[function])
            for line, column, length, symbol, role, function in body["tokens"]
        ),
        expansions=tuple(Expansion(*row) for row in body["expansions"]),
        hints=tuple(Hint(*row) for row in body["hints"]),
        calls=tuple(
            Call(line, column, names[caller], symbol, is_direct, macro)
            for line, column, caller, symbol, is_direct, macro in body["calls"]
        ),
        registrations=tuple(Registration(*row) for row in body["registrations"]),
        definitions=tuple(Definition(*row) for row in body["definitions"]),
        includes=tuple(Include(line, place(at)) for line, at in body["includes"]),
        inactive=tuple(LineRange(*row) for row in body["inactive"]),
        diagnostics=diagnostics,
    )
