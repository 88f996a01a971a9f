"""The names layer, over small trees: what is found, and what a hostile tree or index does."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ksurf import _core
from ksurf.errors import DatasetError, InputError, KsurfError
from ksurf.progress import Silent
from ksurf.source.names import KINDS, NamesIndex, Owner
from ksurf.source.place import Place

FILES = {
    "include/linux/vcpu.h": """\
#define VCPU_MAX(a, b) ((a) > (b))
struct vcpu {
	int id; /* not a request */
	struct { unsigned long bits; } requests;
};
bool vcpu_kick(struct vcpu *vcpu);
""",
    "virt/vcpu.c": """\
#include <linux/vcpu.h>
static DEFINE_PER_CPU(int, running);

bool vcpu_kick(struct vcpu *vcpu)
{
	return vcpu->requests.bits && vcpu->id; // vcpu_kick
}
EXPORT_SYMBOL_GPL(vcpu_kick);

SYSCALL_DEFINE1(vcpu, int, fd)
{
	return vcpu_kick("vcpu_kick");
}
""",
    "README": "Kicking a vcpu: see vcpu_kick().\n",
}


def made(folder: Path, files: dict[str, str | bytes] | dict[str, str]) -> NamesIndex:
    for path, text in files.items():
        file = folder / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    NamesIndex.build(folder / "tree", folder / "names", reporter=Silent())
    return NamesIndex.open(folder / "names")


@pytest.fixture
def index(tmp_path: Path) -> NamesIndex:
    return made(tmp_path, FILES)


def test_definitions_say_what_and_where(index: NamesIndex) -> None:
    declared, defined, exported = index.definitions("vcpu_kick")
    assert (declared.is_declaration, declared.place) == (True, Place("include/linux/vcpu.h", 6, 6))
    assert (defined.kind, defined.place) == ("function", Place("virt/vcpu.c", 4, 6))
    assert (defined.start_line, defined.end_line, defined.is_declaration) == (4, 7, False)
    assert (exported.kind, exported.via) == ("export", "EXPORT_SYMBOL_GPL")
    assert index.definitions("vcpu_kick", ["export"]) == [exported]
    assert {d.kind for name in ("vcpu", "id", "VCPU_MAX") for d in index.definitions(name)} <= set(KINDS)


def test_members_know_their_owner_and_path(index: NamesIndex) -> None:
    (bits,) = index.definitions("bits")
    assert (bits.kind, bits.owner, bits.path) == ("member", Owner("struct", "vcpu"), "requests.bits")
    (macro,) = index.definitions("VCPU_MAX")
    assert macro.parameters == "a, b"


def test_a_system_call_is_found_by_the_names_it_is_known_under(index: NamesIndex) -> None:
    for name in ("sys_vcpu", "__x64_sys_vcpu", "__arm64_sys_vcpu"):
        (call,) = index.definitions(name)
        assert (call.place.line, call.via) == (10, "SYSCALL_DEFINE1")


def test_references_are_lines_outside_of_comments_and_strings(index: NamesIndex) -> None:
    found = index.references("vcpu_kick")
    assert [(place.file, place.line) for place in found.listed] == [
        ("include/linux/vcpu.h", 6),
        ("virt/vcpu.c", 4),
        ("virt/vcpu.c", 8),
        ("virt/vcpu.c", 12),
    ]
    assert found.total == 4
    assert len(index.references("vcpu_kick", 2).listed) == 2
    assert index.references("no_such_name").total == 0


def test_a_file_is_read_on_the_spot(index: NamesIndex) -> None:
    file = index.file("virt/vcpu.c")
    assert [d.name for d in file.definitions if d.kind != "function"] == ["running", "vcpu_kick", "sys_vcpu"]
    assert ("running", 2, 28) in [(i.name, i.line, i.column) for i in file.identifiers]
    assert file.line_count == 13
    for path in ("virt/none.c", "../names/files", "/etc/passwd", "virt/../README"):
        with pytest.raises(InputError, match="no such file"):
            index.file(path)


def test_text_is_searched(index: NamesIndex) -> None:
    found = index.search(r"vcpu_kick\(")
    assert [str(match.place) for match in found.listed] == [
        "README:1",
        "include/linux/vcpu.h:6",
        "virt/vcpu.c:4",
        "virt/vcpu.c:12",
    ]
    assert found.listed[0].text == "Kicking a vcpu: see vcpu_kick()."
    assert found.listed[0].place.column == 21
    assert [m.place.file for m in index.search("kick", path_glob="include/**").listed] == [
        "include/linux/vcpu.h"
    ]
    assert [m.place.line for m in index.search("(?i)KICKING").listed] == [1]
    limited = index.search("vcpu", limit=3)
    assert (len(limited.listed), limited.is_complete, found.is_complete) == (3, False, True)
    assert index.search(".", limit=10_000).is_complete
    for pattern in ("(", r"(a)\1", "a{1000}{1000}{1000}"):
        with pytest.raises(InputError):
            index.search(pattern)


def test_names_are_completed(index: NamesIndex) -> None:
    assert [c.name for c in index.complete("vc")] == ["vcpu", "vcpu_kick"]
    assert index.complete("vcpu_k")[0].definitions == 3
    assert index.complete("zz") == []


def test_documentation_is_found_where_the_function_is_defined(tmp_path: Path) -> None:
    index = made(
        tmp_path,
        {
            "a.h": "int kick(int who);\n/**\n * struct s - a thing\n * @m: a part\n */\n"
            "struct s { int m; };\n",
            "b.c": "/**\n * kick() - Wakes one.\n * @who: which one\n *\n * Return: how\n */\n"
            "int kick(int who)\n{\n}\n",
        },
    )
    declared, defined = index.definitions("kick")
    for kick in (declared, defined):
        doc = index.documentation(kick)
        assert doc is not None
        assert (doc.place, doc.end_line, doc.brief) == (Place("b.c", 1), 6, "Wakes one.")
        assert (doc.parameters, doc.sections) == ((("who", "which one"),), (("Return", "how"),))
    (member,) = index.definitions("m")
    part = index.documentation(member)
    assert part is not None and part.brief == "a part"


def test_tree_and_index_may_be_moved_together(index: NamesIndex, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    shutil.move(tmp_path / "tree", tmp_path / "there")
    shutil.move(tmp_path / "names", tmp_path / "there")
    moved = NamesIndex.open(tmp_path / "there" / "names")
    assert moved.file("README").line_count == 1
    shutil.move(tmp_path / "there" / "tree", tmp_path / "elsewhere")
    assert NamesIndex.open(tmp_path / "there" / "names", tmp_path / "elsewhere").search("Kicking").listed


def test_a_new_index_takes_the_old_ones_place(index: NamesIndex, tmp_path: Path) -> None:
    (tmp_path / "tree" / "more.c").write_text("int more;\n")
    NamesIndex.build(tmp_path / "tree", tmp_path / "names", threads=1, reporter=Silent())
    assert index.definitions("more") == []
    assert len(NamesIndex.open(tmp_path / "names").definitions("more")) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names", "tree"]


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f".names.new{ended.pid}").mkdir()
    (tmp_path / ".names.newest").mkdir()
    made(tmp_path, FILES)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".names.newest", "names", "tree"]


def test_an_interrupted_build_leaves_what_was_there(index: NamesIndex, tmp_path: Path) -> None:
    progress = _core.NamesProgress()
    progress.cancel()
    with pytest.raises(InterruptedError):
        _core.build_names(str(tmp_path / "tree"), str(tmp_path / "names"), progress=progress)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names", "tree"]
    NamesIndex.open(tmp_path / "names").check()


def test_a_tree_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KsurfError, match="nowhere"):
        NamesIndex.build(tmp_path / "nowhere", tmp_path / "names", reporter=Silent())
    assert list(tmp_path.iterdir()) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.c").write_text("int secret;\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(outside)
    (tmp_path / "tree" / "link.c").symlink_to(outside / "secret.c")
    (tmp_path / "tree" / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "tree" / "pipe.c")
    index = made(tmp_path, {"a.c": "int a;\n"})
    assert [file.file for file in index.files()] == ["a.c"]
    assert index.search("secret").listed == ()
    (tmp_path / "tree" / "a.c").unlink()
    (tmp_path / "tree" / "a.c").symlink_to(outside / "secret.c")
    assert index.search("int a|secret").listed == ()
    with pytest.raises(KsurfError):
        index.file("a.c")


def test_strange_content_is_taken(tmp_path: Path) -> None:
    junk = random.Random(1).randbytes(200_000)
    files: dict[str, str | bytes] = {
        "junk.c": junk,
        "nul.c": b"int a;\0int b;",
        "latin.c": b"int caf\xe9; /* \xff */ int real;\n",
        "long.c": "int x" + ", y" * 300_000 + ";\n",
        "deep.c": "{(" * 100_000 + "struct {" * 100_000,
        "comment.c": "int before; /* never closed",
        "string.rs": 'fn f() { "never closed',
        "empty.h": "",
    }
    for name, text in files.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    odd = os.fsencode(tmp_path / "tree") + b"/bad\xff\n.c"
    with open(odd, "w") as out:  # noqa: PTH123
        out.write("int odd;\n")
    index = made(tmp_path, {})
    assert index.definitions("real") and index.definitions("before")
    (found,) = index.definitions("odd")
    assert os.fsencode(found.place.file) == b"bad\xff\n.c"
    assert index.file(found.place.file).line_count == 1
    assert {file.file: file.line_count for file in index.files()}["nul.c"] is None
    with pytest.raises(InputError, match="no text"):
        index.file("nul.c")
    assert index.search("never closed").is_complete
    started = time.monotonic()
    index.search("(x+x+)+y", limit=5)
    assert time.monotonic() - started < 10


WORDS = "alpha beta gamma delta vcpu_kick if return x y_1 struct".split()


@pytest.mark.parametrize("seed", range(5))
def test_look_ups_agree_with_a_naive_scan(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    files = {
        f"d{number % 7}/f{number}.c": "".join(
            chance.choice(WORDS) + chance.choice([" ", "\n", ";\n", "(", ") "])
            for _ in range(chance.randrange(80))
        )
        for number in range(60)
    }
    index = made(tmp_path, files)
    for word in ("alpha", "vcpu_kick", "x", "y_1", "nothing"):
        expected = [
            (path, number)
            for path, text in sorted(files.items())
            for number, line in enumerate(text.split("\n"), start=1)
            if re.search(rf"\b{word}\b", line)
        ]
        found = index.references(word, 10_000)
        assert [(place.file, place.line) for place in found.listed] == expected
        assert found.total == len(expected)
    for pattern in ("alpha.*beta", "cpu_k", "(?i)GAMMA|delta", r"^x", r"\breturn\b.*;$", "a"):
        compiled = re.compile(pattern)
        expected_lines = [
            (path, number, match.start() + 1, line)
            for path, text in sorted(files.items())
            for number, line in enumerate(text.split("\n"), start=1)
            if (match := compiled.search(line))
        ]
        listed = index.search(pattern, limit=10_000).listed
        assert [(m.place.file, m.place.line, m.place.column, m.text) for m in listed] == expected_lines


def test_a_damaged_index_is_told_by_file_and_offset(index: NamesIndex, tmp_path: Path) -> None:
    folder = tmp_path / "names"
    for name in ("files", "names", "postings", "trigrams"):
        whole = (folder / name).read_bytes()
        for size in (0, 10, 31, 32, len(whole) // 2, len(whole) - 1):
            (folder / name).unlink()  # the open index keeps its own
            (folder / name).write_bytes(whole[:size])
            with pytest.raises(KsurfError, match=f"{name}: "):
                NamesIndex.open(folder).check()
        (folder / name).write_bytes(whole[:8] + b"\x63" + whole[9:])
        with pytest.raises(DatasetError, match="version 99"):
            NamesIndex.open(folder)
        (folder / name).unlink()
        with pytest.raises(KsurfError):
            NamesIndex.open(folder)
        (folder / name).write_bytes(whole)


ASKED: tuple[Callable[[NamesIndex], object], ...] = (
    lambda index: [index.definitions(word) for word in ("vcpu", "vcpu_kick", "bits", "zzz")],
    lambda index: [index.references(word) for word in ("vcpu", "vcpu_kick", "return")],
    lambda index: index.search("vcpu_kick|Kick"),
    lambda index: index.search("."),
    lambda index: index.complete(""),
    lambda index: index.files(),
)


def test_no_damage_is_more_than_an_error(index: NamesIndex, tmp_path: Path) -> None:
    chance = random.Random(7)
    folder = tmp_path / "names"
    for name in ("files", "names", "postings", "trigrams"):
        whole = (folder / name).read_bytes()
        for _ in range(150):
            damaged = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                damaged[chance.randrange(32, len(damaged))] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )
            (folder / name).unlink()
            (folder / name).write_bytes(damaged)
            try:
                opened = NamesIndex.open(folder)
            except KsurfError:
                continue
            for ask in ASKED:
                try:
                    ask(opened)
                except KsurfError as error:
                    assert "\n" not in error.message
        (folder / name).unlink()
        (folder / name).write_bytes(whole)
