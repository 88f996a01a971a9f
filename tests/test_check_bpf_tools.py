"""The tools of libbpf-tools, of several versions, and systemd: each object that they carry is read whole."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ksurf import _core
from ksurf.check.bpf_object import read_objects
from ksurf.check.dependency import Consumer, Kind

if TYPE_CHECKING:
    from material import Material

pytestmark = pytest.mark.network

SUITES = ("bookworm", "trixie", "sid")
SHF_EXECINSTR = 4


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def tools(material: Material, suite: str) -> list[Path]:
    return [path for path in files(material.unpacked("libbpf-tools", suite)) if path.parent.name == "sbin"]


@pytest.mark.parametrize("suite", SUITES)
def test_every_tool_is_read_whole(material: Material, suite: str, note: Callable[[str], None]) -> None:
    paths = tools(material, suite)
    consumers = {path.name: read_objects(str(path)) for path in paths}
    assert len(consumers) > 50
    without = [name for name, found in consumers.items() if not found]
    incomplete = {one.name: one.incomplete for found in consumers.values() for one in found if one.incomplete}
    assert (without, incomplete) == ([], {})
    dependencies = sum(len(one.dependencies) for found in consumers.values() for one in found)
    note(f"libbpf-tools of {suite}: {len(paths)} tools read whole, {dependencies} dependencies")


@pytest.mark.parametrize("suite", SUITES)
def test_programs_are_those_that_another_reader_finds(material: Material, suite: str) -> None:
    for path in tools(material, suite):
        for found in _core.bpf_objects(str(path)):
            rows = pa.table(found.tables["programs"]).to_pylist()
            programs = {(row["section"], row["name"], row["byte_offset"], row["byte_size"]) for row in rows}
            assert programs == set(functions(found.data)), path


def functions(data: bytes) -> Iterator[tuple[str, str, int, int]]:
    """The functions of an object, as pyelftools tells them."""
    elf = ELFFile(io.BytesIO(data))
    table = elf.get_section_by_name(".symtab")
    assert isinstance(table, SymbolTableSection)
    for symbol in table.iter_symbols():
        if symbol["st_info"]["type"] == "STT_FUNC":
            section = elf.get_section(symbol["st_shndx"])
            assert section["sh_flags"] & SHF_EXECINSTR
            yield section.name, symbol.name, symbol["st_value"], symbol["st_size"]


def named(material: Material, name: str) -> Consumer:
    (path,) = [path for path in tools(material, "bookworm") if path.name == name]
    (consumer,) = read_objects(str(path))
    return consumer


def needs(consumer: Consumer, *kinds: Kind) -> list[str]:
    found = [one for one in consumer.dependencies if one.kind in kinds]
    return [f"{one.mechanism.value if one.mechanism else one.kind.value} {one.name}" for one in found]


def test_what_tools_need_is_as_read_by_eye(material: Material) -> None:
    connect = named(material, "tcpconnect")
    assert needs(connect, Kind.FUNCTION, Kind.PARAMETER) == [
        "kprobe tcp_v4_connect",
        "kretprobe tcp_v4_connect",
        "kprobe tcp_v6_connect",
        "kretprobe tcp_v6_connect",
        "kprobe tcp_v4_connect::0",
        "kretprobe tcp_v4_connect::return",
        "kprobe tcp_v6_connect::0",
        "kretprobe tcp_v6_connect::return",
    ]
    (use,) = next(one.uses for one in connect.dependencies if one.name == "tcp_v4_connect::0")
    assert use.file is not None and use.file.endswith("libbpf-tools/tcpconnect.bpf.c")
    assert (use.program, use.line, use.text) == (
        "tcp_v4_connect",
        203,
        "int BPF_KPROBE(tcp_v4_connect, struct sock *sk)",
    )
    assert needs(named(material, "runqlat"), Kind.TRACEPOINT, Kind.TRACEPOINT_FIELD) == [
        *(f"tp_btf {name}" for name in ("sched_wakeup", "sched_wakeup_new", "sched_switch")),
        *(f"raw_tp {name}" for name in ("sched_wakeup", "sched_wakeup_new", "sched_switch")),
        *(f"tp_btf {name}" for name in ("sched_wakeup::0", "sched_wakeup_new::0")),
        *(f"tp_btf {name}" for name in ("sched_switch::2", "sched_switch::1")),
        *(f"raw_tp {name}" for name in ("sched_wakeup::0", "sched_wakeup_new::0")),
        *(f"raw_tp {name}" for name in ("sched_switch::2", "sched_switch::1")),
    ]
    assert needs(named(material, "opensnoop"), Kind.MAP_TYPE, Kind.PROGRAM_TYPE, Kind.TRACEPOINT) == [
        "program type BPF_PROG_TYPE_TRACEPOINT",
        *(
            f"tracepoint syscalls:sys_{when}_{name}"
            for when in ("enter", "exit")
            for name in ("open", "openat")
        ),
        "map type BPF_MAP_TYPE_HASH",
        "map type BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    ]


def test_systemd_carries_objects(material: Material, note: Callable[[str], None]) -> None:
    """Debian builds it with them since trixie."""
    packages = ("systemd", "libsystemd-shared")
    found = [
        consumer
        for package in packages
        for path in files(material.unpacked(package, "trixie"))
        for consumer in read_objects(str(path))
    ]
    assert [one.incomplete for one in found if one.incomplete] == []
    note(f"systemd of trixie: {len(found)} objects: {', '.join(sorted({one.name for one in found}))}")
    assert {program.section for one in found for program in one.programs} >= {"cgroup_skb/egress"}
