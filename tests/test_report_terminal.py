"""The page for a terminal: what is on it, and what is left out unless it is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ksurf.dataset.lookup import functions_named
from ksurf.report.function import report
from ksurf.report.near import near
from ksurf.report.terminal import function_text
from ksurf.series import group
from ksurf.surface.function import judge
from made_kernel import MadeKernel, kernel, kvm_kernel

OLD, NEW, ARM = kernel("6.1.1"), kernel("6.12.1"), kernel("6.12.1", arch="arm64")


def page(folder: Path, name: str, *, everything: bool = False, **made: MadeKernel) -> str:
    """The page of a function over the kernels made, without colours."""
    named = {"old": OLD, "new": NEW, "arm": ARM}
    places = []
    for key, tables in made.items():
        tables.write(folder, named[key])
        places.append((named[key], folder / "kernels" / f"kernel={named[key].id}"))
    found = functions_named([name], places, chains=True)[name]
    statuses = {rows.kernel: judge(rows) for rows in found}
    baseline = NEW if NEW in statuses else next(iter(statuses))
    text = function_text(report(name, group(statuses, baseline), statuses), everything=everything)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def called_by(count: int) -> MadeKernel:
    """``target``, called by so many functions."""
    made = MadeKernel()
    made.image()
    unit = made.unit("lib/target.c")
    target = made.function("target", "lib/target.c", external=True)
    made.instance(target, unit, address=4096)
    for number in range(count):
        caller = made.instance(
            made.function(f"caller_{number:02}", "lib/target.c"), unit, address=number * 16
        )
        made.call(caller, target, line=number)
    return made


def test_every_kernel_is_in_the_matrix_with_its_status(tmp_path: Path) -> None:
    empty = MadeKernel()
    empty.image()
    text = page(tmp_path, "kvm_make_request", old=kvm_kernel(), new=kvm_kernel(), arm=empty)
    lines = text.splitlines()
    assert lines[0] == "kvm_make_request"
    matrix = {line.split()[0]: line for line in lines[1 : lines.index("")] if line.startswith("    ")}
    assert set(matrix) == {"6.1", "6.12", "arm64"}
    assert "Duplicate, Full Inline" in matrix["6.1"]
    assert "Absent" in matrix["arm64"]


def test_the_matrix_counts_definitions_symbols_and_calls(tmp_path: Path) -> None:
    lines = page(tmp_path, "kvm_make_request", new=kvm_kernel(), arm=kvm_kernel()).splitlines()
    heads, (regular, arm) = lines[1], (line for line in lines if line.startswith("    ") and "Full" in line)
    assert heads.split() == "Regular status collision definitions symbols inlined called".split()
    assert regular.split()[-4:] == arm.split()[-4:] == ["2", "0", "2", "0"]
    # Numbers stand below the ends of their heads, words below the beginnings, whatever the labels' lengths.
    assert regular.endswith("0")
    assert len(regular) == len(arm) == len(heads)
    assert regular.index("Static Duplication") == arm.index("Static Duplication") == heads.index("collision")


def test_details_are_of_the_baseline_unless_all_are_asked_for(tmp_path: Path) -> None:
    text = page(tmp_path / "short", "outer", old=kvm_kernel(), new=kvm_kernel())
    assert text.count("declared at") == 1
    assert f"{NEW.release} (debian, amd64)" in text
    assert "another kernel has it too: --all" in text
    full = page(tmp_path / "full", "outer", everything=True, old=kvm_kernel(), new=kvm_kernel())
    assert full.count("declared at") == 2
    assert "it too" not in full


def test_many_symbols_are_counted(tmp_path: Path) -> None:
    made = kvm_kernel()
    for number in range(20):
        made.symbol(f"outer.isra.{number:02}", 4, address=4096 + number)
    assert "and 15 more symbols; --all shows them" in page(tmp_path, "outer", new=made)


def test_without_dwarf_the_matrix_asks(tmp_path: Path) -> None:
    made = MadeKernel()
    made.image(evidence="btf")
    made.instance(made.function("f", None, None, external=True), made.unit("x.c"), address=64)
    made.units.clear()
    made.instances[0]["unit"] = made.instances[0]["inlined"] = None
    text = page(tmp_path, "f", new=made)
    assert re.search(r"6\.12 +✔ OK, as far as it is known +Unique Global +1 +0 +\? +\?$", text, re.MULTILINE)


def test_callers_are_told_with_the_calls_around_them(tmp_path: Path) -> None:
    text = page(tmp_path, "kvm_vcpu_kick", new=kvm_kernel())
    assert "void kvm_vcpu_kick(struct kvm_vcpu *vcpu);" in text
    assert re.search(r"arch/x86/kvm/vmx/vmx\.c: outer \(through post\)", text)
    assert "[kvm]" in text
    assert re.search(r"symbol kvm_vcpu_kick in kvm:\.text at 44b0-44c0 \(STB_GLOBAL\)", text)


def test_many_callers_are_counted_and_shown_on_demand(tmp_path: Path) -> None:
    made = called_by(30)
    short = page(tmp_path / "short", "target", new=made)
    shown = set(re.findall(r"caller_\d\d", short))
    (left,) = re.findall(r"and (\d+) more callers; --all shows them", short)
    assert 0 < len(shown) < 30
    assert len(shown) + int(left) == 30
    full = page(tmp_path / "full", "target", new=called_by(30), everything=True)
    assert len(set(re.findall(r"caller_\d\d", full))) == 30
    assert "--all" not in full
    # Then each call is on a line of its own, with its place.
    assert re.search(r"^ +lib/target\.c:29 caller_29$", full, re.MULTILINE)


def test_few_callers_are_all_shown(tmp_path: Path) -> None:
    assert "--all" not in page(tmp_path, "target", new=called_by(2))


def test_changes_are_told(tmp_path: Path) -> None:
    newer = kvm_kernel()
    newer.functions[0]["prototype"] = "void kvm_vcpu_kick(struct kvm_vcpu *vcpu, bool now);"
    text = page(tmp_path, "kvm_vcpu_kick", old=kvm_kernel(), new=newer)
    assert re.search(r"6\.1 → 6\.12\n +Param added: bool now\n", text)


def test_an_ambiguity_is_explained(tmp_path: Path) -> None:
    assert "2 definitions, 0 symbols" in page(tmp_path, "kvm_make_request", new=kvm_kernel())


KNOWN = ["vfs_read", "vfs_readv", "vfs_write", "kvm_vcpu_kick", "kvm_vcpu_wake_up", "do_exit", "x"]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("vfs_raed", "vfs_read"),
        ("VFS_READ", "vfs_read"),
        ("vcpu_kick", "kvm_vcpu_kick"),
        ("do_exti", "do_exit"),
    ],
)
def test_the_nearest_name_comes_first(asked: str, first: str) -> None:
    assert near(asked, KNOWN)[0] == first


def test_nothing_near_is_nothing() -> None:
    assert near("zzzzzzzzzz", KNOWN) == []
    assert near("vfs_read" * 10_000, KNOWN) == []  # at once, whatever is asked for
    assert len(near("vfs_rea", [f"vfs_read{n}" for n in range(9)], limit=3)) == 3
