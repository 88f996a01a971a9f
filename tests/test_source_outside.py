"""What a part of the source needs from outside, and how that stands on made kernels."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.report.outside import Depended, Standing, depended
from ksurf.report.outside_json import outside_json
from ksurf.report.outside_layout import OutsidePage
from ksurf.report.outside_markdown import outside_markdown
from ksurf.report.outside_terminal import outside_text
from ksurf.series import group
from ksurf.source.outside import Need, NeedKind, is_inside, needs
from ksurf.source.place import Place
from ksurf.source.semantic.model import SymbolKind
from made_kernel import MadeKernel, kernel
from made_semantic import MadeSemantic

FILE = "arch/arm64/kvm/vgic/vgic-v4.c"
HEADER = "include/linux/kvm_host.h"
OLD, NEW, OTHER = (
    kernel("6.12.1", arch="arm64"),
    kernel("7.3.1", arch="arm64"),
    kernel("7.3.1", arch="amd64"),
)


def text() -> MadeSemantic:
    made = MadeSemantic(FILE)
    made.define("handler", 84, 106)
    made.call(made.function("kvm_vcpu_kick", declared=f"{HEADER}:1571"), 103, "handler")
    made.call(made.function("kvm_vcpu_kick", declared=f"{HEADER}:1571"), 104, "handler")
    made.call(made.function("kvm_make_request", at=f"{HEADER}:2297"), 102, "handler")
    made.call(made.function("xa_find", declared="include/linux/xarray.h:363"), 99, "handler", macro="each")
    kvm = made.symbol(SymbolKind.STRUCT, "kvm", at=f"{HEADER}:770")
    made.use(kvm, 187)
    made.use(made.field("kvm", "arch"), 99, inside="handler")
    made.use(made.field("kvm", "lock"), 100, inside="handler")
    made.use(made.symbol(SymbolKind.MACRO, "KVM_REQ", at=f"{HEADER}:47"), 102, inside="handler")
    made.use(made.symbol(SymbolKind.ENUMERATOR, "HANDLED", at="a.h:1", owner="ret"), 105, inside="handler")
    made.use(made.symbol(SymbolKind.VARIABLE, "state", declared="a.h:3"), 89, inside="handler")
    made.use(made.symbol(SymbolKind.PARAMETER, "irq", at=f"{FILE}:84", local=True), 90, inside="handler")
    made.use(made.symbol(SymbolKind.VARIABLE, "mine", at=f"{FILE}:83"), 91, inside="handler")
    made.use(made.function("__builtin_expect"), 91, inside="handler")
    return made


def kvm(*, lock: str = "spinlock_t", kick: str = "void kvm_vcpu_kick(struct kvm_vcpu *vcpu);") -> MadeKernel:
    made = MadeKernel()
    made.image()
    main, vgic = made.unit("virt/kvm/kvm_main.c"), made.unit(FILE)
    one = made.function("kvm_vcpu_kick", "virt/kvm/kvm_main.c", 10, external=True, prototype=kick)
    other = made.function("kvm_make_request", HEADER, 2297)
    made.symbol("kvm_vcpu_kick", made.instance(one, main, address=0x100), bind="STB_GLOBAL")
    made.instance(other, main, inlined=True)
    made.instance(other, vgic, inlined=True)
    # Another of the name, which the source does not mean.
    stray = made.function("kvm_make_request", "drivers/net/stray.c", 5)
    made.instance(stray, main, address=0x900)
    made.type(
        "struct",
        "kvm",
        [
            {"depth": 0, "name": "arch", "type": "struct kvm_arch", "bit_offset": 0, "byte_size": 8},
            {"depth": 0, "name": "inner", "type": "struct (anon)", "bit_offset": 64, "byte_size": 4},
            {"depth": 1, "name": "lock", "type": lock, "bit_offset": 64, "byte_size": 4},
        ],
        byte_size=12,
    )
    made.enum("ret", {"NONE": 0, "HANDLED": 1})
    return made


def empty() -> MadeKernel:
    made = MadeKernel()
    made.image()
    made.unit("init/main.c")
    return made


def standing(tmp_path: Path, **kernels: MadeKernel) -> list[Depended]:
    for name, made in kernels.items():
        made.write(tmp_path, {"old": OLD, "new": NEW, "other": OTHER}[name])
    store = Store(tmp_path)
    places = [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]
    return list(depended(needs([text().made()], [FILE]), places, [NEW]))


def named(found: list[Depended], title: str) -> Depended:
    return next(one for one in found if one.need.title == title)


def words(one: Depended) -> dict[Kernel, Standing]:
    return {cell.kernel: cell.standing for cell in one.cells}


class TestNeeds:
    def test_what_a_file_needs(self) -> None:
        assert [need.title for need in needs([text().made()], [FILE])] == [
            "function kvm_vcpu_kick",
            "function kvm_make_request",
            "function xa_find",
            "struct kvm",
            "field kvm::arch",
            "field kvm::lock",
            "enumerator ret::HANDLED",
            "global state",
            "macro KVM_REQ",
        ]

    def test_where_and_by_whom_it_is_used(self) -> None:
        kick, request, found, *_ = needs([text().made()], [FILE])
        assert kick == Need(
            NeedKind.FUNCTION,
            "kvm_vcpu_kick",
            Place(HEADER, 1571),
            False,
            (Place(FILE, 103), Place(FILE, 104)),
            ("handler",),
        )
        assert request.is_defined
        assert found.by_macro

    def test_what_another_file_of_the_folder_defines_is_inside(self) -> None:
        other = MadeSemantic("arch/arm64/kvm/mmu.c")
        other.define("kvm_vcpu_kick", 9)
        other.call(other.function("handler", declared="arch/arm64/kvm/vgic/vgic.h:5"), 10, "kvm_vcpu_kick")
        found = needs([text().made(), other.made()], ["arch/arm64/kvm/"])
        titles = [need.title for need in found]
        assert "function kvm_vcpu_kick" not in titles
        assert "function handler" not in titles
        assert "function kvm_make_request" in titles

    def test_files_outside_do_not_count_as_users(self) -> None:
        assert needs([text().made()], ["drivers"]) == ()

    def test_of_nothing(self) -> None:
        assert needs([], [FILE]) == ()

    @pytest.mark.parametrize(
        ("file", "roots", "inside"),
        [
            ("a/b.c", ["a/b.c"], True),
            ("a/b.c", ["a"], True),
            ("a/b.c", [""], True),
            ("ab/c.c", ["a"], False),
            ("a/b.c.h", ["a/b.c"], False),
            ("a/b.c", [], False),
        ],
    )
    def test_inside(self, file: str, roots: list[str], inside: bool) -> None:
        assert is_inside(file, roots) is inside


class TestStanding:
    def test_the_same(self, tmp_path: Path) -> None:
        found = standing(tmp_path, old=kvm(), new=kvm())
        kick = named(found, "function kvm_vcpu_kick")
        assert words(kick) == {OLD: Standing.SAME, NEW: Standing.SAME}
        assert kick.is_same
        assert kick.reference == NEW

    def test_a_function_is_that_of_its_file(self, tmp_path: Path) -> None:
        cell = named(standing(tmp_path, new=kvm()), "function kvm_make_request").cells[0]
        assert [status.value for status in cell.statuses] == ["Duplicate", "Full Inline"]

    def test_a_changed_prototype(self, tmp_path: Path) -> None:
        old = kvm(kick="int kvm_vcpu_kick(struct kvm_vcpu *vcpu);")
        kick = named(standing(tmp_path, old=old, new=kvm()), "function kvm_vcpu_kick")
        assert words(kick) == {OLD: Standing.CHANGED, NEW: Standing.SAME}
        (step,) = kick.histories[0].steps
        assert [change.label for change in step.changes] == ["Return type changed"]

    def test_a_changed_field_in_an_unnamed_struct(self, tmp_path: Path) -> None:
        found = standing(tmp_path, old=kvm(lock="rwlock_t"), new=kvm())
        assert words(named(found, "field kvm::lock"))[OLD] is Standing.CHANGED
        assert words(named(found, "struct kvm"))[OLD] is Standing.CHANGED
        assert words(named(found, "field kvm::arch"))[OLD] is Standing.SAME

    def test_absent_is_the_worst_and_comes_first(self, tmp_path: Path) -> None:
        found = standing(tmp_path, new=kvm(), other=empty())
        assert words(named(found, "struct kvm")) == {OTHER: Standing.ABSENT, NEW: Standing.SAME}
        ranks = [list(Standing).index(one.worst) for one in found]
        assert ranks == sorted(ranks, reverse=True)

    def test_what_the_source_uses_is_not_absent_there(self, tmp_path: Path) -> None:
        found = named(standing(tmp_path, old=empty(), new=empty()), "function kvm_vcpu_kick")
        assert words(found) == {OLD: Standing.UNKNOWN, NEW: Standing.UNKNOWN}
        gone = named(standing(tmp_path / "b", old=kvm(), new=empty()), "function kvm_vcpu_kick")
        assert (words(gone)[NEW], gone.reference) == (Standing.UNKNOWN, OLD)

    def test_another_form_is_no_change(self, tmp_path: Path) -> None:
        old = kvm()
        old.instances[0]["inlined"] = True
        kick = named(standing(tmp_path, old=old, new=kvm()), "function kvm_vcpu_kick")
        assert words(kick)[OLD] is Standing.FORM

    def test_no_binary_tells_of_macros(self, tmp_path: Path) -> None:
        found = named(standing(tmp_path, old=kvm(), new=kvm()), "macro KVM_REQ")
        assert (found.worst, found.reference) == (Standing.UNKNOWN, None)

    def test_an_enumerator_with_another_value(self, tmp_path: Path) -> None:
        old = kvm()
        old.definitions.clear()
        old.others.pop("types")
        old.enum("ret", {"NONE": 0, "HANDLED": 2})
        one = named(standing(tmp_path, old=old, new=kvm()), "enumerator ret::HANDLED")
        assert words(one)[OLD] is Standing.CHANGED
        assert [c.after for c in one.cells[0].changes] == ["HANDLED = 2"]


@pytest.fixture
def page(tmp_path: Path) -> OutsidePage:
    old = kvm(kick="int kvm_vcpu_kick(struct kvm_vcpu *vcpu);")
    found = standing(tmp_path, old=old, new=kvm(), other=empty())
    kernels = (OLD, OTHER, NEW)
    return OutsidePage(
        (FILE,), "debian_7.3", NEW, 1, ("a.c: no such header",), group(kernels, NEW), kernels, tuple(found)
    )


class TestReports:
    def test_the_terminal_has_a_matrix_stories_and_counts(self, page: OutsidePage) -> None:
        told = click.unstyle(outside_text(page, width=200))
        lines = told.splitlines()
        assert lines[0] == f"{FILE} of debian_7.3 as 7.3.1-cloud-arm64 compiles it"
        assert next(line for line in lines if "kvm_make_request (" in line).split()[-3:] == ["✔", "✔", "✘"]
        assert "    debian arm64 cloud 6.12 → 7.3  Return type changed: int → void" in lines
        assert "function    ✘ 2 absent, ? 1 not told" in lines
        assert "no binary tells of 3: function xa_find, global state, macro KVM_REQ" in lines
        assert "9 dependencies on 3 kernels; 1 unit read, 1 could not be read" in lines

    def test_only_what_is_not_the_same(self, page: OutsidePage, tmp_path: Path) -> None:
        assert "macro KVM_REQ" not in outside_text(page, changed=True)
        assert "macro KVM_REQ" not in outside_markdown(page, changed=True)
        kinds = {one["worst"] for one in json.loads(outside_json(page, changed=True))["dependencies"]}
        assert kinds == {"absent"}

    def test_markdown(self, page: OutsidePage) -> None:
        told = outside_markdown(page)
        assert told.startswith(f"# Depends on: `{FILE}`\n")
        assert "| `function kvm_make_request` Duplicate, Full Inline | ✅ | ✅ | ❌ |" in told
        assert "  - Return type changed: `int` → `void`" in told
        assert "**Note:** a.c: no such header" in told

    def test_json(self, page: OutsidePage) -> None:
        document = json.loads(outside_json(page))
        assert document["schema"] == "ksurf.surface"
        assert document["counts"]["function"] == {"not told": 1, "absent": 2}
        kick = next(one for one in document["dependencies"] if one["name"] == "kvm_vcpu_kick")
        assert [cell["standing"] for cell in kick["kernels"]] == ["changed", "same", "absent"]
        assert kick["series"][0]["steps"][0]["changes"][0]["kind"] == "ReturnTypeChanged"
        assert kick["uses"][0] == {"file": FILE, "line": 103, "generated": False}
