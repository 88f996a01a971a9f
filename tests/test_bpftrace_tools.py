"""The tools that bpftrace ships, of several versions: all are read, and what five need is as read by eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ksurf.check.bpftrace import read_script
from ksurf.check.dependency import Consumer, Kind

if TYPE_CHECKING:
    from material import Material

pytestmark = pytest.mark.network

SUITES = ("bookworm", "trixie", "sid")
SOCK = {
    "sock::__sk_common": "struct sock_common",
    "sock::__sk_common.skc_v6_daddr": "struct in6_addr",
    "sock::__sk_common.skc_v6_daddr.in6_u": "union (anon)",
    "sock::__sk_common.skc_v6_rcv_saddr": "struct in6_addr",
    "sock::__sk_common.skc_v6_rcv_saddr.in6_u": "union (anon)",
}
REQUEST = {
    "request::q": "struct request_queue *",
    "request_queue::disk": "struct gendisk *",
}


def tools(material: Material, suite: str) -> list[Path]:
    return sorted(material.unpacked("bpftrace", suite).glob("usr/sbin/*.bt"))


def tool(material: Material, name: str, types: dict[str, str] | None = None) -> Consumer:
    (path,) = [one for one in tools(material, "bookworm") if one.stem == name]
    return read_script(path.read_bytes(), path.name, type_of=lambda kind, name: (types or {}).get(name))


def needs(consumer: Consumer) -> list[str]:
    assert consumer.incomplete == ()
    return [
        f"{one.kind.value} {one.name} {','.join(str(use.line) for use in one.uses)}"
        for one in consumer.dependencies
    ]


@pytest.mark.parametrize("suite", SUITES)
def test_every_shipped_tool_is_read(material: Material, suite: str) -> None:
    paths = tools(material, suite)
    assert len(paths) >= 35
    # What lies behind a field needs its type, which is not told here; all else must be read.
    reasons = [
        reason
        for path in paths
        for reason in read_script(path.read_bytes(), path.name).incomplete
        if "is the kernel's" not in reason
    ]
    assert reasons == []


@pytest.mark.parametrize("suite", SUITES)
def test_every_shipped_tool_has_its_hooks(material: Material, suite: str) -> None:
    # These are attached to users' programs, or to timers.
    others = {"bashreadline", "gethostlatency", "ssllatency", "sslsnoop", "threadsnoop"}
    others |= {"cpuwalk", "loads", "runqlen"}
    for path in tools(material, suite):
        found = read_script(path.read_bytes(), path.name)
        hooks = [one for one in found.dependencies if one.kind in {Kind.FUNCTION, Kind.TRACEPOINT}]
        assert bool(hooks) != (path.stem in others), path.name


def test_biosnoop(material: Material) -> None:
    assert needs(tool(material, "biosnoop", REQUEST)) == [
        "function blk_account_io_start 23",
        "function __blk_account_io_start 24",
        "function blk_account_io_done 32",
        "function __blk_account_io_done 33",
        "parameter blk_account_io_start::0 26,27,28,29",
        "parameter __blk_account_io_start::0 26,27,28,29",
        "field request::q 29",
        "field request_queue::disk 29",
        "field gendisk::disk_name 29",
        "parameter blk_account_io_done::0 34,39,40,42,43,44,45",
        "parameter __blk_account_io_done::0 34,39,40,42,43,44,45",
    ]


def test_tcpconnect(material: Material) -> None:
    assert needs(tool(material, "tcpconnect", SOCK)) == [
        "function tcp_connect 36",
        "parameter tcp_connect::0 38",
        "field sock::__sk_common.skc_family 39",
        "field sock::__sk_common.skc_daddr 43",
        "field sock::__sk_common.skc_rcv_saddr 44",
        "field sock::__sk_common.skc_v6_daddr.in6_u.u6_addr8 46",
        "field sock::__sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8 47",
        "field sock::__sk_common.skc_num 49",
        "field sock::__sk_common.skc_dport 50",
    ]


def test_runqlat(material: Material) -> None:
    assert needs(tool(material, "runqlat")) == [
        "tracepoint sched:sched_wakeup 21",
        "tracepoint sched:sched_wakeup_new 22",
        "tracepoint sched:sched_switch 27",
        "tracepoint field sched:sched_wakeup::pid 24",
        "tracepoint field sched:sched_wakeup_new::pid 24",
        "tracepoint field sched:sched_switch::prev_state 29",
        "tracepoint field sched:sched_switch::prev_pid 30",
        "tracepoint field sched:sched_switch::next_pid 33,37",
    ]


def test_vfsstat(material: Material) -> None:
    assert needs(tool(material, "vfsstat")) == [
        "function vfs_read* 25",
        "function vfs_write* 26",
        "function vfs_fsync 27",
        "function vfs_open 28",
        "function vfs_create 29",
    ]


def test_opensnoop(material: Material) -> None:
    assert needs(tool(material, "opensnoop")) == [
        "tracepoint syscalls:sys_enter_open 24",
        "tracepoint syscalls:sys_enter_openat 25",
        "tracepoint syscalls:sys_exit_open 30",
        "tracepoint syscalls:sys_exit_openat 31",
        "tracepoint field syscalls:sys_enter_open::filename 27",
        "tracepoint field syscalls:sys_enter_openat::filename 27",
        "tracepoint field syscalls:sys_exit_open::ret 34",
        "tracepoint field syscalls:sys_exit_openat::ret 34",
    ]
