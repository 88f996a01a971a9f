"""``ksurf diff``, ``ksurf history`` and ``ksurf search``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ksurf.cli import run
from made_kernel import kernel, kvm_kernel, offering_kernel


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A series of three and a kernel of another architecture."""
    dataset = tmp_path / "dataset"
    for number, version in enumerate(("5.10.1", "6.1.5", "6.12.1")):
        offering_kernel(number).write(dataset, kernel(version))
    offering_kernel(0).write(dataset, kernel("6.12.1", arch="arm64"))
    return dataset


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


def test_differences_on_a_terminal(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "diff", "6.1", "6.12-amd64")
    assert text.startswith("debian_6.1.5-cloud-amd64_6.1.5-1_amd64 → debian_6.12.1-cloud-amd64")
    assert "  struct               0        0        1\n" in text
    assert "  ~ pid_type\n      Enum value added: PIDTYPE_2 = 2\n" in text
    text = printed(capsys, "diff", "6.1", "6.12-amd64", "--kind", "enum")
    assert "struct" not in text


def test_of_several_kernels_those_alike_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for version, arch in (("6.1.5", "amd64"), ("6.12.1", "amd64"), ("6.12.1", "arm64"), ("7.1.1", "arm64")):
        offering_kernel().write(tmp_path / "dataset", kernel(version, arch=arch))
    for old, new, archs in (
        ("6.1", "6.12", ("amd64", "amd64")),
        ("6.12", "7.1", ("arm64", "arm64")),
        ("6.1", "7.1", ("amd64", "arm64")),
        ("amd64", "arm64", ("amd64", "arm64")),
    ):
        document = json.loads(printed(capsys, "diff", old, new, "--kind", "config", "--format", "json"))
        assert (document["old"]["arch"], document["new"]["arch"]) == archs


def test_long_lists_are_cut_unless_all_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = offering_kernel(), offering_kernel()
    for number in range(20):
        new.add("config", name=f"CONFIG_X{number}", value="y")
    old.write(tmp_path / "dataset", kernel("6.1.5"))
    new.write(tmp_path / "dataset", kernel("6.12.1"))
    text = printed(capsys, "diff", "6.1", "6.12")
    assert "and 8 more; --all shows them" in text
    assert "CONFIG_X9" not in text
    assert "+ CONFIG_X9" in printed(capsys, "diff", "6.1", "6.12", "--all")


def test_differences_as_markdown_and_json(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "diff", "6.1", "6.12-amd64", "--format", "md")
    assert "| Struct | 0 | 0 | 1 |\n" in text
    assert "<summary><code>CONFIG_NUMBER</code> changed ⚠️</summary>" in text
    document = json.loads(printed(capsys, "diff", "6.1", "6.12-amd64", "--format", "json"))
    assert document["old"]["base_version"] == "6.1"
    kinds = {entry["kind"]: entry for entry in document["kinds"]}
    (change,) = kinds["config"]["changed"][0]["changes"]
    assert change == {"kind": "ValueChanged", "old": "CONFIG_NUMBER=1", "new": "CONFIG_NUMBER=2"}
    (change,) = kinds["struct"]["changed"][0]["changes"]
    assert (change["field"], change["old_bit_offset"], change["new_bit_offset"]) == ("flag", 321, 322)


def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = offering_kernel(), offering_kernel()
    del old.others["config"]
    old.write(tmp_path / "dataset", kernel("6.1.5"))
    new.write(tmp_path / "dataset", kernel("6.12.1"))
    arguments = ("diff", "6.1", "6.12", "--kind", "config")
    assert f"  config       not known of {kernel('6.1.5').id}\n" in printed(capsys, *arguments)
    text = printed(capsys, *arguments, "--format", "md")
    assert f"| Config option | not known of <code>{kernel('6.1.5').id}</code> | | |\n" in text
    (kind,) = json.loads(printed(capsys, *arguments, "--format", "json"))["kinds"]
    assert (kind["unknown"], kind["added"]) == ([kernel("6.1.5").id], [])


def test_a_kernel_that_is_not_there(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["diff", "6.1", "4.4"]) == 1
    assert "4.4" in capsys.readouterr().err


def test_a_history_goes_along_each_series(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "history", "struct", "kvm") == (
        "struct kvm\n"
        "  debian amd64 cloud\n"
        "    5.10        present\n"
        "    5.10 → 6.1  Field offset changed: flag: byte 40, bit 0 → flag: byte 40, bit 1\n"
        "    6.1 → 6.12  Field offset changed: flag: byte 40, bit 1 → flag: byte 40, bit 2\n"
        "  debian arm64 cloud\n"
        "    6.12  present\n"
    )
    assert printed(capsys, "history", "config", "CONFIG_BPF").count("no change") == 2


def test_a_history_of_what_comes_and_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = tmp_path / "dataset"
    offering_kernel().write(dataset, kernel("6.1.5"))
    kvm_kernel().write(dataset, kernel("6.6.5"))
    offering_kernel().write(dataset, kernel("6.12.1"))
    text = printed(capsys, "history", "struct", "kvm")
    assert "6.1 → 6.6   Removed: kvm\n" in text
    assert "6.6 → 6.12  Added: kvm\n" in text
    text = printed(capsys, "history", "function", "kvm_vcpu_kick")
    assert "6.1         absent\n" in text
    document = json.loads(printed(capsys, "history", "struct", "kvm", "--format", "json"))
    (series,) = document["symbols"][0]["series"]
    assert [step["changes"][0]["kind"] for step in series["steps"]] == ["Removed", "Added"]
    assert run(["history", "struct", "list_hea"]) == 1
    assert "near names: list_head" in capsys.readouterr().err


def test_a_search_ranks_what_it_finds(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kvm_kernel().write(dataset, kernel("6.6.5"))
    lines = [line.split() for line in printed(capsys, "search", "KVM").splitlines()]
    found = [(line[0], line[1], " ".join(line[2:])) for line in lines]
    assert found[0] == ("struct", "kvm", "on 4 of 5 kernels")
    assert found[1] == ("export", "kvm_get_kvm", "on 4 of 5 kernels")
    assert ("function", "kvm_vcpu_kick", "on 1 of 5 kernels") in found
    assert ("tracepoint", "kvm:kvm_exit", "on 4 of 5 kernels") in found


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("bpf", "config", "CONFIG_BPF"),
        ("sched_switch", "tracepoint", "sched:sched_switch"),
        ("task", "kfunc", "bpf_task_acquire"),
        ("tat", "syscall", "stat"),
        ("type", "enum", "pid_type"),
        ("mmu_", "field", "kvm::mmu_lock"),
        ("irqfds.lo", "field", "kvm::irqfds.lock"),
        ("KV::NEST", "field", "kvm::nested"),
        ("struct kvm::flag", "field", "kvm::flag"),
        ("type_pid", "enumerator", "pid_type::PIDTYPE_PID"),
    ],
)
def test_every_kind_is_searched(
    dataset: Path, capsys: pytest.CaptureFixture[str], text: str, kind: str, name: str
) -> None:
    document = json.loads(printed(capsys, "search", text, "--format", "json"))
    assert {"kind": kind, "name": name, "kernels": 4} in document["symbols"]
    assert printed(capsys, "search", text, "--kind", kind).split() == [kind, name]


def test_fields_come_after_other_symbols_that_fit_as_well(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = offering_kernel()
    made.struct("page", ("int", "stat", 0, 4), ("int", "stat_of_all", 4, 4))
    made.struct("statistics", ("int", "x", 0, 4))
    made.prototype("vfs_fstat", "int", ("int", "stat"))
    made.write(dataset, kernel("6.6.6"))
    lines = printed(capsys, "search", "stat", "--on", "6.6.6").splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "syscall stat",
        "field page::stat",
        "struct statistics",
        "field page::stat_of_all",
    ]
    other = printed(capsys, "search", "page::stat").splitlines()
    assert [" ".join(line.split()) for line in other] == [
        "field page::stat on 1 of 5 kernels",
        "field page::stat_of_all on 1 of 5 kernels",
    ]
    assert printed(capsys, "search", "list_hea::", "--on", "6.6.6").split() == [
        *("field", "list_head::next"),
        *("field", "list_head::prev"),
    ]
    assert run(["search", "stat", "--on", "6.6.6", "--kind", "enumerator"]) == 1


def test_a_search_without_an_end(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "search", "e", "--limit", "3")
    assert len(text.splitlines()) == 4
    assert "more; --limit" in text
    assert len(printed(capsys, "search", "e", "--limit", "0").splitlines()) > 4
    assert run(["search", "nothing_has_this"]) == 1
    assert run(["search", ""]) == 2
