"""One file on two sides."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.report.source_diff import comparison_json, comparison_text
from ksurf.source.compare import Comparison, DefinitionChange, compare
from ksurf.source.compose import names_page
from ksurf.source.line_diff import aligned, hunks, in_order
from ksurf.source.names import Definition, FileNames
from ksurf.source.page import Layer, Page, PageLayer
from ksurf.source.place import Place

LINES = st.lists(st.sampled_from("abcdefgh"), max_size=30)


@given(LINES, LINES)
def test_runs_cover_both_sides(old: list[str], new: list[str]) -> None:
    runs = aligned(old, new)
    assert [line for run in runs for line in old[run.old : run.old_end]] == old
    assert [line for run in runs for line in new[run.new : run.new_end]] == new
    for run in runs:
        assert run.same == (old[run.old : run.old_end] == new[run.new : run.new_end])
    assert all(one.same != other.same for one, other in pairwise(runs))


@given(st.lists(st.integers(0, 50), unique=True, max_size=12))
def test_as_many_as_rise(numbers: list[int]) -> None:
    kept = in_order(numbers)
    assert kept == sorted(kept)
    values = [numbers[index] for index in kept]
    assert values == sorted(values)
    lengths = [1] * len(numbers)
    for at in range(len(numbers)):
        lengths[at] = 1 + max((lengths[j] for j in range(at) if numbers[j] < numbers[at]), default=0)
    assert len(kept) == max(lengths, default=0)


def test_long_lists_take_no_long_time() -> None:
    same = ["x"] * 30_000
    assert len(aligned(same, ["y", *same[1:20_000], "z"])) == 1
    numbers = [str(number) for number in range(30_000)]
    runs = aligned(numbers, numbers[::-1])
    assert sum(run.old_end - run.old for run in runs if run.same) == 1


def sided(text: str, *left_out: int) -> Page:
    """A page whose functions are the lines ``int NAME(...)``, each up to the line ``}``."""
    lines = text.encode().split(b"\n")
    found_here = []
    for number, line in enumerate(lines, start=1):
        found = re.match(rb"int (\w+)\(", line)
        if found and number not in left_out:
            last = lines.index(b"}", number) + 1
            place = Place("a.c", number, 5)
            found_here.append(Definition(found[1].decode(), "function", place, number, last, False, False))
    layer = PageLayer(Layer.SEMANTIC, unit="a.o")
    names = FileNames("a.c", 0, tuple(found_here), ())
    page = names_page(text.encode(), "a.c", names, layer, tree="tree", kernel=None)
    return replace(
        page, lines=tuple(line._replace(is_inactive=line.number in left_out) for line in page.lines)
    )


def function(name: str, body: str, parameters: str = "void") -> str:
    return f"int {name}({parameters})\n{{\n\treturn {body};\n}}\n"


def changes(found: Comparison) -> list[tuple[str, str, int | None, int | None]]:
    return [(d.change.value, d.name, d.old_line, d.new_line) for d in found.definitions]


def test_definitions_are_compared() -> None:
    old = function("a", "1") + function("b", "2") + function("c", "3") + function("d", "4")
    new = function("c", "3") + function("a", "1", "int x") + function("e", "5") + function("d", "4")
    found = compare(sided(old), sided(new))
    assert sorted(changes(found)) == [
        ("added", "e", None, 9),
        ("changed", "a", 1, 5),
        ("removed", "b", 5, None),
    ]
    assert [d.signature_changed for d in found.definitions if d.name == "a"] == [True]


def test_one_that_changed_its_place_is_moved() -> None:
    parts = [function(name, name) for name in "abcd"]
    found = compare(sided("".join(parts)), sided("".join([parts[3], *parts[:3]])))
    assert changes(found) == [("moved", "d", 13, 1)]


def test_other_white_space_is_no_change() -> None:
    found = compare(sided("int a(void)\n{\n\treturn 1;\n}\n"), sided("int a(void)\n{\n  return\n 1;\n}\n"))
    assert changes(found) == []
    assert not found.is_same


def test_what_a_configuration_leaves_out_is_not_removed() -> None:
    text = function("a", "1") + "#ifdef X\n" + function("b", "2") + "#endif\n"
    all_in, without = sided(text), sided(text, 6, 7, 8, 9)
    left = compare(all_in, without)
    assert changes(left) == [(DefinitionChange.LEFT_OUT, "b", 6, 6)]
    assert [(part.by_new, part.new.first, part.new.last) for part in left.left_out] == [(True, 6, 9)]
    assert "left out by the configuration of B alone: lines 6-9" in comparison_text("a.c", left)
    let_in = compare(without, all_in)
    assert changes(let_in) == [(DefinitionChange.LET_IN, "b", 6, 6)]
    assert "left out by the configuration of A alone: lines 6-9" in comparison_text("a.c", let_in)
    assert not left.is_same
    assert compare(without, without).is_same


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@given(LINES, LINES)
def test_hunks_are_a_patch(old: list[str], new: list[str]) -> None:
    shown = []
    for hunk in hunks(aligned(old, new)):
        assert any(not run.same for run in hunk)
        for one, other in pairwise(hunk):
            assert (one.old_end, one.new_end) == (other.old, other.new)
        shown += [run for run in hunk if not run.same]
    assert shown == [run for run in aligned(old, new) if not run.same]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc\n", "a\nc\n"),
        ("", "a\nb\n"),
        ("a\nb\n", ""),
        ("".join(f"{n}\n" for n in range(40)), "".join(f"{n}\n" for n in range(40) if n % 13)),
    ],
)
def test_patch_takes_what_is_printed(tmp_path: Path, old: str, new: str) -> None:
    if shutil.which("patch") is None:
        pytest.skip("patch is not installed")
    text = plain(comparison_text("a.c", compare(sided(old), sided(new))))
    (tmp_path / "a.c").write_text(old)
    patch = text[text.index("--- tree/a.c") :]
    subprocess.run(["patch", "-s", "-p1"], cwd=tmp_path, input=patch, text=True, check=True)
    assert (tmp_path / "a.c").read_text() == new


def test_hunks_name_the_function_around() -> None:
    old = function("a", "1") + "\n" * 9 + function("b", "2")
    text = plain(comparison_text("a.c", compare(sided(old), sided(old.replace("2", "3")))))
    assert "  changed   function   b  line 14\n" in text
    assert "@@ -13,5 +13,5 @@ int b(void)\n" in text
    assert "-\treturn 2;\n+\treturn 3;\n" in text


def test_a_file_that_one_side_does_not_have() -> None:
    found = compare(None, sided(function("a", "1")))
    assert changes(found) == [("added", "a", None, 1)]
    text = plain(comparison_text("a.c", found))
    assert text.startswith("A  has no a.c\nB  a.c: tree; semantic layer, seen through a.o\n")
    assert "--- /dev/null\n+++ tree/a.c\n@@ -0,0 +1,4 @@ int a(void)\n+int a(void)\n" in text
    assert changes(compare(sided(function("a", "1")), None)) == [("removed", "a", 1, None)]


def test_what_is_the_same_is_said_in_a_word() -> None:
    page = sided(function("a", "1"))
    assert plain(comparison_text("a.c", compare(page, page))).splitlines()[-1] == "no difference"


def test_json_has_all_of_it() -> None:
    old = sided("x\n" + function("a", "1") + function("b", "2"))
    new = sided(function("a", "1") + function("b", "3"), 1)
    document = json.loads(comparison_json("a.c", compare(old, new)))
    assert (document["schema"], document["file"], document["old"]["unit"]) == (
        "ksurf.source-diff",
        "a.c",
        "a.o",
    )
    assert document["definitions"][0]["change"] == "left out"
    assert document["left_out"][0] == {
        "by": "new",
        "old": {"first": 2, "last": 2},
        "new": {"first": 1, "last": 1},
    }
    assert document["changes"][0] == {"old_line": 1, "old": ["x"], "new_line": 1, "new": []}
    assert json.loads(comparison_json("a.c", compare(None, new)))["old"] is None
