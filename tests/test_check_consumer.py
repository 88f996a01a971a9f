"""What is to be checked is found by content: in trees, in archives, and nothing hostile gets anywhere."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import socket
import struct
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ksurf.check import consumer
from ksurf.check.consumer import Found, find
from ksurf.check.content import kind_of
from ksurf.check.dependency import Consumer, ConsumerKind
from ksurf.progress import Silent, Task

LIST = b"# what we need\nkprobe:vfs_read\n?struct:task_struct::pid\n"
SCRIPT = b"#!/usr/bin/env bpftrace\nkprobe:vfs_read { @[comm] = count(); }\n"
TOOL = b"#!/usr/bin/python3\nfrom bcc import BPF\nBPF(text='int kprobe__vfs_read(void *ctx) { return 0; }')\n"


def elf(machine: int = 247, kind: int = 1, *, big: bool = False, more: bytes = b"") -> bytes:
    """An ELF header (elf(5)), 64 bits."""
    order = ">" if big else "<"
    identity = b"\x7fELF" + bytes([2, 2 if big else 1, 1]) + bytes(9)
    return (
        identity
        + struct.pack(f"{order}HHIQQQIHHHHHH", kind, machine, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)
        + more
    )


def tar(members: Mapping[str, bytes], *links: tuple[str, str, bytes]) -> bytes:
    """A tar archive; links are name, target, and tar's type."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return buffer.getvalue()


def deb(members: Mapping[str, bytes]) -> bytes:
    """A Debian package. Source: deb(5)."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(tar({"control": b"Package: x\n"})),
        "data.tar.xz": lzma.compress(tar(members)),
    }
    made = b"!<arch>\n"
    for name, content in parts.items():
        made += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        made += b"\n" * (len(content) % 2)
    return made


def found_in(*paths: Path | str) -> Found:
    return find([str(path) for path in paths], Silent())


def names(found: Found) -> list[str]:
    return [one.name for one in found.consumers]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (elf(), ConsumerKind.BPF_OBJECT),
        (elf(big=True), ConsumerKind.BPF_OBJECT),
        (elf(62, 2, more=bytes(99) + elf()), ConsumerKind.BPF_OBJECT),
        (elf(62, 3, more=elf(183) + bytes(7) + elf(big=True)), ConsumerKind.BPF_OBJECT),
        (elf(62, 1, more=b"\0.gnu.linkonce.this_module\0"), ConsumerKind.MODULE),
        (elf(62, 1, more=b"\0.rela.gnu.linkonce.this_module\0"), ConsumerKind.MODULE),
        (elf(62, 2, more=b"\0.gnu.linkonce.this_module\0"), None),
        (elf(62, 2), None),
        (elf(62, 2, more=b"\x7fELF"), None),
        (b"\x7fELF", None),
        (SCRIPT, ConsumerKind.BPFTRACE),
        (b"#!/usr/bin/bpftrace -q\n", ConsumerKind.BPFTRACE),
        (b"#!/usr/bin/env -S bpftrace -v\nBEGIN {}", ConsumerKind.BPFTRACE),
        (b"// hello\n/* kprobe */ kprobe:vfs_read,\nkretprobe:x /pid == 1/ { }", ConsumerKind.BPFTRACE),
        (b"#include <linux/fs.h>\nBEGIN { }\nt:sched:sched_switch\n{ }", ConsumerKind.BPFTRACE),
        (b"kprobe:vfs_read { printf(\"// no comment\") }", ConsumerKind.BPFTRACE),
        # Of awk, shell, make, YAML, CSS and prose nothing is bpftrace.
        (b"BEGIN { x = 1 }\n/a/ { print }\nEND { print x }\n", None),
        (b"#!/usr/bin/awk -f\nBEGIN { }\nkprobe:x { }\n", None),
        (b"#!/bin/sh\nbpftrace -e 'kprobe:vfs_read { @ = count() }'\n", None),
        (b"interval: { seconds: 5 }\nusdt: {}\n", None),
        (b"p:hover { color: red }\ni:first-child { }\nu:hover {\n}\n", None),
        (b"interval:s:1 { print(@); }\ni:ms:10 { }", ConsumerKind.BPFTRACE),
        (b"Attach so:\n\n# bpftrace -e 'kprobe:vfs_read { }'\nkprobe:vfs_read { }\n", None),
        (b"all:\n\tkprobe:x {}\n", None),
        (TOOL, ConsumerKind.BCC),
        (b"import bcc\nbcc.BPF(text='')\n", ConsumerKind.BCC),
        (b"if True:\n    from bcc import BPF, USDT\n", ConsumerKind.BCC),
        (b"#!/bin/sh\npython3 -c '\nfrom bcc import BPF\n'\n", None),
        (b"To use it, write\n\nfrom bcc import BPF\n\nand so on.\n", None),
        (b"from bccutils import BPF\nimport bccx\n", None),
        (b"# from bcc import BPF\nprint(1)\n", None),
        (LIST, ConsumerKind.LIST),
        (b"fentry:tcp_connect # why\n", ConsumerKind.LIST),
        (b"kprobe:vfs_read\nand some words\n", None),
        (b"name: value\nother: value\n", None),
        (b"config: see below\n", None),
        (b"# only a comment\n", None),
        (b"", None),
        (b"kprobe:vfs_read\0", None),
    ],
)  # fmt: skip
def test_what_a_file_is(content: bytes, kind: ConsumerKind | None) -> None:
    assert kind_of(content) is kind


def test_a_list_that_was_named_may_have_wrong_lines(tmp_path: Path) -> None:
    file = tmp_path / "needs"
    file.write_bytes(b"kprobe:vfs_read\nand some words\n")
    found = found_in(file)
    (one,) = found.consumers
    assert (one.kind, one.incomplete) == (ConsumerKind.LIST, ())
    (told,) = found.unreadable
    assert told.path == f"{file}:2"
    assert told.reason.startswith("'and some words' is no kind of dependency; there are function, kprobe, ")
    assert found_in(tmp_path) == Found(skipped=1)


def test_a_word_that_is_misspelt_costs_its_line_and_not_the_list(tmp_path: Path) -> None:
    """Else a folder's list would be skipped for it, and nobody told."""
    (tmp_path / "needs").write_bytes(b"kprob:vfs_read\nkprobe:vfs_write\nstruct:file::f_pos\n")
    (tmp_path / "one").write_bytes(b"kprob:vfs_read\n")
    (tmp_path / "packed.tar").write_bytes(tar({"needs": b"fentry:x\nfentr:y\nfexit:z"}))
    found = found_in(tmp_path)
    assert [len(one.dependencies) for one in found.consumers] == [2, 2]
    assert [(one.path, one.reason) for one in found.unreadable] == [
        (f"{tmp_path}/needs:1", "'kprob' is no kind of dependency; is it kprobe?"),
        (f"{tmp_path}/packed.tar: needs:2", "'fentr' is no kind of dependency; is it fentry?"),
    ]
    found = found_in(tmp_path / "one")
    assert found.consumers == ()
    assert [one.path for one in found.unreadable] == [f"{tmp_path}/one:1"]


def test_what_nothing_was_read_of_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"#!/usr/bin/python3\nfrom bcc import BPF\nprint 'Python 2'\n")
    (tmp_path / "lines").write_bytes(b"kprobe:y\n" + b"wrong\n" * 31 + b"kprobe:x\n")
    found = found_in(tmp_path / "old")
    assert found.consumers == ()
    (told,) = found.unreadable
    assert (told.path, told.reason.partition(":")[0]) == (str(tmp_path / "old"), "line 3")
    found = found_in(tmp_path / "lines")
    assert len(found.unreadable) == 21
    assert found.unreadable[-1].reason == "and 11 more lines"


def test_comments_without_an_end_cost_no_time() -> None:
    for text in (b"/*" * 2_000_000, b'probe:x {"' + b'\\"' * 2_000_000, b"kprobe:x , " * 400_000):
        assert kind_of(text) is None


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with one of each text, in folders, under names that mean nothing."""
    root = tmp_path / "tree"
    (root / "b" / "c").mkdir(parents=True)
    (root / "a.list").write_bytes(LIST)
    (root / "b" / "script").write_bytes(SCRIPT)
    (root / "b" / "c" / "tool.txt").write_bytes(TOOL)
    (root / "b" / "README.bt").write_bytes(b"kprobe: none of it\n")
    (root / "b" / "empty").write_bytes(b"")
    return root


def test_a_folder_is_searched_with_all_below_it(tree: Path) -> None:
    found = found_in(tree)
    assert names(found) == ["a.list", "script", "tool"]
    assert (found.skipped, found.unreadable) == (2, ())
    assert [one.path for one in found.consumers][2] == str(tree / "b" / "c" / "tool.txt")
    assert found.consumers[2].member is None


def test_a_file_of_several_names_counts_once_and_links_are_not_followed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(LIST)
    (tree / "link").symlink_to(tmp_path / "outside")
    (tree / "loop").symlink_to(tree)
    (tree / "inside").symlink_to(tree / "a.list")
    os.link(tree / "a.list", tree / "b" / "hard.list")
    assert names(found_in(tree)) == ["a.list", "script", "tool"]
    assert names(found_in(tree / "a.list", tree)) == ["a.list", "script", "tool"]
    # A link that was named is meant.
    assert names(found_in(tree / "link")) == ["link"]


def test_what_is_no_file_is_left_alone(tree: Path) -> None:
    os.mkfifo(tree / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(tree / "socket"))
        found = found_in(tree)
    assert names(found) == ["a.list", "script", "tool"]
    (refused,) = found_in(tree / "fifo").unreadable
    assert refused.reason.startswith("not a regular file")


def test_what_was_named_and_is_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    paths = tmp_path / "notes", tmp_path / "missing", "with\0zero", tmp_path / "empty", ""
    found = found_in(*paths)
    assert [one.reason.partition(":")[0] for one in found.unreadable] == [
        "none of what ksurf checks",
        "No such file or directory",
        "embedded null byte",
        "it is empty",
        "No such file or directory",
    ]
    assert found.unreadable[1].path == str(tmp_path / "missing")
    assert found.unreadable[-1].path == "''"


def test_what_goes_while_a_folder_is_read_is_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the files of a process below /proc do, and temporary ones of a compiler."""
    listed = list(os.walk(tree))
    (tree / "b" / "script").unlink()
    monkeypatch.setattr("os.walk", lambda path, onerror: listed)
    found = found_in(tree)
    assert sorted(names(found)) == ["a.list", "tool"]
    assert found.unreadable == ()


def test_reading_is_counted_in_files(tree: Path) -> None:
    told = []

    class Counting(Silent):
        @contextmanager
        def task(self, label: str, total: int | None = None, unit: str = "bytes") -> Iterator[Task]:
            assert unit == "files"
            yield self

        def update(self, done: int, total: int | None = None, label: str | None = None) -> None:
            told.append((done, total, label))

    find([str(tree), str(tree / "a.list")], Counting())
    count = sum(len(files) for _, _, files in os.walk(tree))
    assert told[0] == (0, count + 1, "a.list")
    assert told[-1] == (count, count + 1, "a.list")


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path / "x") + b"\xff"
    Path(os.fsdecode(file)).write_bytes(LIST)
    (one,) = found_in(tmp_path).consumers
    assert one.path.encode().endswith("x\ufffd".encode())


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_archives_are_searched(tmp_path: Path, pack: type[bytes]) -> None:
    file = tmp_path / "archive"
    links = (("hard", "x/a.list", tarfile.LNKTYPE), ("soft", "/etc/passwd", tarfile.SYMTYPE))
    file.write_bytes(pack(tar({"x/a.list": LIST, "./usr/run.bt": SCRIPT, "README": b"no"}, *links)))
    found = found_in(file)
    assert names(found) == ["a.list", "run"]
    assert [one.member for one in found.consumers] == ["x/a.list", "usr/run.bt"]
    assert {one.path for one in found.consumers} == {str(file)}
    assert (found.skipped, found.unreadable) == (1, ())


def test_packages_are_searched_also_in_archives_and_folders(tmp_path: Path) -> None:
    (tmp_path / "tools.deb").write_bytes(deb({"./usr/bin/tool": TOOL}))
    (tmp_path / "all.tar").write_bytes(tar({"tools.deb": deb({"./usr/bin/run.bt": SCRIPT})}))
    found = found_in(tmp_path)
    assert [one.member for one in found.consumers] == ["tools.deb: usr/bin/run.bt", "usr/bin/tool"]
    (tmp_path / "deep.tar").write_bytes(tar({"all.tar": (tmp_path / "all.tar").read_bytes()}))
    (refused,) = found_in(tmp_path / "deep.tar").unreadable
    assert refused.path.endswith("deep.tar: all.tar: tools.deb")
    assert "is not looked into" in refused.reason


def test_standard_input_is_a_file_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for content, name in (
        (LIST, "stdin"),
        (SCRIPT, "stdin"),
        (gzip.compress(tar({"x.list": LIST})), "x.list"),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        (one,) = found_in("-").consumers
        assert (one.name, one.path) == (name, "-")


def test_a_bcc_tool_finds_the_c_that_comes_with_it(tmp_path: Path) -> None:
    tool = (
        b"from bcc import BPF\nb = BPF(src_file='prog.c')\nb.attach_kprobe(event='vfs_read', fn_name='f')\n"
    )
    source = b"int f(struct pt_regs *ctx) { bpf_get_current_pid_tgid(); return 0; }\n"
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "unpacked" / "tool.py").write_bytes(tool)
    (before,) = found_in(tmp_path / "unpacked").consumers
    (tmp_path / "unpacked" / "prog.c").write_bytes(source)
    (after,) = found_in(tmp_path / "unpacked").consumers
    assert before.incomplete and not after.incomplete
    for members in ({"d/tool.py": tool, "d/prog.c": source}, {"d/prog.c": source, "d/tool.py": tool}):
        (tmp_path / "tools.tar").write_bytes(tar(members))
        (packed,) = found_in(tmp_path / "tools.tar").consumers
        assert not packed.incomplete
        assert {d.name for d in packed.dependencies} == {d.name for d in after.dependencies}


def test_a_tool_reads_nothing_but_sources_below_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.c").write_bytes(b"int secret;")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked.c").symlink_to(tmp_path / "secret.c")
    (tmp_path / "in" / "own.c").write_bytes(b"int own;")
    beside = consumer._Beside(str(tmp_path / "in" / "tool.py"))
    assert beside("own.c") == b"int own;"
    for name in ("../secret.c", "linked.c", "/etc/passwd", "x\0.c", "missing.c", "tool.py"):
        assert beside(name) is None, name


def test_no_archive_writes_where_it_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    hostile = {
        "../escaped.list": LIST,
        "/absolute.list": LIST,
        f"{tmp_path}/target.list": LIST,
        "../../../x.tar": tar({"../inner.list": LIST}),
        "..": LIST,
        "a/../../b.list": LIST,
        "\x1b[31m\n.list": LIST,
    }
    archive = tmp_path / "in" / "hostile.tar"
    archive.write_bytes(tar(hostile))
    found = found_in(archive)
    assert len(found.consumers) == len(hostile)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["hostile.tar", "in", "tmp"]


def test_bombs_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "_MEMBER_BYTES", 1 << 20)
    monkeypatch.setattr(consumer, "_ARCHIVE_BYTES", 4 << 20)
    zeros = bytes(3 << 20)
    bomb = tmp_path / "bomb.tar.xz"
    bomb.write_bytes(lzma.compress(tar({"one": zeros, "a.list": LIST, "two": zeros, "b.list": LIST})))
    found = found_in(bomb)
    assert names(found) == ["a.list"]
    assert [one.reason.partition(";")[0] for one in found.unreadable] == [
        "larger than the 1 MiB that are looked at",
        "larger than the 1 MiB that are looked at",
        "it holds more than 0 GiB or 500,000 files",
    ]
    monkeypatch.setattr(consumer, "_ARCHIVE_FILES", 10)
    (tmp_path / "many.tar").write_bytes(tar({f"{number}.list": LIST for number in range(50)}))
    assert len(found_in(tmp_path / "many.tar").consumers) == 10
    module = elf(62, 1, more=b"\0.gnu.linkonce.this_module\0" + zeros)
    (tmp_path / "bomb.ko.xz").write_bytes(lzma.compress(module))
    (refused,) = found_in(tmp_path / "bomb.ko.xz").unreadable
    assert "too large" in refused.reason


def test_what_came_before_the_damage_is_kept(tmp_path: Path) -> None:
    whole = deb({"a.list": LIST, "noise": os.urandom(200_000), "b.list": LIST})
    for cut in range(100, len(whole), 9_973):
        file = tmp_path / "cut.deb"
        file.write_bytes(whole[:cut])
        found = found_in(file)
        (refused,) = found.unreadable
        assert refused.path == str(file)
        assert str(tmp_path) not in refused.reason
        assert names(found) in ([], ["a.list"])


def test_damaged_input_is_never_an_exception(tmp_path: Path) -> None:
    whole = gzip.compress(tar({"a.list": LIST, "t.bt": SCRIPT, "x": elf(), "tool": TOOL}), mtime=0)
    plain = tar({"a.list": LIST, "t.bt": SCRIPT, "tool": TOOL})
    file = tmp_path / "damaged"
    for source in (whole, plain):
        for at in range(0, len(source), max(len(source) // 150, 1)):
            file.write_bytes(source[:at] + bytes([source[at] ^ 0x41]) + source[at + 1 :])
            found = found_in(file)
            assert not any("bug in ksurf" in one.reason for one in found.unreadable)


def test_a_reader_that_fails_costs_only_its_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Consumer:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ksurf.check.names.read_list", fail)
    found = found_in(tree)
    assert names(found) == ["script", "tool"]
    (refused,) = found.unreadable
    assert refused.reason == "this is a bug in ksurf, please report it: ZeroDivisionError: oh"
