"""What differs between two kernels: of each kind what was added, removed and changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.kernel import Kernel
from ksurf.report.everything import DIFF_KINDS, differences
from ksurf.surface.diff import KindDiff
from made_kernel import MadeKernel, kernel, kvm_kernel, offering_kernel
from made_types import texts

OLD, NEW = kernel("6.1.5"), kernel("6.12.1")


def compared(dataset: Path, old: MadeKernel, new: MadeKernel) -> dict[str, KindDiff]:
    places: list[tuple[Kernel, Path]] = []
    for made, identity in ((old, OLD), (new, NEW)):
        made.write(dataset, identity)
        places.append((identity, dataset / "kernels" / f"kernel={identity.id}"))
    return {diff.kind: diff for diff in differences(places[0], places[1])}


def changes(diff: KindDiff) -> dict[str, list[str]]:
    return {entry.name: texts(entry.changes) for entry in diff.changed}


def test_the_same_kernel_twice(tmp_path: Path) -> None:
    found = compared(tmp_path, kvm_kernel(), kvm_kernel())
    assert list(found) == list(DIFF_KINDS)
    assert all(diff.total == 0 and not diff.renames for diff in found.values())


def test_only_the_kinds_that_are_asked_for(tmp_path: Path) -> None:
    for identity in (OLD, NEW):
        offering_kernel().write(tmp_path, identity)
    places = [(identity, tmp_path / "kernels" / f"kernel={identity.id}") for identity in (OLD, NEW)]
    for kind in DIFF_KINDS:
        assert [diff.kind for diff in differences(places[0], places[1], [kind])] == [kind]


def test_what_is_not_known_of_one_kernel_is_not_compared(tmp_path: Path) -> None:
    without = offering_kernel()
    del without.others["config"]
    config = compared(tmp_path, without, offering_kernel())["config"]
    assert (config.unknown, config.total) == ((OLD.id,), 0)


def test_types(tmp_path: Path) -> None:
    old, new = offering_kernel(0), offering_kernel(1)
    old.struct("old_thing", ("int", "a", 0, 4), ("u64", "b", 8, 8))
    new.struct("new_thing", ("int", "a", 0, 4), ("u64", "b", 8, 8))
    new.type("typedef", "gfn_t", type="u64")
    found = compared(tmp_path, old, new)
    assert changes(found["struct"]) == {
        "kvm": ["Field offset changed: flag: byte 40, bit 0 -> flag: byte 40, bit 1"]
    }
    assert (found["struct"].removed, found["struct"].added) == (("old_thing",), ("new_thing",))
    assert texts(found["struct"].renames) == ["Rename proposed: old_thing -> new_thing"]
    assert found["typedef"].added == ("gfn_t",)
    assert changes(found["config"]) == {
        "CONFIG_NUMBER": ["Value changed: CONFIG_NUMBER=0 -> CONFIG_NUMBER=1"]
    }
    assert found["struct"].counts() == {"Field offset changed": 1}


def test_the_same_definition_in_another_image_is_no_change(tmp_path: Path) -> None:
    sides = []
    for image in (0, 1):
        made = MadeKernel()
        made.image()
        made.image("kvm")
        made.struct("s", ("int", "a", 0, 4), image=image)
        sides.append(made)
    assert compared(tmp_path, *sides)["struct"].total == 0


def test_a_further_definition_is_a_change(tmp_path: Path) -> None:
    old, new = offering_kernel(), offering_kernel()
    new.struct("list_head", ("int", "odd", 0, 4), image=1)
    assert changes(compared(tmp_path, old, new)["struct"]) == {"list_head": ["Definition added: kvm"]}


def test_what_only_follows_from_other_changes_comes_last(tmp_path: Path) -> None:
    sides = []
    for crc, gpl in ((1, False), (2, True)):
        made = MadeKernel()
        made.image()
        made.add("exports", name="a_first", image=0, gpl=False, crc=crc)
        made.add("exports", name="z_last", image=0, gpl=gpl, crc=crc)
        sides.append(made)
    found = compared(tmp_path, *sides)["export"]
    assert [entry.name for entry in found.changed] == ["z_last", "a_first"]
    assert found.counts() == {"CRC changed": 2, "License changed": 1}


def with_function(name: str, prototype: str | None, *, file: str = "fs/f.c", code: bool = True) -> MadeKernel:
    made = MadeKernel()
    unit = made.unit(file, made.image())
    function = made.function(name, file, external=True, prototype=prototype)
    if code:
        instance = made.instance(function, unit, address=0x100)
        made.symbol(name, instance, bind="STB_GLOBAL")
    return made


def test_functions(tmp_path: Path) -> None:
    found = compared(tmp_path, with_function("f", "int f(int a);"), with_function("f", "int f(long a);"))
    assert changes(found["function"]) == {"f": ["Param type changed: int a -> long a"]}


def test_what_is_only_declared_is_not_there(tmp_path: Path) -> None:
    found = compared(
        tmp_path, with_function("f", "int f(int a);"), with_function("f", "int f(int a);", code=False)
    )
    assert found["function"].removed == ("f",)


def test_a_renamed_function(tmp_path: Path) -> None:
    old = with_function("kvm_vcpu_kick", "void kvm_vcpu_kick(struct kvm_vcpu *vcpu);")
    new = with_function("__kvm_vcpu_kick", "void __kvm_vcpu_kick(struct kvm_vcpu *vcpu);")
    (rename,) = compared(tmp_path, old, new)["function"].renames
    assert (rename.old, rename.new) == ("kvm_vcpu_kick", "__kvm_vcpu_kick")
    assert "same place fs/f.c" in rename.evidence


def test_tracepoints_with_their_prototypes(tmp_path: Path) -> None:
    sides = []
    for size, parameter in ((8, "struct page *"), (16, "struct folio *")):
        made = MadeKernel()
        made.image()
        made.tracepoint("mm", "mm_fault", ("char", "a[8]", 8, size))
        made.prototype("__traceiter_mm_fault", "int", ("void *", "__data"), (parameter, "p"))
        made.tracepoint("mm", f"mm_only_{size}")
        sides.append(made)
    found = compared(tmp_path, *sides)["tracepoint"]
    assert changes(found) == {
        "mm:mm_fault": [
            "Field size changed: a: 8 bytes -> a: 16 bytes",
            "Prototype changed: void mm_fault(struct page *p); -> void mm_fault(struct folio *p);",
        ]
    }
    assert (found.added, found.removed) == (("mm:mm_only_16",), ("mm:mm_only_8",))


def test_tracepoints_whose_prototype_only_a_typedef_has(tmp_path: Path) -> None:
    sides = []
    for parameter in ("struct page *", "struct folio *"):
        made = MadeKernel()
        made.image()
        made.tracepoint("mm", "mm_fault", ("char", "a[8]", 8, 8))
        made.type("typedef", "btf_trace_mm_fault", type=f"void (*)(void *, {parameter})")
        sides.append(made)
    assert changes(compared(tmp_path, *sides)["tracepoint"]) == {
        "mm:mm_fault": ["Prototype changed: void mm_fault(struct page *); -> void mm_fault(struct folio *);"]
    }


@pytest.mark.parametrize(
    ("kind", "table", "row", "other", "expected"),
    [
        ("syscall", "syscalls", {"abi": "64", "number": 1, "name": "x", "entry": "a"}, {"number": 2},
         "Number changed: 64: 1 -> 64: 2"),
        ("export", "exports", {"name": "x", "image": 0, "gpl": False}, {"gpl": True},
         "License changed: any license -> GPL only"),
        ("kfunc", "btf_ids",
         {"set": "s", "image": 0, "set_flags": 1, "kind": "func", "name": "x", "flags": 1}, {"flags": 2},
         "Flags changed: KF_ACQUIRE -> KF_RELEASE"),
    ],
)  # fmt: skip
def test_what_kernels_offer(
    tmp_path: Path, kind: str, table: str, row: dict[str, object], other: dict[str, object], expected: str
) -> None:
    sides = []
    for values in (row, {**row, **other}):
        made = MadeKernel()
        made.image()
        made.add(table, **values)
        sides.append(made)
    assert changes(compared(tmp_path, *sides)[kind]) == {"x": [expected]}


def test_hooks(tmp_path: Path) -> None:
    sides = []
    for text in ("int (*)(struct file *)", "int (*)(struct file *, int)"):
        made = MadeKernel()
        made.image()
        member = {"type": text, "name": "file_open", "bit_offset": 0, "byte_size": 8}
        made.type("union", "security_list_options", [member], byte_size=8)
        sides.append(made)
    assert changes(compared(tmp_path, *sides)["lsm"]) == {
        "file_open": [
            "Prototype changed: int file_open(struct file *); -> int file_open(struct file *, int);"
        ]
    }
