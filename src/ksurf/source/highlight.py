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
# text. Nothing that may be given back stands inside of it: Python before 3.11.5 goes wrong there (its issue
# 106052). An end that is missing is the end of the line, or of the file for a comment.
_COMMENT = r"/\*[\s\S]*?(?:\*/|\Z)|//[^\\\n]*+(?:\\(?:[\s\S]|\Z)[^\\\n]*+)*+"
_STRING = r"\"[^\"\\\n]*+(?:\\(?:[\s\S]|\Z)[^\"\\\n]*+)*+\"?|'[^'\\\n]*+(?:\\(?:[\s\S]|\Z)[^'\\\n]*+)*+'?"
_TOKEN = re.compile(
    rf"(?P<comment>{_COMMENT})"
    rf"|(?P<string>{_STRING})"
    r"|^[ \t]*+(?P<directive>\#[ \t]*+(?:(?P<of_include>include(?:_next)?\b)|\w*+))"
    r"(?(of_include)[ \t]*+(?P<include><[^>\n]*+>|\"[^\"\n]*+\")?)"
    rf"|\b(?:(?P<keyword>(?:{_BY_LETTER})\b)|(?P<number>\d[\w.]*+))",
    re.MULTILINE | re.ASCII,
)
_KIND_OF_GROUP = {kind.value: kind for kind in SpanKind}
_UNTIL_STRINGS = re.compile(rf"({_COMMENT})|(?:{_STRING})")


def is_c(file: str) -> bool:
    """Tell by a file's name whether it is read as C."""
    return PurePosixPath(file).suffix in _C


def highlight(lines: Sequence[str]) -> list[list[Span]]:
    """Return the spans of each line, in order; what goes over several lines is a span of each of them."""
    found: list[list[Span]] = [[] for _ in lines]
    text = "\n".join(lines)
    row, row_start = 0, 0
    row_end = len(lines[0]) if lines else 0
    for match in _TOKEN.finditer(text):
        for group in ("directive", "include") if match["directive"] is not None else (match.lastgroup or "",):
            start, end = match.span(group)
            if start < 0:
                continue
            while start > row_end:
                row += 1
                row_start, row_end = row_end + 1, row_end + 1 + len(lines[row])
            kind = _KIND_OF_GROUP[group]
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
