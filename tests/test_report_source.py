"""Pages of source in all formats: shape, and that no source gets more out of them than its text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.report.source_html import page_html
from ksurf.report.source_json import page_json
from ksurf.report.source_markdown import page_markdown
from ksurf.report.source_terminal import page_text
from ksurf.source.compose import names_page, split_lines
from ksurf.source.facts import (
    Caller,
    CallMark,
    CallOutcome,
    FunctionChange,
    FunctionFacts,
    FunctionOnKernel,
    LineMarks,
    PageFacts,
)
from ksurf.source.page import Layer, Page, PageLayer
from ksurf.source.place import Place
from ksurf.surface.change import Added
from made_kernel import kernel
from made_page import SOURCE, page

K61, K73 = kernel("6.1.1"), kernel("7.3.4")
FACTS = PageFacts(
    marks={8: LineMarks((CallMark("demo_call", CallOutcome.INLINED, (K73,)),))},
    functions={
        "demo_wake": FunctionFacts(
            (
                FunctionOnKernel(K61, False, None, None, reason="CONFIG_DEMO is not set"),
                FunctionOnKernel(
                    K73,
                    True,
                    True,
                    True,
                    (
                        Caller("main", Place("a.c", 3), CallOutcome.DIRECT),
                        Caller("init", None, CallOutcome.POSSIBLE),
                    ),
                    ("demo_wake.isra.0",),
                ),
            ),
            (FunctionChange(K61, K73, (Added("int demo_wake(void)"),)),),
        )
    },
)


def text_page(content: bytes) -> Page:
    layer = PageLayer(Layer.TEXT, reason="its names are not indexed")
    return names_page(content, "a.c", None, layer, tree="demo", kernel=None)


def test_markdown_has_the_published_shape() -> None:
    assert page_markdown(page(K73)).splitlines() == [
        "1 | #include <linux/demo.h> |",
        "---|---|",
        "2 | #define FLAGS (ONE | TWO) |",
        "3 | |",
        "4 | /* Wakes éveryone; at line 5 |",
        "5 | * it is still a comment. */ |",
        "6 | static int demo_wake(struct demo *demo, unsigned long flags) |",
        "7 | { |",
        '8 | return demo_call(object: demo, flags, how: FLAGS | 0x1f, text: "a /* b */"); |',
        "9 | } |",
        "10 | #ifdef CONFIG_GONE |",
        "11 | int gone(void) { return 1; } |",
        "12 | #endif |",
        "13 | int demo_table[] = { 1, 2 }; |",
        "",
        "Definitions",
        "- demo_wake",
        "- demo_table",
        "",
        f"drivers/demo/demo.c: debian_7.3.4-1, as {K73.release} (amd64) has it; "
        "semantic layer, seen through drivers/demo/demo.o",
        "",
        "not understood: drivers/demo/demo.c:8: unknown builtin",
        "",
        "Left out by this configuration: 11",
    ]


def test_what_kernels_made_of_a_function_stands_below_it() -> None:
    below = [
        f"{K61.release}: not compiled (CONFIG_DEMO is not set)",
        f"{K73.release}: inlined, and with code of its own; called by main; possibly called by init",
        f"{K61.release} → {K73.release}: Added: int demo_wake(void)",
    ]
    shown = page(K73, FACTS)
    lines = page_markdown(shown).splitlines()
    at = lines.index("- demo_wake")
    assert lines[at + 1 : at + 5] == [*(f"  - {line}" for line in below), "- demo_table"]
    text = page_text(shown, color=False)
    assert all(line in text for line in below)
    assert "  // inlined demo_call\n" in text
    html = page_html(shown)
    assert "  // inlined demo_call</span>" in html
    document = json.loads(page_json(shown))
    assert document["lines"][7]["calls"] == [
        {"callee": "demo_call", "outcome": "inlined", "kernels": [K73.id], "copies": 1, "by_line": True}
    ]
    assert document["lines"][8]["calls"] is None
    (function,) = document["functions"].values()
    assert [found["compiled"] for found in function["kernels"]] == [False, True]
    assert function["changes"][0]["changes"][0]["kind"] == "Added"


@given(st.binary(max_size=200) | st.text(alphabet="a<>|!/[](b \t\\`-=\"'", max_size=80).map(str.encode))
def test_markdown_without_hints_is_the_file(content: bytes) -> None:
    rows = page_markdown(text_page(content)).split("\n\n", 1)[0].splitlines()
    kept = [line.decode("utf-8", "replace") for line in split_lines(content)]
    if not kept:
        return
    assert rows.pop(1) == "---|---|"
    assert len(rows) == len(kept)
    for number, (row, text) in enumerate(zip(rows, kept, strict=True), start=1):
        head, _, rest = row.partition(" | ")
        assert head == str(number)
        shown = rest.removesuffix("|").strip().replace("&lt;", "<").replace("&#40;", "(")
        if text.isprintable():
            assert shown == " ".join(text.split()).replace("&lt;", "<").replace("&#40;", "(")


HOSTILE = [
    "<script>alert(1)</script>",
    "</td></tr></table><script src=//evil></script>",
    "<img src=x onerror=alert(1)>",
    "\\<img src=x>",
    "<img/src=x/onerror=alert(1)>",
    "<script/x>",
    "<!-- hidden",
    "<?php",
    "<![CDATA[",
    "<a",
    "<SVG/onload=alert(1)>",
    "<javascript:alert(1)>",
    "![x](http://evil/pixel)",
    "[x](javascript:alert(1))",
    "\x1b]0;owned\x07\x1b[2J",
    "if (admin) { /* \u202e } \u2066 */",
    "a\x00b\x7f\x9bc\u2028d\u200be\x0cf",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_source_gets_no_markup_into_markdown(text: str) -> None:
    row = page_markdown(text_page(text.encode() + b"\n")).splitlines()[0]
    assert not re.search(r"<[A-Za-z!/?]\w*[\s/>=:\[-]|\]\(|<a \|", row)
    assert all(character.isprintable() and character not in "\u202e\u200b" for character in row)


@pytest.mark.parametrize(
    "text", ["a < b", "#include <linux/irq.h>", "<video/mach64.h>", "<a.b@c.d>", "a <= b", "a<<3"]
)
def test_what_is_no_markup_is_not_escaped(text: str) -> None:
    assert page_markdown(text_page(text.encode())).splitlines()[0] == f"1 | {text} |"


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_a_source_gets_no_markup_into_html(text: str) -> None:
    found = _Tags()
    found.feed(page_html(text_page(text.encode() + b"\n"), style=False))
    assert found.tags <= {"article", "header", "p", "table", "tr", "td", "a", "pre", "span"}
    assert found.attributes <= {"class", "data-file", "data-layer", "id", "href"}


def test_html_has_the_text_and_links_on_its_page() -> None:
    html = page_html(page())
    assert html.startswith(
        '<article class="ksurf-source" data-file="drivers/demo/demo.c" data-layer="semantic">\n<style>'
    )
    assert '<tr id="L11" class="inactive">' in html
    assert '<span class="hint">object: </span>demo, ' in html
    assert '<a class="parameter" href="#L6" title="parameter flags: unsigned long">flags</a>' in html
    assert '<span class="function" title="function demo_call: ' in html
    linked = page_html(page(), lambda place: f"/{place.file}?a&b#L{place.line}", style=False)
    assert "<style>" not in linked
    assert 'href="/include/linux/demo.h?a&amp;b#L7"' in linked
    found = _Tags()
    found.feed(re.sub(r'<span class="hint">.*?</span>|<td class="number">.*?</td>', "", linked))
    assert all(line.strip() in found.text for line in SOURCE.decode().splitlines())


@pytest.mark.parametrize("text", HOSTILE)
def test_a_source_commands_no_terminal(text: str) -> None:
    for color in (False, True):
        shown = page_text(text_page(text.encode() + b"\n"), color=color)
        rest = re.sub(r"\x1b\[\d*m", "", shown) if color else shown
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\u200b]", rest)


def test_the_terminal_shows_the_file_as_it_is() -> None:
    plain = page_text(page(K73), color=False)
    colored = page_text(page(K73), color=True)
    assert re.sub(r"\x1b\[\d*m", "", colored) == plain
    lines = plain.splitlines()
    assert lines[0].startswith("drivers/demo/demo.c: debian_7.3.4-1, as ")
    rows = lines[3:16]
    assert [row[8:] for row in rows if row[:6].strip() != "8"] == [
        line for number, line in enumerate(SOURCE.decode().splitlines(), start=1) if number != 8
    ]
    assert rows[7] == '     8  \treturn demo_call(object: demo, flags, how: FLAGS | 0x1f, text: "a /* b */");'
    assert rows[10].startswith("    11- ")
    assert "\x1b[2mobject: \x1b[0mdemo" in colored
    assert lines[-1] == "    13  variable   int demo_table[]"


def test_a_page_of_another_layer_says_why_it_is_not_the_semantic_one() -> None:
    layer = PageLayer(Layer.NAMES, reason="no kernel is prepared", remedy="ksurf source prepare arm64")
    shown = replace(text_page(b"int a;\n"), layer=layer, notes=("only arm64 compiles it",))
    said = [
        "a.c: demo; names layer, no semantic one: no kernel is prepared",
        "ksurf source prepare arm64",
        "only arm64 compiles it",
    ]
    assert page_text(shown, color=False).splitlines()[:3] == said
    assert [line for line in page_markdown(shown).splitlines() if line][-3:] == said
    assert all(f"<p>{line}</p>" in page_html(shown) for line in said)
    assert json.loads(page_json(shown))["layer"]["name"] == "names"


def test_json_has_all_of_it() -> None:
    document = json.loads(page_json(page(K73)))
    assert (document["schema"], document["version"], document["line_count"]) == ("ksurf.source", 1, 13)
    assert document["kernel"]["release"] == K73.release
    assert [line["text"] for line in document["lines"]] == SOURCE.decode().splitlines()
    line = document["lines"][7]
    assert line["hints"][0] == {"start": 18, "name": "object"}
    token = line["tokens"][1]
    assert token == {"start": 8, "end": 17, "kind": "function", "role": "reference", "symbol": 2}
    assert document["symbols"][token["symbol"]]["definition"] == {
        "file": "include/linux/demo.h",
        "line": 7,
        "column": 12,
        "generated": False,
    }
    assert document["definitions"][1]["name"] == "demo_wake"


def test_an_empty_file_is_a_page_in_every_format() -> None:
    empty = text_page(b"")
    assert json.loads(page_json(empty))["lines"] == []
    assert page_markdown(empty).endswith("its names are not indexed\n")
    assert "<table>\n</table>" in page_html(empty)
    assert page_text(empty, color=True).endswith("\n")
