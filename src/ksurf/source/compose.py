"""Make a page of a file's bytes and of what a layer says of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ksurf.kernel import Kernel
from ksurf.source.facts import PageFacts
from ksurf.source.highlight import highlight, is_c, without_comments
from ksurf.source.page import Hint, Layer, Line, Page, PageDefinition, PageLayer, Span
from ksurf.source.semantic.model import Role, SemanticFile, SymbolKind

__all__ = ["NamedPlace", "names_page", "semantic_page", "split_lines"]

_SIGNATURE_LINES = 40
_SIGNATURE_LENGTH = 1000
_MAX_PROBLEMS = 20


class NamedPlace(NamedTuple):
    """A definition, as the names layer has it; lines from 1, the column from 1 in bytes."""

    name: str
    kind: SymbolKind
    line: int
    column: int
    first_line: int
    last_line: int


def split_lines(content: bytes) -> list[bytes]:
    """Return the lines of a file without their ends, as compilers count them.

    A last line without an end is a line; a carriage return before the end belongs to the end.
    """
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix(b"\r") for line in lines]


def semantic_page(
    content: bytes,
    seen: SemanticFile,
    *,
    tree: str,
    kernel: Kernel | None,
    notes: Sequence[str] = (),
    facts: PageFacts | None = None,
) -> Page:
    """Make the page of a file that the semantic layer has read."""
    raw = split_lines(content)
    symbols = seen.symbols
    tokens: defaultdict[int, list[_Token]] = defaultdict(list)
    for token in seen.tokens:
        tokens[token.line].append(
            _Token(
                token.column - 1,
                token.byte_length,
                symbols[token.symbol].kind,
                token.role,
                token.symbol,
            )
        )
    hints: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for hint in seen.hints:
        hints[hint.line].append((hint.column - 1, hint.name))
    inactive = {line for part in seen.inactive for line in range(part.first, min(part.last, len(raw)) + 1)}
    texts, lines = _lines(seen.file, raw, tokens, hints, inactive)
    definitions = [
        PageDefinition(
            symbols[found.symbol].name,
            symbols[found.symbol].kind,
            found.line,
            found.first_line,
            found.last_line,
            _signature(texts, symbols[found.symbol].name, symbols[found.symbol].kind, found.first_line),
        )
        for found in seen.definitions
    ]
    problems = tuple(str(found) for found in seen.diagnostics[:_MAX_PROBLEMS])
    return Page(
        file=seen.file,
        tree=tree,
        kernel=kernel,
        layer=PageLayer(Layer.SEMANTIC, unit=seen.unit, problems=problems),
        line_count=len(raw),
        lines=lines,
        definitions=tuple(definitions),
        symbols=symbols,
        notes=tuple(notes),
        facts=facts or PageFacts(),
    )


def names_page(
    content: bytes,
    file: str,
    places: Iterable[NamedPlace],
    layer: PageLayer,
    *,
    tree: str,
    kernel: Kernel | None,
    notes: Sequence[str] = (),
    facts: PageFacts | None = None,
) -> Page:
    """Make the page of a file of which only the definitions are known, or not even those."""
    raw = split_lines(content)
    places = sorted(places, key=lambda place: (place.line, place.column))
    tokens: defaultdict[int, list[_Token]] = defaultdict(list)
    for place in places:
        length = len(place.name.encode())
        tokens[place.line].append(_Token(place.column - 1, length, place.kind, Role.DEFINITION, None))
    texts, lines = _lines(file, raw, tokens, {}, set())
    definitions = (
        PageDefinition(
            place.name,
            place.kind,
            place.line,
            place.first_line,
            place.last_line,
            _signature(texts, place.name, place.kind, place.first_line),
        )
        for place in places
        if place.kind not in _INSIDE
    )
    return Page(
        file=file,
        tree=tree,
        kernel=kernel,
        layer=layer,
        line_count=len(raw),
        lines=lines,
        definitions=tuple(definitions),
        notes=tuple(notes),
        facts=facts or PageFacts(),
    )


_INSIDE = {SymbolKind.FIELD, SymbolKind.ENUMERATOR, SymbolKind.PARAMETER}
"""What is defined inside of something that is listed."""


class _Token(NamedTuple):
    start: int
    """In bytes, from 0."""
    byte_length: int
    kind: SymbolKind
    role: Role
    symbol: int | None


def _lines(
    file: str,
    raw: Sequence[bytes],
    tokens: dict[int, list[_Token]],
    hints: dict[int, list[tuple[int, str]]],
    inactive: set[int],
) -> tuple[list[str], tuple[Line, ...]]:
    texts = [line.decode("utf-8", "replace") for line in raw]
    shown = highlight(texts) if is_c(file) else [[] for _ in texts]
    lines = []
    for number, (line, text, spans) in enumerate(zip(raw, texts, shown, strict=True), start=1):
        here, hinted = tokens.get(number, ()), hints.get(number, ())
        placed: tuple[Hint, ...] = ()
        if here or hinted:
            if line.isascii():
                spans = _merged(spans, [Span(t[0], t[0] + t[1], *t[2:]) for t in here], len(text))
                placed = tuple(Hint(start, name) for start, name in hinted if 0 <= start <= len(text))
            else:
                at = _characters(
                    line, (*(t[0] for t in here), *(t[0] + t[1] for t in here), *(h[0] for h in hinted))
                )
                spans = _merged(spans, [Span(at[t[0]], at[t[0] + t[1]], *t[2:]) for t in here], len(text))
                placed = tuple(Hint(at[start], name) for start, name in hinted)
        lines.append(Line(number, text, tuple(spans), placed, number in inactive))
    return texts, tuple(lines)


def _characters(line: bytes, offsets: Iterable[int]) -> dict[int, int]:
    """Tell for each place in bytes which character it is; the line is walked once."""
    found = {}
    done, characters = 0, 0
    for offset in sorted(set(offsets)):
        end = min(max(offset, 0), len(line))
        characters += len(line[done:end].decode("utf-8", "replace"))
        done = end
        found[offset] = characters
    return found


def _merged(spans: list[Span], names: list[Span], length: int) -> list[Span]:
    """Put names among what shows without them; of two in one place the name stays."""
    names = [name for name in names if 0 <= name.start < name.end <= length]
    if not spans:
        merged = sorted(names)
    else:
        starts = {name.start for name in names}
        merged = sorted((*names, *(span for span in spans if span.start not in starts)), key=_start)
    kept: list[Span] = []
    end = 0
    for span in merged:
        if span.start >= end:
            kept.append(span)
            end = span.end
    return kept


def _start(span: Span) -> int:
    return span.start


_BODY = re.compile(r"[{;]|(?<![=!<>])=(?!=)")
_FUNCTION_MACRO = re.compile(r"\s*#\s*define\s+\w+(?:\([^)]*\))?")


def _signature(texts: Sequence[str], name: str, kind: SymbolKind, first_line: int) -> str:
    """The source of a definition up to its body or value, in one line."""
    source = "\n".join(texts[first_line - 1 : first_line - 1 + _SIGNATURE_LINES])[: 4 * _SIGNATURE_LENGTH]
    source = without_comments(source)
    if kind is SymbolKind.MACRO:
        found = _FUNCTION_MACRO.match(source.replace("\\\n", " "))
        head = found[0] if found else name
    else:
        end = _BODY.search(source)
        head = source[: end.start()] if end else source
    head = " ".join(head.split())
    if name not in head:
        head = f"{head} {{…}} {name}" if head else name
    return head if len(head) <= _SIGNATURE_LENGTH else f"{head[: _SIGNATURE_LENGTH - 1]}…"
