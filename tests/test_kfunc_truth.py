"""Kfuncs of real kernels, and what else the kernel offers to BPF programs, equal those of their sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from bpf_truth import KERNELS, TrueKfunc, read_kfuncs, read_struct_ops
from ksurf.dataset import lookup
from ksurf.dataset.rows import BtfId, Definition
from ksurf.surface.kfunc import BTF_SET8_KFUNCS, flag_names, is_kfunc
from real_kernels import Pulled, RealKernels

true_kfuncs = cache(read_kfuncs)
PREFIX = "BPF_PROG_TYPE_"
FMODRET = frozenset({"fmodret"})

# Read in the source of each version by a person: name, set, flags, and the program types of the set.
BY_HAND: dict[str, list[tuple[str, str, str, str]]] = {
    "5.10": [],  # the first kfuncs came with 5.13
    "6.1": [
        ("crash_kexec", "tracing_btf_ids", "KF_DESTRUCTIVE", "TRACING"),
        ("cgroup_rstat_updated", "bpf_rstat_kfunc_ids", "", "TRACING"),
        ("cgroup_rstat_flush", "bpf_rstat_kfunc_ids", "KF_SLEEPABLE", "TRACING"),
        ("bpf_lookup_user_key", "key_sig_kfunc_set", "KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE", "TRACING"),
        ("bpf_lookup_system_key", "key_sig_kfunc_set", "KF_ACQUIRE KF_RET_NULL", "TRACING"),
        ("bpf_key_put", "key_sig_kfunc_set", "KF_RELEASE", "TRACING"),
        ("bpf_verify_pkcs7_signature", "key_sig_kfunc_set", "KF_SLEEPABLE", "TRACING"),
        ("bpf_xdp_ct_lookup", "nf_ct_kfunc_set", "KF_ACQUIRE KF_RET_NULL", "XDP SCHED_CLS"),
        ("bpf_ct_insert_entry", "nf_ct_kfunc_set", "KF_ACQUIRE KF_RELEASE KF_RET_NULL", "XDP SCHED_CLS"),
        ("bpf_ct_release", "nf_ct_kfunc_set", "KF_RELEASE", "XDP SCHED_CLS"),
        ("bpf_ct_set_timeout", "nf_ct_kfunc_set", "KF_TRUSTED_ARGS", "XDP SCHED_CLS"),
        ("bpf_ct_set_nat_info", "nf_nat_kfunc_set", "KF_TRUSTED_ARGS", "XDP SCHED_CLS"),
        ("cubictcp_init", "tcp_cubic_check_kfunc_ids", "", "STRUCT_OPS"),
        ("bbr_main", "tcp_bbr_check_kfunc_ids", "", "STRUCT_OPS"),
        ("tcp_reno_ssthresh", "bpf_tcp_ca_check_kfunc_ids", "", "STRUCT_OPS"),
        ("tcp_slow_start", "bpf_tcp_ca_check_kfunc_ids", "", "STRUCT_OPS"),
        ("bpf_kfunc_call_test1", "test_sk_check_kfunc_ids", "", "SCHED_CLS TRACING SYSCALL"),
        (
            "bpf_kfunc_call_test_kptr_get",
            "test_sk_check_kfunc_ids",
            "KF_ACQUIRE KF_RET_NULL KF_KPTR_GET",
            "SCHED_CLS TRACING SYSCALL",
        ),
    ],
    "6.12": [
        ("crash_kexec", "generic_btf_ids", "KF_DESTRUCTIVE", "GENERIC"),
        ("bpf_obj_new_impl", "generic_btf_ids", "KF_ACQUIRE KF_RET_NULL", "GENERIC"),
        ("bpf_task_acquire", "generic_btf_ids", "KF_ACQUIRE KF_RET_NULL KF_RCU", "GENERIC"),
        ("bpf_task_release", "generic_btf_ids", "KF_RELEASE", "GENERIC"),
        ("bpf_cgroup_ancestor", "generic_btf_ids", "KF_ACQUIRE KF_RET_NULL KF_RCU", "GENERIC"),
        ("bpf_throw", "generic_btf_ids", "", "GENERIC"),
        ("bpf_rdonly_cast", "common_btf_ids", "", "UNSPEC"),
        ("bpf_iter_num_next", "common_btf_ids", "KF_RET_NULL KF_ITER_NEXT", "UNSPEC"),
        ("bpf_iter_css_new", "common_btf_ids", "KF_TRUSTED_ARGS KF_ITER_NEW KF_RCU_PROTECTED", "UNSPEC"),
        ("bpf_copy_from_user_str", "common_btf_ids", "KF_SLEEPABLE", "UNSPEC"),
        ("bpf_get_task_exe_file", "bpf_fs_kfunc_set_ids", "KF_ACQUIRE KF_RET_NULL KF_TRUSTED_ARGS", "LSM"),
        ("bpf_get_fsverity_digest", "fsverity_set_ids", "KF_TRUSTED_ARGS", "LSM"),
        ("bpf_cpumask_create", "cpumask_kfunc_btf_ids", "KF_ACQUIRE KF_RET_NULL", "CPUMASK"),
        ("bpf_cpumask_first", "cpumask_kfunc_btf_ids", "KF_RCU", "CPUMASK"),
        (
            "bpf_crypto_ctx_create",
            "crypt_init_kfunc_btf_ids",
            "KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE",
            "SYSCALL",
        ),
        ("bpf_crypto_decrypt", "crypt_kfunc_btf_ids", "KF_RCU", "SCHED_CLS SCHED_ACT XDP"),
        ("bpf_arena_alloc_pages", "arena_kfuncs", "KF_TRUSTED_ARGS KF_SLEEPABLE", "UNSPEC"),
        ("bpf_map_sum_elem_count", "bpf_map_iter_kfunc_ids", "KF_TRUSTED_ARGS", "UNSPEC"),
        ("bpf_dynptr_from_skb", "bpf_kfunc_check_set_skb", "KF_TRUSTED_ARGS", "SKB"),
        ("bpf_xdp_metadata_rx_hash", "xdp_metadata_kfunc_ids", "KF_TRUSTED_ARGS", "XDP"),
        ("bpf_ct_change_status", "nf_ct_kfunc_set", "KF_TRUSTED_ARGS", "XDP SCHED_CLS"),
        ("bpf_kfunc_call_memb_release", "test_sk_check_kfunc_ids", "KF_RELEASE", "SCHED_CLS TRACING SYSCALL"),
    ],
    "7.3": [
        ("bpf_obj_new", "generic_btf_ids", "KF_ACQUIRE KF_RET_NULL KF_IMPLICIT_ARGS", "GENERIC"),
        (
            "bpf_refcount_acquire",
            "generic_btf_ids",
            "KF_ACQUIRE KF_RET_NULL KF_RCU KF_IMPLICIT_ARGS KF_SPINLOCK_SAFE",
            "GENERIC",
        ),
        ("bpf_lookup_user_key", "generic_btf_ids", "KF_ACQUIRE KF_RET_NULL KF_SLEEPABLE", "GENERIC"),
        ("bpf_rdonly_cast", "common_btf_ids", "KF_FASTCALL KF_PERFMON", "UNSPEC"),
        ("bpf_iter_dmabuf_new", "common_btf_ids", "KF_SLEEPABLE KF_ITER_NEW", "UNSPEC"),
        ("bpf_strncasestr", "common_btf_ids", "KF_PERFMON", "UNSPEC"),
        ("bpf_timer_cancel_async", "common_btf_ids", "", "UNSPEC"),
        (
            "bpf_arena_alloc_pages",
            "arena_kfuncs",
            "KF_ARENA_RET KF_ARENA_ARG2 KF_SPINLOCK_SAFE",
            "UNSPEC",
        ),
        ("bpf_res_spin_lock", "rqspinlock_kfunc_ids", "KF_RET_NULL KF_SPINLOCK_SAFE", "UNSPEC"),
        ("bpf_get_mem_cgroup", "bpf_memcontrol_kfuncs", "KF_ACQUIRE KF_RET_NULL KF_RCU", "UNSPEC"),
        ("bpf_wakeup_sources_read_lock", "wakeup_source_kfunc_ids", "KF_ACQUIRE", "SYSCALL"),
        ("bpf_kfree_skb", "qdisc_kfunc_ids", "KF_RELEASE", "STRUCT_OPS"),
        ("bpf_dynptr_from_skb", "qdisc_kfunc_ids", "", "STRUCT_OPS"),
        ("bpf_dynptr_from_skb", "bpf_kfunc_check_set_skb", "", "SKB"),
        ("bpf_ksock_send", "ksock_kfunc_btf_ids", "KF_SLEEPABLE", "SYSCALL LSM"),
        ("bpf_io_uring_get_region", "io_uring_kfunc_set", "KF_RET_NULL", "STRUCT_OPS"),
        ("bpf_session_cookie", "session_kfunc_set_ids", "", "KPROBE TRACING"),
        ("bpf_icmp_send", "bpf_kfunc_check_set_icmp_send", "", "CGROUP_SKB"),
        ("bpf_xdp_pull_data", "bpf_kfunc_check_set_xdp", "", "XDP"),
        (
            "scx_bpf_dsq_insert___v2",
            "scx_kfunc_ids_enqueue_dispatch",
            "KF_RCU KF_IMPLICIT_ARGS",
            "STRUCT_OPS",
        ),
        ("scx_bpf_cid_topo", "scx_kfunc_ids_cid", "KF_IMPLICIT_ARGS", "STRUCT_OPS TRACING SYSCALL"),
        (
            "scx_bpf_pick_idle_cpu",
            "scx_kfunc_ids_idle",
            "KF_RCU KF_IMPLICIT_ARGS",
            "STRUCT_OPS TRACING SYSCALL",
        ),
    ],
}
# The long ones: kernel/bpf/helpers.c, kernel/bpf/cpumask.c, net/core/filter.c.
PROGRAM_TYPES = {
    "GENERIC": "TRACING SCHED_CLS XDP STRUCT_OPS SYSCALL CGROUP_SKB",
    "CPUMASK": "TRACING STRUCT_OPS SYSCALL",
    "SKB": (
        "SCHED_CLS SCHED_ACT SK_SKB SOCKET_FILTER CGROUP_SKB LWT_OUT LWT_IN LWT_XMIT LWT_SEG6LOCAL NETFILTER"
        " TRACING"
    ),
}

# What the source registers and the compiler leaves out: fs/bpf_fs_kfuncs.c does it `if (... !IS_ENABLED(
# CONFIG_BINFMT_MISC_BPF)) return`, and Debian's cloud kernels have no such option.
NOT_COMPILED = {("7.3", "bpf_fs_kfunc_set_ids"): {"STRUCT_OPS"}}

# include/uapi/linux/bpf.h: the enum's last enumerator and its value, read by a person. Values begin at 0 and
# have no gaps.
LAST: dict[str, dict[str, tuple[str, int]]] = {
    "5.10": {
        "bpf_prog_type": ("BPF_PROG_TYPE_SK_LOOKUP", 30),
        "bpf_map_type": ("BPF_MAP_TYPE_INODE_STORAGE", 28),
        "bpf_attach_type": ("BPF_XDP", 37),
        "bpf_func_id": ("BPF_FUNC_redirect_peer", 155),
    },
    "6.1": {
        "bpf_prog_type": ("BPF_PROG_TYPE_SYSCALL", 31),
        "bpf_map_type": ("BPF_MAP_TYPE_USER_RINGBUF", 31),
        "bpf_attach_type": ("BPF_LSM_CGROUP", 43),
        "bpf_func_id": ("BPF_FUNC_user_ringbuf_drain", 209),
    },
    "6.12": {
        "bpf_prog_type": ("BPF_PROG_TYPE_NETFILTER", 32),
        "bpf_map_type": ("BPF_MAP_TYPE_ARENA", 33),
        "bpf_attach_type": ("BPF_TRACE_KPROBE_SESSION", 56),
        "bpf_func_id": ("BPF_FUNC_cgrp_storage_delete", 211),
    },
    "7.3": {
        "bpf_prog_type": ("BPF_PROG_TYPE_NETFILTER", 32),
        "bpf_map_type": ("BPF_MAP_TYPE_RHASH", 35),
        "bpf_attach_type": ("BPF_TRACE_FSESSION_MULTI", 61),
        "bpf_func_id": ("BPF_FUNC_cgrp_storage_delete", 211),
    },
}
SPOTS = {
    "BPF_PROG_TYPE_KPROBE": 2,
    "BPF_PROG_TYPE_TRACING": 26,
    "BPF_MAP_TYPE_HASH": 1,
    "BPF_MAP_TYPE_RINGBUF": 27,
    "BPF_TRACE_FENTRY": 24,
    "BPF_LSM_MAC": 27,
    "BPF_FUNC_unspec": 0,
    "BPF_FUNC_map_lookup_elem": 1,
}


class Found(NamedTuple):
    """What a dataset says of a kernel's sets with flags."""

    version: str
    arch: str
    truth: list[TrueKfunc]
    rows: tuple[BtfId, ...]
    kernel: Pulled


@pytest.fixture(params=KERNELS, ids="-".join)
def found(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Found:
    version, arch = request.param
    pulled = real_kernels.pull(f"debian:{version}-cloud-{arch}")
    (rows,) = lookup.btf_ids([pulled])
    assert rows, "a kernel without any set"
    flagged = tuple(row for row in rows if row.set_flags is not None)
    return Found(version, arch, true_kfuncs(version, arch), flagged, pulled)


@pytest.mark.parametrize(("version", "arch"), KERNELS)
def test_the_list_has_what_a_person_read_in_the_source(version: str, arch: str) -> None:
    truth = {(kfunc.name, kfunc.set): kfunc for kfunc in true_kfuncs(version, arch)}
    for name, set_, flags, program_types in BY_HAND[version]:
        kfunc = truth[name, set_]
        assert kfunc.flags == tuple(flags.split())
        assert kfunc.registered == {*PROGRAM_TYPES.get(program_types, program_types).split()}
    assert len(truth) == {"5.10": 0, "6.1": 67, "6.12": 164, "7.3": 376}[version]
    # In the source, and not built for these kernels: drivers/hid/bpf, 6.12's kernel/sched/ext.c.
    names = {name for name, _ in truth}
    assert "hid_bpf_get_data" not in names
    assert ("scx_bpf_kick_cpu" in names) == (version == "7.3")


@pytest.mark.network
def test_sets_with_flags_are_those_of_the_source(found: Found) -> None:
    ours = [(row.set, row.name, row.flags, row.kind, row.set_flags == BTF_SET8_KFUNCS) for row in found.rows]
    assert sorted(ours) == sorted(
        (kfunc.set, kfunc.name, kfunc.flags_value, "func", kfunc.marked) for kfunc in found.truth
    )


@pytest.mark.network
def test_a_set_lies_in_the_image_that_its_file_was_compiled_into(found: Found) -> None:
    images = pq.read_table(found.kernel.tables / "images.parquet", columns=["id", "name"]).to_pylist()
    names = {row["id"]: row["name"] for row in images}
    units = pq.read_table(found.kernel.tables / "units.parquet", columns=["image", "path"]).to_pylist()
    image_of = {row["path"]: names[row["image"]] for row in units}
    # kernel/sched/build_policy.c includes the files of sched_ext.
    true = {kfunc.set: image_of.get(kfunc.file, "vmlinux") for kfunc in found.truth}
    assert {row.set: row.image for row in found.rows} == true


@pytest.mark.network
def test_flags_have_the_names_of_the_source(found: Found) -> None:
    names = {kfunc.flags_value: kfunc.flags for kfunc in found.truth}
    assert {row.flags: flag_names(row.flags or 0) for row in found.rows} == names


@pytest.mark.network
def test_program_types_are_those_of_the_source(found: Found, note: Callable[[str], None]) -> None:
    numbers = {member.value: member.name for member in enum(found.kernel, "bpf_prog_type").members}
    registered = {
        kfunc.set: kfunc.registered - NOT_COMPILED.get((found.version, kfunc.set), set())
        for kfunc in found.truth
    }
    told = {row.set: row for row in found.rows if row.registered_as}
    for name, row in told.items():
        values = [int(value) for value in (row.program_types or "").replace(",", " ").split()]
        ours = {(numbers[value] or "").removeprefix(PREFIX) for value in values}
        assert row.registered_as == ("fmod_ret" if registered[name] == FMODRET else "kfunc"), name
        assert ours == registered[name] - FMODRET, name
    known = {name for name, kinds in registered.items() if kinds}
    if found.truth:
        release = found.kernel.kernel.release
        note(f"{release}: how {len(told)} of {len(known)} sets of kfuncs are registered is told")
    assert told.keys() == known


@pytest.mark.network
def test_kfuncs_are_those_that_the_source_registers(found: Found) -> None:
    kfuncs = {kfunc.name for kfunc in found.truth if kfunc.registered - FMODRET}
    assert {row.name for row in found.rows if is_kfunc(row)} == kfuncs
    assert {name for name, *_ in BY_HAND[found.version]} <= kfuncs
    if found.version == "5.10":
        assert not kfuncs


@pytest.mark.network
def test_sql_shows_flags_and_program_types_of_kfuncs_by_name(found: Found, real_kernels: RealKernels) -> None:
    rows = sql(real_kernels, "SELECT name, set, flags, program_types FROM kfuncs", found.kernel)
    ours = {
        (row["name"], row["set"]): ((row["flags"] or "").split(), {*(row["program_types"] or "").split()})
        for row in rows
    }
    assert len(ours) == len(rows)
    assert ours == {
        (kfunc.name, kfunc.set): (
            [*kfunc.flags],
            {
                f"{PREFIX}{kind}"
                for kind in kfunc.registered - NOT_COMPILED.get((found.version, kfunc.set), set())
            },
        )
        for kfunc in found.truth
        # A set that nothing registers is one of kfuncs by its flag.
        if kfunc.registered != FMODRET and (kfunc.registered or kfunc.marked)
    }


def sql(real_kernels: RealKernels, statement: str, kernel: Pulled) -> list[dict[str, Any]]:
    """The rows of a statement about one kernel."""
    rows: list[dict[str, Any]] = json.loads(
        real_kernels.ksurf("sql", statement, "--format", "json", "--on", kernel.kernel.id)
    )
    return rows


def enum(kernel: Pulled, name: str) -> Definition:
    """The definition of an enum of vmlinux."""
    (rows,) = lookup.types_named([name], [kernel], kinds=("enum",))[name]
    (one,) = [row for row in rows.types if row.image == "vmlinux"]
    return one.definition


@pytest.mark.network
def test_types_of_programs_maps_and_attachments_and_helpers_are_those_of_the_source(found: Found) -> None:
    spots = dict(SPOTS)
    for name, (last, value) in LAST[found.version].items():
        members = {member.name: member.value for member in enum(found.kernel, name).members}
        # The end of an enum is an enumerator too.
        values = {member: number for member, number in members.items() if not (member or "").startswith("__")}
        assert values[last] == value
        assert set(values.values()) == set(range(value + 1))
        for spot in spots.keys() & values.keys():
            assert values[spot] == spots.pop(spot)
    assert not spots


@pytest.mark.network
def test_struct_ops_are_those_of_the_source(found: Found, real_kernels: RealKernels) -> None:
    rows = sql(real_kernels, "SELECT image, name FROM struct_ops", found.kernel)
    assert sorted(row["name"] for row in rows) == sorted(read_struct_ops(found.version, found.arch))
    assert {row["image"] for row in rows} == {"vmlinux"}
