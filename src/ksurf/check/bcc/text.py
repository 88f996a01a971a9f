"""Text that knows where it comes from: each piece has its line of the Python file, and what guards it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from ksurf.check.bcc.guard import Guards, within

__all__ = ["CHOSEN", "LIMIT", "SYSCALL_PREFIX", "UNKNOWN", "Piece", "Text", "TooLong", "literal"]

LIMIT = 1 << 17
"""Characters that a text may have. The largest tool's has 30 thousand."""
CHOSEN = "__chosen_by_the_user__"
"""Stands in a text for what the user gives; a C identifier, since the text becomes C."""
UNKNOWN = "__not_known__"
"""Stands in a text for what could not be followed."""
SYSCALL_PREFIX = "__syscall_prefix__"
"""Stands in a text for what ``BPF.get_syscall_prefix()`` gives: ``__x64_sys_``, ``__arm64_sys_``, ..."""


class TooLong(Exception):
    """A text would become longer than :data:`LIMIT`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, all from one line."""

    text: str
    line: int | None
    guards: Guards = ()


@dataclass(frozen=True)
class Text:
    """Pieces, one after the other. Python's ``str`` and ``bytes`` are both this."""

    pieces: tuple[Piece, ...]

    @cached_property
    def plain(self) -> str:
        """The characters alone."""
        return "".join(piece.text for piece in self.pieces)

    @cached_property
    def guards(self) -> Guards:
        """Of all pieces."""
        return tuple(dict.fromkeys(guard for piece in self.pieces for guard in piece.guards))

    @classmethod
    def of(cls, text: str, line: int | None = None, guards: Guards = ()) -> Text:
        """A text of one line."""
        return cls((Piece(text, line, guards),) if text else ())

    @classmethod
    def joined(cls, parts: Iterable[Text]) -> Text:
        """All parts as one."""
        pieces: list[Piece] = []
        length = count = 0
        for part in parts:
            count += 1
            length += len(part.plain)
            if length > LIMIT:
                raise TooLong
            pieces.extend(part.pieces)
        return cls(tuple(_fewer(pieces) if count > 2 else pieces))

    def guarded(self, guards: Guards) -> Text:
        """The same behind further guards."""
        if not guards:
            return self
        known: dict[Guards, Guards] = {}
        pieces = []
        for piece in self.pieces:
            both = known.get(piece.guards)
            if both is None:
                both = known[piece.guards] = within(piece.guards, guards)
            pieces.append(piece if both == piece.guards else Piece(piece.text, piece.line, both))
        return Text(tuple(pieces))

    def part(self, start: int, end: int) -> Text:
        """The characters from ``start`` to before ``end``."""
        pieces: list[Piece] = []
        for index in range(max(bisect_right(self._starts, start) - 1, 0), len(self.pieces)):
            at, piece = self._starts[index], self.pieces[index]
            if at >= end:
                break
            whole = at >= start and at + len(piece.text) <= end
            text = piece.text if whole else piece.text[max(start - at, 0) : end - at]
            if text:
                pieces.append(piece if whole else Piece(text, piece.line, piece.guards))
        return Text(tuple(pieces))

    def at(self, position: int) -> Piece | None:
        """The piece that a character is in."""
        index = bisect_right(self._starts, position) - 1
        return self.pieces[index] if 0 <= index < len(self.pieces) else None

    def spliced(self, changes: Iterable[tuple[int, int, Text]]) -> Text:
        """With other texts in place of some stretches, which are in order and do not overlap."""
        parts: list[Text] = []
        position = 0
        for start, end, new in changes:
            parts += (self.part(position, start), new)
            position = end
        if not parts:
            return self
        return Text.joined([*parts, self.part(position, len(self.plain))])

    def replaced(self, old: str, new: Text, count: int = -1) -> Text:
        """As ``str.replace`` does it."""
        if not old:
            return self
        found = self.plain.count(old)
        if len(self.plain) + found * (len(new.plain) - len(old)) > LIMIT:
            raise TooLong
        changes: list[tuple[int, int, Text]] = []
        position = self.plain.find(old)
        while position >= 0 and len(changes) != count:
            changes.append((position, position + len(old), new))
            position = self.plain.find(old, position + len(old))
        return self.spliced(changes)

    def lines(self) -> list[Text]:
        """What ``str.split`` gives for a newline."""
        parts, position = [], 0
        while (end := self.plain.find("\n", position)) >= 0:
            parts.append(self.part(position, end))
            position = end + 1
        return [*parts, self.part(position, len(self.plain))]

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [], 0
        for piece in self.pieces:
            starts.append(at)
            at += len(piece.text)
        return starts


def _fewer(pieces: list[Piece]) -> Iterator[Piece]:
    """The same, with one piece for neighbours of one origin."""
    for (line, guards), same in groupby(pieces, key=lambda piece: (piece.line, piece.guards)):
        texts = [piece.text for piece in same]
        yield Piece("".join(texts), line, guards)


def literal(node: ast.Constant, source: Sequence[bytes]) -> Text:
    """A string of a script, each line of it with its number there. ``source`` is the script's lines."""
    value = node.value.decode("latin-1") if isinstance(node.value, bytes) else str(node.value)
    first, last = node.lineno, node.end_lineno or node.lineno
    if first == last or last > len(source):
        return Text.of(value, first)
    numbers = _numbers(node, source)
    if len(numbers) != len(value):
        return Text.of(value, first)
    pieces, start = [], 0
    for position in range(1, len(value) + 1):
        if position == len(value) or numbers[position] != numbers[start]:
            pieces.append(Piece(value[start:position], numbers[start]))
            start = position
    return Text(tuple(pieces))


def _numbers(node: ast.Constant, source: Sequence[bytes]) -> list[int]:
    """The line of each character of a string that may consist of several literals."""
    first, last = node.lineno, node.end_lineno or node.lineno
    lines = list(source[first - 1 : last])
    lines[-1] = lines[-1][: node.end_col_offset]
    # What is cut off in front would shift nothing but columns.
    lines[0] = b"(" + lines[0][node.col_offset :]
    segment = b"\n".join(lines).decode("utf-8", "replace") + ")"
    numbers: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(segment).readline):
            if token.type == tokenize.STRING:
                numbers += _token_numbers(token.string, first + token.start[0] - 1)
    except (tokenize.TokenError, SyntaxError):
        return []
    return numbers


def _token_numbers(token: str, line: int) -> list[int]:
    """The line of each character that a literal stands for."""
    opening = next(position for position, character in enumerate(token) if character in "'\"")
    raw, is_bytes = "r" in token[:opening].lower(), "b" in token[:opening].lower()
    quote = 3 if token[opening : opening + 3] in {"'''", '"""'} else 1
    numbers: list[int] = []
    for match in _CHARACTER.finditer(token, opening + quote, len(token) - quote):
        written = match[0]
        if written == "\\\n" and not raw:
            line += 1
            continue
        escaped = written.startswith("\\") and not raw
        if escaped and is_bytes and written[1] in "uUN":
            escaped = False
        if escaped and written[1] in _ESCAPES:
            numbers.append(line)
            continue
        for character in written:
            numbers.append(line)
            line += character == "\n"
    return numbers


_CHARACTER = re.compile(
    r"\\(?:[0-7]{1,3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|.)|.", re.DOTALL
)
_ESCAPES = "\\'\"abfnrtv01234567xuUN"
