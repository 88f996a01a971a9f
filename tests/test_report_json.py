"""The JSON report: its promise in ``docs/report-json.md``, kept name by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ksurf.dataset.lookup import functions_named
from ksurf.report.function import FunctionReport, report
from ksurf.report.json import function_json
from ksurf.series import group
from ksurf.surface.function import judge
from made_kernel import kernel, kvm_kernel, store_with

PAGE = Path(__file__).parent.parent / "docs" / "report-json.md"
OLD, NEW = kernel("6.1.1"), kernel("6.12.1")


@pytest.fixture
def reports(tmp_path: Path) -> list[FunctionReport]:
    store = store_with(tmp_path, OLD)
    newer = kvm_kernel()
    (kick,) = (f for f in newer.functions if f["name"] == "kvm_vcpu_kick")
    kick["prototype"] = "bool kvm_vcpu_kick(struct kvm_vcpu *vcpu, int how);"
    newer.write(tmp_path, NEW)
    names = ["kvm_vcpu_kick", "kvm_make_request"]
    places = [(k, store.directory(k.id)) for k in (OLD, NEW)]
    found = functions_named(names, places, chains=True)
    groups = group([OLD, NEW], NEW)
    return [report(name, groups, {rows.kernel: judge(rows) for rows in found[name]}) for name in names]


def keys(value: Any) -> Iterator[str]:
    """All names in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_the_page_documents_every_name(reports: list[FunctionReport]) -> None:
    document = json.loads(function_json(reports))
    documented = set(re.findall(r"`(\w+)`", PAGE.read_text())) | {"schema", "functions"}
    assert set(keys(document)) <= documented


def test_the_document(reports: list[FunctionReport]) -> None:
    document = json.loads(function_json(reports))
    assert (document["schema"], document["version"]) == ("ksurf.function", 1)
    kick, request = document["functions"]
    assert [kick["name"], request["name"]] == ["kvm_vcpu_kick", "kvm_make_request"]
    assert kick["baseline"] == NEW.id
    (regular,) = kick["groups"]
    assert [entry["label"] for entry in regular["kernels"]] == ["6.1", "6.12"]
    entry = regular["kernels"][1]
    assert entry["kernel"]["id"] == NEW.id
    assert (entry["collision"], entry["inline"], entry["statuses"]) == ("Unique Global", "No", [])
    (instance,) = entry["instances"]
    assert (instance["image"], instance["address"], instance["section"]) == ("kvm", 0x44B0, ".text")
    assert instance["inline_callers"] == []
    assert instance["direct_callers"][0] == {
        "function": "outer",
        "unit": "arch/x86/kvm/vmx/vmx.c",
        "image": "kvm_intel",
        "file": "arch/x86/kvm/vmx/vmx.c",
        "line": 42,
        "chain": [{"function": "post", "file": "arch/x86/kvm/vmx/vmx.c", "line": 52}],
    }


def test_changes_are_told_by_kind_with_both_sides(reports: list[FunctionReport]) -> None:
    kick, request = json.loads(function_json(reports))["functions"]
    (difference,) = kick["groups"][0]["differences"]
    assert (difference["old"], difference["new"], difference["present"]) == (OLD.id, NEW.id, [True, True])
    assert difference["changes"] == [
        {"kind": "ParamAdded", "old": None, "new": "int how"},
        {"kind": "ReturnTypeChanged", "old": "void", "new": "bool"},
    ]
    # What is inlined away has no declaration to compare.
    assert request["groups"][0]["differences"][0]["changes"] is None


def test_a_reordering_is_told_as_lists(tmp_path: Path) -> None:
    statuses = {}
    for k, prototype in ((OLD, "void f(int a, char b);"), (NEW, "void f(char b, int a);")):
        made = kvm_kernel()
        made.functions[0]["prototype"] = prototype.replace("f(", "kvm_vcpu_kick(")
        made.write(tmp_path, k)
        directory = tmp_path / "kernels" / f"kernel={k.id}"
        (rows,) = functions_named(["kvm_vcpu_kick"], [(k, directory)])["kvm_vcpu_kick"]
        statuses[k] = judge(rows)
    made_report = report("kvm_vcpu_kick", group(statuses, NEW), statuses)
    (function,) = json.loads(function_json([made_report]))["functions"]
    (change,) = function["groups"][0]["differences"][0]["changes"]
    assert change == {"kind": "ParamReordered", "old": ["int a", "char b"], "new": ["char b", "int a"]}


def test_what_is_not_known_is_null(tmp_path: Path) -> None:
    made = kvm_kernel()
    for image in made.images:
        image["evidence"] = "btf"
    for instance in made.instances:
        instance["inlined"] = None
    made.call_sites.clear()
    made.write(tmp_path, NEW)
    directory = tmp_path / "kernels" / f"kernel={NEW.id}"
    (rows,) = functions_named(["kvm_vcpu_kick"], [(NEW, directory)])["kvm_vcpu_kick"]
    document = json.loads(function_json([report("kvm_vcpu_kick", group([NEW], NEW), {NEW: judge(rows)})]))
    entry = document["functions"][0]["groups"][0]["kernels"][0]
    assert entry["inline"] is None
    assert entry["instances"][0]["inlined"] is None
    assert entry["instances"][0]["inline_callers"] is None
    assert entry["instances"][0]["direct_callers"] is None
