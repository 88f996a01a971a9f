"""A page of source as a fragment of HTML: nothing is loaded, nothing runs, classes say what things are.

Lines have the ids ``L1``, ``L2``, ...; what is no text of the file (numbers, hints, marks) cannot be
selected, so that code can be copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from ksurf.report.source_text import VISIBLE, facts_lines, layer_lines, marks_text
from ksurf.source.facts import LineMarks
from ksurf.source.page import Hint, Line, Page, Span
from ksurf.source.place import Place
from ksurf.source.semantic.model import Role, Symbol, SymbolKind

__all__ = ["page_html"]

_STYLE = """<style>
.ksurf-source table { border-collapse: collapse }
.ksurf-source td { padding: 0; vertical-align: top }
.ksurf-source pre { margin: 0; tab-size: 8 }
.ksurf-source .number { padding-right: 1em; text-align: right; user-select: none; -webkit-user-select: none }
.ksurf-source .number a { color: #888; text-decoration: none }
.ksurf-source .hint, .ksurf-source .marks { color: #888; user-select: none; -webkit-user-select: none }
.ksurf-source .hint { font-size: smaller }
.ksurf-source .inactive pre { opacity: 0.5 }
.ksurf-source .comment { color: #777 }
.ksurf-source .string, .ksurf-source .include { color: #070 }
.ksurf-source .number-token { color: #077 }
.ksurf-source .keyword, .ksurf-source .label { color: #00c }
.ksurf-source .directive, .ksurf-source .macro, .ksurf-source .enumerator { color: #808 }
.ksurf-source .function { color: #850 }
.ksurf-source .struct, .ksurf-source .union, .ksurf-source .enum, .ksurf-source .typedef { color: #066 }
.ksurf-source .definition { font-weight: bold }
.ksurf-source pre a { color: inherit; text-decoration: none }
.ksurf-source tr:target { background: #ffd }
</style>
"""

Link = Callable[[Place], str | None]
"""Where a place is shown; ``None`` if it is nowhere."""


def page_html(page: Page, link: Link | None = None, *, style: bool = True) -> str:
    """The page as one element, with a newline at its end.

    ``link`` gives addresses of places in this and other files; without it only places on this page are
    linked. ``style`` puts in front the few rules that make it readable by itself.
    """

    def on_this_page(place: Place) -> str | None:
        return f"#L{place.line}" if place.file == page.file and not place.is_generated else None

    return "".join(_document(page, link or on_this_page, style))


def _document(page: Page, link: Link, style: bool) -> Iterator[str]:
    layer = page.layer
    yield f'<article class="ksurf-source" data-file="{_text(page.file)}" data-layer="{layer.layer.value}">\n'
    if style:
        yield _STYLE
    yield '<header class="layer">\n'
    yield from (f"<p>{_text(line)}</p>\n" for line in layer_lines(page))
    yield "</header>\n<table>\n"
    for line in page.lines:
        yield _row(line, page, link)
    yield "</table>\n"
    if page.definitions:
        yield '<section class="definitions">\n<h2>Definitions</h2>\n<ul>\n'
        for found in page.definitions:
            yield f'<li class="{found.kind}"><a href="#L{found.line}" title="{_text(found.signature)}">'
            yield f"{_text(found.name)}</a>"
            facts = page.facts.functions.get(found.name) if found.kind == SymbolKind.FUNCTION else None
            if facts:
                yield (
                    "\n<ul>\n"
                    + "".join(f"<li>{_text(said)}</li>\n" for said in facts_lines(facts))
                    + "</ul>\n"
                )
            yield "</li>\n"
        yield "</ul>\n</section>\n"
    yield "</article>\n"


def _row(line: Line, page: Page, link: Link) -> str:
    left_out = ' class="inactive"' if line.is_inactive else ""
    number = line.number
    return (
        f'<tr id="L{number}"{left_out}><td class="number"><a href="#L{number}">{number}</a></td>'
        f"<td><pre>{_code(line, page, link)}{_marks(page.facts.marks.get(number), page)}</pre></td></tr>\n"
    )


def _marks(marks: LineMarks | None, page: Page) -> str:
    said = marks_text(marks, page.kernel) if marks else ""
    return f'<span class="marks">  // {_text(said)}</span>' if said else ""


def _code(line: Line, page: Page, link: Link) -> str:
    """The line's text; a hint stands in front of the span that begins where it is."""
    text = line.text
    if not line.spans and not line.hints:
        return _text(text)
    parts: list[str] = []
    done = 0
    # Of two at one place the hint comes first: it is no name, and so sorts before.
    items: list[Span | Hint] = sorted(
        (*line.hints, *line.spans), key=lambda item: (item.start, type(item) is Span)
    )
    for item in items:
        parts.append(_text(text[done : item.start]))
        done = max(done, item.start)
        if isinstance(item, Hint):
            parts.append(f'<span class="hint">{_text(item.name)}: </span>')
        else:
            parts.append(_span(text[item.start : item.end], item, page, link))
            done = item.end
    parts.append(_text(text[done:]))
    return "".join(parts)


def _span(text: str, span: Span, page: Page, link: Link) -> str:
    kind = "number-token" if span.kind == "number" else span.kind
    defined = " definition" if span.role is Role.DEFINITION else ""
    if span.symbol is None:
        return f'<span class="{kind}{defined}">{_text(text)}</span>'
    symbol = page.symbols[span.symbol]
    place = symbol.place
    address = link(place) if place is not None else None
    about = f' title="{_text(_about(symbol))}"'
    if address is None:
        return f'<span class="{kind}{defined}"{about}>{_text(text)}</span>'
    return f'<a class="{kind}{defined}" href="{_text(address)}"{about}>{_text(text)}</a>'


def _about(symbol: Symbol) -> str:
    owner = f"{symbol.owner}::" if symbol.owner else ""
    kind = f"{symbol.kind.value} {owner}{symbol.name}"
    return f"{kind}: {symbol.type}" if symbol.type else kind


def _text(text: str) -> str:
    shown = text if text.isascii() and text.isprintable() else text.translate(VISIBLE)
    return escape(shown) if not shown.isalnum() else shown
