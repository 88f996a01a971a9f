"""Prototypes taken apart and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.dataset.rows import Function
from ksurf.surface.change import Change
from ksurf.surface.prototype import (
    ParamReordered,
    Prototype,
    compare_definitions,
    compare_prototypes,
    parse_prototype,
)


def params(text: str, name: str = "f") -> list[tuple[str | None, str]]:
    return [(param.name, param.type) for param in parse_prototype(text, name).params]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int f(void);", []),
        ("int f();", []),
        ("int f(int a, ...);", [("a", "int"), (None, "...")]),
        ("int f(...);", [(None, "...")]),
        ("void f(struct kvm_vcpu *vcpu);", [("vcpu", "struct kvm_vcpu *")]),
        ("void f(struct kvm_vcpu *);", [(None, "struct kvm_vcpu *")]),
        ("void f(struct file);", [(None, "struct file")]),
        ("void f(size_t);", [(None, "size_t")]),
        ("void f(const size_t);", [(None, "const size_t")]),
        ("void f(const size_t n);", [("n", "const size_t")]),
        ("void f(unsigned long);", [(None, "unsigned long")]),
        ("void f(long unsigned int flags);", [("flags", "long unsigned int")]),
        ("void f(BYTE * const end);", [("end", "BYTE * const")]),
        ("void f(char * const *);", [(None, "char * const *")]),
        ("void f(char *argv[4], int n[2][3]);", [("argv", "char *[4]"), ("n", "int[2][3]")]),
        ("void f(int (*get)(int, long int), int n);", [("get", "int (*)(int, long int)"), ("n", "int")]),
        ("void f(int (*)(int, long int));", [(None, "int (*)(int, long int)")]),
        ("void f(int (*(*get)(void))(char));", [("get", "int (*(*)(void))(char)")]),
        ("void f(int (*rows)[4]);", [("rows", "int (*)[4]")]),
        ("void f(void (**hook)(struct work *));", [("hook", "void (**)(struct work *)")]),
        ("void f(struct (anon) *x, union (anon));", [("x", "struct (anon) *"), (None, "union (anon)")]),
        ("usize f(&[u16; 8] self, *mut u8);", [("self", "&[u16; 8]"), (None, "*mut u8")]),
        (
            "u8 f(Result<&str, Error>, &mut Vec<u8> to);",
            [(None, "Result<&str, Error>"), ("to", "&mut Vec<u8>")],
        ),
    ],
)
def test_parameters(text: str, expected: list[tuple[str | None, str]]) -> None:
    assert params(text) == expected


@pytest.mark.parametrize(
    ("text", "name", "returned"),
    [
        ("int f(void);", "f", "int"),
        ("struct kvm_vcpu *find(int n);", "find", "struct kvm_vcpu *"),
        ("struct kvm_vcpu * const odd(void);", "odd", "struct kvm_vcpu * const"),
        ("void (*signal(int number, void (*to)(int)))(int);", "signal", "void (*)(int)"),
        ("handler_t (*get(int n))(int);", "get", "handler_t (*)(int)"),
        ("page_snapshot default(void);", "bindings::{impl#1009}::default", "page_snapshot"),
        (
            "&[u16] index<u16, ops::RangeTo>(&[u16] self);",
            "core::{impl#1}::index<u16, ops::RangeTo>",
            "&[u16]",
        ),
    ],
)
def test_return_types(text: str, name: str, returned: str) -> None:
    assert parse_prototype(text, name).return_type == returned


@pytest.mark.parametrize("text", ["", "int g(void);", "int f;", "int f(int (*)(;", "int of(void);"])
def test_what_declares_no_such_function_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no declaration|unbalanced"):
        parse_prototype(text, "f")


def told(changes: list[Change]) -> list[str]:
    return [change.label for change in changes]


def compared(old: str, new: str) -> list[Change]:
    return compare_prototypes(parse_prototype(old, "f"), parse_prototype(new, "f"))


@pytest.mark.parametrize(
    ("old", "new", "labels"),
    [
        ("int f(int a);", "int f(int a);", []),
        ("int f(int a);", "int f(int a, int b);", ["Param added"]),
        ("int f(int a, int b);", "int f(int b);", ["Param removed"]),
        ("int f(int a);", "int f(long int a);", ["Param type changed"]),
        ("int f(int a);", "long int f(int a);", ["Return type changed"]),
        ("int f(int a, char b);", "int f(char b, int a);", ["Param reordered"]),
        ("int f(int a, int b);", "int f(int new, int a, int b);", ["Param added"]),
        ("int f(int a, int b);", "int f(int a, int mid, int b);", ["Param added"]),
        (
            "int f(int a, int b, int c);",
            "int f(int c, int x, int a, int b);",
            ["Param added", "Param reordered"],
        ),
        ("int f(int nr);", "int f(int number);", ["Param renamed"]),
        ("int f(int nr);", "int f(char number);", ["Param added", "Param removed"]),
        ("int f(int);", "int f(char);", ["Param type changed"]),
        ("int f(int);", "int f(int n);", []),
        ("int f(int a);", "int f(int a, ...);", ["Param added"]),
        ("int f(int (*g)(int));", "int f(int (*g)(long int));", ["Param type changed"]),
    ],
)
def test_kinds_of_changes(old: str, new: str, labels: list[str]) -> None:
    assert told(compared(old, new)) == labels


def test_a_reordering_tells_both_orders_of_what_both_have() -> None:
    (change,) = compared("int f(int a, char b, long int c);", "int f(long int c, int a, char b);")
    assert isinstance(change, ParamReordered)
    assert [p.name for p in change.old] == ["a", "b", "c"]
    assert [p.name for p in change.new] == ["c", "a", "b"]


_TYPES = ["int", "char *", "struct kvm *", "int (*%s)(int, char *)", "u8 %s[4]", "const void *"]


@st.composite
def prototypes(draw: st.DrawFn) -> Prototype:
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=5))
    texts = []
    for name in names:
        kind = draw(st.sampled_from(_TYPES))
        texts.append(kind % name if "%s" in kind else f"{kind} {name}")
    return parse_prototype(f"int f({', '.join(texts) or 'void'});", "f")


@given(prototypes())
def test_nothing_changes_from_a_prototype_to_itself(one: Prototype) -> None:
    assert compare_prototypes(one, one) == []


@given(prototypes(), prototypes())
def test_different_prototypes_differ_and_what_comes_one_way_goes_the_other(
    a: Prototype, b: Prototype
) -> None:
    there, back = told(compare_prototypes(a, b)), told(compare_prototypes(b, a))
    assert bool(there) == (a != b)
    mirrored = {"Param added": "Param removed", "Param removed": "Param added"}
    assert sorted(there) == sorted(mirrored.get(label, label) for label in back)


@given(prototypes(), st.integers(0, 5))
def test_an_insertion_is_no_reordering(one: Prototype, place: int) -> None:
    new = parse_prototype("int f(long int inserted);", "f").params
    at = min(place, len(one.params))
    longer = replace(one, params=(*one.params[:at], *new, *one.params[at:]))
    assert told(compare_prototypes(one, longer)) == ["Param added"]


def function(prototype: str | None, file: str | None = "fs/f.c", name: str = "f") -> Function:
    return Function(0, name, None, file, 1, True, False, prototype)


def test_a_function_that_moved_is_compared_with_itself() -> None:
    old, new = function("int f(int a);", "mm/slab.c"), function("int f(int a, int b);", "mm/slub.c")
    assert told(compare_definitions([old], [new])) == ["Param added"]


def test_of_several_definitions_those_of_the_same_file_are_compared() -> None:
    old = [function("int f(int a);", "a.c"), function("int f(char b);", "b.c")]
    new = [
        function("int f(int a);", "a.c"),
        function("int f(char *b);", "b.c"),
        function("void f(void);", "c.c"),
    ]
    (change,) = compare_definitions(old, new)
    assert change.label == "Param type changed"


def test_a_prototype_that_both_have_is_unchanged() -> None:
    old = [function("int f(struct a *x);"), function("int f(struct b *x);")]
    assert compare_definitions(old, [function("int f(struct b *x);"), function("int f(struct a *x);")]) == []
    assert compare_definitions(old, [function("int f(struct b *x);")]) == []


def test_what_cannot_be_read_takes_no_part() -> None:
    assert compare_definitions([function("no declaration")], [function("int f(void);")]) == []
    assert compare_definitions([function(None)], [function("int f(void);")]) == []
