"""Names of parameters at arguments: each rule, alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_units import make_units, read

BEFORE = """\
struct ops { int (*go)(int speed, int way); };
typedef int (*handler)(int event);
struct box { struct ops *ops; handler handle; };
int two(int first, int second);
int one(int value);
int unnamed(int, int named);
int __under(int __x);
int many(const char *format, ...);
int set_size(int size);
int set_other(int thing);
#define LIMIT 7
#define both(a) two(a, 0)
#define added(a) one(a + 1)
#define wrapped(a) ({ int wrapped_ = one(a); wrapped_; })
#define guard(name) int made_ = guard_##name
int guard_lock(int T);
"""


@pytest.mark.parametrize(
    ("code", "hints"),
    [
        ("two(1, x)", {"1": "first", "x": "second"}),
        ("two(first, second)", {}),
        ("two(x + 1, -x)", {"x + 1": "first", "-x": "second"}),
        ("two(/*first=*/1, /* second */ 2)", {}),
        ("two(/*other=*/1, second)", {"1": "first"}),
        ("unnamed(1, 2)", {"2": "named"}),
        ("__under(1)", {"1": "x"}),
        ('many("%d", 1)', {'"%d"': "format"}),
        ("set_size(1)", {}),
        ("set_other(1)", {"1": "thing"}),
        ("one(LIMIT)", {"LIMIT": "value"}),
        ("one(LIMIT + 1)", {"LIMIT + 1": "value"}),
        ("one(one(3))", {"one(3)": "value", "3": "value"}),
        # A macro's argument that becomes the whole argument of a function is that argument.
        ("both(x)", {"x": "first"}),
        ("wrapped(LIMIT)", {"LIMIT": "value"}),
        # What a macro adds to is not.
        ("added(x)", {}),
        ("one(both(x))", {"both(x)": "value", "x": "first"}),
        ("b->ops->go(1, 2)", {"1": "speed", "2": "way"}),
        ("b->handle(5)", {"5": "event"}),
        ("cb(5)", {"5": "delta"}),
    ],
)
def test_hints(code: str, hints: dict[str, str], tmp_path: Path) -> None:
    line = f"\treturn {code};\n"
    head = "int f(int x, int first, int second, struct box *b, int (*cb)(int delta))\n{\n"
    source = BEFORE + head + line + "}\n"
    seen = read(make_units(tmp_path, {"a.c": source}), "a.c")
    assert not seen.diagnostics
    number = source[: source.index(line)].count("\n") + 1
    found = {(hint.column, hint.name) for hint in seen.hints if hint.line == number}
    # An argument that occurs twice is meant where it stands last.
    assert found == {(line.rindex(argument) + 1, name) for argument, name in hints.items()}


def test_a_call_whose_name_a_macro_makes(tmp_path: Path) -> None:
    source = BEFORE + "void f(int x)\n{\n\tguard(lock)(x);\n}\n"
    seen = read(make_units(tmp_path, {"a.c": source}), "a.c")
    assert [hint.name for hint in seen.hints if hint.line == source.count("\n") - 1] == ["T"]


GENERIC = """\
struct args { int align; };
void *with(const char *name, struct args *args);
void *plain(const char *name, unsigned int align);
void *twin(const char *title, unsigned int align);
#define make(n, a) _Generic((a), struct args *: with, default: plain)(n, a)
#define made(n, a) _Generic((a), int: plain, char: plain, struct args *: with)(n, a)
#define either(n, a) _Generic((a), int: plain, default: twin)(n, a)
void f(struct args *it)
{
	make("x", it);
	make("x", 8);
	made("x", 8);
	either("x", 8);
}
"""


def test_generic_selections_call_what_was_chosen(tmp_path: Path) -> None:
    seen = read(make_units(tmp_path, {"a.c": GENERIC}), "a.c")
    called = [(call.line, seen.symbols[call.symbol].name, call.macro) for call in seen.calls if call.symbol]
    # Two functions of one type: which of them is chosen is not told, but what both call their parameters.
    assert called == [(10, "with", "make"), (11, "plain", "make"), (12, "plain", "made")]
    hints = [(hint.line, hint.name) for hint in seen.hints]
    assert hints == [
        (10, "name"),
        (10, "args"),
        (11, "name"),
        (11, "align"),
        (12, "name"),
        (12, "align"),
        (13, "align"),
    ]


MACROS = """\
struct s { int low, high, both; };
int real(int it);
int pair(int *at, int to);
void show(const char *format, ...);
#define fake(x) real((x) + 1)
#define print(...) show(__VA_ARGS__)
#define spread(p, field) pair(&(p)->field, (p)->both)
#define whole(p, w) ((w) ? real((p)->low) : real(p->high))
#define twice(a, b) real(a b)
#define EIGHT 8
#define wrapped(x) real(x)
int f(struct s *it, int y)
{
	print("x", fake(y));
	print("x", real(y));
	spread(it, low);
	real(whole(it, y));
	twice(y, + 1);
	print("x", wrapped(EIGHT));
	return real((it->low)) + real((y));
}
int g(int it) { return real((it)); }
"""


def test_no_hint_at_what_a_macro_adds_to(tmp_path: Path) -> None:
    seen = read(make_units(tmp_path, {"a.c": MACROS}), "a.c")
    hints = [(hint.line, hint.column) for hint in seen.hints if hint.name == "it"]
    assert hints == [(15, 18), (17, 7), (19, 21), (20, 14), (20, 32)]
    nested = [(call.line, call.macro) for call in seen.calls if seen.symbols[call.symbol or 0].name == "real"]
    assert nested[:2] == [(14, "fake"), (15, None)]
