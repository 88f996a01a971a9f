"""``ksurf show`` of everything but functions, in all formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ksurf.cli import run
from ksurf.report.kinds import KINDS
from made_kernel import kernel, offering_kernel
from report_shape import misshapen_type

NAMES = {
    "struct": "kvm",
    "union": None,
    "enum": "pid_type",
    "typedef": "pid_t",
    "tracepoint": "sched:sched_switch",
    "syscall": "stat",
    "lsm": None,
    "kfunc": "bpf_task_acquire",
    "export": "kvm_get_kvm",
    "config": "BPF",
    "field": "kvm::irqfds.items.next",
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two kernels of a series and one of another architecture."""
    dataset = tmp_path / "dataset"
    offering_kernel(0).write(dataset, kernel("6.1.5"))
    offering_kernel(1).write(dataset, kernel("6.12.1"))
    offering_kernel(1).write(dataset, kernel("6.12.1", arch="arm64"))
    return dataset


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_there_is_a_name_for_each_kind() -> None:
    assert list(NAMES) == list(KINDS)


@pytest.mark.parametrize("kind", [kind for kind, name in NAMES.items() if name])
def test_each_kind_has_each_format(dataset: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    name = NAMES[kind]
    assert name is not None
    text = shown(capsys, kind, name)
    assert text.startswith(f"{kind} {name}\n")
    assert "✔ OK" in text
    markdown = shown(capsys, kind, name, "--format", "md")
    assert markdown.startswith(f"# {KINDS[kind].title}: <code>{name}</code>\n")
    document = json.loads(shown(capsys, kind, name, "--format", "json"))
    assert (document["schema"], document["kind"]) == ("ksurf.symbol", kind)
    (symbol,) = document["symbols"]
    regular, arch = symbol["groups"]
    assert [entry["label"] for entry in regular["kernels"]] == ["6.1", "6.12"]
    assert all(entry["definitions"] for entry in regular["kernels"])
    assert arch["differences"][0]["changes"] == []


def test_a_struct_as_markdown(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "struct", "kvm", "--format", "md")
    assert misshapen_type(text) is None
    assert "struct (anon) irqfds;" in text
    assert "<code>flag: byte 40, bit 0</code> ➡️ <code>flag: byte 40, bit 1</code>" in text


def test_a_struct_on_a_terminal(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "struct", "kvm")
    assert "kvm  48     " in text
    assert "    40:1      1      bool flag:1;" in text
    assert "Field offset changed: flag: byte 40, bit 0 → flag: byte 40, bit 1" in text
    assert "there is another definition: --all shows all" in text
    assert "on 6.1\n" in shown(capsys, "struct", "kvm", "--all")


def test_two_definitions_under_one_name(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "struct", "twin", "--on", "6.1")
    assert "⚠ Collision" in text
    assert "func use_twin" in text
    (symbol,) = json.loads(shown(capsys, "struct", "twin", "--format", "json"))["symbols"]
    assert len(symbol["groups"][0]["kernels"][0]["definitions"]) == 2


def test_a_field_in_another_struct(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (symbol,) = json.loads(shown(capsys, "field", "kvm::irqfds.items.prev", "--format", "json"))["symbols"]
    (definition,) = symbol["groups"][0]["kernels"][0]["definitions"]
    assert (definition["bit_offset"], definition["type"]) == (192 + 64, "struct list_head *")


@pytest.mark.parametrize(
    ("kind", "name", "near"),
    [
        ("struct", "list_hea", "list_head"),
        ("tracepoint", "shed_switch", "sched:sched_switch"),
        ("syscall", "stat64", "stat"),
        ("export", "kvm_get_kv", "kvm_get_kvm"),
        ("config", "CONFIG_BFP", "CONFIG_BPF"),
        ("kfunc", "bpf_task_aquire", "bpf_task_acquire"),
        ("field", "kvm::mmu_lok", "kvm::mmu_lock"),
        ("field", "kvmm::mmu_lock", "kvm::mmu_lock"),
        ("field", "list_hea::zzzzzzzz", "list_head"),
        ("enum", "pid_typ", "pid_type"),
    ],
)
def test_near_names_are_suggested(
    dataset: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str, near: str
) -> None:
    assert run(["show", kind, name]) == 1
    said = capsys.readouterr().err
    assert f"{name} on 3 kernels" in said
    assert near in said.split("near names: ")[1]


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("union", "kvm", "there is a struct kvm"),
        ("struct", "pid_t", "there is a typedef pid_t"),
        ("function", "pid_type", "there is an enum pid_type"),
        ("field", "kvm.mmu_lock", "a field is named by its struct and its path"),
    ],
)
def test_what_is_asked_for_as_another_kind(
    dataset: Path, capsys: pytest.CaptureFixture[str], kind: str, name: str, hint: str
) -> None:
    for command in ("show", "history"):
        assert run([command, kind, name]) == 1
        assert f"hint: {hint}" in capsys.readouterr().err


def test_without_a_kind_the_kinds_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    run(["show"])
    said = capsys.readouterr()
    assert "\n  tracepoint  " in said.out + said.err


def test_an_example_for_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        assert run(["show", kind, "--help"]) == 0
        assert f"ksurf show {kind} " in capsys.readouterr().out.partition("Examples:")[2]
