"""What tokens are, and what code does, in tiny sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.source.place import Place
from ksurf.source.semantic.clang import ParseError
from ksurf.source.semantic.codec import decode, decode_inputs, encode
from ksurf.source.semantic.model import Role, SemanticFile, Symbol, SymbolKind, Unparsed
from made_units import make_units, read

HEADER = """\
#ifndef S_H
#define S_H
struct ops { int (*go)(int speed, void *); };
struct s { int plain; struct { int inner; }; const struct ops *ops; };
enum colour { RED, GREEN };
typedef unsigned int u32;
int far(struct s *what, int count);
static inline int near(int distance) { return distance; }
#define TWICE(x) ((x) + (x))
#endif
"""
SOURCE = """\
#include <s.h>
static int mine(int speed, void *data)
{
	return speed;
}
const struct ops mine_ops = { .go = mine };
int counter;
#if 0
int left_out;
#endif
int far(struct s *what, int count)
{
	u32 total = RED;
	if (what->inner)
		goto out;
	what->ops = &mine_ops;
	total += near(TWICE(count)) + what->ops->go(1, what);
out:
	return __builtin_offsetof(struct s, plain) + total;
}
"""


@pytest.fixture
def seen(tmp_path: Path) -> SemanticFile:
    return read(make_units(tmp_path, {"include/s.h": HEADER, "a.c": SOURCE}), "a.c")


def at(seen: SemanticFile, line: int, name: str) -> tuple[Symbol, Role]:
    found = [
        (symbol, token.role)
        for token in seen.tokens
        if token.line == line and (symbol := seen.symbols[token.symbol]).name == name
    ]
    assert found, f"no {name} in line {line}"
    return found[0]


def test_each_token_leads_to_its_definition(seen: SemanticFile) -> None:
    for line, name, kind, place in (
        (13, "u32", SymbolKind.TYPEDEF, Place("include/s.h", 6, 22)),
        (13, "RED", SymbolKind.ENUMERATOR, Place("include/s.h", 5, 15)),
        (14, "inner", SymbolKind.FIELD, Place("include/s.h", 4, 36)),
        (14, "what", SymbolKind.PARAMETER, Place("a.c", 11, 19)),
        (15, "out", SymbolKind.LABEL, Place("a.c", 18, 1)),
        (16, "mine_ops", SymbolKind.VARIABLE, Place("a.c", 6, 18)),
        (17, "near", SymbolKind.FUNCTION, Place("include/s.h", 8, 19)),
        (17, "TWICE", SymbolKind.MACRO, Place("include/s.h", 9, 9)),
        (17, "count", SymbolKind.PARAMETER, Place("a.c", 11, 29)),
        (17, "go", SymbolKind.FIELD, Place("include/s.h", 3, 20)),
        (19, "plain", SymbolKind.FIELD, Place("include/s.h", 4, 16)),
        (19, "s", SymbolKind.STRUCT, Place("include/s.h", 4, 8)),
    ):
        symbol, role = at(seen, line, name)
        assert (symbol.kind, symbol.definition, role) == (kind, place, Role.REFERENCE), name


def test_a_definition_knows_its_declaration_and_type(seen: SemanticFile) -> None:
    far, role = at(seen, 11, "far")
    assert role is Role.DEFINITION
    assert far.declaration == Place("include/s.h", 7, 5)
    assert far.type == "int (struct s *, int)"
    assert not far.is_local
    mine, _ = at(seen, 2, "mine")
    assert mine.is_local and mine.declaration is None
    assert at(seen, 7, "counter")[1] is Role.DEFINITION
    assert at(seen, 14, "inner")[0].owner == "s"
    assert at(seen, 13, "RED")[0].owner == "colour"


def test_tokens_know_the_function_around_them(seen: SemanticFile) -> None:
    assert {token.function for token in seen.tokens if token.line == 17} == {"far"}
    assert {token.function for token in seen.tokens if token.line == 6} == {None}


def test_definitions_stand_in_order(seen: SemanticFile) -> None:
    found = [(seen.symbols[one.symbol].name, one.first_line, one.last_line) for one in seen.definitions]
    assert found == [("mine", 2, 5), ("mine_ops", 6, 6), ("counter", 7, 7), ("far", 11, 20)]


def test_calls_say_through_what(seen: SemanticFile) -> None:
    calls = [
        (call.line, seen.symbols[call.symbol].name if call.symbol is not None else None, call.is_direct)
        for call in seen.calls
    ]
    assert calls == [(17, "near", True), (17, "go", False)]


def test_functions_stored_in_fields_are_registered(seen: SemanticFile) -> None:
    found = [
        (one.line, seen.symbols[one.field].name, seen.symbols[one.value].name, one.holder)
        for one in seen.registrations
    ]
    assert found == [(6, "go", "mine", "mine_ops"), (16, "ops", "mine_ops", "far")]


def test_lines_that_the_preprocessor_left_out(seen: SemanticFile) -> None:
    assert [(one.first, one.last) for one in seen.inactive] == [(9, 9)]
    assert not [token for token in seen.tokens if token.line == 9]
    assert seen.includes[0].place == Place("include/s.h", 1, 1)


def test_a_header_is_seen_through_a_unit(tmp_path: Path) -> None:
    units = make_units(tmp_path, {"include/s.h": HEADER, "a.c": SOURCE, "b.c": "int b;\n"})
    seen = read(units, "include/s.h", "a.c")
    assert at(seen, 7, "far")[0].definition == Place("a.c", 11, 5)
    assert at(seen, 7, "far")[1] is Role.DECLARATION
    with pytest.raises(ParseError, match="does not include"):
        read(units, "include/s.h", "b.c")


def test_unnamed_types_have_no_paths_in_them(tmp_path: Path) -> None:
    seen = read(make_units(tmp_path, {"a.c": "struct { int x; } v; int f(void) { return v.x; }\n"}), "a.c")
    assert str(tmp_path) not in repr(seen)
    assert at(seen, 1, "v")[0].type == "struct (unnamed struct)"


def test_what_macros_call_stands_at_the_macro(tmp_path: Path) -> None:
    source = "void real(int it);\n#define fake(x) real(x)\nvoid f(int y)\n{\n\tfake(y);\n}\n"
    seen = read(make_units(tmp_path, {"a.c": source}), "a.c")
    (call,) = seen.calls
    assert (call.line, call.macro, call.is_direct) == (5, "fake", True)
    (expansion,) = seen.expansions
    assert (expansion.line, expansion.column, expansion.end_column) == (5, 2, 9)


def test_errors_name_their_place(tmp_path: Path) -> None:
    seen = read(make_units(tmp_path, {"a.c": "int f(void)\n{\n\treturn nothing;\n}\n"}), "a.c")
    (said,) = seen.diagnostics
    assert str(said).startswith("a.c:3: use of undeclared identifier 'nothing'")


def test_results_survive_the_way_to_disk(seen: SemanticFile) -> None:
    inputs = [("{tree}/a.c", 5, 6, "00")]
    content = encode(seen, inputs)
    assert decode(content) == seen
    assert decode_inputs(content) == (True, inputs)
    failed = Unparsed("a.c", "a.o", "clang crashed", seen.diagnostics)
    assert decode(encode(failed, [])) == failed


@pytest.mark.parametrize("damage", [b"", b"\x05\x00\x00\x00", b"\xff" * 40, b"\x00" * 40])
def test_damaged_results_are_told(damage: bytes, seen: SemanticFile) -> None:
    for content in (damage, encode(seen, [])[: len(damage)], encode(seen, [])[:-9]):
        with pytest.raises(ValueError, match="not a result"):
            decode(content)
