"""System calls of real kernels equal the tables in their sources."""

from __future__ import annotations

import re

import pyarrow.parquet as pq
import pytest

from real_kernels import Pulled, RealKernels
from truth import TRUTH, Syscall, read_syscalls

pytestmark = pytest.mark.network

# What the source's table names and the kernel was built without: a weak function stands there, which returns
# what `sys_ni_syscall` does (kernel/sys_ni.c).
UNBUILT = {
    ("6.1", "amd64"): {"lookup_dcookie"},
    ("7.3", "amd64"): {"rseq_slice_yield", "uselib"},
    ("6.12", "arm64"): {"kexec_file_load", "map_shadow_stack", "uselib", "sysfs", "pciconfig_iobase"},
}
KERNELS = [("5.10", "amd64"), ("6.1", "amd64"), ("6.12", "amd64"), ("7.3", "amd64"), ("6.12", "arm64")]


def stem(entry: str) -> str:
    """Return a function's name without what architectures put in front of it, or in its place."""
    # `#define sys_personality sys_arm64_personality` (arch/arm64/kernel/sys.c)
    return re.sub(r"^(__\w+?_)?(compat_)?sys_", "", entry).replace("arm64_personality", "personality")


def expected(calls: tuple[Syscall, ...], unbuilt: set[str]) -> dict[int, tuple[str | None, str]]:
    """Return name and function by number, without those that do not exist."""
    return {
        call.number: (call.name, stem(call.compat_entry or call.entry))
        for call in calls
        if call.abi != "x32"
        and "sys_ni_syscall" not in (call.entry, call.compat_entry)
        and call.name not in unbuilt
    }


@pytest.fixture(params=KERNELS, ids="-".join)
def kernel(request: pytest.FixtureRequest, real_kernels: RealKernels) -> tuple[str, str, Pulled]:
    version, arch = request.param
    return version, arch, real_kernels.pull(f"debian:{version}-cloud-{arch}")


def test_calls_are_those_of_the_source(kernel: tuple[str, str, Pulled]) -> None:
    version, arch, pulled = kernel
    table = read_syscalls(TRUTH / f"syscalls-{version}-{arch}.tsv")
    rows = pq.read_table(pulled.tables / "syscalls.parquet").to_pylist()
    unbuilt = UNBUILT.get((version, arch), set())
    for abi, calls in (("64", table.native), ("32", table.compat)):
        ours = {row["number"]: (row["name"], stem(row["entry"])) for row in rows if row["abi"] == abi}
        assert ours == expected(calls, unbuilt)
    assert {row["abi"] for row in rows} == {"64", "32"}
