"""``ksurf source def``, ``refs`` and ``search``, and pages in the names layer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ksurf.cli import run
from ksurf.progress import Silent
from ksurf.source.browse import Browser
from ksurf.source.names import NamesIndex
from ksurf.source.page import Layer
from made_source import FILES, kernel, source_dataset
from made_trees import put_tree

ARM, AMD = kernel("arm64"), kernel("amd64")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tree = source_dataset(tmp_path)
    NamesIndex.build(tree.root, tree.names, reporter=Silent())
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path))
    return tmp_path


def printed(capsys: Capture, *arguments: str) -> str:
    assert run(["source", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: str) -> str:
    assert run(["source", *arguments]) == 1
    return capsys.readouterr().err


def test_definitions_come_with_their_source(capsys: Capture) -> None:
    assert printed(capsys, "def", "timer_start", "--kernel", "arm64").splitlines() == [
        "kernel/timer.c:3  function",
        "    int timer_start(struct timer *t, int delay, int flags)",
        "and 1 declaration; --all shows it",
    ]
    assert "include/linux/timer.h:2  function declaration" in printed(capsys, "def", "timer_start", "--all")
    assert printed(capsys, "def", "due", "--kind", "member").splitlines() == [
        "include/linux/timer.h:1  member of struct timer",
        "    int due",
    ]


def test_it_is_said_which_file_the_kernel_does_not_compile(capsys: Capture) -> None:
    text = printed(capsys, "def", "extra", "--kernel", "arm64")
    assert text.startswith(f"kernel/extra.c:1  function  not compiled by {ARM.release}\n")
    document = json.loads(printed(capsys, "def", "extra", "--kernel", "amd64", "--format", "json"))
    (found,) = document["definitions"]
    assert (found["file"], found["line"], found["compiled"]) == ("kernel/extra.c", 1, True)
    assert (document["schema"], document["kernel"]["id"]) == ("ksurf.source-def", AMD.id)


def test_near_names_are_suggested(capsys: Capture) -> None:
    message = refused(capsys, "def", "timer_stat")
    assert "defines timer_stat" in message
    assert "timer_start" in message
    assert "defines struct timer_start" in refused(capsys, "def", "timer_start", "--kind", "struct")


def test_references_are_lines_of_files(capsys: Capture) -> None:
    text = printed(capsys, "refs", "timer_due")
    assert text.splitlines() == [
        "include/linux/timer.h:3: static inline int timer_due(struct timer *timer)",
        "kernel/timer.c:18: return timer_start(t, 3 | 4, timer_due(t));",
    ]
    assert printed(capsys, "refs", "timer_due", "--limit", "1").splitlines()[1:] == [
        "and 1 more; --limit shows more, 0 all"
    ]
    document = json.loads(printed(capsys, "refs", "timer_due", "--limit", "1", "--format", "json"))
    assert (document["name"], document["total"], document["complete"]) == ("timer_due", 2, False)
    assert document["lines"][0]["file"] == "include/linux/timer.h"
    assert "mentions nothing_at_all" in refused(capsys, "refs", "nothing_at_all")


def test_a_file_that_went_away_leaves_its_places(capsys: Capture, dataset: Path) -> None:
    (Browser(dataset).trees.all()[0].root / "kernel/timer.c").unlink()
    assert "kernel/timer.c:18: (the file has changed since it was indexed)" in printed(
        capsys, "refs", "timer_due"
    )


def test_text_is_searched_by_patterns_and_paths(capsys: Capture) -> None:
    assert printed(capsys, "search", r"return \d+;").splitlines() == [
        "arch/arm64/kernel/only.c:3: return 64;",
        "arch/x86/kernel/only.c:3: return 86;",
        "kernel/extra.c:3: return 2;",
        "kernel/timer.c:12: return 1;",
    ]
    assert (
        printed(capsys, "search", "RETURN 2", "-i", "--in", "kernel/*.c") == "kernel/extra.c:3: return 2;\n"
    )
    some = printed(capsys, "search", "return", "--limit", "2").splitlines()
    assert some[2:] == ["and more; --limit shows more, 0 all"]
    document = json.loads(printed(capsys, "search", "return 2", "--format", "json"))
    assert (document["pattern"], document["in"], document["ignore_case"]) == ("return 2", None, False)
    assert document["lines"] == [{"file": "kernel/extra.c", "line": 3, "column": 2, "text": "\treturn 2;"}]
    assert "matches nothing_at_all" in refused(capsys, "search", "nothing_at_all")
    assert "ksurf: error: " in refused(capsys, "search", "(unclosed")


def test_without_an_index_it_is_said_how_to_get_one(capsys: Capture, dataset: Path) -> None:
    put_tree(dataset, "7.4.1-1", "7.4.1")
    for words in (["def", "fork"], ["refs", "fork"], ["search", "fork"]):
        assert "ksurf source index debian_7.4.1-1" in refused(capsys, *words)


def test_a_page_in_the_names_layer(capsys: Capture, dataset: Path) -> None:
    browser = Browser(dataset)
    page = browser.page(browser.view("arm64"), "kernel/extra.c")
    assert page.layer.layer is Layer.NAMES
    assert page.layer.reason is not None
    assert "CONFIG_EXTRA" in page.layer.reason
    assert [(found.name, found.signature) for found in page.definitions] == [("extra", "int extra(void)")]
    text = printed(capsys, "show", "kernel/extra.c", "--kernel", "arm64")
    assert re.match(r"kernel/extra\.c: debian_7\.3\.4-1; names layer, no semantic one: ", text)
    assert browser.find(browser.trees.all()[0], "extra.c") == "kernel/extra.c"


def test_assembly_has_its_labels(dataset: Path) -> None:
    browser = Browser(dataset)
    page = browser.page(browser.view("arm64"), "arch/arm64/kernel/entry.S")
    assert page.layer.layer is Layer.NAMES
    assert [(found.name, found.kind) for found in page.definitions] == [("entry", "label")]


def test_what_moved_to_another_file_is_told(capsys: Capture, dataset: Path) -> None:
    files = {**FILES, "kernel/moved.c": FILES["kernel/extra.c"], "kernel/extra.c": b"int other;\n"}
    tree = put_tree(dataset, "7.4.1-1", "7.4.1", files=files)
    NamesIndex.build(tree.root, tree.names, reporter=Silent())
    text = printed(capsys, "diff", "kernel/extra.c", "debian_7.3.4-1", "7.4")
    assert "  removed   function   extra  line 1; now in kernel/moved.c\n" in text
    assert "  added     variable   other  line 1\n" in text
