"""The parts of ``scripts/truth`` that need neither a mirror nor a kernel: qemu is a shell script here."""

from __future__ import annotations

import json
import lzma
import os
import time
from pathlib import Path

import pytest

from capture import counts, write_capture
from initramfs import initramfs
from ksurf.errors import InputError, KsurfError
from machine import boot
from modules import Module, in_order
from programs import tried
from syscalls import Line, as_text, tables
from truth import Function, read_syscalls, read_truth

FORMAT = b"""name: sched_b
ID: 7
format:
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:u8 a;\toffset:8;\tsize:1;\tsigned:0;

print fmt: "%u
name: %u", REC->a
"""
FILES = {
    "version": b"Linux version 7.3-cloud-amd64 (gcc)\n",
    "cmdline": b"console=ttyS0\n",
    "lsm": b"capability,bpf",
    "modules": b"xfs 1 0 - Live 0x0\nkvm 1 0 - Live 0x0\n",
    "not_loaded": b"hv_vmbus No such device\n",
    "filter_functions": b"vfs_read\nxfs_open [xfs]\nksys_read\nvfs_read\n",
    "kprobes_blacklist": b"0xffffffff81000000-0xffffffff81000010\tkvm_reboot [kvm]\n0x0-0x0\tget_kprobe\n",
    "events": b"".join(b"sched/sched_b/format:" + line for line in FORMAT.splitlines(keepends=True)),
}
ABOUT = {"kernel": "debian_7.3_amd64", "release": "7.3-cloud-amd64", "arch": "amd64"}


def module(name: str, *depends: str, telling: bool = False, before: str = "", alias: str = "") -> Module:
    return Module(name, b"", depends, (*before.split(),), (*alias.split(),), telling)


def names(modules: list[Module]) -> list[str]:
    return [module.name for module in modules]


def test_modules_are_loaded_after_what_they_need() -> None:
    found = in_order(
        [
            module("xfs", "libcrc32c", telling=True),
            module("libcrc32c", before="crypto-crc32c"),
            module("crc32c_generic", alias="crypto-crc32c"),
            module("virtio_blk", "virtio", "built_in"),
            module("virtio"),
            module("says_nothing"),
        ]
    )
    assert names(found) == ["virtio", "virtio_blk", "crc32c_generic", "libcrc32c", "xfs"]


def test_a_circle_of_wishes_ends() -> None:
    found = in_order([module("a", before="b", telling=True), module("b", "a", telling=True)])
    assert sorted(names(found)) == ["a", "b"]


def unpack(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """Read a newc archive: mode and content of each entry."""
    entries: dict[str, tuple[int, bytes]] = {}
    position = 0
    while True:
        assert archive[position : position + 6] == b"070701"
        assert position % 4 == 0
        field = [int(archive[position + 6 + 8 * n :][:8], 16) for n in range(13)]
        name = archive[position + 110 :][: field[11] - 1].decode()
        start = (position + 110 + field[11] + 3) & ~3
        if name == "TRAILER!!!":
            return entries
        entries[name] = (field[1], archive[start : start + field[6]])
        position = (start + field[6] + 3) & ~3


def test_the_first_file_system_has_what_the_script_needs() -> None:
    kvm = Module("kvm", b"module", (), (), (), True)
    entries = unpack(initramfs(b"busybox!!", [module("irqbypass"), kvm], {"objects/biotop": b"object"}))
    assert entries["bin/busybox"] == (0o100755, b"busybox!!")
    assert entries["modules/order"][1] == b"irqbypass\nkvm\n"
    assert entries["modules/kvm.ko"][1] == b"module"
    assert entries["objects/biotop"][1] == b"object"
    assert entries["dev/console"][0] == 0o020600
    assert entries["init"][1].startswith(b"#!/bin/busybox sh\n")
    folders = {name for name, (mode, _) in entries.items() if mode & 0o040000}
    assert {str(Path(name).parent) for name in entries} - {"."} <= folders


def test_a_capture_is_the_same_for_each_boot(tmp_path: Path) -> None:
    write_capture(tmp_path, FILES, ABOUT)
    truth = read_truth(tmp_path)
    assert truth.filter_functions == (
        Function("ksys_read"),
        Function("vfs_read"),
        Function("vfs_read"),
        Function("xfs_open", "xfs"),
    )
    assert truth.kprobes_blacklist == (Function("get_kprobe"), Function("kvm_reboot", "kvm"))
    assert truth.events["sched", "sched_b"].print_fmt == '"%u\nname: %u", REC->a'
    assert truth.modules == {"kvm", "xfs"}
    assert truth.lsm == ("capability", "bpf")
    assert truth.error_injection is None
    assert json.loads((tmp_path / "about.json").read_text())["not_loaded"] == {"hv_vmbus": "No such device"}
    assert b"ID" not in lzma.decompress((tmp_path / "events.txt.xz").read_bytes())
    assert counts(FILES) == {"modules": 2, "filter_functions": 4, "kprobes_blacklist": 2, "events": 1}


def test_what_is_no_event_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    for text in (b"grep: out of memory\n", b"sched/sched_b/format:name: sched_b\n"):
        with pytest.raises(KsurfError, match=r"not a line of an event|not the format of an event"):
            write_capture(folder, {**FILES, "events": text}, ABOUT)
    assert not folder.exists()


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a script to write, which is taken for qemu."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "qemu-system-x86_64"
    path.touch(0o755)
    return path


VERSION = '#!/bin/sh\n[ "$1" != --version ] || { echo QEMU 7; exit; }\n'
DISK = "disk=$(echo \"$@\" | sed 's/.*file=\\([^,]*\\),.*/\\1/')\n"


def test_a_boot_gives_what_the_kernel_wrote(qemu: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "version").write_bytes(b"Linux")
    tar = f'tar -cf "$disk" -C {tmp_path}/out .\n'
    qemu.write_text(f"{VERSION}{DISK}echo 'truth: recording'\necho noise\n{tar}echo 'truth: done'\n")
    said: list[str] = []
    answer = boot("amd64", b"kernel", b"initrd", timeout=30, say=said.append)
    assert answer.files == {"version": b"Linux"}
    assert answer.qemu.startswith("QEMU 7: qemu-system-x86_64 -machine q35 ")
    assert str(tmp_path) not in answer.qemu
    assert said == ["recording", "done"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo 'Kernel panic'\n", "it ended early"),
        ("echo 'Kernel panic'\nsleep 60\n", "it was not done after 1 s"),
        ("echo 'Kernel panic'\necho 'truth: done'\nexec >&- 2>&-\nsleep 60\n", "it was not done after 1 s"),
        ("echo 'Kernel panic'\necho 'truth: done'\nprintf damaged >\"$disk\"\n", "cannot be read"),
    ],
)
def test_a_boot_that_fails_is_over_soon_and_says_why(qemu: Path, script: str, why: str) -> None:
    pid = qemu.with_name("pid")
    qemu.write_text(f"{VERSION}{DISK}echo $$ >{pid}\n{script}")
    said: list[str] = []
    start = time.monotonic()
    with pytest.raises(KsurfError, match=why):
        boot("amd64", b"kernel", b"initrd", timeout=1, say=said.append)
    assert time.monotonic() - start < 30
    assert "| Kernel panic" in said or "done" in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_qemu_is_gone_when_a_person_gives_up(qemu: Path) -> None:
    pid = qemu.with_name("pid")
    qemu.write_text(f"{VERSION}echo $$ >{pid}\necho 'truth: recording'\nsleep 60\n")

    def give_up(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        boot("amd64", b"kernel", b"initrd", timeout=30, say=give_up)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="s390x: not known how to boot it"):
        boot("s390x", b"", b"", timeout=1, say=print)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="qemu-system-aarch64 is not installed"):
        boot("arm64", b"", b"", timeout=1, say=print)


X86 = {
    "arch/x86/entry/syscalls/syscall_64.tbl": "# comment\n512\tx32\tioctl\tcompat_sys_ioctl\n"
    "0\tcommon\tread\tsys_read\n60\tcommon\texit\tsys_exit\t-\tnoreturn\n",
    "arch/x86/entry/syscalls/syscall_32.tbl": "5\ti386\topen\tsys_open\tcompat_sys_open\n17\ti386\tbreak\n",
}


def test_tables_of_system_calls_are_read() -> None:
    sources = {
        **X86,
        "arch/arm64/kernel/Makefile.syscalls": "syscall_abis_32 +=\nsyscall_abis_64 += renameat rlimit\n",
        "scripts/syscall.tbl": "4 time32 x sys_x_time32\n4 64 x sys_x\n38 renameat renameat sys_renameat\n"
        "80 stat64 fstat sys_fstat64\n",
        "arch/arm64/tools/syscall_32.tbl": "5 common open sys_open compat_sys_open\n",
    }
    assert tables(sources) == {
        "amd64": [
            Line("native", 0, "common", "read", "sys_read", ""),
            Line("native", 60, "common", "exit", "sys_exit", ""),
            Line("native", 512, "x32", "ioctl", "compat_sys_ioctl", ""),
            Line("compat", 5, "i386", "open", "sys_open", "compat_sys_open"),
        ],
        "arm64": [
            Line("native", 4, "64", "x", "sys_x", ""),
            Line("native", 38, "renameat", "renameat", "sys_renameat", ""),
            Line("compat", 5, "common", "open", "sys_open", "compat_sys_open"),
        ],
    }


def test_headers_of_system_calls_are_read(tmp_path: Path) -> None:
    generic = """#ifdef ABSENT
#define __NR_old 1
__SYSCALL(__NR_old, sys_old)
#endif
#define __SC_3264(_nr, _32, _64) __SYSCALL(_nr, _64)
#define __NR3264_mmap 222
__SC_3264(__NR3264_mmap, sys_mmap2, \\
          sys_mmap)
#define __NR_mmap __NR3264_mmap
#define __NR_syscalls 451
"""
    sources = {
        **X86,
        "arch/arm64/include/asm/unistd.h": "#include <uapi/asm/unistd.h>\n",
        "arch/arm64/include/uapi/asm/unistd.h": "#include <asm-generic/unistd.h>\n",
        "include/uapi/asm-generic/unistd.h": generic,
        "arch/arm64/include/asm/unistd32.h": "__SYSCALL(7, sys_ni_syscall)\n#define __NR_creat 8\n"
        "__SYSCALL(__NR_creat, sys_creat)\n",
    }
    lines = tables(sources)["arm64"]
    assert lines == [
        Line("native", 222, "", "mmap", "sys_mmap", ""),
        Line("compat", 7, "", "", "sys_ni_syscall", ""),
        Line("compat", 8, "", "creat", "sys_creat", ""),
    ]
    path = tmp_path / "syscalls-6.1-arm64.tsv"
    path.write_text(as_text("linux-source-6.1 6.1.192-2", lines))
    table = read_syscalls(path)
    assert (table.base_version, table.arch) == ("6.1", "arm64")
    assert table.compat[0] == (7, None, None, "sys_ni_syscall", None)


def test_what_the_loader_says_is_sorted() -> None:
    said = "b\tq\tperf_event\tok\tnone\t\na\tp\tkprobe/x\t-EINVAL\t\tR1 invalid\n"
    assert [(one.object, one.load, one.attach) for one in tried(said)] == [
        ("a", "-EINVAL", ""),
        ("b", "ok", "none"),
    ]


def test_a_line_that_the_loader_did_not_finish() -> None:
    with pytest.raises(KsurfError, match="not a line of the loader"):
        tried("a\tp\tkprobe/x\tok\n")
