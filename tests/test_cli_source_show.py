"""``ksurf source show`` and ``diff``, from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ksurf.cli import run
from made_kernel import MadeKernel
from made_source import FILES, kernel, prepare, source_dataset
from made_trees import put_tree

ARM, AMD = kernel("arm64"), kernel("amd64")
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source_dataset(tmp_path)
    monkeypatch.setenv("KSURF_DATASET", str(tmp_path))
    return tmp_path


def printed(capsys: Capture, *arguments: str) -> str:
    assert run(["source", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: Capture, *arguments: str, status: int = 1) -> str:
    assert run(["source", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_each_format(capsys: Capture) -> None:
    text = printed(capsys, "show", "kernel/timer.c", "--kernel", "arm64")
    assert text.startswith(f"kernel/timer.c: debian_7.3.4-1, as {ARM.release} (arm64) has it; semantic layer")
    assert "\n    18  \treturn timer_start(t, delay: 3 | 4, flags: timer_due(timer: t));\n" in text
    assert "\x1b" not in text
    markdown = printed(capsys, "show", "timer.c", "--kernel", "arm64", "--format", "md")
    assert markdown.startswith("1 | #include <linux/timer.h> |\n---|---|\n2 | |\n")
    assert "\n\nDefinitions\n- timer_start\n- timer_test\n\n" in markdown
    assert "Left out by this configuration: 10-13\n" in markdown
    document = json.loads(printed(capsys, "show", "timer.c", "--kernel", "arm64", "--format", "json"))
    assert document["kernel"]["id"] == ARM.id
    assert document["lines"][17]["hints"][0]["name"] == "delay"
    html = printed(capsys, "show", "timer.c", "--kernel", "arm64", "--format", "html")
    assert '<tr id="L10" class="inactive">' in html


def test_some_lines(capsys: Capture) -> None:
    for words, numbers in (("17-18", [17, 18]), ("18-", [18, 19]), ("3", [3]), ("19-900", [19])):
        text = printed(capsys, "show", "timer.c", "--lines", words, "--format", "json")
        assert [line["number"] for line in json.loads(text)["lines"]] == numbers
    assert "has 19 lines" in refused(capsys, "show", "timer.c", "--lines", "20-")
    for words in ("x", "3-1", "0", "-3", "1-2-3"):
        refused(capsys, "show", "timer.c", f"--lines={words}", status=1 if words in {"3-1", "0"} else 2)


def test_output_goes_into_a_file_without_colours(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert printed(capsys, "show", "timer.c", "--output", str(tmp_path / "page.txt")) == ""
    assert "\x1b" not in (tmp_path / "page.txt").read_text()
    assert "page.txt" in refused(capsys, "show", "timer.c", "--output", "/nowhere/page.txt")


def test_what_cannot_be_shown_is_refused_with_what_to_do(capsys: Capture) -> None:
    assert "did you mean kernel/timer.c" in refused(capsys, "show", "tiemr.c")
    assert "which one? arch/arm64/kernel/only.c, arch/x86/kernel/only.c" in refused(capsys, "show", "only.c")
    assert "names no file" in refused(capsys, "show", "../../manifest.json")
    assert "it is a folder" in refused(capsys, "show", "kernel")
    assert "prepared are" in refused(capsys, "show", "timer.c", "--kernel", "5.10")


def test_facts_are_told_where_they_are_asked_for(capsys: Capture, dataset: Path) -> None:
    made = MadeKernel()
    made.image()
    unit = made.unit("kernel/timer.c")
    start = made.function("timer_start", "kernel/timer.c", external=True)
    caller = made.instance(made.function("timer_test", "kernel/timer.c", external=True), unit, address=64)
    made.instance(start, unit, address=16)
    made.call(caller, start, line=18)
    made.write(dataset, ARM)
    assert "called timer_start" not in printed(capsys, "show", "timer.c", "--kernel", "arm64")
    for words in (["--facts"], ["--on", "arm64"]):
        text = printed(capsys, "show", "timer.c", "--kernel", "arm64", *words)
        assert re.search(r"^    18 .*  // called timer_start", text, re.MULTILINE)
        assert f"{ARM.release}: with code of its own; called by timer_test" in text
    markdown = printed(capsys, "show", "timer.c", "--kernel", "arm64", "--facts", "--format", "md")
    assert "\n- timer_start\n  - " in markdown
    assert "no kernel matches" in refused(capsys, "show", "timer.c", "--on", "5.10")


def test_two_kernels_of_one_tree_differ_by_their_configurations(capsys: Capture) -> None:
    text = printed(capsys, "diff", "timer.c", "arm64", "amd64")
    lines = text.splitlines()
    assert lines[0].startswith(f"A  kernel/timer.c: debian_7.3.4-1, as {ARM.release}")
    assert "  let in    function   timer_slow  line 10" in lines
    assert "left out by the configuration of A alone: lines 10-13" in lines
    assert "---" not in text
    assert printed(capsys, "diff", "timer.c", "arm64", "arm64").splitlines()[-1] == "no difference"


def test_two_trees(capsys: Capture, dataset: Path) -> None:
    other = kernel("arm64", "7.4.1")
    changed = FILES["kernel/timer.c"].replace(b"3 | 4", b"5")
    tree = put_tree(
        dataset, "7.4.1-1", "7.4.1", files={**FILES, "kernel/timer.c": changed, "kernel/new.c": b"int n;\n"}
    )
    prepare(tree, other, ["kernel/timer.c"])
    text = printed(capsys, "diff", "kernel/timer.c", "7.3-arm64", "7.4")
    assert "  changed   function   timer_test  line 16\n" in text
    assert "--- debian_7.3.4-1/kernel/timer.c\n+++ debian_7.4.1-1/kernel/timer.c\n" in text
    assert (
        "-\treturn timer_start(t, 3 | 4, timer_due(t));\n+\treturn timer_start(t, 5, timer_due(t));\n" in text
    )
    document = json.loads(printed(capsys, "diff", "new.c", "7.3-arm64", "7.4", "--format", "json"))
    assert document["old"] is None
    assert [line["new"] for line in document["changes"]] == [["int n;"]]
    assert "has no file kernel/none.c" in refused(capsys, "diff", "kernel/none.c", "7.3-arm64", "7.4")
