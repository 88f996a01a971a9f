"""A file's own tokens, as clang's lexer finds them and as its annotation names them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from ctypes import POINTER, byref, c_uint
from pathlib import Path

from ksurf.source.semantic.clang import NOT_INCLUDED, Parsed, ParseError
from ksurf.source.semantic.kinds import CXCursor_MacroExpansion, CXToken_Comment, CXToken_Identifier
from ksurf.source.semantic.libclang import CXCursor, CXSourceLocation, CXSourceRange, CXToken, library

__all__ = ["FileText"]

_MACRO_BIT = 1 << 31
"""Set in locations that a macro's expansion made. Source: ``clang/Basic/SourceLocation.h``."""


class FileText:
    """The tokens of one file of a parsed unit.

    A location outside of macros is the file's first location and an offset, so that offsets of the file's own
    locations are a subtraction, and no call. This is checked for each file.
    """

    def __init__(self, parsed: Parsed, path: Path) -> None:
        """Read the tokens; raises ``ParseError`` if the unit did not read the file."""
        clang = library()
        handle = parsed.file_handle(path)
        if handle is None:
            raise ParseError(NOT_INCLUDED)
        self.handle = handle
        self.content = path.read_bytes()
        self._parsed = parsed
        unit = parsed.handle
        start = clang.clang_getLocationForOffset(unit, handle, 0)
        end = clang.clang_getLocationForOffset(unit, handle, len(self.content))
        self._base: int = start.int_data
        if not self._base:
            # Clang knows of the file, but nothing included it.
            raise ParseError(NOT_INCLUDED)
        tokens, count = POINTER(CXToken)(), c_uint()
        clang.clang_tokenize(unit, clang.clang_getRange(start, end), byref(tokens), byref(count))
        try:
            total = count.value
            cursors = (CXCursor * total)()
            if total:
                clang.clang_annotateTokens(unit, tokens, total, cursors)
            self.cursors = cursors
            self.kinds = [0] * total
            self.offsets = [0] * total
            self.ends = [0] * total
            for at in range(total):
                data = tokens[at].int_data
                self.kinds[at] = data[0]
                self.offsets[at] = data[1] - self._base
                self.ends[at] = data[1] - self._base + data[2]
        finally:
            if tokens:
                clang.clang_disposeTokens(unit, tokens, total)
        if parsed.position(end)[3] != len(self.content) or end.int_data - start.int_data != len(self.content):
            raise ParseError("the file is not what clang read: it was changed, or is no text")
        self._lines = [0]
        find, at = self.content.find, 0
        while (at := find(b"\n", at) + 1) > 0:
            self._lines.append(at)

    def __len__(self) -> int:
        """Return how many tokens there are."""
        return len(self.kinds)

    def spelling(self, token: int) -> bytes:
        """Return a token's text."""
        return self.content[self.offsets[token] : self.ends[token]]

    def is_identifier(self, token: int) -> bool:
        """Tell if a token is an identifier, and no keyword."""
        return self.kinds[token] == CXToken_Identifier

    def is_invoked(self, token: int) -> bool:
        """Tell if an opening parenthesis follows a token."""
        at = self.first_from(self.ends[token])
        return at < len(self) and self.spelling(at) == b"("

    def line_column(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset."""
        line = bisect_right(self._lines, offset)
        return line, offset - self._lines[line - 1] + 1

    def line(self, offset: int) -> int:
        """Return the line of an offset."""
        return bisect_right(self._lines, offset)

    def token_at(self, offset: int) -> int | None:
        """Return the token that begins at an offset."""
        at = bisect_left(self.offsets, offset)
        return at if at < len(self.offsets) and self.offsets[at] == offset else None

    def first_from(self, offset: int) -> int:
        """Return the first token at or after an offset that is no comment; one past the last if there is
        none."""
        at = bisect_left(self.offsets, offset)
        while at < len(self.kinds) and self.kinds[at] == CXToken_Comment:
            at += 1
        return at

    def last_before(self, offset: int) -> int:
        """Return the last token before an offset that is no comment; -1 if there is none."""
        at = bisect_left(self.offsets, offset) - 1
        while at >= 0 and self.kinds[at] == CXToken_Comment:
            at -= 1
        return at

    def end(self, extent: CXSourceRange) -> int | None:
        """Return the offset where a range ends; ``None`` in another file.

        The range's own end is one past its last character, which after a macro's argument is some other
        place.
        """
        last = CXSourceLocation(extent.ptr_data, extent.end_int_data - 1)
        offset = self.offset(last)
        return None if offset is None else offset + 1

    def is_argument(self, offset: int, end: int) -> bool:
        """Tell if a whole argument, and no part of another one, stands between two offsets."""
        at, after, depth = self.first_from(offset), self.first_from(end), 0
        while at < min(after, len(self)):
            word = self.spelling(at)
            if depth == 0 and word in {b",", b")"}:
                return False
            depth += (word in {b"(", b"[", b"{"}) - (word in {b")", b"]", b"}"})
            at += 1
        return depth == 0 and at < len(self) and self.spelling(at) in {b",", b")"}

    def end_of_invocation(self, offset: int) -> int:
        """Return where a macro's use at an offset ends: after its arguments, or else after its name."""
        at = self.token_at(offset)
        if at is None:
            return offset
        end = self.ends[at]
        at = self.first_from(end)
        if at >= len(self) or self.spelling(at) != b"(":
            return end
        depth = 0
        while at < len(self):
            word = self.spelling(at)
            depth += (word == b"(") - (word == b")")
            if depth == 0:
                return self.ends[at]
            at += 1
        return end

    def is_own(self, location: CXSourceLocation) -> bool:
        """Tell if a location is in this file outside of all macros."""
        return not location.int_data & _MACRO_BIT

    def own_offset(self, int_data: int) -> int | None:
        """Return the offset of a location that is written in this file, and not by a macro; else ``None``."""
        if int_data & _MACRO_BIT:
            return None
        offset = int_data - self._base
        return offset if 0 <= offset <= len(self.content) else None

    def offset(self, location: CXSourceLocation) -> int | None:
        """Return the offset of a location, of the macro's name if a macro wrote it; ``None`` in another
        file."""
        if not location.int_data & _MACRO_BIT:
            return self.own_offset(location.int_data)
        file, _, _, offset = self._parsed.position(location)
        return offset if file == self.handle else None

    def is_written_here(self, location: CXSourceLocation) -> bool:
        """Tell if a location's token is written in this file, if only as a macro's argument.

        What a macro's body writes has the place of the macro's name, and that token is an expansion.
        """
        if not location.int_data & _MACRO_BIT:
            return self.own_offset(location.int_data) is not None
        offset = self.offset(location)
        token = None if offset is None else self.token_at(offset)
        return token is not None and self.cursors[token].kind != CXCursor_MacroExpansion
