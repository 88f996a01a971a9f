"""Types judged, written as C, and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ksurf.dataset.rows import Definition, Member, TypeUse
from ksurf.surface.function import Status
from ksurf.surface.symbol import compare_statuses
from ksurf.surface.type_change import compare_types
from ksurf.surface.types import c_text, enumerators, fields, judge_type
from made_kernel import kernel
from made_types import enum, func, member, rows, struct, texts, typedef

NESTED = struct(
    "kvm",
    member("spinlock_t mmu_lock", offset=0, size=4),
    member("union", offset=8, size=8),
    member("int a", depth=1, offset=8, size=4),
    member("struct", depth=1, offset=8, size=8),
    member("int b", depth=2, offset=8, size=4),
    Member(0, "irqfds", "struct (anon) [2]", 128, 48),
    member("spinlock_t lock", depth=1, offset=16, size=4),
    member("u8 flag:1", offset=64, size=1),
    size=72,
)


def test_paths_leave_out_what_has_no_name() -> None:
    assert list(fields(NESTED)) == ["mmu_lock", "a", "b", "irqfds", "irqfds.lock", "flag"]
    assert fields(NESTED)["irqfds.lock"].text == "spinlock_t irqfds.lock"
    assert fields(NESTED)["flag"].text == "u8 flag:1"
    assert fields(NESTED)["flag"].place == "byte 64, bit 0"


def test_what_has_no_name_stands_in_the_struct() -> None:
    assert c_text(NESTED) == [
        "struct kvm {",
        "    spinlock_t mmu_lock;",
        "    union {",
        "        int a;",
        "        struct {",
        "            int b;",
        "        };",
        "    };",
        "    struct (anon) irqfds[2];",
        "    u8 flag:1;",
        "};",
    ]
    assert c_text(NESTED, nested=True)[8:11] == [
        "    struct {",
        "        spinlock_t lock;",
        "    } irqfds[2];",
    ]


def test_depths_without_sense_do_no_harm() -> None:
    odd = replace(NESTED, members=(member("int a", depth=7), member("int b", depth=2), Member(0, None, None)))
    assert list(fields(odd)) == ["a", "b"]
    assert c_text(odd)[0] == "struct kvm {"


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (typedef("gfn_t", "u64"), ["typedef u64 gfn_t;"]),
        (typedef("handler_t", "void (*)(int)"), ["typedef void (*handler_t)(int);"]),
        (
            typedef("pair_t", "struct (anon)", member("int a"), member("int b")),
            ["typedef struct {", "    int a;", "    int b;", "} pair_t;"],
        ),
        (
            typedef("pte_t", "enum (anon)", Member(0, "A", None, value=1)),
            ["typedef enum {", "    A = 1,", "} pte_t;"],
        ),
        (enum("e", A=0, B=5), ["enum e {", "    A = 0,", "    B = 5,", "};"]),
        (
            func("find", "struct kvm_vcpu *", "struct kvm *kvm", "int id"),
            ["struct kvm_vcpu *find(struct kvm *kvm, int id);"],
        ),
        (func("f", "void"), ["void f(void);"]),
        (func("get", "void (*)(int)", "int n"), ["void (*get(int n))(int);"]),
        (Definition(1, "var", "jiffies", None, None, "volatile long unsigned int", None, ()),
         ["volatile long unsigned int jiffies;"]),
    ],
)  # fmt: skip
def test_each_kind_is_written_in_c(definition: Definition, expected: list[str]) -> None:
    assert c_text(definition) == expected


def test_unsigned_values_are_written_as_they_are() -> None:
    assert enumerators(enum("e", A=-1)) == {"A": (1 << 64) - 1}
    assert enumerators(enum("e", signed=True, A=-1)) == {"A": -1}


def test_a_type_is_absent_ok_or_a_collision() -> None:
    one = struct("twin", "int a")
    other = struct("twin", "char *a")
    assert judge_type(rows(kernel(), "twin")).statuses == (Status.ABSENT,)
    same = judge_type(rows(kernel(), "twin", ("kvm", one), ("vmlinux", one)))
    assert same.statuses == ()
    assert [variant.images for variant in same.variants] == [("vmlinux", "kvm")]
    both = replace(
        rows(kernel(), "twin", ("xfs", one), ("vmlinux", other)),
        uses=(TypeUse(one.key, "xfs", "func", "use_twin"),),
    )
    status = judge_type(both)
    assert status.statuses == (Status.COLLISION,)
    assert [variant.images for variant in status.variants] == [("vmlinux",), ("xfs",)]
    assert status.reasons == ("the one in xfs is used by func use_twin",)


def changes(old: Definition, new: Definition) -> list[str]:
    return texts(compare_types(old, new))


def test_the_same_is_no_change() -> None:
    assert changes(NESTED, replace(NESTED, key=0)) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (struct("s", "int a"), struct("s", "int a", "int b"), ["Field added: int b"]),
        (struct("s", "int a", "int b"), struct("s", "int a"), ["Field removed: int b"]),
        (struct("s", "int a"), struct("s", "long a"), ["Field type changed: int a -> long a"]),
        (struct("s", "int a:3"), struct("s", "int a:4"), ["Bit field changed: int a:3 -> int a:4"]),
        (struct("s", "int a"), struct("s", "int a:1"), ["Bit field changed: int a -> int a:1"]),
        (
            struct("s", member("struct x a", size=4)),
            struct("s", member("struct x a", size=8)),
            ["Field size changed: a: 4 bytes -> a: 8 bytes"],
        ),
        (
            struct("s", member("int a", offset=0)),
            struct("s", member("int a", offset=8)),
            ["Field offset changed: a: byte 0 -> a: byte 8"],
        ),
        (struct("s", size=8), struct("s", size=16), ["Size changed: 8 bytes -> 16 bytes"]),
        (enum("e", A=1), enum("e", A=1, B=2), ["Enum value added: B = 2"]),
        (enum("e", A=1, B=2), enum("e", A=1), ["Enum value removed: B = 2"]),
        (enum("e", A=1), enum("e", A=2), ["Enum value changed: A = 1 -> A = 2"]),
        (enum("e", A=1), enum("e", signed=True, A=1), ["Sign changed: unsigned -> signed"]),
        (typedef("t", "u32"), typedef("t", "u64"), ["Typedef target changed: u32 t -> u64 t"]),
        (func("f", "int", "int a"), func("f", "void", "int a"), ["Return type changed: int -> void"]),
        (func("f", "int", "int a"), func("f", "int", "int a", "int b"), ["Param added: int b"]),
        (
            Definition(1, "var", "v", None, None, "int", None, ()),
            Definition(2, "var", "v", None, None, "long int", None, ()),
            ["Variable type changed: int v -> long int v"],
        ),
    ],
)
def test_each_kind_of_change(old: Definition, new: Definition, expected: list[str]) -> None:
    assert changes(old, new) == expected


def test_what_comes_with_its_struct_is_one_change() -> None:
    grown = struct("s", "int a", Member(0, "in", "struct (anon)"), member("int b", depth=1))
    assert changes(struct("s", "int a"), grown) == ["Field added: struct (anon) in"]
    more = replace(grown, members=(*grown.members, member("int c", depth=1)))
    assert changes(grown, more) == ["Field added: int in.c"]


def test_a_renamed_enumerator_has_the_same_value() -> None:
    old, new = enum("e", MODE_OLD_NAME=4, B=5), enum("e", MODE_NEW_NAME=4, B=5)
    assert changes(old, new) == [
        "Enum value added: MODE_NEW_NAME = 4",
        "Enum value removed: MODE_OLD_NAME = 4",
        "Rename proposed: MODE_OLD_NAME = 4 -> MODE_NEW_NAME = 4",
    ]


def test_of_several_definitions_those_of_one_image_are_compared() -> None:
    a, b, c = struct("s", "int a"), struct("s", "char *b"), struct("s", "int a", "int more")
    old = judge_type(rows(kernel(), "s", ("vmlinux", a), ("xfs", b)))
    new = judge_type(rows(kernel(), "s", ("xfs", b), ("vmlinux", c)))
    assert texts(compare_statuses(old, new, compare_types)) == ["Field added: int more"]
    assert compare_statuses(old, old, compare_types) == ()
    alone = judge_type(rows(kernel(), "s", ("vmlinux", a)))
    assert texts(compare_statuses(old, alone, compare_types)) == ["Definition removed: xfs"]
    assert texts(compare_statuses(alone, old, compare_types)) == ["Definition added: xfs"]
