"""A page of source as Markdown: a table with a row per line, then the list of what the file defines.

The shape is that of the field's published pages, character for character, so that theirs and ksurf's can
stand side by side: white space is one space, as Markdown shows it, and only what would be taken for HTML or
for a link is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ksurf.report.source_text import VISIBLE, facts_lines, layer_lines, ranges, with_hints
from ksurf.source.page import Line, Page
from ksurf.source.semantic.model import SymbolKind

__all__ = ["page_markdown"]

# What a renderer may take for HTML or a link: a tag, also one that goes on in the next line, a comment, a
# declaration, an instruction, an address with its scheme in angle brackets, brackets followed by a target.
# ``a < b`` and ``<linux/irq.h>`` are none, but ``<script/x>`` is one for browsers.
_MARKUP = re.compile(
    r"""<(?=[!?]
          | /[A-Za-z]
          | [A-Za-z][A-Za-z0-9-]*+ (?: [\s>] | $ | /(?![\w./+-]*+>) )
          | (?:embed|iframe|math|no(?:embed|frames|script)|object|plaintext|script|style|svg|template|textarea
              |title|xmp)/
          | [A-Za-z][A-Za-z0-9+.-]{1,31}:
        )
      | (?<=\])\(""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_ESCAPED = {"<": "&lt;", "(": "&#40;"}
"""A backslash would escape nothing behind one of the source's own."""
_UNLISTED = {SymbolKind.MACRO}
"""The published lists have no macros."""


def page_markdown(page: Page) -> str:
    """The whole page, with a newline at its end."""
    return "\n".join(_document(page)) + "\n"


def _document(page: Page) -> Iterator[str]:
    for count, line in enumerate(page.lines):
        yield _row(line)
        if count == 0:
            yield "---|---|"
    listed = [found for found in page.definitions if found.kind not in _UNLISTED]
    if listed:
        yield ""
        yield "Definitions"
    for found in listed:
        yield f"- {_safe(found.name)}"
        facts = page.facts.functions.get(found.name) if found.kind == SymbolKind.FUNCTION else None
        if facts:
            yield from (f"  - {_safe(said)}" for said in facts_lines(facts))
    for said in layer_lines(page):
        yield ""
        yield _safe(said)
    if inactive := ranges(line.number for line in page.lines if line.is_inactive):
        yield ""
        yield f"Left out by this configuration: {inactive}"


def _row(line: Line) -> str:
    text = _safe(with_hints(line))
    return f"{line.number} | {text} |" if text else f"{line.number} | |"


def _safe(text: str) -> str:
    text = " ".join((text if text.isascii() and text.isprintable() else _visible(text)).split())
    return _MARKUP.sub(lambda match: _ESCAPED[match[0]], text) if "<" in text or "](" in text else text


def _visible(text: str) -> str:
    return text.translate(VISIBLE)
