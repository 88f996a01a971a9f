"""``ksurf check``, ``ksurf deps`` and ``ksurf summary``: what they print, and what they end with."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ksurf.check.consumer import find
from ksurf.check.dependency import ConsumerKind
from ksurf.cli import run
from ksurf.progress import Silent
from made_kernel import kernel, kvm_kernel, offering_kernel
from material import Material
from real_kernels import RealKernels

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Return a function that runs a command in a folder with a dataset of three, and three lists."""
    dataset = tmp_path / "dataset"
    for number, version in enumerate(("5.10.1", "6.1.5")):
        offering_kernel(number).write(dataset, kernel(version))
    kvm_kernel().write(dataset, kernel("6.12.1"))
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "fine.list").write_text("?function:nowhere\n")
    (folder / "bad.list").write_text("kprobe:nowhere\nstruct:nothing_such\n")
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(list(arguments))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_the_exit_status_says_what_was_found(check: Check) -> None:
    assert check("check", "fine.list")[0] == 0
    status, out, _ = check("check", "bad.list")
    assert status == 1
    assert "✘ broken  kprobe nowhere  on 5.10, 6.1, 6.12" in out
    assert "\x1b" not in out
    status, out, _ = check("check", "fine.list", "missing.list")
    assert status == 2
    assert "! not checked: missing.list: No such file or directory" in out
    # What is broken counts for more than what could not be checked.
    assert check("check", "bad.list", "missing.list")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "."), None),
        (("check", "bad.list", "--on", "4.19"), "no kernel matches '4.19'"),
        (("check", "bad.list", "--baseline", "4.19"), "no kernel matches '4.19'"),
        (("check", "bad.list", "--dataset", "none"), "the dataset none has no kernels"),
        (("check", "bad.list", "--policy", "none.toml"), "none.toml: No such file or directory"),
        (("check", "bad.list", "--output", "no/such/folder"), "no/such/folder: No such file or directory"),
        (("check", "bad.list", "--fail-on", "ok"), "'ok' is not one of"),
        (("check",), "Missing argument"),
        (("check", "empty"), "empty: nothing that ksurf checks in 1 file"),
        (("summary", "empty"), "empty: nothing that ksurf checks in 1 file"),
        (("deps", "empty"), "empty: nothing that ksurf checks in 1 file"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(
    check: Check, arguments: tuple[str, ...], message: str | None
) -> None:
    Path("empty").mkdir()
    Path("empty", "notes").write_text("nothing")
    status, _, err = check(*arguments)
    assert (status, err.count("ksurf: error: ")) == ((1, 0) if message is None else (2, 1))
    assert (message or "") in err


def test_on_and_baseline_choose_the_kernels(check: Check) -> None:
    document = json.loads(
        check("check", "bad.list", "--on", "6.1", "--baseline", "5.10", "--format", "json")[1]
    )
    assert [one["kernel"]["base_version"] for one in document["kernels"]] == ["6.1"]
    assert "_5.10.1-" in document["baseline"]
    assert document["consumers"][0]["baseline"] == document["baseline"]


def test_the_policy_counts_where_options_say_nothing(check: Check) -> None:
    Path("ksurf.toml").write_text(
        '[check]\nkernels = ["6.12", "6.1"]\nbaseline = "6.1"\n'
        '[[accept]]\ndependency = "*:no*"\nreason = "for the test"\nkernels = ["6.12"]\n'
    )
    status, out, _ = check("check", "bad.list", "--format", "json")
    document = json.loads(out)
    assert (status, document["policy"]["file"]) == (1, "ksurf.toml")
    assert [one["kernel"]["base_version"] for one in document["kernels"]] == ["6.1", "6.12"]
    status, out, _ = check("check", "bad.list", "--on", "6.12")
    assert status == 0
    assert "(✘)" in out and "accepted: for the test" in out and "(2 findings accepted by ksurf.toml)" in out
    Path("other.toml").write_text("[check]\n")
    assert check("check", "bad.list", "--on", "6.12", "--policy", "other.toml")[0] == 1
    for key, value in (("kernels", '["9.9"]'), ("baseline", '"9.9"')):
        Path("ksurf.toml").write_text(f"[check]\n{key} = {value}\n")
        status, _, err = check("check", "fine.list")
        assert status == 2
        assert f"ksurf.toml: check.{key}: no kernel matches '9.9'" in err
    assert "error: no kernel matches '9.8'" in check("check", "fine.list", "--baseline", "9.8")[2]
    Path("ksurf.toml").write_text("[check]\nfailon = 'broken'\n")
    status, _, err = check("check", "fine.list")
    assert status == 2
    assert "ksurf.toml: check.failon: no such key" in err


def test_every_format_can_be_written_to_a_file(check: Check) -> None:
    for form, read in (
        ("terminal", str),
        ("md", str),
        ("json", json.loads),
        ("sarif", json.loads),
        ("junit", ElementTree.fromstring),
    ):
        status, out, _ = check("check", "bad.list", "--format", form, "--output", "report")
        assert status == 1
        assert out == "1 program on 3 kernels: ✘ 1 broken\n"
        assert read(Path("report").read_text())
        # Without the option the same is printed.
        assert check("check", "bad.list", "--format", form)[1] == Path("report").read_text()


def test_standard_input_is_checked(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"kprobe:nowhere\n")))
    status, out, _ = check("check", "-")
    assert status == 1
    assert out.startswith("stdin  list, -\n")
    assert "    at line 1\n" in out


def test_standard_input_may_be_closed(check: Check) -> None:
    """A service has none."""
    program = "import sys; from ksurf.cli import run; sys.exit(run(['check', '-']))"
    command = ["sh", "-c", '"$@" <&-', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert "! not checked: -: standard input is closed\n" in done.stdout


def test_standard_input_is_read_once(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"?kprobe:nowhere\n")))
    assert check("check", "-", "-")[0] == 0


@pytest.mark.parametrize(("name", "status"), [("fine.list", 0), ("bad.list", 1), ("missing", 2)])
def test_a_reader_that_goes_away_changes_no_status(check: Check, name: str, status: int) -> None:
    for command in ("check", "deps", "summary"):
        code = "import sys, time; from ksurf.cli import run; time.sleep(0.2); sys.exit(run(sys.argv[1:]))"
        with subprocess.Popen(
            [sys.executable, "-c", code, command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            complaint = process.stderr.read()
        expected = status if command == "check" or status == 2 else 0
        assert (process.returncode, complaint) == (expected, b""), command


def test_a_full_disk_is_told_with_the_files_name(check: Check) -> None:
    status, _, err = check("check", "fine.list", "--output", "/dev/full")
    assert status == 2
    assert err.startswith("ksurf: error: /dev/full: No space left on device\n")
    with Path("/dev/full").open("wb") as full:
        code = "import sys; from ksurf.cli import run; sys.exit(run(['check', 'fine.list']))"
        done = subprocess.run(
            [sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr.startswith("ksurf: error: the output: No space left on device\n")
    assert done.returncode == 2


def test_a_misspelt_line_of_a_list_could_not_be_checked(check: Check) -> None:
    Path("needs").write_text("?function:nowhere\nkprob:vfs_read\n")
    status, out, _ = check("check", "needs")
    assert status == 2
    assert "! not checked: needs:2: 'kprob' is no kind of dependency; is it kprobe?\n" in out
    assert check("deps", "needs")[0] == check("summary", "needs")[0] == 2


def test_of_many_programs_those_that_were_read_in_part_are_named(check: Check) -> None:
    """They are counted as fine where nothing else is wrong with them, and not shown."""
    Path("cut.bt").write_text("#!/usr/bin/env bpftrace\nBEGIN { @x[1 = 2 }\n")
    status, out, _ = check("check", "fine.list", "cut.bt")
    assert (status, "2 ok on 3 kernels: " in out) == (0, True)
    assert "! read only in part (ksurf check --explain says what is missing): cut\n" in out
    assert "! not read: cut.bt:2:" in check("check", "fine.list", "cut.bt", "--explain")[1]


def test_nothing_stands_above_what_is_said_of_nothing(check: Check) -> None:
    assert check("check", "missing")[1].startswith("nothing was checked\n")


def test_a_summary_counts_programs(check: Check) -> None:
    status, out, _ = check("summary", ".")
    assert status == 0
    assert "2 programs on 3 kernels: ✘ 1 broken, ◇ 1 guarded" in out
    document = json.loads(check("summary", ".", "--format", "json")[1])
    assert document["affected"] == [1, 1, 1]
    causes = {(one["cause"], one["outcome"]): one["total"] for one in document["causes"]}
    assert causes == {("function-absent", "broken"): 1, ("type-absent", "broken"): 1}
    assert "| function-absent (broken) | 1 | 1 | 1 |" in check("summary", ".", "--format", "md")[1]
    assert check("summary", ".", "missing")[0] == 2


def test_dependencies_need_no_dataset(check: Check) -> None:
    status, out, _ = check("deps", "bad.list", "fine.list", "--dataset", "none")
    assert status == 0
    assert out.splitlines()[:3] == [
        "bad.list  list, bad.list",
        "  kprobe nowhere       bad.list:1",
        "  struct nothing_such  bad.list:2",
    ]
    assert not Path("none").exists()
    assert check("deps", "bad.list", "missing")[0] == 2


def test_progress_is_shown_to_people_only(check: Check) -> None:
    assert check("check", ".")[2] == ""


def test_little_is_loaded_for_a_list(check: Check) -> None:
    """The start of the process is most of the time of a check of one file."""
    code = "import sys; from ksurf.cli import run; run(['check', 'fine.list']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "ksurf.report.check_terminal" in loaded
    assert not {"duckdb", "rich", "httpx", "lark", "tree_sitter", "ksurf.report.check_sarif"} & loaded


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("bpftrace", ConsumerKind.BPFTRACE, 38),
        ("bpfcc-tools", ConsumerKind.BCC, 148),
        ("libbpf-tools", ConsumerKind.BPF_OBJECT, 52),
    ],
)
def test_packages_of_real_tools_are_read(
    name: str,
    kind: ConsumerKind,
    count: int,
    material: Material,
    network_cache: Path,
    note: Callable[[str], None],
) -> None:
    """An archive and the folder that it makes are the same; nothing is skipped that is a tool."""
    packed = find([str(material.package(name))], Silent())
    unpacked = find([str(material.unpacked(name))], Silent())
    assert (packed.unreadable, unpacked.unreadable) == ((), ())
    assert packed.skipped == unpacked.skipped
    assert sorted(one.name for one in packed.consumers) == sorted(one.name for one in unpacked.consumers)
    assert {one.kind for one in packed.consumers} == {kind}
    assert len(packed.consumers) >= count
    needs = {one.member: {(d.kind, d.name) for d in one.dependencies} for one in packed.consumers}
    for one in unpacked.consumers:
        member = Path(one.path).relative_to(material.unpacked(name)).as_posix()
        found = next(held for path, held in needs.items() if path and path.startswith(member))
        assert found == {(d.kind, d.name) for d in one.dependencies}, member
    note(f"{name}: {len(packed.consumers)} programs read, {packed.skipped} other files")


@pytest.mark.network
def test_real_tools_on_real_kernels(
    material: Material, real_kernels: RealKernels, tmp_path: Path, network_cache: Path
) -> None:
    real_kernels.pull("debian:6.1-cloud-amd64")
    real_kernels.pull("debian:6.12-cloud-amd64")
    kernels = ("--dataset", str(real_kernels.dataset), "--on", "6.1-cloud-amd64", "--on", "6.12-cloud-amd64")
    script = material.unpacked("bpftrace") / "usr" / "sbin" / "swapin.bt"
    report = tmp_path / "report.json"
    assert run(["check", str(script), *kernels, "--format", "json", "--output", str(report)]) == 1
    document = json.loads(report.read_text())
    (dependency,) = document["consumers"][0]["dependencies"]
    assert dependency["name"] == "swap_readpage"
    outcomes = {one["kernel"].split("_")[1][:4]: one["outcome"] for one in dependency["findings"]}
    assert outcomes["6.1."] == "ok" and outcomes["6.12"] == "broken"
