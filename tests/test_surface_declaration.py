"""Names put into C types."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.surface.declaration import declaration
from ksurf.surface.prototype import parse_prototype


@pytest.mark.parametrize(
    ("type_text", "expected"),
    [
        ("int", "int x"),
        ("long unsigned int", "long unsigned int x"),
        ("struct list_head", "struct list_head x"),
        ("struct mm_struct *", "struct mm_struct *x"),
        ("struct kvm_stat_data **", "struct kvm_stat_data **x"),
        ("struct kvm_memslots * [2]", "struct kvm_memslots * x[2]"),
        ("char [48]", "char x[48]"),
        ("char[16]", "char x[16]"),
        ("int []", "int x[]"),
        ("int [2][3]", "int x[2][3]"),
        ("struct (anon)", "struct (anon) x"),
        ("struct (anon) *", "struct (anon) *x"),
        ("union (anon) [4]", "union (anon) x[4]"),
        ("char * const", "char * const x"),
        ("const char * const *", "const char * const *x"),
        ("void (*)(int)", "void (*x)(int)"),
        ("struct kvm_vcpu * (*)(struct kvm *, u32)", "struct kvm_vcpu * (*x)(struct kvm *, u32)"),
        ("int (* [4])(struct kvm_vcpu *)", "int (*x[4])(struct kvm_vcpu *)"),
        ("int (*[4])(struct kvm_vcpu *)", "int (*x[4])(struct kvm_vcpu *)"),
        ("void (* const)(void)", "void (* const x)(void)"),
        ("void (**)(void)", "void (**x)(void)"),
        ("void (*(*)(int))(void)", "void (*(*x)(int))(void)"),
        ("void (*)(void (*)(void))", "void (*x)(void (*)(void))"),
        ("int (*)[4]", "int (*x)[4]"),
        ("void (int)", "void x(int)"),
        ("void (int (*)(void))", "void x(int (*)(void))"),
        ("struct kvm * (int)", "struct kvm * x(int)"),
        ("__data_loc char[]", "__data_loc char[] x"),
        ("", "x"),
    ],
)  # fmt: skip
def test_a_name_goes_where_c_has_it(type_text: str, expected: str) -> None:
    assert declaration(type_text, "x") == expected


BASES = st.sampled_from(["int", "long unsigned int", "struct kvm", "union (anon)", "const u8", "enum e"])


def declared(depth: int = 3) -> st.SearchStrategy[tuple[str, str]]:
    """A type's text and the same with the name ``x``, grown from the name outwards."""
    parameters = st.lists(BASES, max_size=3).map(lambda types: ", ".join(types) or "void")

    def grow(inner: str, steps: list[str], base: str) -> str:
        text = inner
        last = ""
        for step in steps:
            if step.startswith("*"):
                text = f"{step}{text}"
            elif last.startswith("*"):
                text = f"({text}){step}"
            else:
                text = f"{text}{step}"
            last = step
        gap = "" if text.startswith("*") and not text.startswith("*(") else " "
        return f"{base} {text}" if gap or text else base

    step = st.one_of(st.just("*"), st.just("* const "), st.just("[4]"), parameters.map("({})".format))
    return st.tuples(BASES, st.lists(step, max_size=depth)).map(
        lambda made: (grow("", made[1], made[0]), grow("x", made[1], made[0]))
    )


@given(declared())
def test_any_declarator_takes_the_name(made: tuple[str, str]) -> None:
    without, expected = made
    assert declaration(without, "x").replace(" ", "") == expected.replace(" ", "")


@given(BASES, st.lists(BASES, max_size=3))
def test_what_takes_a_name_gives_it_back(returned: str, parameters: list[str]) -> None:
    """A parameter that is declared is read back as the same name and type."""
    pointer = f"{returned} (*)({', '.join(parameters) or 'void'})"
    (param,) = parse_prototype(f"void f({declaration(pointer, 'x')});", "f").params
    assert (param.name, param.type) == ("x", pointer)
