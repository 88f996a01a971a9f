"""What the code of a file does: its calls, the hints at them, and the functions that it stores in fields.

This walks the definitions that stand in the file, with all that macros make of them; nothing of the headers.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from ksurf.source.semantic.hints import is_setter, shown_name, speaks_for_itself
from ksurf.source.semantic.kinds import (
    CXBinaryOperator_Assign,
    CXChildVisit_Break,
    CXChildVisit_Continue,
    CXChildVisit_Recurse,
    CXCursor_BinaryOperator,
    CXCursor_CallExpr,
    CXCursor_CStyleCastExpr,
    CXCursor_DeclRefExpr,
    CXCursor_FunctionDecl,
    CXCursor_GenericSelectionExpr,
    CXCursor_IntegerLiteral,
    CXCursor_LabelRef,
    CXCursor_MemberRef,
    CXCursor_MemberRefExpr,
    CXCursor_ParenExpr,
    CXCursor_ParmDecl,
    CXCursor_StringLiteral,
    CXCursor_TranslationUnit,
    CXCursor_TypedefDecl,
    CXCursor_TypeRef,
    CXCursor_UnaryOperator,
    CXCursor_UnexposedExpr,
    CXCursor_VarDecl,
    CXType_Pointer,
    is_valid,
)
from ksurf.source.semantic.libclang import CXCursor, CXSourceLocation, Visitor, library, raw_text, text
from ksurf.source.semantic.model import Call, Hint, Registration
from ksurf.source.semantic.symbols import Symbols
from ksurf.source.semantic.text import FileText

__all__ = ["Doings", "walk"]

_MAX_ARGUMENTS = 200
_MENTIONS = {
    CXCursor_TypeRef,
    CXCursor_MemberRef,
    CXCursor_LabelRef,
    CXCursor_DeclRefExpr,
    CXCursor_MemberRefExpr,
}
# What begins with no identifier: where one stands in the file, it is a macro.
_NAMELESS = {
    CXCursor_CStyleCastExpr,
    CXCursor_IntegerLiteral,
    CXCursor_ParenExpr,
    CXCursor_StringLiteral,
}


class Doings(NamedTuple):
    """What was found, in no order."""

    calls: list[Call]
    hints: list[Hint]
    registrations: list[Registration]
    mentions: dict[int, CXCursor]
    """By the offset of a token that was asked for: what refers to something there."""
    in_macros: dict[bytes, CXCursor]
    """By a name that was asked for: what first refers to something by that name in a macro's expansion."""


def walk(
    text_of: FileText,
    symbols: Symbols,
    definitions: Iterable[CXCursor],
    offsets: Container[int],
    names: Container[bytes],
) -> Doings:
    """Walk the definitions, each once.

    ``offsets`` are of tokens of which clang's annotation says nothing, ``names`` those in the bodies of
    macros.
    """
    walker = _Walker(text_of, symbols, offsets, names)
    for cursor in definitions:
        walker.definition(cursor)
    hints = walker.shown()
    return Doings(list(walker.calls), hints, list(walker.registrations), walker.mentions, walker.in_macros)


class _Walker:
    def __init__(
        self, text_of: FileText, symbols: Symbols, offsets: Container[int], names: Container[bytes]
    ) -> None:
        self.clang = library()
        self.offsets = offsets
        self.names = names
        self.mentions: dict[int, CXCursor] = {}
        self.in_macros: dict[bytes, CXCursor] = {}
        self.text = text_of
        self.symbols = symbols
        # The same call occurs several times where a macro repeats its argument.
        self.calls: dict[Call, None] = {}
        self.hints: dict[int, str] = {}
        self.registrations: dict[Registration, None] = {}
        self.parameters: dict[tuple[int | None, int], list[str]] = {}
        self.holder: str | None = None
        self.function: str | None = None
        self.fields: dict[int | None, CXCursor] = {}
        self.visitor = Visitor(self.visit)

    def shown(self) -> list[Hint]:
        return [Hint(*self.text.line_column(offset), name) for offset, name in self.hints.items()]

    def definition(self, cursor: CXCursor) -> None:
        name = text(self.clang.clang_getCursorSpelling(cursor))
        self.holder = name
        self.function = name if cursor.kind == CXCursor_FunctionDecl else None
        self.fields.clear()
        self.clang.clang_visitChildren(cursor, self.visitor, None)

    def visit(self, cursor: CXCursor, parent: CXCursor, _data: object) -> int:
        kind = cursor.kind
        if kind in _MENTIONS:
            self.mention(cursor)
        if kind == CXCursor_CallExpr:
            self.call(cursor)
        elif kind == CXCursor_MemberRef:
            # In an initialiser, ``.field = value`` is an expression with the field and the value as its
            # children.
            self.fields[parent.data[1]] = _copy(cursor)
        elif kind == CXCursor_BinaryOperator:
            if self.is_pointer(cursor):
                self.assignment(cursor)
        elif kind == CXCursor_VarDecl and self.function is None:
            self.holder = text(self.clang.clang_getCursorSpelling(cursor))
        if self.fields and parent.data[1] in self.fields and kind != CXCursor_MemberRef:
            self.registration(self.fields[parent.data[1]], cursor)
        return CXChildVisit_Recurse

    def mention(self, cursor: CXCursor) -> None:
        location = self.clang.clang_getCursorLocation(cursor)
        offset = self.text.offset(location)
        if offset is None:
            return
        if offset in self.offsets:
            # Unnamed structs on the way to a member stand at the same place as the member.
            known = self.mentions.get(offset)
            if known is None or not text(self.clang.clang_getCursorSpelling(known)):
                self.mentions[offset] = _copy(cursor)
        elif self.names and not self.text.is_own(location):
            name = raw_text(self.clang.clang_getCursorSpelling(cursor)).rpartition(b" ")[2]
            if name in self.names:
                self.in_macros.setdefault(name, _copy(cursor))

    # ---- registrations

    def is_pointer(self, cursor: CXCursor) -> bool:
        kind: int = self.clang.clang_getCursorType(cursor).kind
        return kind == CXType_Pointer

    def assignment(self, cursor: CXCursor) -> None:
        if self.clang.clang_getCursorBinaryOperatorKind(cursor) != CXBinaryOperator_Assign:
            return
        sides = self.children(cursor)
        if len(sides) == 2:
            field = self.stripped(sides[0])
            if field.kind == CXCursor_MemberRefExpr:
                self.registration(field, sides[1])

    def registration(self, field: CXCursor, value: CXCursor) -> None:
        """Keep that a field is set to a function or to the address of a variable."""
        target = self.clang.clang_getCursorReferenced(field)
        if not self.is_pointer(target):
            return
        inner = self.stripped(value)
        is_address = inner.kind == CXCursor_UnaryOperator and self.text_of_operator(inner) == b"&"
        if is_address:
            inner = self.stripped(self.children(inner)[0])
        if inner.kind != CXCursor_DeclRefExpr:
            return
        thing = self.clang.clang_getCursorReferenced(inner)
        if thing.kind != CXCursor_FunctionDecl and not (is_address and thing.kind == CXCursor_VarDecl):
            return
        offset = self.text.offset(self.clang.clang_getCursorLocation(field))
        field_number, number = self.symbols.number(target), self.symbols.number(thing)
        if offset is not None and field_number is not None and number is not None:
            line, column = self.text.line_column(offset)
            self.registrations.setdefault(Registration(line, column, field_number, number, self.holder))

    def text_of_operator(self, cursor: CXCursor) -> bytes:
        """Return the operator in front of an operand."""
        location = self.clang.clang_getRangeStart(self.clang.clang_getCursorExtent(cursor))
        offset = self.text.offset(location)
        if offset is None or not self.text.is_written_here(location):
            return b""
        return self.text.content[offset : offset + 1]

    # ---- calls

    def call(self, cursor: CXCursor) -> None:
        clang = self.clang
        callee = clang.clang_getCursorReferenced(cursor)
        possible = [callee] if is_valid(callee.kind) else self.chosen(cursor)
        if len(possible) == 1:
            callee = possible[0]
        extent = clang.clang_getCursorExtent(cursor)
        begin = clang.clang_getRangeStart(extent)
        is_written = self.is_written(callee, begin)
        self.keep_call(cursor, callee, begin, is_written)
        count = clang.clang_Cursor_getNumArguments(cursor)
        if not 0 < count <= _MAX_ARGUMENTS or not possible:
            return
        names, *others = [self.parameters_of(one) for one in possible]
        if callee.kind == CXCursor_FunctionDecl and is_setter(
            text(clang.clang_getCursorSpelling(callee)), names
        ):
            return
        for at, name in enumerate(names[:count]):
            if name and all(other[at : at + 1] == [name] for other in others):
                self.hint(clang.clang_Cursor_getArgument(cursor, at), name, begin, is_written)

    def chosen(self, call: CXCursor) -> list[CXCursor]:
        """Return the function that ``_Generic`` chooses for a call.

        Clang gives the whole selection the type of the expression that was chosen; which of several functions
        of one type that was is not told.
        """
        clang, called = self.clang, self.first_child(call)
        selection = None if called is None else self.stripped(called)
        if selection is None or selection.kind != CXCursor_GenericSelectionExpr:
            return []
        wanted = clang.clang_getCursorType(selection)
        found: dict[int | None, CXCursor] = {}
        # The first is the expression whose type decides.
        for one in self.children(selection)[1:]:
            if clang.clang_equalTypes(clang.clang_getCursorType(one), wanted):
                function = clang.clang_getCursorReferenced(self.stripped(one))
                if function.kind != CXCursor_FunctionDecl:
                    return []
                found.setdefault(clang.clang_getCanonicalCursor(function).data[0], function)
        return list(found.values())

    def is_written(self, callee: CXCursor, begin: CXSourceLocation) -> bool:
        """Tell if the call that begins here is written in the file, and not by a macro.

        Of a macro that stands in another one's arguments, clang's annotation shows what became of it: then
        its name is not that of the function.
        """
        if not self.text.is_written_here(begin):
            return False
        if self.text.is_own(begin) or callee.kind != CXCursor_FunctionDecl:
            return True
        offset = self.text.offset(begin)
        token = None if offset is None else self.text.token_at(offset)
        if token is None or not self.text.is_identifier(token):
            return True
        return self.text.spelling(token) == raw_text(self.clang.clang_getCursorSpelling(callee))

    def keep_call(
        self, cursor: CXCursor, callee: CXCursor, begin: CXSourceLocation, is_written: bool
    ) -> None:
        clang, symbols = self.clang, self.symbols
        number = symbols.number(callee)
        is_direct = callee.kind == CXCursor_FunctionDecl
        location = begin
        if not is_direct:
            inner = self.stripped(first) if (first := self.first_child(cursor)) is not None else cursor
            if inner.kind == CXCursor_MemberRefExpr:
                location = clang.clang_getCursorLocation(inner)
                is_written = self.text.is_written_here(location)
        offset = self.text.offset(location)
        if offset is None:
            return
        macro = None
        if not is_written:
            # What macros call to check constants, or what the compiler has inside, is not called in the end.
            if number is None or symbols[number].place is None or self.is_declared_inside(callee):
                return
            token = self.text.token_at(offset)
            macro = None if token is None else self.text.spelling(token).decode("utf-8", "replace")
        elif number is not None and is_direct and symbols[number].place is None:
            return
        line, column = self.text.line_column(offset)
        self.calls.setdefault(Call(line, column, self.function, number, is_direct, macro))

    def is_declared_inside(self, callee: CXCursor) -> bool:
        parent: int = self.clang.clang_getCursorLexicalParent(callee).kind
        return callee.kind == CXCursor_FunctionDecl and parent != CXCursor_TranslationUnit

    def hint(
        self, argument: CXCursor, parameter: str, call_begin: CXSourceLocation, is_written: bool
    ) -> None:
        """Show a parameter's name where all of the argument is written between two delimiters of the file."""
        clang, own = self.clang, self.text
        extent = clang.clang_getCursorExtent(argument)
        begin = clang.clang_getRangeStart(extent)
        offset = own.offset(begin)
        if offset is None or offset in self.hints:
            return
        before = own.last_before(offset)
        if before < 0 or own.spelling(before) not in {b"(", b","}:
            return
        if not is_written:
            # The macro that makes the call may add to the argument, or write all of it.
            if offset == own.offset(call_begin):
                return
            ends = [own.end(extent)]
            if not own.is_written_here(begin) or self.is_macro(argument, offset):
                ends.append(own.end_of_invocation(offset))
            if not any(end is not None and own.is_argument(offset, end) for end in ends):
                return
        inner = self.implicit_stripped(argument)
        plain = text(clang.clang_getCursorSpelling(inner)) if inner.kind == CXCursor_DeclRefExpr else None
        if not speaks_for_itself(parameter, plain, own.content, offset):
            self.hints[offset] = parameter

    def is_macro(self, argument: CXCursor, offset: int) -> bool:
        """Tell if a macro that is an argument of another one writes an argument of a call."""
        token = self.text.token_at(offset)
        while argument.kind == CXCursor_UnexposedExpr and (inner := self.first_child(argument)) is not None:
            argument = inner
        return token is not None and self.text.is_identifier(token) and argument.kind in _NAMELESS

    # ---- parameters' names

    def parameters_of(self, callee: CXCursor) -> list[str]:
        """Return the parameters' names as they are shown, an empty one for a parameter without a name."""
        key = (callee.data[0], callee.kind)
        if key not in self.parameters:
            self.parameters[key] = [shown_name(name) for name in self.find_parameters(callee)]
        return self.parameters[key]

    def find_parameters(self, callee: CXCursor) -> list[str]:
        clang = self.clang
        if callee.kind == CXCursor_FunctionDecl:
            count = max(0, clang.clang_Cursor_getNumArguments(callee))
            names = [
                text(clang.clang_getCursorSpelling(clang.clang_Cursor_getArgument(callee, at)))
                for at in range(count)
            ]
            if not all(names):
                defined = clang.clang_getCursorDefinition(callee)
                if defined.kind == CXCursor_FunctionDecl:
                    for at, name in enumerate(names):
                        parameter = clang.clang_Cursor_getArgument(defined, at)
                        names[at] = name or text(clang.clang_getCursorSpelling(parameter))
            return names
        # A pointer to a function names its parameters where it is declared, or where its type is.
        for _ in range(8):
            children = self.children(callee)
            names = [
                text(clang.clang_getCursorSpelling(child))
                for child in children
                if child.kind == CXCursor_ParmDecl
            ]
            if names:
                return names
            named = [child for child in children if child.kind == CXCursor_TypeRef]
            if len(named) != 1:
                return []
            callee = clang.clang_getCursorReferenced(named[0])
            if callee.kind != CXCursor_TypedefDecl:
                return []
        return []

    # ---- cursors

    def children(self, cursor: CXCursor) -> list[CXCursor]:
        found: list[CXCursor] = []

        def add(child: CXCursor, _parent: CXCursor, _data: object) -> int:
            found.append(_copy(child))
            return CXChildVisit_Continue

        self.clang.clang_visitChildren(cursor, Visitor(add), None)
        return found

    def first_child(self, cursor: CXCursor) -> CXCursor | None:
        found: list[CXCursor] = []

        def add(child: CXCursor, _parent: CXCursor, _data: object) -> int:
            found.append(_copy(child))
            return CXChildVisit_Break

        self.clang.clang_visitChildren(cursor, Visitor(add), None)
        return found[0] if found else None

    def stripped(self, cursor: CXCursor) -> CXCursor:
        """Leave out parentheses and casts, written or not."""
        while cursor.kind in {CXCursor_UnexposedExpr, CXCursor_ParenExpr, CXCursor_CStyleCastExpr}:
            children = self.children(cursor)
            if not children:
                break
            # A cast's type comes before its operand.
            cursor = children[-1]
        return cursor

    def implicit_stripped(self, cursor: CXCursor) -> CXCursor:
        """Leave out parentheses, and casts that are not written."""
        while cursor.kind in {CXCursor_UnexposedExpr, CXCursor_ParenExpr}:
            children = self.children(cursor)
            if len(children) != 1:
                break
            cursor = children[0]
        return cursor


def _copy(cursor: CXCursor) -> CXCursor:
    # What a callback is given lives as long as the call.
    return CXCursor.from_buffer_copy(cursor)
