"""A page of source for a terminal: numbered lines, coloured by what their words are, hints and what is left
out dim.

The text is that of the file, tabs and all: numbers take eight columns, so that tabs stay where they were.
"""

from __future__ import annotations

from collections.abc import Iterator

from ksurf.report.source_text import VISIBLE, facts_lines, layer_lines, marks_text
from ksurf.source.page import Layer, Line, Page, SpanKind
from ksurf.source.semantic.model import Role, SymbolKind

__all__ = ["page_text"]

_BOLD, _DIM, _END = "\033[1m", "\033[2m", "\033[0m"
_YELLOW = "\033[33m"
_COLORS: dict[str, str] = {
    SpanKind.COMMENT: "\033[90m",
    SpanKind.STRING: "\033[32m",
    SpanKind.INCLUDE: "\033[32m",
    SpanKind.NUMBER: "\033[36m",
    SpanKind.KEYWORD: "\033[34m",
    SpanKind.DIRECTIVE: "\033[35m",
    SymbolKind.FUNCTION: "\033[33m",
    SymbolKind.MACRO: "\033[35m",
    SymbolKind.STRUCT: "\033[36m",
    SymbolKind.UNION: "\033[36m",
    SymbolKind.ENUM: "\033[36m",
    SymbolKind.TYPEDEF: "\033[36m",
    SymbolKind.ENUMERATOR: "\033[35m",
    SymbolKind.LABEL: "\033[34m",
}
"""Fields, variables and parameters are plain: there would be no rest for the eye."""


def page_text(page: Page, *, color: bool) -> str:
    """The whole page, with a newline at its end."""
    return "\n".join(_document(page, color)) + "\n"


def _document(page: Page, color: bool) -> Iterator[str]:
    first, *others = (line.translate(VISIBLE) for line in layer_lines(page))
    warn = _YELLOW if page.layer.layer is not Layer.SEMANTIC else _BOLD
    yield _styled(first, warn, color)
    yield from (_styled(line, _DIM, color) for line in others)
    yield ""
    for line in page.lines:
        yield _line(line, _marks(page, line), color)
    if page.definitions:
        yield ""
        yield _styled("Definitions", _BOLD, color)
    for found in page.definitions:
        signature = found.signature.translate(VISIBLE)
        yield f"{_styled(f'{found.line:>6}', _DIM, color)}  {found.kind:<10} {signature}"
        facts = page.facts.functions.get(found.name) if found.kind == SymbolKind.FUNCTION else None
        for said in facts_lines(facts) if facts else ():
            yield _styled(f"{'':19}{said}".translate(VISIBLE), _DIM, color)


def _styled(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{_END}" if color else text


def _marks(page: Page, line: Line) -> str:
    marks = page.facts.marks.get(line.number)
    return _shown(marks_text(marks, page.kernel)) if marks else ""


def _line(line: Line, said: str, color: bool) -> str:
    body = _coloured(line) if color else _plain(line)
    after = _styled(f"  // {said}", _DIM, color) if said else ""
    left_out = "-" if line.is_inactive else " "
    number = f"{line.number:>6}{left_out} "
    return f"{_styled(number if body or after else number.rstrip(), _DIM, color)}{body}{after}"


def _plain(line: Line) -> str:
    parts: list[str] = []
    done = 0
    for hint in line.hints:
        parts += (_shown(line.text[done : hint.start]), f"{hint.name}: ")
        done = hint.start
    return "".join((*parts, _shown(line.text[done:])))


def _coloured(line: Line) -> str:
    """Colours end before hints and begin anew after them; what is left out has none."""
    if line.is_inactive:
        return f"{_DIM}{_shown(line.text)}{_END}" if line.text else ""
    parts: list[str] = []
    hints = iter(line.hints)
    hint = next(hints, None)
    done = 0

    def plain(until: int) -> None:
        nonlocal done, hint
        while hint is not None and hint.start <= until:
            parts.append(_shown(line.text[done : hint.start]))
            parts.append(f"{_DIM}{_shown(hint.name)}: {_END}")
            done = max(done, hint.start)
            hint = next(hints, None)
        parts.append(_shown(line.text[done:until]))
        done = until

    for span in line.spans:
        style = _COLORS.get(span.kind, "") + (_BOLD if span.role is Role.DEFINITION else "")
        if style:
            plain(span.start)
            parts.append(f"{style}{_shown(line.text[span.start : span.end])}{_END}")
            done = span.end
    plain(len(line.text))
    return "".join(parts)


def _shown(text: str) -> str:
    return text if text.isascii() and text.isprintable() else text.translate(VISIBLE)
