"""What the files of a folder, or one file, need that is defined outside of them.

A pure function over files as the semantic layer has read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ksurf.source.place import Place
from ksurf.source.semantic.model import Role, SemanticFile, Symbol, SymbolKind

__all__ = ["Need", "NeedKind", "is_inside", "needs"]


class NeedKind(StrEnum):
    """What sort of thing is needed, in the order of a report."""

    FUNCTION = "function"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    TYPEDEF = "typedef"
    FIELD = "field"
    ENUMERATOR = "enumerator"
    GLOBAL = "global"
    MACRO = "macro"


_KINDS = {
    SymbolKind.FUNCTION: NeedKind.FUNCTION,
    SymbolKind.STRUCT: NeedKind.STRUCT,
    SymbolKind.UNION: NeedKind.UNION,
    SymbolKind.ENUM: NeedKind.ENUM,
    SymbolKind.TYPEDEF: NeedKind.TYPEDEF,
    SymbolKind.FIELD: NeedKind.FIELD,
    SymbolKind.ENUMERATOR: NeedKind.ENUMERATOR,
    SymbolKind.VARIABLE: NeedKind.GLOBAL,
    SymbolKind.MACRO: NeedKind.MACRO,
}


@dataclass(frozen=True, slots=True)
class Need:
    """Something from outside, and where it is used."""

    kind: NeedKind
    name: str
    """Of fields and enumerators with their owner: ``kvm::arch``, ``irqreturn::IRQ_HANDLED``."""
    place: Place | None
    """Where it is defined, or else declared; ``None`` for what the compiler or its flags bring."""
    is_defined: bool
    """``place`` is the definition; a function of another unit is known by its declaration only."""
    uses: tuple[Place, ...]
    """In the files, each line once."""
    functions: tuple[str, ...]
    """The functions that use it."""
    by_macro: bool = False
    """Only macros name it; the files' text does not."""

    @property
    def title(self) -> str:
        """It in two words: ``struct kvm``."""
        return f"{self.kind.value} {self.name}"


def is_inside(file: str, roots: Sequence[str]) -> bool:
    """Tell if a file is one of ``roots``, or lies in one of them; the empty root holds all."""
    return any(not root or file == root or file.startswith(f"{root}/") for root in roots)


@dataclass(slots=True)
class _Found:
    symbol: Symbol
    uses: dict[Place, None]
    functions: dict[str, None]
    is_written: bool = False


def needs(files: Iterable[SemanticFile], roots: Sequence[str]) -> tuple[Need, ...]:
    """What the files below ``roots`` need that is defined elsewhere, kind by kind, the most used first.

    What one of the files defines is inside for all of them, wherever it is declared.
    """
    roots = [root.strip("/") for root in roots]
    found: dict[tuple[NeedKind, str], _Found] = {}
    defined: set[str] = set()
    for file in files:
        defined.update(
            symbol.usr
            for symbol in file.symbols
            if symbol.definition is not None and is_inside(symbol.definition.file, roots)
        )
        if is_inside(file.file, roots):
            for number, line, column, function, is_written in _mentions(file):
                symbol = file.symbols[number]
                key = _key(symbol)
                if key is None or _is_own(symbol, roots):
                    continue
                one = found.setdefault(key, _Found(symbol, {}, {}))
                if one.symbol.definition is None and symbol.definition is not None:
                    one.symbol = symbol
                one.uses[Place(file.file, line, column, file.is_generated)] = None
                one.is_written = one.is_written or is_written
                if function is not None:
                    one.functions[function] = None
    order = list(NeedKind)
    made = (_need(kind, name, one) for (kind, name), one in found.items() if one.symbol.usr not in defined)
    return tuple(sorted(made, key=lambda need: (order.index(need.kind), -len(need.uses), need.name)))


def _mentions(file: SemanticFile) -> Iterable[tuple[int, int, int, str | None, bool]]:
    """Symbol, line, column, function, and whether the text names it."""
    for token in file.tokens:
        if token.role is Role.REFERENCE:
            yield token.symbol, token.line, token.column, token.function, True
    for expansion in file.expansions:
        yield expansion.symbol, expansion.line, expansion.column, None, True
    for call in file.calls:
        if call.macro is not None and call.is_direct and call.symbol is not None:
            yield call.symbol, call.line, call.column, call.caller, False


def _key(symbol: Symbol) -> tuple[NeedKind, str] | None:
    kind = _KINDS.get(symbol.kind)
    if kind is None or not symbol.name or symbol.name.startswith("__builtin_"):
        return None
    if kind is NeedKind.GLOBAL and symbol.is_local and symbol.place is None:
        return None
    owned = kind in {NeedKind.FIELD, NeedKind.ENUMERATOR} and symbol.owner is not None
    return kind, f"{symbol.owner}::{symbol.name}" if owned else symbol.name


def _is_own(symbol: Symbol, roots: Sequence[str]) -> bool:
    """Whether a symbol is defined inside, or, if nobody tells where it is defined, declared there."""
    if symbol.definition is not None:
        return is_inside(symbol.definition.file, roots)
    if symbol.kind is SymbolKind.FUNCTION or symbol.declaration is None:
        return False
    return is_inside(symbol.declaration.file, roots)


def _need(kind: NeedKind, name: str, found: _Found) -> Need:
    lines: dict[tuple[str, int], Place] = {}
    for place in sorted(found.uses):
        lines.setdefault((place.file, place.line), place)
    return Need(
        kind,
        name,
        found.symbol.place,
        found.symbol.definition is not None,
        tuple(lines.values()),
        tuple(found.functions),
        not found.is_written,
    )
