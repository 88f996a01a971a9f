"""Types on kernels as Debian ships them: their reports, their history, and what differs between two."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from real_kernels import RealKernels
from report_shape import misshapen_type

pytestmark = pytest.mark.network

SELECTORS = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:6.12-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.12-cloud-arm64",
    "debian:6.12-ppc64el",
)
BASELINE = ("--baseline", "6.12-cloud-amd64")


@pytest.fixture
def ids(real_kernels: RealKernels) -> list[str]:
    """The options that choose these kernels, whatever else the tests' dataset has."""
    return [word for s in SELECTORS for word in ("--on", real_kernels.pull(s).kernel.id)]


def by_label(document: str) -> dict[str, dict[str, Any]]:
    """The kernels' entries of a report on one symbol."""
    (symbol,) = json.loads(document)["symbols"]
    return {entry["label"]: entry for group in symbol["groups"] for entry in group["kernels"]}


def test_struct_kvm_has_the_published_shape(real_kernels: RealKernels, ids: list[str]) -> None:
    text = real_kernels.ksurf("show", "struct", "kvm", "--format", "md", *BASELINE, *ids)
    assert misshapen_type(text) is None
    labels = re.findall(r"<summary>In <code>([^<]+)</code>: ✅</summary>\n\n```c\nstruct kvm \{\n", text)
    assert labels == ["5.10", "6.1", "6.12", "7.3", "arm64", "ppc64el"]
    for line in ("    struct kvm_memslots * memslots[2];", "    struct (anon) irqfds;"):
        assert f"\n{line}\n" in text
    assert (
        "<b>Field type changed. </b>\n<code>spinlock_t mmu_lock</code> ➡️ <code>rwlock_t mmu_lock</code>"
        in text
    )


def test_kvmppc_ops_is_on_ppc64el_only(real_kernels: RealKernels, ids: list[str]) -> None:
    text = real_kernels.ksurf("show", "struct", "kvmppc_ops", "--format", "md", *BASELINE, *ids)
    assert misshapen_type(text) is None
    assert re.findall(r"<summary>In <code>([^<]+)</code>: ✅", text) == ["ppc64el"]
    assert "\n    int (*get_sregs)(struct kvm_vcpu *, struct kvm_sregs *);\n" in text
    assert text.count("Absent ⚠️") == 5
    found = by_label(real_kernels.ksurf("show", "struct", "kvmppc_ops", "--format", "json", *BASELINE, *ids))
    (definition,) = found["ppc64el"]["definitions"]
    # The part of KVM that runs in real mode is built in, and its types are vmlinux's.
    assert definition["images"] == ["vmlinux"]


def test_the_history_of_struct_kvm_proposes_the_rename(real_kernels: RealKernels, ids: list[str]) -> None:
    text = real_kernels.ksurf("history", "struct", "kvm", *ids)
    line = re.search(
        r"5\.10 → 6\.1 +Rename proposed: .*mmu_notifier_seq → .*mmu_invalidate_seq \((\d+)%", text
    )
    assert line is not None
    assert int(line[1]) >= 65
    # Beside the removal and the addition, never instead of them.
    assert re.search(r"5\.10 → 6\.1 +Field removed: long unsigned int mmu_notifier_seq\n", text)
    assert re.search(r"5\.10 → 6\.1 +Field added: long unsigned int mmu_invalidate_seq\n", text)
    assert "mmu_notifier_count → long int mmu_invalidate_in_progress" in text


def test_a_field_in_another_struct(real_kernels: RealKernels, ids: list[str]) -> None:
    name = "task_struct::se.vruntime"
    found = by_label(real_kernels.ksurf("show", "field", name, "--format", "json", *BASELINE, *ids))
    for entry in found.values():
        (definition,) = entry["definitions"]
        assert (definition["type"], definition["byte_size"]) == ("u64", 8)
        assert definition["bit_offset"] > 0


@pytest.mark.parametrize(
    ("hook", "absent"),
    # include/linux/lsm_hook_defs.h of each version.
    [
        ("file_open", ()),
        ("bpf_token_create", ("5.10", "6.1")),
        ("key_free", ("6.12", "7.3", "arm64", "ppc64el")),
    ],
)
def test_hooks_before_and_after_static_calls(
    real_kernels: RealKernels, ids: list[str], hook: str, absent: tuple[str, ...]
) -> None:
    found = by_label(real_kernels.ksurf("show", "lsm", hook, "--format", "json", *BASELINE, *ids))
    assert tuple(label for label, entry in found.items() if not entry["present"]) == absent


def test_everything_between_two_kernels(real_kernels: RealKernels) -> None:
    pair = [real_kernels.pull(selector).kernel.id for selector in SELECTORS[1:3]]
    document = json.loads(real_kernels.ksurf("diff", *pair, "--format", "json"))
    kinds = {entry["kind"]: entry for entry in document["kinds"]}
    # Of these versions' own lists: arch/x86/entry/syscalls/syscall_64.tbl, include/linux/lsm_hook_defs.h.
    assert {"cachestat", "fchmodat2", "map_shadow_stack", "mseal", "statmount"} <= set(
        kinds["syscall"]["added"]
    )
    assert "bpf_token_create" in kinds["lsm"]["added"]
    structs = {entry["name"]: entry["changes"] for entry in kinds["struct"]["changed"]}
    assert {"kind": "FieldAdded", "field": "nr_memslots_dirty_logging"}.items() <= next(
        change for change in structs["kvm"] if change.get("field") == "nr_memslots_dirty_logging"
    ).items()
    names = [name for kind in kinds.values() for name in (*kind["added"], *kind["removed"])]
    assert len(names) > 1000


def test_a_search_finds_all_kinds(real_kernels: RealKernels, ids: list[str]) -> None:
    found = json.loads(real_kernels.ksurf("search", "kvm", "--limit", "0", "--format", "json", *ids))
    hits = {(hit["kind"], hit["name"]): hit["kernels"] for hit in found["symbols"]}
    assert found["symbols"][0] == {"kind": "struct", "name": "kvm", "kernels": len(SELECTORS)}
    assert hits[("struct", "kvm_vcpu")] == len(SELECTORS)
    assert {"function", "struct", "enum", "config"} <= {kind for kind, _ in hits}
