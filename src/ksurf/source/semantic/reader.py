"""One file, seen through one unit: clang's words put into
:class:`~ksurf.source.semantic.model.SemanticFile`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from ksurf.source.place import Place
from ksurf.source.semantic.calls import walk
from ksurf.source.semantic.clang import Parsed, ParseError
from ksurf.source.semantic.kinds import (
    CXCursor_EnumDecl,
    CXCursor_FunctionDecl,
    CXCursor_InclusionDirective,
    CXCursor_MacroDefinition,
    CXCursor_MacroExpansion,
    CXCursor_StructDecl,
    CXCursor_TranslationUnit,
    CXCursor_TypedefDecl,
    CXCursor_UnionDecl,
    CXCursor_VarDecl,
    is_decl,
    is_expression,
    is_statement,
    is_valid,
)
from ksurf.source.semantic.libclang import CXCursor, library, text
from ksurf.source.semantic.model import (
    Definition,
    Expansion,
    Include,
    LineRange,
    Role,
    SemanticFile,
    SymbolKind,
    Token,
    Tokens,
)
from ksurf.source.semantic.symbols import KINDS, Symbols
from ksurf.source.semantic.text import FileText

__all__ = ["read_file"]

_TYPES = {CXCursor_StructDecl, CXCursor_UnionDecl, CXCursor_EnumDecl}
_IN_ORDER = attrgetter("line", "column")


def read_file(parsed: Parsed, path: Path, unit: str) -> SemanticFile:
    """Read what the tokens of a file are. Raises ``ParseError`` if the unit did not read it."""
    reader = _Reader(parsed, path)
    return reader.read(unit)


class _Reader:
    def __init__(self, parsed: Parsed, path: Path) -> None:
        self.clang = library()
        self.parsed = parsed
        self.text = FileText(parsed, path)
        self.symbols = Symbols(parsed)
        file = parsed.file(self.text.handle)
        if file is None:
            raise ParseError("the file is neither in the tree nor in the prepared folder")
        self.file, self.is_generated = file
        self.lines = self.text.content.split(b"\n")
        self.left_out: list[LineRange] = []
        self.macros: dict[tuple[bytes, bool], int] = {}
        self.mentions: dict[int, CXCursor] = {}
        self.in_macros: dict[bytes, CXCursor] = {}

    def read(self, unit: str) -> SemanticFile:
        tops = self.top_level()
        definitions = list(self.definitions(tops))
        functions = self.functions(tops)
        self.left_out = list(self.inactive())
        self.macros = self.expanded_macros()
        unresolved, names = self.unresolved()
        doings = walk(self.text, self.symbols, tops, unresolved, names)
        self.mentions, self.in_macros = doings.mentions, doings.in_macros
        tokens, expansions, includes = self.tokens(functions)
        macros = [
            Definition(token.symbol, token.line, token.line, self.macro_end(token))
            for token in tokens
            if token.role is Role.DEFINITION and self.symbols[token.symbol].kind == "macro"
        ]
        return SemanticFile(
            file=self.file,
            is_generated=self.is_generated,
            unit=unit,
            tokens=Tokens.of(tokens),
            expansions=tuple(expansions),
            hints=tuple(sorted(doings.hints, key=_IN_ORDER)),
            calls=tuple(sorted(doings.calls, key=_IN_ORDER)),
            registrations=tuple(sorted(doings.registrations, key=_IN_ORDER)),
            definitions=tuple(sorted([*definitions, *macros], key=attrgetter("line", "first_line"))),
            includes=tuple(includes),
            inactive=tuple(self.left_out),
            diagnostics=self.parsed.diagnostics(),
            symbols=self.symbols.all(),
        )

    # ---- what stands outside of functions

    def top_level(self) -> list[CXCursor]:
        """Return the declarations outside of functions that have tokens in the file, in its order.

        They are found from the tokens: going through all of a unit's would take longer than all the rest.
        """
        found: dict[int | None, CXCursor] = {}
        parents: dict[tuple[int, int | None], CXCursor | None] = {}
        for cursor in self.text.cursors:
            kind = cursor.kind
            if not (is_decl(kind) or is_expression(kind) or is_statement(kind)):
                continue
            # The first word of a statement's cursor is the declaration that it is in.
            key = (0, cursor.data[0])
            if key not in parents:
                parents[key] = self.topmost(cursor)
            top = parents[key]
            if top is not None:
                found.setdefault(top.data[0], top)
        return list(found.values())

    def topmost(self, cursor: CXCursor) -> CXCursor | None:
        clang = self.clang
        for _ in range(64):
            parent = clang.clang_getCursorSemanticParent(cursor)
            if parent.kind == CXCursor_TranslationUnit:
                return cursor if is_decl(cursor.kind) else None
            if not is_valid(parent.kind):
                return None
            cursor = parent
        return None

    def extent(self, cursor: CXCursor) -> tuple[int, int] | None:
        """Return first and last offset of a cursor in the file."""
        extent = self.clang.clang_getCursorExtent(cursor)
        first = self.text.offset(self.clang.clang_getRangeStart(extent))
        last = self.text.end(extent)
        return None if first is None or last is None or last < first else (first, last)

    def functions(self, tops: list[CXCursor]) -> list[tuple[int, int, str]]:
        """Return the functions defined in the file: where they begin and end, and their names, in order."""
        found = []
        for cursor in tops:
            if cursor.kind == CXCursor_FunctionDecl and self.clang.clang_isCursorDefinition(cursor):
                extent = self.extent(cursor)
                if extent is not None:
                    found.append((*extent, text(self.clang.clang_getCursorSpelling(cursor))))
        return sorted(found)

    def definitions(self, tops: list[CXCursor]) -> Iterator[Definition]:
        for cursor in tops:
            number = self.symbols.number(cursor)
            extent = self.extent(cursor)
            offset = self.text.offset(self.clang.clang_getCursorLocation(cursor))
            if number is None or extent is None or offset is None:
                continue
            line = self.text.line(offset)
            if cursor.kind in {CXCursor_FunctionDecl, *_TYPES}:
                is_definition = bool(self.clang.clang_isCursorDefinition(cursor))
            elif cursor.kind == CXCursor_VarDecl:
                self.symbols.define_tentatively(number, cursor)
                is_definition = self.symbols[number].definition == self.place_of(offset)
            else:
                is_definition = cursor.kind == CXCursor_TypedefDecl
            if is_definition:
                yield Definition(
                    number, line, self.text.line(extent[0]), self.text.line(max(extent[0], extent[1] - 1))
                )

    def macro_end(self, token: Token) -> int:
        """Return the last line of a macro's definition: lines go on after a backslash."""
        line = token.line
        while line < len(self.lines) and self.lines[line - 1].rstrip(b"\r").endswith(b"\\"):
            line += 1
        return line

    # ---- tokens

    def tokens(
        self, functions: list[tuple[int, int, str]]
    ) -> tuple[list[Token], list[Expansion], list[Include]]:
        own, clang = self.text, self.clang
        starts = [start for start, _, _ in functions]
        tokens: list[Token] = []
        expansions: list[Expansion] = []
        includes: list[Include] = []
        include_lines: set[int] = set()
        for at, (offset, end) in enumerate(zip(own.offsets, own.ends, strict=True)):
            cursor = own.cursors[at]
            if cursor.kind == CXCursor_InclusionDirective:
                line = own.line(offset)
                if line not in include_lines:
                    include_lines.add(line)
                    file = self.parsed.file(clang.clang_getIncludedFile(cursor))
                    includes.append(Include(line, None if file is None else Place(file[0], 1, 1, file[1])))
                continue
            if not own.is_identifier(at):
                continue
            number, role = self.named(at)
            if number is None:
                continue
            line, column = own.line_column(offset)
            index = bisect_right(starts, offset) - 1
            function = functions[index][2] if index >= 0 and offset < functions[index][1] else None
            tokens.append(Token(line, column, end - offset, number, role, function))
            if cursor.kind == CXCursor_MacroExpansion:
                extent = self.extent(cursor)
                last = end if extent is None or extent[0] != offset else extent[1]
                expansions.append(Expansion(line, column, end - offset, *own.line_column(last), number))
        return tokens, expansions, includes

    def named(self, token: int) -> tuple[int | None, Role]:
        """Return what a token names, by clang's annotation or else by what the walk found there."""
        cursor, offset = self.text.cursors[token], self.text.offsets[token]
        is_in_macro = cursor.kind == CXCursor_MacroDefinition
        tries = [cursor, self.mentions.get(offset)]
        if is_in_macro:
            tries.append(self.in_macros.get(self.text.spelling(token)))
        for one in tries:
            if one is None:
                continue
            number, role = self.resolve(one, offset)
            if number is None or self.symbols[number].name.encode() != self.text.spelling(token):
                continue
            # Each use of a macro may mean another local, or a field of another struct.
            is_field = self.symbols[number].kind is SymbolKind.FIELD
            if not (is_in_macro and (is_field or self.symbols.is_in_function(number))):
                return number, role
        return self.macro_named(token), Role.REFERENCE

    def expanded_macros(self) -> dict[tuple[bytes, bool], int]:
        """Return the macros that the file uses, by name and whether they take arguments."""
        own = self.text
        found: dict[tuple[bytes, bool], int] = {}
        for at, cursor in enumerate(own.cursors):
            if cursor.kind == CXCursor_MacroExpansion and own.is_identifier(at):
                name = own.spelling(at)
                number, _ = self.resolve(cursor, own.offsets[at])
                if number is not None and self.symbols[number].name.encode() == name:
                    found.setdefault((name, own.is_invoked(at)), number)
        return found

    def macro_named(self, token: int) -> int | None:
        """Return the macro that a token names if another place of the file uses it.

        Within the arguments of macros, clang's annotation prefers what became of them.
        """
        key = (self.text.spelling(token), self.text.is_invoked(token))
        number = self.macros.get(key)
        if number is not None and self.is_left_out(self.text.line(self.text.offsets[token])):
            return None
        return number

    def is_left_out(self, line: int) -> bool:
        at = bisect_right(self.left_out, line, key=attrgetter("first")) - 1
        return at >= 0 and line <= self.left_out[at].last

    def place_of(self, offset: int) -> Place:
        return Place(self.file, *self.text.line_column(offset), self.is_generated)

    def unresolved(self) -> tuple[set[int], set[bytes]]:
        """Return the offsets of identifiers that clang's annotation does not name, and names in bodies of
        macros.

        It misses members of unnamed structs, and arguments of macros of which it sees another use.
        """
        own = self.text
        offsets: set[int] = set()
        names: set[bytes] = set()
        for at, offset in enumerate(own.offsets):
            kind = own.cursors[at].kind
            if not own.is_identifier(at) or kind == CXCursor_InclusionDirective:
                continue
            number, _ = self.resolve(own.cursors[at], offset)
            if number is not None and self.symbols[number].name.encode() == own.spelling(at):
                continue
            if kind == CXCursor_MacroDefinition:
                names.add(own.spelling(at))
            else:
                offsets.add(offset)
        return offsets, names

    def resolve(self, cursor: CXCursor, offset: int) -> tuple[int | None, Role]:
        """Return what a token's cursor names, and what it does with it."""
        clang, kind = self.clang, cursor.kind
        if kind in KINDS:
            number = self.symbols.number(cursor)
            if number is None or self.text.offset(clang.clang_getCursorLocation(cursor)) != offset:
                return None, Role.REFERENCE
            is_definition = self.symbols[number].definition == self.place_of(offset)
            return number, Role.DEFINITION if is_definition else Role.DECLARATION
        if not is_valid(kind):
            return None, Role.REFERENCE
        referenced = clang.clang_getCursorReferenced(cursor)
        return (self.symbols.number(referenced) if is_valid(referenced.kind) else None), Role.REFERENCE

    # ---- lines that are left out

    def inactive(self) -> list[LineRange]:
        """Return the lines between an ``#if`` that does not hold and what ends it."""
        clang, own = self.clang, self.text
        ranges = clang.clang_getSkippedRanges(self.parsed.handle, own.handle)
        found = []
        try:
            for at in range(ranges.contents.count):
                start = own.offset(clang.clang_getRangeStart(ranges.contents.ranges[at]))
                end = own.offset(clang.clang_getRangeEnd(ranges.contents.ranges[at]))
                if start is not None and end is not None and own.line(end) - own.line(start) > 1:
                    found.append(LineRange(own.line(start) + 1, own.line(end) - 1))
        finally:
            clang.clang_disposeSourceRangeList(ranges)
        return sorted(found, key=attrgetter("first"))
