"""What shows in C without knowing its names: comments, strings, numbers, keywords, directives."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import PurePosixPath

from ksurf.source.page import Span, SpanKind

__all__ = ["KEYWORDS", "highlight", "is_c", "without_comments"]

_C = {".c", ".h", ".S", ".s", ".inc", ".dts", ".dtsi", ".dtso", ".lds", ".l", ".y"}
KEYWORDS = frozenset(
    """
    alignas alignof asm auto bool break case char const constexpr continue default do double else enum extern
    false float for goto if inline int long nullptr register restrict return short signed sizeof static
    static_assert struct switch thread_local true typedef typeof typeof_unqual union unsigned void volatile
    while
    _Alignas _Alignof _Atomic _Bool _Complex _Generic _Noreturn _Static_assert _Thread_local
    __alignof__ __asm__ __attribute__ __auto_type __const__ __extension__ __inline __inline__ __int128
    __label__ __restrict __restrict__ __signed__ __typeof__ __volatile__
""".split()
)
# Only words that begin as it does are compared with each of a file's.
_BY_LETTER = "|".join(
    f"{letter}(?:{'|'.join(word[1:] for word in words)})"
    for letter, words in groupby(sorted(KEYWORDS), itemgetter(0))
)

# Possessive where there is nothing to give back: a line of a hundred megabytes costs no more memory than its
# text. An end that is missing is the end of the line, or of the file for a comment.
_COMMENT = r"/\*[\s\S]*?(?:\*/|\Z)|//[^\\\n]*+(?:\\(?:[\s\S]|\Z)[^\\\n]*+)*+"
_STRING = r"\"[^\"\\\n]*+(?:\\(?:[\s\S]|\Z)[^\"\\\n]*+)*+\"?|'[^'\\\n]*+(?:\\(?:[\s\S]|\Z)[^'\\\n]*+)*+'?"
_KEYWORD = rf"(?:{_BY_LETTER})\b"
# What is plain stands in front of what is not, in the same match: to try each place takes twice as long.
_PLAIN = rf"(?:[^\w\"'/\n]++|(?!{_KEYWORD})[A-Za-z_]\w*+|/(?![/*])|\n(?![ \t]*+\#))*+"
_TOKEN = re.compile(
    rf"{_PLAIN}(?:"
    rf"(?P<comment>{_COMMENT})"
    rf"|(?P<string>{_STRING})"
    r"|\n[ \t]*+(?P<directive>\#[ \t]*+(?:(?P<of_include>include(?:_next)?\b)|\w*+))"
    r"(?(of_include)[ \t]*+(?P<include><[^>\n]*+>|\"[^\"\n]*+\")?)"
    rf"|(?P<keyword>{_KEYWORD})|(?P<number>\d[\w.]*+)|\Z)",
    re.ASCII,
)
_HELD: dict[str | None, tuple[tuple[str, SpanKind], ...]] = {
    kind.value: ((kind.value, kind),) for kind in SpanKind
}
"""The groups of a match, and what they are, by its last group; at the end of the text there is none."""
_HELD |= {"include": _HELD["directive"] + _HELD["include"], None: ()}
_UNTIL_STRINGS = re.compile(rf"({_COMMENT})|(?:{_STRING})")


def is_c(file: str) -> bool:
    """Tell by a file's name whether it is read as C."""
    return PurePosixPath(file).suffix in _C


def highlight(lines: Sequence[str]) -> list[list[Span]]:
    """Return the spans of each line, in order; what goes over several lines is a span of each of them."""
    found: list[list[Span]] = [[] for _ in lines]
    # Each line begins behind a newline, the first one too.
    text = "\n".join(("", *lines))
    row, row_start, row_end = -1, 0, 0
    for match in _TOKEN.finditer(text):
        for group, kind in _HELD[match.lastgroup]:
            start, end = match.span(group)
            while start > row_end:
                row += 1
                row_start, row_end = row_end + 1, row_end + 1 + len(lines[row])
            while end > row_end:
                if start < row_end:
                    found[row].append(Span(start - row_start, row_end - row_start, kind))
                row += 1
                row_start, row_end = row_end + 1, row_end + 1 + len(lines[row])
                start = row_start
            if start < end:
                found[row].append(Span(start - row_start, end - row_start, kind))
    return found


def without_comments(text: str) -> str:
    """Put a space in the place of each comment, as the compiler does."""
    return _UNTIL_STRINGS.sub(lambda match: " " if match[1] is not None else match[0], text)
