"""Pages of source: lines, what stands in them, and what a file defines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.errors import InputError
from ksurf.source.compose import names_page, semantic_page, signature, split_lines
from ksurf.source.highlight import highlight
from ksurf.source.names import Definition, FileNames, Identifier
from ksurf.source.page import Hint, Layer, Line, Page, PageLayer, Span, SpanKind
from ksurf.source.place import Place
from ksurf.source.semantic.model import Definition as SemanticDefinition
from ksurf.source.semantic.model import Role, Symbol, SymbolKind, Tokens
from made_page import SOURCE, page, seen

TEXT_ONLY = PageLayer(Layer.TEXT, reason="its names are not indexed")


def text_page(content: bytes, file: str = "a.c", *definitions: Definition) -> Page:
    names = FileNames(file, 0, definitions, ()) if definitions else None
    return names_page(content, file, names, TEXT_ONLY, tree="demo", kernel=None)


def definition(name: str, kind: str, line: int = 1, column: int = 1, end_line: int = 3) -> Definition:
    return Definition(name, kind, Place("a.c", line, column), line, end_line, False, False)


def kinds(text: str) -> list[tuple[str, str]]:
    lines = text.split("\n")
    return [
        (lines[row][span.start : span.end], span.kind)
        for row, spans in enumerate(highlight(lines))
        for span in spans
    ]


def test_what_shows_without_names() -> None:
    assert kinds('#  include_next <a/b.h> // "c"') == [
        ("#  include_next", "directive"),
        ("<a/b.h>", "include"),
        ('// "c"', "comment"),
    ]
    assert kinds('if (x1 == 0x1fUL && ifs) return \'a\' < "\\"//";') == [
        ("if", "keyword"),
        ("0x1fUL", "number"),
        ("return", "keyword"),
        ("'a'", "string"),
        ('"\\"//"', "string"),
    ]
    assert kinds("#define A <b>\nx # y") == [("#define", "directive")]


def test_a_comment_is_a_span_of_each_of_its_lines() -> None:
    assert kinds("a /* b\n\n c */ int // d \\\n e\nf") == [
        ("/* b", "comment"),
        (" c */", "comment"),
        ("int", "keyword"),
        ("// d \\", "comment"),
        (" e", "comment"),
    ]


def test_what_has_no_end_ends_with_its_line_or_the_file() -> None:
    assert kinds('"a\nb \'c\n/* d\ne "') == [
        ('"a', "string"),
        ("'c", "string"),
        ("/* d", "comment"),
        ('e "', "comment"),
    ]
    assert kinds('"a \\') == [('"a \\', "string")]
    assert kinds("// a \\") == [("// a \\", "comment")]


@given(st.text(alphabet="ab1 \"'/*\\\n#<>\té", max_size=60))
def test_spans_are_in_order_and_inside_their_lines(text: str) -> None:
    lines = text.split("\n")
    for line, spans in zip(lines, highlight(lines), strict=True):
        ends = [0, *(end for span in spans for end in (span.start, span.end)), len(line)]
        assert ends == sorted(ends)
        assert all(span.start < span.end for span in spans)


def test_lines_end_as_compilers_count_them() -> None:
    assert split_lines(b"a\r\nb\rc\n\n") == [b"a", b"b\rc", b""]
    assert split_lines(b"a") == [b"a"]
    assert split_lines(b"") == []


def test_names_hints_and_what_is_left_out_stand_in_their_lines() -> None:
    found = page()
    call = found.lines[7]
    assert call.text == '\treturn demo_call(demo, flags, FLAGS | 0x1f, "a /* b */");'
    assert call.hints == (Hint(18, "object"), Hint(31, "how"), Hint(45, "text"))
    assert [(call.text[s.start : s.end], s.kind, s.role, s.symbol) for s in call.spans] == [
        ("return", SpanKind.KEYWORD, None, None),
        ("demo_call", SymbolKind.FUNCTION, Role.REFERENCE, 2),
        ("flags", SymbolKind.PARAMETER, Role.REFERENCE, 3),
        ("FLAGS", SymbolKind.MACRO, Role.REFERENCE, 0),
        ("0x1f", SpanKind.NUMBER, None, None),
        ('"a /* b */"', SpanKind.STRING, None, None),
    ]
    assert [line.number for line in found.lines if line.is_inactive] == [11]
    assert found.lines[3].text == "/* Wakes éveryone; at line 5"
    assert found.layer.layer is Layer.SEMANTIC
    assert found.layer.problems == ("drivers/demo/demo.c:8: unknown builtin",)


def test_definitions_are_listed_with_their_source_up_to_the_body() -> None:
    assert [(d.name, d.kind, d.line, d.last_line, d.signature) for d in page().definitions] == [
        ("FLAGS", "macro", 2, 2, "#define FLAGS (ONE | TWO)"),
        ("demo_wake", "function", 6, 9, "static int demo_wake(struct demo *demo, unsigned long flags)"),
        ("demo_table", "variable", 13, 13, "int demo_table[]"),
    ]


def test_what_macros_define_beside_what_is_written_is_not_listed() -> None:
    source = b"SYSCALL_DEFINE1(a, int, b)\n{\n\treturn b;\n}\nLIST_HEAD(list);\nmodule_init(start);\n"
    names = (
        ("__do_sys_a", SymbolKind.FUNCTION, 1, 4),
        ("types__a", SymbolKind.VARIABLE, 1, 1),
        ("list", SymbolKind.VARIABLE, 5, 5),
        ("__inittest", SymbolKind.FUNCTION, 6, 6),
    )
    symbols = tuple(Symbol(kind, name, name, "", None, None, None, False) for name, kind, _, _ in names)
    unit = replace(
        seen(),
        symbols=symbols,
        tokens=Tokens.of(()),
        hints=(),
        definitions=tuple(
            SemanticDefinition(number, line, line, last) for number, (_, _, line, last) in enumerate(names)
        ),
    )
    found = semantic_page(source, unit, tree="demo", kernel=None)
    assert [one.name for one in found.definitions] == ["__do_sys_a", "list"]


@pytest.mark.parametrize(
    ("source", "name", "kind", "expected"),
    [
        (b"#define A(x, \\\n y...) do { x; } while (0)", "A", "macro", "#define A(x, y...)"),
        (b"#define A 1 /* why */\nint b;", "A", "macro", "#define A 1"),
        (b"#define A(x) (x, \\\n 1)", "A", "macro", "#define A(x)"),
        (b"enum b { A = 1, B };", "A", "enumerator", "A = 1"),
        (b"enum b { A = 1, B };", "B", "enumerator", "B"),
        (b"struct c { int ab; char a[3]; } d;", "a", "member", "char a[3]"),
        (b"SYSCALL_DEFINE1(a, int, b)\n{", "sys_a", "syscall", "SYSCALL_DEFINE1(a, int, b)"),
        (b"int a(int b)\n#elif C\nint a(void)\n#endif\n{", "a", "function", "int a(int b)"),
        (b"SYSCALL_DEFINE1(a, int, b)\n{", "__do_sys_a", "function", "SYSCALL_DEFINE1(a, int, b)"),
        (b"a:  nop", "a", "label", "a: nop"),
        (b"struct a /* why */ {\n int b;\n};", "a", "struct", "struct a"),
        (b"typedef struct { int b; } a;", "a", "typedef", "typedef struct {…} a"),
        (b"typedef int (*a)(int);", "a", "typedef", "typedef int (*a)(int)"),
        (
            b'static const char a[sizeof("/*")] = "b";',
            "a",
            SymbolKind.VARIABLE,
            'static const char a[sizeof("/*")]',
        ),
    ],
)
def test_signatures(source: bytes, name: str, kind: str, expected: str) -> None:
    assert signature(source.decode().split("\n"), name, kind, 1) == expected


def test_columns_are_bytes_and_spans_are_characters() -> None:
    content = "\t/* é€ */ int ünter, b;\n".encode()
    column = content.index(b"b;") + 1
    found = text_page(content, "a.c", definition("b", "variable", 1, column, 1))
    line = found.lines[0]
    (name,) = [span for span in line.spans if span.role is Role.DEFINITION]
    assert line.text[name.start : name.end] == "b"


def test_what_a_stale_index_says_of_lines_that_are_gone_is_left_out() -> None:
    places = [
        definition("far", "function", 9, 1, 9),
        definition("right", "function", 1, 900, 1),
    ]
    assert text_page(b"int a;\n", "a.c", *places).lines == (
        Line(1, "int a;", (Span(0, 3, SpanKind.KEYWORD),)),
    )


def test_the_names_layer_knows_names_and_not_what_they_stand_for() -> None:
    content = b"struct a { int b; };\nint c(int if_b);\nint d(void) { return c(1); }\n"
    rows = [("a", "struct", 1, 8, False), ("b", "member", 1, 16, False), ("c", "function", 2, 5, True)]
    rows.append(("d", "function", 3, 5, False))
    definitions = tuple(
        Definition(name, kind, Place("a.c", line, column), line, line, False, declared)
        for name, kind, line, column, declared in rows
    )
    identifiers = tuple(
        Identifier(name, line, column)
        for name, line, column in (
            ("a", 1, 8),
            ("b", 1, 16),
            ("c", 2, 5),
            ("if_b", 2, 11),
            ("d", 3, 5),
            ("return", 3, 15),
        )
    )
    names = FileNames("a.c", 3, definitions, (*identifiers, Identifier("c", 3, 22)))
    found = names_page(content, "a.c", names, TEXT_ONLY, tree="demo", kernel=None)
    assert [
        (line.number, line.text[span.start : span.end], span.kind, span.role)
        for line in found.lines
        for span in line.spans
        if span.kind not in {"keyword", "number"}
    ] == [
        (1, "a", "struct", Role.DEFINITION),
        (1, "b", "member", Role.DEFINITION),
        (2, "c", "function", Role.DECLARATION),
        (2, "if_b", "identifier", None),
        (3, "d", "function", Role.DEFINITION),
        (3, "c", "identifier", None),
    ]
    assert [(one.name, one.signature) for one in found.definitions] == [
        ("a", "struct a"),
        ("d", "int d(void)"),
    ]


def test_a_file_that_is_no_c_is_plain() -> None:
    assert text_page(b"if return\n", "Kconfig").lines == (Line(1, "if return"),)


@given(st.binary(max_size=200), st.sampled_from(["a.c", "a.rst"]))
def test_any_bytes_make_a_page_with_all_their_lines(content: bytes, file: str) -> None:
    found = text_page(content, file)
    assert [line.text for line in found.lines] == [
        line.decode("utf-8", "replace") for line in split_lines(content)
    ]
    assert found.line_count == len(found.lines)


def test_some_lines_of_a_page() -> None:
    part = page().between(7, 9)
    assert [line.number for line in part.lines] == [7, 8, 9]
    assert [found.name for found in part.definitions] == ["demo_wake"]
    assert part.line_count == SOURCE.count(b"\n")
    assert [line.number for line in page().between(12, None).lines] == [12, 13]
    assert [line.number for line in page().between(13, 99).lines] == [13]
    for first, last in ((0, 3), (5, 4), (14, 20)):
        with pytest.raises(InputError):
            page().between(first, last)
