"""The captures of real kernels are whole, and their reader reads what is in them."""

from __future__ import annotations

import json
import lzma
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ksurf.kernel import Kernel
from truth import (
    Event,
    Field,
    Function,
    Injectable,
    SyscallTable,
    Truth,
    captures,
    read_syscalls,
    read_truth,
    syscall_tables,
)

LIMIT = 2_500_000
"""How many bytes all captures together may have."""

read = cache(read_truth)
read_table = cache(read_syscalls)


def by_name(path: Path) -> str:
    return path.name


each_capture = pytest.mark.parametrize("folder", captures(), ids=by_name)
each_table = pytest.mark.parametrize("path", syscall_tables(), ids=by_name)


def test_there_are_kernels_of_several_versions_and_architectures() -> None:
    kernels = [read(folder) for folder in captures()]
    assert sum(kernel.arch == "amd64" for kernel in kernels) >= 3
    assert any(kernel.arch == "arm64" for kernel in kernels)


def test_the_captures_are_small() -> None:
    assert sum(path.stat().st_size for folder in captures() for path in folder.iterdir()) <= LIMIT


@each_capture
def test_a_capture_is_of_the_kernel_that_its_folder_names(folder: Path) -> None:
    truth = read(folder)
    assert truth.kernel == folder.name
    assert truth.release in truth.kernel
    assert truth.kernel.endswith(f"_{truth.arch}")


@each_capture
def test_known_functions_can_be_traced(folder: Path) -> None:
    truth = read(folder)
    functions = Counter(truth.filter_functions)
    assert len(truth.filter_functions) > 40_000
    assert functions[Function("vfs_read")] == 1
    assert functions[Function("xfs_file_open", "xfs")] == 1
    assert not {Function("vfs_read"), Function("schedule")} & {*truth.kprobes_blacklist}
    # Inlined everywhere; noinstr; gone after boot.
    for name in ("get_current", "do_nmi", "start_kernel"):
        assert Function(name) not in functions


@each_capture
def test_what_must_not_be_probed_is_closed(folder: Path) -> None:
    names = {function.name for function in read(folder).kprobes_blacklist}
    expected = {"amd64": "exc_page_fault", "arm64": "do_mem_abort"}[read(folder).arch]
    assert {expected, "notify_die", "get_kprobe"} <= names


@each_capture
def test_lists_are_sorted_and_only_speak_of_loaded_modules(folder: Path) -> None:
    truth = read(folder)
    for functions in (truth.filter_functions, truth.kprobes_blacklist):
        lines = [f"{name} [{module}]" if module else name for name, module in functions]
        assert lines == sorted(lines)
        assert {function.module for function in functions} - {None} <= truth.modules
    assert {"virtio_blk", "nf_conntrack", "nf_tables", "sunrpc", "nfs", "xfs"} <= truth.modules
    assert ("kvm" in truth.modules) == (truth.arch == "amd64")


@each_capture
def test_security_modules_are_known(folder: Path) -> None:
    assert {"capability", "apparmor"} <= set(read(folder).lsm)


@each_capture
def test_events_have_their_fields(folder: Path) -> None:
    events = read(folder).events
    switch = events["sched", "sched_switch"]
    assert [field.name for field in switch.common_fields] == [
        "common_type",
        "common_flags",
        "common_preempt_count",
        "common_pid",
    ]
    assert switch.fields[:3] == (
        Field("char[16]", "prev_comm", 8, 16, switch.fields[0].signed),  # char is signed on amd64 until 6.1
        Field("pid_t", "prev_pid", 24, 4, True),
        Field("int", "prev_prio", 28, 4, True),
    )
    assert switch.print_fmt.startswith('"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> ')
    assert {("syscalls", "sys_enter_openat"), ("xfs", "xfs_file_buffered_read")} <= events.keys()
    assert any(field.type == "__data_loc char[]" for field in events["sched", "sched_process_exec"].fields)


@each_capture
def test_events_are_read_whole(folder: Path) -> None:
    """Each field is inside the record, none is lost, and a format may have several lines."""
    events = read(folder).events
    text = lzma.decompress((folder / "events.txt.xz").read_bytes()).decode()
    fields = [field for event in events.values() for field in (*event.common_fields, *event.fields)]
    assert len(fields) == text.count("\tfield:")
    assert len(events) == text.count("\nprint fmt: ")
    assert all(field.byte_offset >= 8 for event in events.values() for field in event.fields)
    assert any("\n" in event.print_fmt for event in events.values())


@each_table
def test_tables_of_system_calls_have_known_lines(path: Path) -> None:
    table: SyscallTable = read_table(path)
    read_number, compat_open = {"amd64": (0, "open"), "arm64": (63, "open")}[table.arch]
    native = {call.name: call for call in table.native if call.abi != "x32"}
    compat = {call.name: call for call in table.compat}
    assert (native["read"].number, native["read"].entry) == (read_number, "sys_read")
    assert native["openat"].entry == "sys_openat"
    assert compat[compat_open].number == 5
    assert "compat_sys_open" in (compat["open"].entry, compat["open"].compat_entry)
    assert any(call.entry == "sys_ni_syscall" for call in (*table.native, *table.compat))


@each_capture
def test_the_table_in_the_source_is_that_of_the_kernel(folder: Path) -> None:
    """Each call that is defined in C has an event, named after its entry: two ways to the same list."""
    truth = read(folder)
    base_version = Kernel.from_release(truth.release).base_version
    table = read_table(folder.parent / f"syscalls-{base_version}-{truth.arch}.tsv")
    entries = {call.entry for call in table.native if call.abi != "x32"} - {"sys_ni_syscall"}
    traced = {
        name.replace("sys_enter_", "sys_") for system, name in truth.events if name.startswith("sys_enter_")
    }
    # arch/arm64/kernel/sys.c puts its own in place of this one.
    assert traced - entries <= {"sys_arm64_personality"}
    # What the configuration leaves out, and that one.
    assert entries - traced <= {
        "sys_kexec_file_load",
        "sys_lookup_dcookie",
        "sys_map_shadow_stack",
        "sys_personality",
        "sys_rseq_slice_yield",
    }


@each_table
def test_a_number_is_in_a_table_once(path: Path) -> None:
    table: SyscallTable = read_table(path)
    for calls in (table.native, table.compat):
        numbers = [call.number for call in calls]
        assert len(numbers) > 290
        assert numbers == sorted(set(numbers))


def write_capture(folder: Path, **texts: str) -> Path:
    """Write a small capture by hand."""
    good = {
        "filter_functions": "vfs_read\n__ftrace_invalid_address___12\nxfs_open [xfs]\n",
        "kprobes_blacklist": "get_kprobe\n",
        "events": "== kvm/kvm_exit\n\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
        "\tfield:void * fn;\toffset:8;\tsize:8;\tsigned:0;\n"
        "\tfield:u8 b[2 + 4];\toffset:16;\tsize:6;\tsigned:0;\n\n"
        'print fmt: "a\n == b", REC->fn\n',
    }
    for name, text in {**good, **texts}.items():
        (folder / f"{name}.txt.xz").write_bytes(lzma.compress(text.encode()))
    about = {
        "kernel": "debian_7.3_amd64",
        "release": "7.3",
        "arch": "amd64",
        "lsm": ["bpf"],
        "modules": ["xfs"],
    }
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def test_a_capture_is_read_as_it_is_written(tmp_path: Path) -> None:
    truth = read_truth(write_capture(tmp_path))
    assert truth == Truth(
        kernel="debian_7.3_amd64",
        release="7.3",
        arch="amd64",
        lsm=("bpf",),
        modules=frozenset({"xfs"}),
        filter_functions=(Function("vfs_read"), Function("xfs_open", "xfs")),
        unnamed_sites=1,
        kprobes_blacklist=(Function("get_kprobe"),),
        error_injection=None,
        events={
            ("kvm", "kvm_exit"): Event(
                system="kvm",
                name="kvm_exit",
                common_fields=(Field("int", "common_pid", 4, 4, True),),
                fields=(Field("void *", "fn", 8, 8, False), Field("u8[2 + 4]", "b", 16, 6, False)),
                print_fmt='"a\n == b", REC->fn',
            )
        },
    )


def test_the_error_injection_list_is_read_where_there_is_one(tmp_path: Path) -> None:
    folder = write_capture(tmp_path, error_injection="open_ctree [btrfs] ERRNO\nshould_fail NULL\n")
    assert read_truth(folder).error_injection == (
        Injectable(Function("open_ctree", "btrfs"), "ERRNO"),
        Injectable(Function("should_fail"), "NULL"),
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("filter_functions", "vfs_read [xfs\n"),
        ("events", "\tfield:int a;\n"),
        ("events", "== kvm/kvm_exit\nprint fmt\n"),
        ("events", '== kvm/kvm_exit\n\tfield:int a\n\nprint fmt: ""\n'),
    ],
)
def test_a_damaged_line_is_shown(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"not a|before the first"):
        read_truth(write_capture(tmp_path, **{name: text}))
