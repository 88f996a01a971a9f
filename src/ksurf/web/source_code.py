"""The lines of a source page as HTML: the code, what stands in the gutter beside it, and parts of long files.

A page must stay small enough to be sent and shown at once, so that a long file comes in parts, and what one
line may cost is bounded, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape

from ksurf.report.source_text import VISIBLE
from ksurf.source.page import Hint, Line, Page, Span, SpanKind
from ksurf.source.place import Place
from ksurf.source.semantic.model import Role, Symbol
from ksurf.web.source_marks import Marks

__all__ = ["CUT", "PART_LINES", "Links", "Part", "parts_of", "plain_code", "rows_html"]

PART_LINES = 5_000
_PART_WEIGHT = 340_000
"""What a part's lines may weigh together: about what they are compressed, in bytes, at the worst."""
_LINE_WEIGHT, _SPAN_WEIGHT = 14, 4
"""What a line's own row, and each name in it, add to its characters."""
CUT = 20_000
"""Characters of a line that are shown; longer ones are tables and pictures."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where names lead."""

    to_place: Callable[[Place], str]
    to_name: Callable[[str], str]
    """The list of a name's definitions, where it is not known which is meant."""
    to_include: Callable[[str], str | None]
    """The file of an ``#include``, whose name stands in its quotes."""


@dataclass(frozen=True, slots=True)
class Part:
    """Lines ``first`` to ``last``, both included, of a file that is shown in ``count`` parts."""

    number: int
    count: int
    first: int
    last: int


def parts_of(lines: Sequence[Line]) -> list[Part]:
    """Divide a file; a short one, and one without lines, is a single part."""
    starts, weight = [1], 0
    for line in lines:
        own = min(len(line.text), CUT) + _LINE_WEIGHT + _SPAN_WEIGHT * len(line.spans)
        weight += own
        if weight > _PART_WEIGHT or line.number - starts[-1] >= PART_LINES:
            if line.number > starts[-1]:
                starts.append(line.number)
            weight = own
    ends = [*(start - 1 for start in starts[1:]), len(lines)]
    return [
        Part(number, len(starts), first, last)
        for number, (first, last) in enumerate(zip(starts, ends, strict=True), start=1)
    ]


def rows_html(page: Page, part: Part, links: Links, marks: Marks | None = None) -> str:
    """The rows of a table: number, gutter, code. Without marks the gutter says what the configuration leaves
    out, and nothing else."""
    write = _Writer(page.symbols, links).code
    marked = marks.rows if marks else {}
    rows = []
    for line in page.lines[part.first - 1 : part.last]:
        number = line.number
        mark = marked.get(number)
        gutter, calls = "<td></td>", ""
        if line.is_inactive:
            gutter = '<td title="left out by this configuration">∅</td>'
        elif mark is not None:
            title = f' title="{escape(mark.title)}"' if mark.title else ""
            gutter = f'<td class="{mark.css}"{title}>{mark.sign}</td>'
            calls = f"<em>{escape(mark.calls)}</em>" if mark.calls else ""
        rows.append(
            f'<tr id="L{number}"{_OFF if line.is_inactive else ""}>'
            f'<td><a href="#L{number}">{number}</a></td>{gutter}<td>{write(line)}{calls}</td></tr>\n'
        )
    return "".join(rows)


_OFF = ' class="off"'


def plain_code(line: Line) -> str:
    """A line's text with colours, without links and hints."""
    return _Writer((), None).code(line._replace(hints=()))


class _Writer:
    """Writes lines; what begins a name's element is made once for each thing that is named."""

    def __init__(self, symbols: Sequence[Symbol], links: Links | None) -> None:
        self._symbols = symbols
        self._links = links
        self._opening: dict[tuple[int, Role | None], str] = {}
        self._named = lru_cache(maxsize=None)(self._to_name)

    def code(self, line: Line) -> str:
        text = line.text
        if len(text) > CUT:
            return self._cut(line)
        if not line.spans and not line.hints:
            return _text(text)
        if line.hints:
            return self._hinted(line)
        parts: list[str] = []
        done = 0
        opening = self._opening
        for span in line.spans:
            start, end, kind, role, symbol = span
            if start > done:
                parts.append(_text(text[done:start]))
            if symbol is not None:
                open_tag = opening.get((symbol, role)) or self._open(symbol, role)
                piece = _text(text[start:end])
                parts.append(f"{open_tag}{piece}</a>" if open_tag else piece)
            else:
                parts.append(self._plain(text[start:end], kind, role))
            done = end
        parts.append(_text(text[done:]))
        return "".join(parts)

    def _hinted(self, line: Line) -> str:
        """A hint stands in front of the span that begins where it is: it is no name, and so sorts before."""
        text, parts, done = line.text, [], 0
        items: list[Span | Hint] = sorted(
            (*line.hints, *line.spans), key=lambda item: (item.start, type(item) is Span)
        )
        for item in items:
            parts.append(_text(text[done : item.start]))
            done = max(done, item.start)
            if isinstance(item, Hint):
                parts.append(f"<i>{_text(item.name)}: </i>")
                continue
            piece = text[item.start : item.end]
            if item.symbol is None:
                parts.append(self._plain(piece, item.kind, item.role))
            else:
                open_tag = self._open(item.symbol, item.role)
                parts.append(f"{open_tag}{_text(piece)}</a>" if open_tag else _text(piece))
            done = item.end
        parts.append(_text(text[done:]))
        return "".join(parts)

    def _cut(self, line: Line) -> str:
        kept = line._replace(
            text=line.text[:CUT],
            spans=tuple(span for span in line.spans if span.end <= CUT),
            hints=tuple(hint for hint in line.hints if hint.start <= CUT),
        )
        more = len(line.text) - CUT
        return f'{self.code(kept)}<b class="cut">… {more:,} more characters on this line</b>'

    def _open(self, symbol: int, role: Role | None) -> str:
        """What begins the element of a symbol's name."""
        key = symbol, role
        if key not in self._opening:
            self._opening[key] = self._made(symbol, role)
        return self._opening[key]

    def _made(self, symbol: int, role: Role | None) -> str:
        if self._links is None or symbol >= len(self._symbols):
            return ""
        one = self._symbols[symbol]
        place = one.place
        address = self._links.to_place(place) if place is not None else self._links.to_name(one.name)
        defined = " definition" if role is Role.DEFINITION else ""
        return f'<a class="{one.kind.value}{defined}" href="{escape(address)}">'

    def _plain(self, text: str, kind: str, role: Role | None) -> str:
        links = self._links
        if kind in _COLOURED:
            if kind == SpanKind.INCLUDE and links is not None and (found := links.to_include(text)):
                return f'<a class="include" href="{escape(found)}">{_text(text)}</a>'
            return f'<span class="{_COLOURED[kind]}">{_text(text)}</span>'
        defined = " definition" if role is Role.DEFINITION else ""
        if links is None:
            return f'<span class="{kind}{defined}">{_text(text)}</span>'
        return f'<a class="{kind}{defined}" href="{self._named(text)}">{_text(text)}</a>'

    def _to_name(self, name: str) -> str:
        assert self._links is not None
        return escape(self._links.to_name(name))


_COLOURED = {
    kind.value: "literal" if kind is SpanKind.NUMBER else kind.value
    for kind in SpanKind
    if kind is not SpanKind.IDENTIFIER
}
"""The classes of what is no name."""


@lru_cache(maxsize=4096)
def _text(text: str) -> str:
    if text.isalnum():
        return text
    shown = text if text.isascii() and text.isprintable() else text.translate(VISIBLE)
    return escape(shown, quote=False) if "<" in shown or "&" in shown or ">" in shown else shown
