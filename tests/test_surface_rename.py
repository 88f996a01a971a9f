"""Proposed renames: known ones are found, and what only looks like one is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.surface.rename import THRESHOLD, Candidate, Whole, name_similarity, propose, propose_wholes
from ksurf.surface.type_change import type_whole
from made_types import enum


def candidates(*texts: str) -> list[Candidate]:
    """Fields as ``type name``, in their order."""
    return [Candidate(text.rpartition(" ")[2], text, text.rpartition(" ")[0], None) for text in texts]


def renames(old: list[Candidate], new: list[Candidate]) -> dict[str, str]:
    return {
        r.old.rpartition(" ")[2]: r.new.rpartition(" ")[2] for r in propose(old, new) if r.score >= THRESHOLD
    }


def test_kvm_from_5_10_to_6_1() -> None:
    before = candidates(
        *("struct mmu_notifier mmu_notifier", "ulong mmu_notifier_seq", "long mmu_notifier_count"),
        *("long tlbs_dirty", "struct list_head devices", "u32 dirty_ring_size"),
    )
    after = candidates(
        *("struct mmu_notifier mmu_notifier", "ulong mmu_invalidate_seq", "long mmu_invalidate_in_progress"),
        *("ulong mmu_invalidate_range_start", "ulong mmu_invalidate_range_end", "struct list_head devices"),
        *("u32 dirty_ring_size", "bool vm_bugged"),
    )
    assert renames(before, after) == {
        "mmu_notifier_seq": "mmu_invalidate_seq",
        "mmu_notifier_count": "mmu_invalidate_in_progress",
    }


def test_the_evidence_is_told() -> None:
    (proposal,) = propose(
        candidates("int a", "struct file *old_file", "int b"),
        candidates("int a", "struct file *new_file", "int b"),
    )
    assert proposal.score > THRESHOLD
    assert proposal.evidence[1:] == ("same type struct file", "between a and b")
    assert "alike" in proposal.evidence[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # The same type in the same place, and nothing else.
        ("int priority", "int capacity"),
        ("long int tlbs_dirty", "long int vm_flags"),
        ("spinlock_t gpc_lock", "struct list_head gpc_list"),
        ("struct kvm_vcpu *vcpus[1024]", "struct xarray vcpu_array"),
    ],
)
def test_something_else_in_the_same_place_is_no_rename(old: str, new: str) -> None:
    around = "struct mutex lock", "struct list_head devices"
    assert renames(candidates(around[0], old, around[1]), candidates(around[0], new, around[1])) == {}


def test_a_like_name_of_another_type_elsewhere_is_no_rename() -> None:
    before = candidates("int mmap_base", "int b", "int c")
    after = candidates("int b", "int c", "u64 mmap_legacy_base")
    assert renames(before, after) == {}


def test_each_side_is_taken_once() -> None:
    before = candidates("int a", "u64 map_base", "int z")
    after = candidates("int a", "u64 map_base1", "u64 map_base2", "int z")
    assert list(renames(before, after)) == ["map_base"]


@given(st.lists(st.text("abc_", min_size=1, max_size=8), unique=True, max_size=12))
def test_nothing_is_renamed_where_nothing_changed(names: list[str]) -> None:
    same = [Candidate(name, name, "int", None) for name in names]
    assert propose(same, same) == []


@given(st.text(), st.text())
def test_similarity_is_a_share(old: str, new: str) -> None:
    assert 0 <= name_similarity(old, new) <= 1
    assert name_similarity(old, old) in {0.5, 1.0}


def test_many_members_are_compared_by_their_words() -> None:
    before = candidates(*(f"int prefix{index}_old_thing" for index in range(400)))
    after = candidates(*(f"int prefix{index}_new_thing" for index in range(400)))
    assert len(renames(before, after)) == 400


def whole(name: str, place: str | None, *shape: str, callers: tuple[str, ...] = ()) -> Whole:
    return Whole(name, name, place, frozenset(shape), frozenset(callers))


def test_a_function_of_the_same_file_and_prototype() -> None:
    old = whole("kvm_vcpu_kick", "virt/kvm/kvm_main.c", "void", "struct kvm_vcpu *")
    new = whole("__kvm_vcpu_kick", "virt/kvm/kvm_main.c", "void", "struct kvm_vcpu *", "bool")
    (proposal,) = propose_wholes([old], [new])
    assert (proposal.old, proposal.new) == ("kvm_vcpu_kick", "__kvm_vcpu_kick")
    assert "same place virt/kvm/kvm_main.c" in proposal.evidence


def test_callers_speak_for_a_rename() -> None:
    old = whole("do_thing", "a.c", "int", callers=("x", "y"))
    new = whole("do_other_thing", "b.c", "int", callers=("x", "y"))
    (proposal,) = propose_wholes([old], [new])
    assert "same callers" in proposal.evidence
    assert propose_wholes([old], [whole("do_other_thing", "b.c", "void", callers=("z",))]) == []


def test_a_common_word_is_no_rename() -> None:
    old = whole("ext4_init", "fs/ext4/super.c", "int")
    new = whole("xfs_init", "fs/xfs/xfs_super.c", "int")
    assert propose_wholes([old], [new]) == []


def test_enums_are_recognized_by_names_not_by_values() -> None:
    old = [type_whole(enum("reg_arg_type", SRC_OP=0, DST_OP=1))]
    same = [type_whole(enum("bpf_reg_arg_type", SRC_OP=0, DST_OP=1))]
    other = [type_whole(enum("other_arg_type", FAST=0, SLOW=1))]
    assert [(one.old, one.new) for one in propose_wholes(old, same)] == [("reg_arg_type", "bpf_reg_arg_type")]
    assert propose_wholes(old, other) == []
