"""A bpftrace script cut into what stands at its top: directives, C definitions, probes, macros and so on.

Only as much is read as is needed to find where each ends, so that an error in one leaves the others readable.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

__all__ = ["Part", "PartKind", "Script", "cut"]

_CODE = re.compile(r'(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|"(?:[^"\\\n]|\\.)*"|[{}()\[\];]', re.DOTALL)
"""What matters for where code ends: brackets outside of strings and comments."""
_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?(?:\*/|\Z))+", re.DOTALL)
_DIRECTIVE = re.compile(r"#(?:[^\\\n]|\\.)*", re.DOTALL)
_SHEBANG = re.compile(r"#![^\n]*")
_RECORD = re.compile(r"(?:struct|union|enum)\b[^{};\"/]*(?=\{)")
_ATTRIBUTE = re.compile(
    rf"(?:{_BLANK.pattern})?__attribute__(?:{_BLANK.pattern})?\(\((?:[^()]|\([^()]*\))*\)\)", re.DOTALL
)
_ITEM = re.compile(r"(?:config\s*=|import\s*\"|macro\s+\w|fn\s+\w|let\s+@)")
_PATH = r"[\w./\-+$#*@!~\\\[\]]"
_HEAD = re.compile(
    rf"""
      "(?:[^"\\\n]|\\.)*"            # a quoted part
    | :(?={_PATH}*/){_PATH}+(?=:)    # a path between colons; its slashes start no predicate and no comment
    | :/[^\s"{{}},]*                 # an absolute path at the end: iter:task:/sys/fs/bpf/x
    | (?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<end>[/{{}}])
    | [^\s"/{{}}:]+ | \s+ | :
    | (?P<stray>")
    """,
    re.VERBOSE | re.DOTALL,
)


_END = "\n}"
"""A closing brace in the first column ends a block wherever people format their code."""
_AGAIN_LIMIT = 20
"""How many blocks without an end are cut off there."""
LINE_LIMIT = 200
"""Characters of a source line that are shown."""


class PartKind(Enum):
    """What stands at the top of a script."""

    DIRECTIVE = "directive"
    RECORD = "C definition"
    ITEM = "item"
    """What ``grammar.lark`` calls so: config, import, macro, fn, declaration of a map."""
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Part:
    """Something at the top of a script. Positions count from the script's start; comments are blanks."""

    kind: PartKind
    start: int
    text: str
    """Of a probe: its attach points."""
    predicate: tuple[int, str] | None = None
    """Where it starts, and what is between the slashes."""
    block: tuple[int, str] | None = None
    error: tuple[int, str] | None = None
    """Where and why its end was not found."""


class Script:
    """A script's text, and where its lines are."""

    def __init__(self, text: str) -> None:
        """Keep the text, and find where its lines start."""
        self.text = text
        self._starts = [0, *(one.end() for one in re.finditer("\n", text))]
        self._lines: dict[int, str] = {}

    def place(self, position: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        line = bisect_right(self._starts, position)
        return line, position - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without what is around it, and not more of it than fits a report."""
        if number not in self._lines:
            end = self._starts[number] if number < len(self._starts) else len(self.text)
            self._lines[number] = self.text[self._starts[number - 1] : end].strip()[:LINE_LIMIT]
        return self._lines[number]


def cut(text: str) -> Iterator[Part]:
    """Cut a script into its parts, in their order."""
    at, again = 0, _AGAIN_LIMIT
    while at < len(text):
        if blank := _BLANK.match(text, at) or (_SHEBANG.match(text) if at == 0 else None):
            at = blank.end()
            continue
        if text[at] == ";":
            at += 1
            continue
        part, at = _part(text, at)
        yield part
        # A bracket that is missing makes the last part of all that follows: go on after where people end it.
        if at == len(text) and part.error is not None and again:
            end = text.find(_END, part.start)
            at, again = (end + len(_END), again - 1) if end >= 0 else (at, again)


def _part(text: str, at: int) -> tuple[Part, int]:
    """The part that starts at ``at``, and where it ends."""
    if found := _DIRECTIVE.match(text, at):
        return Part(PartKind.DIRECTIVE, at, found[0]), found.end()
    if text[at] == "}":
        return Part(PartKind.ITEM, at, "", error=(at, "this bracket closes nothing")), at + 1
    if found := _RECORD.match(text, at):
        end, code, error = _through_block(text, found.end(), found[0])
        while attribute := _ATTRIBUTE.match(text, end):
            end = attribute.end()
        return Part(PartKind.RECORD, at, code, error=error), end
    if _ITEM.match(text, at):
        end, code, error = _through_block(text, at, "")
        return Part(PartKind.ITEM, at, code, error=error), end
    return _probe(text, at)


def _through_block(text: str, start: int, before: str) -> tuple[int, str, tuple[int, str] | None]:
    """From ``start`` to the end of the first block, or to a semicolon outside of brackets.

    Returns its end, its code after ``before``, and what is wrong.
    """
    pieces, at, opened = [before], start, []
    for found in _CODE.finditer(text, start):
        what = found[0]
        if found["comment"] is not None:
            pieces += [text[at : found.start()], _blanked(what)]
            at = found.end()
        elif what in "{([":
            opened.append((what, found.start()))
        elif what in "})]":
            if not opened or {"{": "}", "(": ")", "[": "]"}[opened[-1][0]] != what:
                return _stopped(text, start, pieces, at, opened, found.start())
            opened.pop()
            if what == "}" and not opened:
                return found.end(), "".join((*pieces, text[at : found.end()])), None
        elif what == ";" and not opened:
            return found.end(), "".join((*pieces, text[at : found.end()])), None
    pieces.append(text[at:])
    error = (opened[-1][1], f"{opened[-1][0]} is not closed") if opened else (start, "its end is missing")
    return len(text), "".join(pieces), error


def _stopped(
    text: str, start: int, pieces: list[str], at: int, opened: list[tuple[str, int]], stop: int
) -> tuple[int, str, tuple[int, str]]:
    """A bracket that does not fit: what is wrong, and where the next part may start."""
    end = text.find(_END, start)
    after = max(stop + 1, end + len(_END) if end >= 0 else stop + 1)
    what = f"{text[stop]} closes {opened[-1][0]}" if opened else f"{text[stop]} closes nothing"
    return after, "".join((*pieces, text[at:after])), (stop, what)


def _probe(text: str, start: int) -> tuple[Part, int]:
    """The probe that starts at ``start``, and where it ends."""
    pieces, at = [], start
    for found in _HEAD.finditer(text, start):
        if found["end"]:
            break
        pieces.append(found[0] if found["comment"] is None else _blanked(found[0]))
        at = found.end()
    head = "".join(pieces)
    if at == len(text) or text[at] == "}":
        error = (start, "expected a probe and its block in braces")
        return Part(PartKind.PROBE, start, head, error=error), at + 1
    predicate = None
    if text[at] == "/":
        opening, code = _predicate(text, at + 1)
        if opening is None or not code.endswith("/"):
            error = (at, "the predicate that starts here has no end")
            after = len(text) if opening is None else _through_block(text, opening, "")[0]
            return Part(PartKind.PROBE, start, head, error=error), after
        predicate = (at + 1, code[:-1])
        at = opening
    end, code, wrong = _through_block(text, at, "")
    return Part(PartKind.PROBE, start, head, predicate, (at, code), wrong), end


def _predicate(text: str, start: int) -> tuple[int | None, str]:
    """Where the block after a predicate opens, and the code before that, with the slash that ends it."""
    pieces: list[str] = []
    at = start
    for found in _CODE.finditer(text, start):
        what = found[0]
        if what == "{":
            return found.start(), "".join((*pieces, text[at : found.start()])).rstrip()
        if found["comment"] is not None:
            # The slash that ends the predicate may touch the one that starts a comment: "/x == 1// why".
            pieces += [text[at : found.start()], _blanked(what)]
            at = found.end()
        elif what in "};":
            break
    return None, ""


def _blanked(comment: str) -> str:
    return "".join("\n" if one == "\n" else " " for one in comment)
