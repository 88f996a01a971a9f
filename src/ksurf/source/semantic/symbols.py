"""Declarations as symbols: each once, however often the file names it."""

from __future__ import annotations

import re

from ksurf.source.place import Place
from ksurf.source.semantic.clang import Parsed
from ksurf.source.semantic.kinds import (
    CX_SC_Extern,
    CXCursor_EnumConstantDecl,
    CXCursor_EnumDecl,
    CXCursor_FieldDecl,
    CXCursor_FunctionDecl,
    CXCursor_LabelStmt,
    CXCursor_MacroDefinition,
    CXCursor_ParmDecl,
    CXCursor_StructDecl,
    CXCursor_TranslationUnit,
    CXCursor_TypedefDecl,
    CXCursor_UnionDecl,
    CXCursor_VarDecl,
    CXLinkage_External,
    is_valid,
)
from ksurf.source.semantic.libclang import CXCursor, library, text
from ksurf.source.semantic.model import Symbol, SymbolKind

__all__ = ["KINDS", "Symbols", "plain_type"]

KINDS = {
    CXCursor_EnumConstantDecl: SymbolKind.ENUMERATOR,
    CXCursor_EnumDecl: SymbolKind.ENUM,
    CXCursor_FieldDecl: SymbolKind.FIELD,
    CXCursor_FunctionDecl: SymbolKind.FUNCTION,
    CXCursor_LabelStmt: SymbolKind.LABEL,
    CXCursor_MacroDefinition: SymbolKind.MACRO,
    CXCursor_ParmDecl: SymbolKind.PARAMETER,
    CXCursor_StructDecl: SymbolKind.STRUCT,
    CXCursor_TypedefDecl: SymbolKind.TYPEDEF,
    CXCursor_UnionDecl: SymbolKind.UNION,
    CXCursor_VarDecl: SymbolKind.VARIABLE,
}
"""What kind of symbol a cursor declares."""

# The compiler declares these itself, where they are used first.
_BUILT_IN = ("__builtin_", "__sync_", "__atomic_", "__c11_")
_TAGS = {SymbolKind.STRUCT, SymbolKind.UNION, SymbolKind.ENUM}
_TYPED = {SymbolKind.FUNCTION, SymbolKind.VARIABLE, SymbolKind.PARAMETER, SymbolKind.FIELD}
# Clang names what has no name by where it stands, with the whole path.
_UNNAMED = re.compile(r"\((?:unnamed|anonymous)((?: \w+)?) at [^()]*(?:\([^()]*\)[^()]*)*\)")


def plain_type(spelling: str) -> str:
    """Leave paths out of the names of unnamed types."""
    return _UNNAMED.sub(r"(unnamed\1)", spelling)


class Symbols:
    """The symbols of one parsed unit, numbered as they are asked for."""

    def __init__(self, parsed: Parsed) -> None:
        """Start without symbols."""
        self._parsed = parsed
        self._clang = library()
        self._by_cursor: dict[tuple[int, int | None, int | None], int | None] = {}
        self._symbols: list[Symbol] = []

    def all(self) -> tuple[Symbol, ...]:
        """Return the symbols asked for so far."""
        return tuple(self._symbols)

    def __getitem__(self, number: int) -> Symbol:
        """Return a symbol by its number."""
        return self._symbols[number]

    def number(self, cursor: CXCursor) -> int | None:
        """Return the number of what a cursor declares; ``None`` if it declares nothing that has a name."""
        kind = cursor.kind
        if kind not in KINDS:
            return None
        # Each redeclaration has a cursor of its own, which leads to the same canonical one.
        key = _key(cursor)
        if key not in self._by_cursor:
            first = cursor
            if kind not in {CXCursor_MacroDefinition, CXCursor_LabelStmt}:
                first = self._clang.clang_getCanonicalCursor(cursor)
            first_key = _key(first)
            if first_key not in self._by_cursor:
                self._by_cursor[first_key] = self._add(first)
            self._by_cursor[key] = self._by_cursor[first_key]
        return self._by_cursor[key]

    def _add(self, cursor: CXCursor) -> int | None:
        clang = self._clang
        name = text(clang.clang_getCursorSpelling(cursor))
        if not name or "(" in name:
            return None
        kind = KINDS[cursor.kind]
        declaration: Place | None = None
        if not name.startswith(_BUILT_IN):
            declaration = self._parsed.place(clang.clang_getCursorLocation(cursor))
        definition: Place | None = None
        type_text, owner, is_local = "", None, kind in {SymbolKind.PARAMETER, SymbolKind.LABEL}
        if kind in {SymbolKind.MACRO, SymbolKind.LABEL}:
            definition = declaration
        else:
            defined = clang.clang_getCursorDefinition(cursor)
            if is_valid(defined.kind):
                definition = self._parsed.place(clang.clang_getCursorLocation(defined))
        if kind in _TYPED:
            type_text = text(clang.clang_getTypeSpelling(clang.clang_getCursorType(cursor)))
        elif kind is SymbolKind.TYPEDEF:
            type_text = text(clang.clang_getTypeSpelling(clang.clang_getTypedefDeclUnderlyingType(cursor)))
        if kind in {SymbolKind.FUNCTION, SymbolKind.VARIABLE}:
            is_local = clang.clang_getCursorLinkage(cursor) != CXLinkage_External
        elif kind in _TAGS and definition is not None:
            # Any header may say that there is a struct of that name.
            declaration = None
        elif kind in {SymbolKind.FIELD, SymbolKind.ENUMERATOR}:
            owner = self._owner(cursor)
        self._symbols.append(
            Symbol(
                kind=kind,
                name=name,
                usr=text(clang.clang_getCursorUSR(cursor)),
                type=plain_type(type_text),
                definition=definition,
                declaration=None if declaration == definition else declaration,
                owner=owner,
                is_local=is_local,
            )
        )
        return len(self._symbols) - 1

    def define_tentatively(self, number: int, cursor: CXCursor) -> None:
        """Take a declaration of a variable for its definition if nothing else is one: ``int x;``.

        Source: C11 6.9.2.
        """
        symbol = self._symbols[number]
        is_extern = self._clang.clang_Cursor_getStorageClass(cursor) == CX_SC_Extern
        if symbol.definition is None and not is_extern:
            place = self._parsed.place(self._clang.clang_getCursorLocation(cursor))
            declaration = None if symbol.declaration == place else symbol.declaration
            self._symbols[number] = symbol._replace(definition=place, declaration=declaration)

    def is_in_function(self, number: int) -> bool:
        """Tell if a symbol is known in one function only."""
        symbol = self._symbols[number]
        if symbol.kind is SymbolKind.VARIABLE:
            # Clang names what is local to a function after it.
            return "@F@" in symbol.usr
        return symbol.kind in {SymbolKind.PARAMETER, SymbolKind.LABEL}

    def _owner(self, cursor: CXCursor) -> str | None:
        """Return the name of the struct that a member belongs to, through unnamed ones; or of the enum."""
        parent = self._clang.clang_getCursorSemanticParent(cursor)
        while is_valid(parent.kind) and parent.kind != CXCursor_TranslationUnit:
            name = text(self._clang.clang_getCursorSpelling(parent))
            if name and "(" not in name:
                return name
            parent = self._clang.clang_getCursorSemanticParent(parent)
        return None


def _key(cursor: CXCursor) -> tuple[int, int | None, int | None]:
    return cursor.kind, cursor.data[0], cursor.data[1]
