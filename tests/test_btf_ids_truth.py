"""Sets of BTF ids are those that the source lists: kfuncs with flags and program types, LSM hooks."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from real_kernels import RealKernels
from truth import TRUTH

pytestmark = pytest.mark.network

# include/uapi/linux/bpf.h: numbers never change.
PROGRAM_TYPES = (
    "UNSPEC SOCKET_FILTER KPROBE SCHED_CLS SCHED_ACT TRACEPOINT XDP PERF_EVENT CGROUP_SKB CGROUP_SOCK LWT_IN "
    "LWT_OUT LWT_XMIT SOCK_OPS SK_SKB CGROUP_DEVICE SK_MSG RAW_TRACEPOINT CGROUP_SOCK_ADDR LWT_SEG6LOCAL "
    "LIRC_MODE2 SK_REUSEPORT FLOW_DISSECTOR CGROUP_SYSCTL RAW_TRACEPOINT_WRITABLE CGROUP_SOCKOPT TRACING "
    "STRUCT_OPS EXT LSM SK_LOOKUP SYSCALL NETFILTER"
).split()

# The source's list does not know of `IS_ENABLED`: a call behind `CONFIG_BINFMT_MISC_BPF`, which is not set.
NOT_BUILT = {("kfuncs-7.3-amd64", "bpf_fs_kfunc_set_ids"): "STRUCT_OPS"}


class Listed(NamedTuple):
    """A list of the source, and the rows of the kernel that was built of it."""

    source: list[dict[str, str]]
    rows: list[dict[str, Any]]


def lists(what: str) -> list[Path]:
    return sorted(TRUTH.glob(f"{what}-*.tsv"))


def read(path: Path, real_kernels: RealKernels) -> Listed:
    """The kernel is named in the first line of the list."""
    first, *lines = path.read_text().splitlines()
    named = re.fullmatch(r"# linux-source-\S+ (\S+), as (\S+) is configured", first)
    assert named
    version, release = named.groups()
    tables = real_kernels.pull(f"debian_{release}_{version}_{release.rpartition('-')[2]}").tables
    images = pq.read_table(tables / "images.parquet", columns=["name"])["name"].to_pylist()
    rows = pq.read_table(tables / "btf_ids.parquet").to_pylist()
    for row in rows:
        row["image"] = images[row["image"]]
    return Listed(list(csv.DictReader(lines, delimiter="\t")), rows)


def number(row: dict[str, str], without: str | None) -> tuple[str, list[int]]:
    """What a set is registered as, and the program types but one."""
    if row["registered"] == "fmodret":
        return "fmod_ret", []
    return "kfunc", sorted(PROGRAM_TYPES.index(kind) for kind in row["registered"].split() if kind != without)


@pytest.mark.parametrize("path", lists("kfuncs"), ids=lambda path: path.stem)
def test_kfuncs(path: Path, real_kernels: RealKernels) -> None:
    source, rows = read(path, real_kernels)
    expected, found = defaultdict(set), defaultdict(set)
    roles, registered = {}, {}
    for line in source:
        expected[line["set"]].add((line["name"], int(line["flags_value"])))
        if line["registered"]:
            without = NOT_BUILT.get((path.stem, line["set"]))
            roles[line["set"]] = number(line, without)
    for row in rows:
        if row["set_flags"] is not None:
            assert row["kind"] == "func"
            found[row["set"]].add((row["name"], row["flags"]))
            if row["registered_as"]:
                types = [int(kind) for kind in (row["program_types"] or "").split()]
                registered[row["set"]] = (row["registered_as"], types)
    assert found == expected
    assert registered == roles


@pytest.mark.parametrize("path", lists("hooks"), ids=lambda path: path.stem)
def test_lsm_hooks(path: Path, real_kernels: RealKernels) -> None:
    source, rows = read(path, real_kernels)
    hooks = {f"bpf_lsm_{line['name']}" for line in source}
    found = [row for row in rows if row["set"] == "bpf_lsm_hooks"]
    assert {(row["image"], row["kind"], row["flags"]) for row in found} == {("vmlinux", "func", None)}
    assert {row["name"] for row in found} == hooks
    assert len(found) == len(hooks)
