"""Make a page of a file's bytes and of what a layer says of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from ksurf.kernel import Kernel
from ksurf.source.facts import PageFacts
from ksurf.source.highlight import KEYWORDS, highlight, is_c, without_comments
from ksurf.source.page import Hint, Layer, Line, Page, PageDefinition, PageLayer, Span, SpanKind
from ksurf.source.semantic.model import Definition as SemanticDefinition
from ksurf.source.semantic.model import Role, SemanticFile, Symbol, SymbolKind

if TYPE_CHECKING:
    from ksurf.source.names import Definition, FileNames

__all__ = ["names_page", "semantic_page", "signature", "split_lines"]

_SIGNATURE_LINES = 40
_SIGNATURE_LENGTH = 1000
_VALUE_LENGTH = 120
_LINE_LENGTH = 20_000
"""No person wrote a line that is longer; it may have any number of definitions in it."""
_MAX_PROBLEMS = 20


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
    kinds = [symbol.kind.value for symbol in symbols]
    names: defaultdict[int, list[Span]] = defaultdict(list)
    found = seen.tokens
    columns = found.lines, found.columns, found.byte_lengths, found.symbols, found.roles
    for line, column, byte_length, symbol, role in zip(*columns, strict=True):
        names[line].append(Span(column - 1, column - 1 + byte_length, kinds[symbol], role, symbol))
    hints: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for hint in seen.hints:
        hints[hint.line].append((hint.column - 1, hint.name))
    inactive = {line for part in seen.inactive for line in range(part.first, min(part.last, len(raw)) + 1)}
    texts, lines = _lines(seen.file, raw, names, hints, inactive)
    definitions = [
        PageDefinition(
            symbols[found.symbol].name,
            symbols[found.symbol].kind,
            found.line,
            found.first_line,
            found.last_line,
            signature(texts, symbols[found.symbol].name, symbols[found.symbol].kind, found.first_line),
        )
        for found in seen.definitions
        if _is_written(texts, symbols[found.symbol], found)
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


def _is_written(texts: Sequence[str], symbol: Symbol, found: SemanticDefinition) -> bool:
    """Tell if a definition stands in the file.

    Macros make further ones, as ``SYSCALL_DEFINE1`` for its events; of these only the function counts whose
    body stands there.
    """
    if not symbol.name:
        return False
    if symbol.name in "\n".join(texts[found.first_line - 1 : found.line]):
        return True
    return symbol.kind is SymbolKind.FUNCTION and found.last_line > found.line


def names_page(
    content: bytes,
    file: str,
    names: FileNames | None,
    layer: PageLayer,
    *,
    tree: str,
    kernel: Kernel | None,
    notes: Sequence[str] = (),
    facts: PageFacts | None = None,
) -> Page:
    """Make the page of a file of which only the names are known, or not even those."""
    raw = split_lines(content)
    spans: defaultdict[int, list[Span]] = defaultdict(list)
    found = names.definitions if names else ()
    for definition in found:
        place, start = definition.place, definition.place.column - 1
        end = start + len(definition.name.encode())
        spans[place.line].append(Span(start, end, definition.kind, _role(definition)))
    defined = {(definition.place.line, definition.place.column) for definition in found}
    for name in names.identifiers if names else ():
        if (name.line, name.column) not in defined and name.name not in KEYWORDS:
            end = name.column - 1 + len(name.name.encode())
            spans[name.line].append(Span(name.column - 1, end, SpanKind.IDENTIFIER))
    texts, lines = _lines(file, raw, spans, {}, set())
    definitions = (
        PageDefinition(
            definition.name,
            definition.kind,
            definition.place.line,
            definition.start_line,
            definition.end_line,
            signature(texts, definition.name, definition.kind, definition.start_line),
        )
        for definition in found
        if definition.kind not in _UNLISTED and not definition.is_declaration
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


_UNLISTED = {"member", "enumerator", "export", "module_info"}
"""What is defined inside of something that is listed, or says something about it."""


def _role(definition: Definition) -> Role:
    return Role.DECLARATION if definition.is_declaration else Role.DEFINITION


def _lines(
    file: str,
    raw: Sequence[bytes],
    names: dict[int, list[Span]],
    hints: dict[int, list[tuple[int, str]]],
    inactive: set[int],
) -> tuple[list[str], tuple[Line, ...]]:
    """Make the lines of bytes; places in ``names`` and ``hints`` are in bytes, from 0."""
    texts = [line.decode("utf-8", "replace") for line in raw]
    shown = highlight(texts) if is_c(file) else [[] for _ in texts]
    lines = []
    for number, (line, text, spans) in enumerate(zip(raw, texts, shown, strict=True), start=1):
        placed: tuple[Hint, ...] = ()
        if number in names or number in hints:
            here, hinted = names.get(number, []), hints.get(number, ())
            if not line.isascii():
                places = (*(span[0] for span in here), *(span[1] for span in here), *(h[0] for h in hinted))
                at = _characters(line, places)
                here = [span._replace(start=at[span.start], end=at[span.end]) for span in here]
                hinted = [(at[start], name) for start, name in hinted]
            spans = _merged(spans, here, len(text))
            placed = tuple([Hint(start, name) for start, name in hinted if start <= len(text)])
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
    """Put names among what shows without them; of two in one place the name stays, which says more."""
    kept: list[Span] = []
    done = 0
    for span in sorted([*names, *spans], key=_START):
        start, end = span[0], span[1]
        if done <= start < end <= length:
            kept.append(span)
            done = end
    return kept


_START = itemgetter(0)
_BODY = re.compile(r"[{;]|(?<![=!<>])=(?!=)")
_NAMED_BEHIND = {"typedef", "variable", "struct", "union", "enum"}
"""Kinds whose names may stand behind a body."""
_MEMBERS = {"member", SymbolKind.FIELD, SymbolKind.ENUMERATOR}
_MEMBER_END = re.compile(r"[{};]")
_ENUMERATOR_END = re.compile(r"[{};,]")
_FUNCTION_MACRO = re.compile(r"\s*#\s*define\s+\w+(?:\([^)]*\))?")


def _source(texts: Sequence[str], first: int, end: int) -> str:
    # A directive ends it: what follows is another way to begin the same body.
    directives = (at for at in range(first + 1, min(end, len(texts))) if texts[at].startswith("#"))
    end = next(directives, end)
    return without_comments("\n".join(texts[first:end])[: 4 * _SIGNATURE_LENGTH])


def signature(texts: Sequence[str], name: str, kind: str, first_line: int) -> str:
    """Return the source of a definition up to its body or value, in one line without comments."""
    first = first_line - 1
    if any(len(text) > _LINE_LENGTH for text in texts[first : first + 1]):
        return name
    if kind == SymbolKind.MACRO:
        return _cut(" ".join(_macro(texts, name, first).split()))
    # Most are over after a few lines, of which the last has what begins a body or ends a declaration.
    last = next(
        (at for at in range(first, min(first + _SIGNATURE_LINES, len(texts))) if _BODY.search(texts[at])),
        first,
    )
    source = _source(texts, first, last + 1)
    if not _BODY.search(source):
        source = _source(texts, first, first + _SIGNATURE_LINES)
    if kind in _MEMBERS:
        # Others may stand in front of it on its line, and the struct that it is in.
        named = re.compile(rf"\b{re.escape(name)}\b")
        end_of = _ENUMERATOR_END if kind == SymbolKind.ENUMERATOR else _MEMBER_END
        head = next((part for part in end_of.split(source) if named.search(part)), "")
    elif kind == "label":
        head = texts[first_line - 1] if first_line <= len(texts) else ""
    else:
        end = _BODY.search(source)
        head = source[: end.start()] if end else source
    head = " ".join(head.split())
    if name not in head and kind in _NAMED_BEHIND:
        head = f"{head} {{…}} {name}" if head else name
    return _cut(head)


def _macro(texts: Sequence[str], name: str, first: int) -> str:
    """A macro's name, parameters and, if it is short, value; it ends with its line unless that goes on."""
    end = first + 1
    while end < min(first + _SIGNATURE_LINES, len(texts)) and _goes_on(texts[end - 1]):
        end += 1
    source = without_comments("\n".join(texts[first:end])[: 4 * _SIGNATURE_LENGTH])
    whole = source.partition("\n")[0]
    if not whole.endswith("\\") and len(whole) <= _VALUE_LENGTH:
        return whole
    # Of a value of several lines only the parameters are shown.
    found = _FUNCTION_MACRO.match(source.replace("\\\n", " "))
    return found[0] if found else name


def _goes_on(line: str) -> bool:
    return line.endswith("\\") or line.rfind("/*") > line.rfind("*/")


def _cut(text: str) -> str:
    return text if len(text) <= _SIGNATURE_LENGTH else f"{text[: _SIGNATURE_LENGTH - 1]}…"
