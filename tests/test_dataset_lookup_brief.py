"""Functions looked up in brief: what they leave out, and that it changes no judgement."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.dataset.lookup import functions_named
from ksurf.dataset.lookup.brief import callers_named, code_symbols, functions_in_brief, prototypes_named
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.surface.function import judge
from made_kernel import kernel, kvm_kernel

KERNEL = kernel()
NAMES = ("kvm_vcpu_kick", "kvm_make_request", "post", "outer", "wake_up_process", "nonesuch")


@pytest.fixture
def places(tmp_path: Path) -> list[tuple[Kernel, Path]]:
    kvm_kernel().write(tmp_path, KERNEL)
    return [(KERNEL, Store(tmp_path).directory(KERNEL.id))]


def test_they_are_judged_as_in_full(places: list[tuple[Kernel, Path]]) -> None:
    brief, full = functions_in_brief(NAMES, places), functions_named(NAMES, places)
    for name in NAMES:
        (one,), (other,) = brief[name], full[name]
        short, long = judge(one), judge(other)
        assert (short.statuses, short.inline, short.suffixes) == (long.statuses, long.inline, long.suffixes)
        assert [s.name for s in short.symbols] == [s.name for s in long.symbols]
        assert [[c.caller for c in i.inline_callers or ()] for i in short.instances] == [
            [c.caller for c in i.inline_callers or ()] for i in long.instances
        ]


def test_files_are_read_where_they_are_asked_for(places: list[tuple[Kernel, Path]]) -> None:
    name = "kvm_make_request"
    (without,), (placed,) = (functions_in_brief([name], places, placed=p)[name] for p in ((), {name}))
    assert [f.decl_file for f in without.functions] == [None]
    assert [f.decl_file for f in placed.functions] == ["include/linux/kvm_host.h"]


def test_callers_may_be_left_out(places: list[tuple[Kernel, Path]]) -> None:
    (rows,) = functions_in_brief(["kvm_make_request"], places, callers=False)["kvm_make_request"]
    assert (rows.call_sites, [i.inlined for i in rows.instances]) == ((), [True, True])
    (callers,) = callers_named(["kvm_make_request", "kvm_vcpu_kick", "nonesuch"], places)
    assert callers == {
        "kvm_make_request": {"kvm_vcpu_kick", "outer"},
        "kvm_vcpu_kick": {"outer"},
        "nonesuch": frozenset(),
    }


def test_prototypes_of_debug_information(places: list[tuple[Kernel, Path]]) -> None:
    assert prototypes_named(["kvm_vcpu_kick", "nonesuch"], places) == [
        {"kvm_vcpu_kick": ("void kvm_vcpu_kick(struct kvm_vcpu *vcpu);",)}
    ]


def test_symbols_by_a_pattern_that_may_be_none(places: list[tuple[Kernel, Path]]) -> None:
    (found,) = code_symbols(["wake_.*", "(", "a{1000000}"], places)
    assert [s["name"] for s in found["wake_.*"].symbols] == ["wake_up_process", "wake_up_process.cold"]
    assert [found[text].symbols for text in ("(", "a{1000000}")] == [(), ()]
