"""``ksurf plot``."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ksurf.cli import run
from made_kernel import kernel, kvm_kernel, offering_kernel

Plot = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Plot:
    """Return a function that runs ``ksurf plot`` in a folder, with a series of two and a kernel beside it."""
    dataset = tmp_path / "dataset"
    for number, version in enumerate(("6.1.5", "6.12.1")):
        offering_kernel(number).write(dataset, kernel(version))
    kvm_kernel().write(dataset, kernel("6.12.1", arch="arm64"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "some.list").write_text("kprobe:nowhere\nstruct:kvm\nfield:kvm::mmu_lock\n")
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(["plot", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


COMMANDS = {
    "churn": ("churn", "--kind", "struct", "--kind", "config"),
    "availability": ("availability", "some.list"),
    "inlining": ("inlining",),
    "struct-growth": ("struct-growth", "kvm", "list_head"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_picture_is_what_its_file_is_named(plot: Plot, name: str) -> None:
    for file in ("plot.svg", "plot.PNG", "plot.csv", "plot.json"):
        assert plot(*COMMANDS[name], "--output", file) == (0, "", "")
    assert ElementTree.parse("plot.svg").getroot().get("width") == "1280"
    assert Path("plot.PNG").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert Path("plot.csv").read_text().splitlines()[0].endswith(",source")
    assert json.loads(Path("plot.json").read_text())["plot"] == name


@pytest.mark.parametrize("name", COMMANDS)
def test_a_format_goes_to_standard_output(plot: Plot, name: str) -> None:
    status, out, err = plot(*COMMANDS[name], "--format", "svg", "--dark", "--width", "640")
    assert (status, err) == (0, "")
    assert ElementTree.fromstring(out).get("width") == "640"
    assert "fill: #14181d" in out
    assert plot(*COMMANDS[name], "--format", "json", "--output", "plot.svg") == (0, "", "")
    assert json.loads(Path("plot.svg").read_text())["schema"] == "ksurf.plot"


def test_a_png_goes_through_a_pipe(plot: Plot, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ksurf", "plot", "struct-growth", "kvm", "--format", "png"]
    done = subprocess.run([*command, "--dataset", str(tmp_path / "dataset")], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_terminal_cannot_show_a_png(plot: Plot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, out, err = plot("struct-growth", "kvm", "--format", "png")
    assert (status, out) == (2, "")
    assert "a terminal cannot show a PNG; --output FILE.png makes a file" in err


def test_the_numbers_are_those_of_the_commands_that_they_name(plot: Plot) -> None:
    status, out, _ = plot("churn", "--format", "csv")
    rows = {row["kind"]: row for row in csv.DictReader(io.StringIO(out))}
    assert status == 0
    assert (len(rows), rows["struct"]["changed"], rows["config"]["changed"]) == (12, "1", "1")
    _, out, _ = plot("availability", "some.list", "--on", "amd64", "--format", "csv")
    found = [
        (row["dependency"], row["label"], row["outcome"], row["cause"])
        for row in csv.DictReader(io.StringIO(out))
    ]
    assert found == [
        ("kprobe nowhere", "6.1", "broken", "function-absent"),
        ("kprobe nowhere", "6.12", "broken", "function-absent"),
        ("struct kvm", "6.1", "ok", ""),
        ("struct kvm", "6.12", "ok", ""),
        ("field kvm::mmu_lock", "6.1", "ok", ""),
        ("field kvm::mmu_lock", "6.12", "ok", ""),
    ]


def test_the_baseline_chooses_the_series(plot: Plot) -> None:
    _, out, _ = plot("struct-growth", "kvm", "--baseline", "6.1", "--format", "csv")
    assert [row["label"] for row in csv.DictReader(io.StringIO(out))] == ["6.1", "6.12"]
    _, out, _ = plot("inlining", "--baseline", "arm64", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["group"] for row in rows if row["label"].startswith("amd64")} == {"Arch"}
    assert next(row for row in rows if row["group"] == "Regular")["label"] == "6.12"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("churn",), 2, "one of --output FILE and --format is needed"),
        (("churn", "--output", "x.pdf"), 2, "x.pdf: the name ends in none of .svg, .png, .csv, .json"),
        (("churn", "--output", "svg"), 2, "svg: the name ends in none of"),
        (("churn", "--format", "pdf"), 2, "'pdf' is not one of"),
        (("churn", "--format", "csv", "--kind", "structs"), 2, "'structs' is not one of"),
        (("churn", "--format", "svg", "--width", "10"), 2, "10 is not in the range"),
        (("churn", "--format", "csv", "--baseline", "arm64"), 1, "there is no step between versions"),
        (("churn", "--format", "csv", "--on", "6.1"), 1, "hint: ksurf pull debian:VERSION-cloud-amd64"),
        (("churn", "--format", "csv", "--on", "4.19"), 1, "no kernel matches '4.19'"),
        (("churn", "--format", "csv", "--baseline", "4.19"), 1, "no kernel matches '4.19'"),
        (("churn", "--format", "csv", "--dataset", "none"), 1, "the dataset none has no kernels"),
        (("inlining", "--output", "no/such/folder.svg"), 1, "no/such/folder.svg: No such file or directory"),
        (("struct-growth", "--format", "csv"), 2, "Missing argument"),
        (("struct-growth", "list_hed", "--format", "csv"), 1, "hint: near names: list_head"),
        (("struct-growth", "pid_t", "--format", "csv"), 1, "hint: there is a typedef pid_t"),
        (("struct-growth", "<b>\x1b[1m", "--format", "svg"), 1, "no struct <b>\\x1b[1m on 2 kernels"),
        (("availability", "--format", "csv"), 2, "Missing argument"),
        (("availability", "none", "--format", "csv"), 2, "not checked: none: No such file or directory"),
        (("availability", ".", "--format", "csv", "--limit", "0"), 2, "0 is not in the range"),
        (("availability", "some.list", "--format", "csv", "--on", "4.19"), 2, "no kernel matches '4.19'"),
        (("availability", "some.list", "--format", "csv", "--policy", "no.toml"), 2, "no.toml: No such file"),
    ],
)
def test_what_cannot_be_plotted(plot: Plot, arguments: tuple[str, ...], status: int, message: str) -> None:
    got, out, err = plot(*arguments)
    assert (got, out) == (status, "")
    assert message in err


def test_what_is_there_is_drawn_beside_what_is_not(plot: Plot) -> None:
    status, out, err = plot("struct-growth", "kvm", "kmv", "--format", "csv")
    assert (status, len(out.splitlines())) == (1, 3)
    assert "no struct kmv on 2 kernels" in err
    status, out, err = plot("availability", "some.list", "none", "--format", "csv")
    assert (status, len(out.splitlines())) == (2, 10)
    assert "not checked: none" in err
