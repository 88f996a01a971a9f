"""The part of a C preprocessor that BCC's texts need: comments, conditions, macros of the tool itself.

Headers are not read, so what they define is not known: a condition on such a macro is a question
(:mod:`~ksurf.check.bcc.guard`), and what stands behind it is guarded.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ksurf.check.bcc.guard import And, Atom, Choices, Formula, Guards, Not, Or, within
from ksurf.check.bcc.text import LIMIT, Piece, Text, TooLong
from ksurf.check.dependency import Condition, Kind
from ksurf.check.version import VERSION_CODE

__all__ = ["DEFINE", "Preprocessed", "preprocess"]

DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.MULTILINE)
_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_DIRECTIVE = re.compile(r"\s*#\s*(\w+)\s*(.*)", re.DOTALL)
_MACRO = re.compile(r"(\w+)(\(([^()]*)\))?(.*)", re.DOTALL)
_WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[A-Za-z_]\w*')
_ARCHITECTURE = re.compile(
    r"__(?:s390x?|x86_64|i386|aarch64|arm|powerpc(?:64)?|riscv|mips|sparc)__\Z|__BYTE_ORDER__"
)
_PASSES = 8
"""How deep macros may stand in macros."""


@dataclass(frozen=True, slots=True)
class _Macro:
    body: Text
    parameters: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """C without directives."""

    text: Text
    options: tuple[tuple[str, int | None, Guards], ...]
    """The ``CONFIG_*`` that were asked for, where, and what guards the question."""


@dataclass(slots=True)
class _Level:
    """One ``#if``."""

    taking: bool
    done: bool
    """An arm was taken."""
    before: Guards
    guards: Guards
    """Of the arm that is read; an ``#else`` has those of all arms before it."""


def preprocess(text: Text, macros: Collection[str], own: Collection[str], choices: Choices) -> Preprocessed:
    """Take one way through a text. ``macros`` are defined from outside, ``own`` somewhere in the tool."""
    return _Reader(own, choices).read(_uncommented(text), macros)


def _uncommented(text: Text) -> Text:
    changes = []
    for match in _COMMENT.finditer(text.plain):
        if match[0].startswith("/"):
            # A newline each, so that what is on a line stays there.
            newlines = [Text.of("\n", _line(text, at)) for at in _newlines(match)]
            changes.append((match.start(), match.end(), Text.joined([Text.of(" "), *newlines])))
    return text.spliced(changes)


def _newlines(match: re.Match[str]) -> list[int]:
    return [match.start() + at for at, character in enumerate(match[0]) if character == "\n"]


def _line(text: Text, position: int) -> int | None:
    piece = text.at(position)
    return piece.line if piece else None


class _Reader:
    def __init__(self, own: Collection[str], choices: Choices) -> None:
        self._own = own
        self._choices = choices
        self._macros: dict[str, _Macro] = {}
        self._options: list[tuple[str, int | None, Guards]] = []
        self._levels: list[_Level] = []
        self._spent = 0

    def read(self, text: Text, macros: Collection[str]) -> Preprocessed:
        for one in macros:
            name, _, body = one.partition("=")
            self._macros[name] = _Macro(Text.of(body), None)
        kept: list[Text] = []
        lines = text.lines()
        position = 0
        while position < len(lines):
            line = lines[position]
            position += 1
            if match := _DIRECTIVE.match(line.plain):
                parts = [line]
                while parts[-1].plain.endswith("\\") and position < len(lines):
                    parts[-1] = parts[-1].part(0, len(parts[-1].plain) - 1)
                    parts += (Text.of(" "), lines[position])
                    position += 1
                whole = Text.joined(parts)
                match = _DIRECTIVE.match(whole.plain)
                if match is not None:
                    self._directive(match[1], whole.part(match.start(2), len(whole.plain)), line)
                kept.append(Text.of("\n"))
            elif self._taking():
                guards = self._levels[-1].guards if self._levels else ()
                kept += (self._expanded(line).guarded(guards), Text.of("\n"))
            else:
                kept.append(Text.of("\n"))
        return Preprocessed(Text.joined(kept), tuple(dict.fromkeys(self._options)))

    def _taking(self) -> bool:
        return not self._levels or self._levels[-1].taking

    def _directive(self, name: str, rest: Text, line: Text) -> None:
        written = " ".join(rest.plain.split())
        where = line.pieces[0].line if line.pieces else None
        match name:
            case "if" | "ifdef" | "ifndef":
                before = self._levels[-1].guards if self._levels else ()
                taking = self._taking()
                level = _Level(False, not taking, before, before)
                self._levels.append(level)
                if taking:
                    self._ask(level, name, written, where, line)
            case "elif" | "elifdef" | "elifndef" if self._levels:
                self._ask(self._levels[-1], name.removeprefix("el"), written, where, line)
            case "else" if self._levels:
                level = self._levels[-1]
                level.taking, level.done = not level.done, True
            case "endif" if self._levels:
                self._levels.pop()
            case "define" if self._taking():
                self._define(rest)
            case "undef" if self._taking():
                self._macros.pop(written, None)

    def _ask(self, level: _Level, name: str, written: str, where: int | None, line: Text) -> None:
        level.taking = False
        if level.done:
            return
        if name == "if":
            formula = _Condition(written, self._known).parsed()
        else:
            formula = self._known(written.partition(" ")[0])
            if name == "ifndef":
                formula = (not formula) if isinstance(formula, bool) else Not(formula)
        for option in _options(formula):
            self._options.append((option, where, within(line.guards, level.before)))
        said, guards = self._choices.decide(formula, f"#{where} {written}")
        level.guards = within(level.guards, guards)
        level.taking = level.done = said

    def _known(self, name: str) -> Formula | bool:
        """Whether a macro is defined."""
        if name in self._macros:
            return True
        if name.startswith("CONFIG_"):
            return Atom(name, f"#ifdef {name}", Condition(Kind.CONFIG, name, True))
        if name in self._own:
            return False
        return Atom(f"macro {name}", f"#ifdef {name}", guards=not _ARCHITECTURE.match(name))

    def _define(self, rest: Text) -> None:
        match = _MACRO.match(rest.plain)
        if match is None:
            return
        body = rest.part(match.start(4), len(rest.plain))
        stripped = len(body.plain) - len(body.plain.lstrip())
        parameters = tuple(one.strip() for one in match[3].split(",")) if match[2] is not None else None
        self._macros[match[1]] = _Macro(body.part(stripped, len(body.plain.rstrip())), parameters)

    def _expanded(self, line: Text) -> Text:
        """A line with the tool's own macros replaced."""
        for _ in range(_PASSES):
            changes = []
            end = 0
            for match in _WORD.finditer(line.plain):
                macro = self._macros.get(match[0])
                if macro is None or match.start() < end:
                    continue
                if macro.parameters is None:
                    new, end = macro.body, match.end()
                else:
                    arguments, end = _arguments(line, match.end())
                    if arguments is None:
                        end = match.end()
                        continue
                    new = _filled(macro, arguments)
                if new.plain == match[0]:
                    continue
                changes.append((match.start(), end, _at(new, line.at(match.start()))))
            if not changes:
                break
            line = line.spliced(changes)
            self._spent += len(line.plain)
            if self._spent > 4 * LIMIT:
                raise TooLong
        return line


def _at(new: Text, place: Piece | None) -> Text:
    """A macro's text, counted as if it stood where it is used, with the guards of its definition too."""
    line, guards = (place.line, place.guards) if place else (None, ())
    return Text(tuple(Piece(one.text, line, one.guards) for one in new.pieces)).guarded(guards)


def _arguments(line: Text, start: int) -> tuple[list[Text] | None, int]:
    """What stands in the parentheses at ``start``, and where they end."""
    plain = line.plain
    position = start
    while position < len(plain) and plain[position] == " ":
        position += 1
    if position == len(plain) or plain[position] != "(":
        return None, start
    depth, first = 0, position + 1
    found: list[Text] = []
    for at in range(position, len(plain)):
        match plain[at]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
                if depth == 0:
                    return [*found, line.part(first, at)], at + 1
            case "," if depth == 1:
                found.append(line.part(first, at))
                first = at + 1
    return None, start


def _filled(macro: _Macro, arguments: list[Text]) -> Text:
    named = dict(zip(macro.parameters or (), arguments, strict=False))
    changes = [
        (match.start(), match.end(), named[match[0]])
        for match in _WORD.finditer(macro.body.plain)
        if match[0] in named
    ]
    return macro.body.spliced(changes)


def _options(formula: Formula | bool) -> list[str]:
    match formula:
        case Atom():
            about = formula.condition
            return [about.name] if about is not None and about.kind is Kind.CONFIG else []
        case Not():
            return _options(formula.one)
        case And():
            return [name for one in formula.all for name in _options(one)]
        case Or():
            return [name for one in formula.any for name in _options(one)]
    return []


_TOKEN = re.compile(r"\s*(KERNEL_VERSION|&&|\|\||[<>=!]=|[<>!(),]|\w+|.)", re.DOTALL)
_COMPARED = {"<", ">", "<=", ">=", "==", "!="}


class _Condition:
    """The expression of an ``#if``. What it is made of and not understood is one question as a whole."""

    def __init__(self, written: str, known: object) -> None:
        self._written = written
        self._tokens = [match[1] for match in _TOKEN.finditer(written)]
        self._position = 0
        assert callable(known)
        self._known = known

    def parsed(self) -> Formula | bool:
        try:
            formula = self._or(0)
            if self._position == len(self._tokens):
                return formula
        except (ValueError, IndexError):
            pass
        return Atom(f"#if {self._written}", f"#if {self._written}")

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise ValueError(token)

    def _or(self, depth: int) -> Formula | bool:
        if depth > 40:
            raise ValueError("too deep")
        parts = [self._and(depth)]
        while self._peek() == "||":
            self._next()
            parts.append(self._and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _and(self, depth: int) -> Formula | bool:
        parts = [self._one(depth)]
        while self._peek() == "&&":
            self._next()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self, depth: int) -> Formula | bool:
        token = self._next()
        if token == "!":
            if depth > 40:
                raise ValueError("too deep")
            inner = self._one(depth + 1)
            return (not inner) if isinstance(inner, bool) else Not(inner)
        if token == "(":
            inner = self._or(depth + 1)
            self._expect(")")
            return inner
        if token in {"defined", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE"}:
            bare = self._peek() != "("
            if not bare:
                self._next()
            name = self._next()
            if not bare:
                self._expect(")")
            return self._defined(name)
        if token == VERSION_CODE and self._peek() in _COMPARED:
            return self._version(self._next())
        if not token[0].isalnum() and token[0] != "_":
            raise ValueError(token)
        return self._plain(token)

    def _defined(self, name: str) -> Formula | bool:
        if not name.isidentifier():
            raise ValueError(name)
        answer: Formula | bool = self._known(name)
        return answer

    def _plain(self, token: str) -> Formula | bool:
        if self._peek() in _COMPARED:
            compared = f"{token} {self._next()} {self._next()}"
            return Atom(f"#if {compared}", f"#if {compared}", guards=not _ARCHITECTURE.match(token))
        if token.isdecimal():
            return token.strip("0") != ""
        return self._defined(token)

    def _version(self, comparison: str) -> Formula:
        """Asked as "at least", whichever way round it is written, so that opposites are opposites."""
        self._expect("KERNEL_VERSION")
        self._expect("(")
        numbers = []
        for end in (",", ",", ")"):
            number = self._next()
            if not number.isdecimal() or len(number) > 5:
                raise ValueError(number)
            numbers.append(int(number))
            self._expect(end)
        if comparison in {">", "<="}:
            numbers[2] += 1
        text = f"{VERSION_CODE} >= KERNEL_VERSION({', '.join(map(str, numbers))})"
        atom = Atom(text, f"#if {text}", Condition(Kind.CONFIG, text, True))
        return atom if comparison in {">=", ">"} else Not(atom)
