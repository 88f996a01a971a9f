"""Attachability from a dataset's tables: what a kernel can do, and what is known of a function's symbols."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ksurf.cli import run
from ksurf.dataset.lookup import attach_rows, functions_named, kernel_marks
from ksurf.dataset.query import connect, query
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.report.attachability import EVERY_FUNCTION
from ksurf.surface.attach import (
    CodeFacts,
    Mechanism,
    attach_code,
    attach_symbols,
    code_facts,
    features_of,
)
from ksurf.surface.attach_facts import judge
from made_kernel import MadeKernel, kernel

OLD, NEW = kernel("5.10.1"), kernel("6.12.1")


def code(made: MadeKernel, name: str, address: int, *, bind: str = "STB_GLOBAL", **facts: object) -> None:
    """Add a function of vmlinux with code, and its symbol."""
    function = made.function(name, f"{name}.c", external=bind != "STB_LOCAL")
    made.symbol(name, made.instance(function, 0, address=address), bind=bind)
    made.symbols[-1].update(facts)


def made_kernel(*, new: bool) -> MadeKernel:
    made = MadeKernel()
    made.image()
    made.image("kvm")
    made.unit("a.c")
    made.unit("kvm.c", image=1)
    code(made, "arch_prepare_bpf_trampoline", 16, bind="STB_GLOBAL" if new else "STB_WEAK")
    if new:
        code(made, "register_ftrace_direct", 32)
        code(made, "register_fprobe_ips", 48)
        # Static, and inlined into its only caller: it has no symbol.
        made.instance(made.function("number_of_same_symbols", "trace.c"), 0, inlined=True)
        made.enum("bpf_attach_type", {"BPF_TRACE_FENTRY": 1, "BPF_TRACE_KPROBE_MULTI": 2})
    else:
        made.enum("bpf_attach_type", {"BPF_TRACE_FENTRY": 1})
    code(made, "vfs_read", 64, ftrace=True, error_injection="EI_ETYPE_ERRNO")
    made.prototype("vfs_read", "ssize_t", ("struct file *", "file"), ("size_t", "count"))
    code(made, "printk", 96, ftrace=True)
    made.type("func", "printk", [{"type": "const char *", "name": "fmt"}, {"type": "..."}], type="int")
    code(made, "__rcu_read_lock", 128, ftrace=True)
    made.prototype("__rcu_read_lock", "void")
    made.btf_id("btf_id_deny", "__rcu_read_lock")
    local = made.function("helper", "kvm.c")
    for unit, address in ((0, 160), (1, 0)):
        made.symbol("helper", made.instance(local, unit, address=address))
    return made


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Kernel, Path]]:
    dataset = tmp_path_factory.mktemp("dataset")
    made_kernel(new=False).write(dataset, OLD)
    made_kernel(new=True).write(dataset, NEW)
    store = Store(dataset)
    return [(kernel, store.directory(kernel.id)) for kernel in (OLD, NEW)]


def facts(places: list[tuple[Kernel, Path]], name: str, at: int = 1) -> list[CodeFacts]:
    """The facts of all symbols of a function on one of the kernels."""
    symbols = functions_named([name], places)[name][at].symbols
    rows = attach_rows([name], places)[name][at]
    return [code_facts(symbol, symbols, rows) for symbol in symbols]


def test_what_kernels_can_do(places: list[tuple[Kernel, Path]]) -> None:
    old, new = map(features_of, kernel_marks(places))
    assert (old.btf, old.kprobe_multi, old.trampoline, old.ftrace_direct) == (True, False, False, False)
    assert (new.kprobe_multi, new.trampoline, new.ftrace_direct, new.unique_kprobes) == (True,) * 4
    assert (old.fprobe, new.fprobe) == (False, True)
    assert not old.unique_kprobes
    assert not new.bpf_lsm


def test_a_function_with_a_prototype(places: list[tuple[Kernel, Path]]) -> None:
    (found,) = facts(places, "vfs_read")
    assert found == CodeFacts(
        ftrace=True,
        kprobe_blacklist=None,
        error_injection="EI_ETYPE_ERRNO",
        init=False,
        btf_functions=1,
        parameters=2,
    )
    assert attach_code(found, features_of(kernel_marks(places)[1]))[Mechanism.FMOD_RET].attachable


def test_variable_arguments_and_denied_functions(places: list[tuple[Kernel, Path]]) -> None:
    assert [found.variadic for found in facts(places, "printk")] == [True]
    assert [found.denied for found in facts(places, "__rcu_read_lock")] == [True]


def test_namesakes_of_a_module_count_those_of_vmlinux(places: list[tuple[Kernel, Path]]) -> None:
    assert sorted(found.namesakes for found in facts(places, "helper")) == [0, 1]


def show(places: list[tuple[Kernel, Path]], capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    dataset = str(places[0][1].parent.parent)
    assert run(["show", "function", *arguments, "--dataset", dataset]) == 0
    return capsys.readouterr().out


def test_a_page_says_what_can_be_attached(
    places: list[tuple[Kernel, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    page = show(places, capsys, "vfs_read", "--all")
    assert "    ✔ kprobe, kretprobe, kprobe.multi, fentry, fexit, fmod_ret\n" in page
    assert "    ✔ kprobe, kretprobe\n    ✘ kprobe.multi: the kernel has no kprobe.multi (" in page
    assert "    ✘ fentry, fexit, fmod_ret: the architecture has no BPF trampoline (" in page


def test_json_has_every_verdict(
    places: list[tuple[Kernel, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    (function,) = json.loads(show(places, capsys, "vfs_read", "--format", "json"))["functions"]
    old, new = (kernel["symbols"][0]["attach"] for kernel in function["groups"][0]["kernels"])
    assert [verdict["mechanism"] for verdict in old] == [m.value for m in list(Mechanism)[:6]]
    assert {"mechanism": "fmod_ret", "attachable": True, "reason": None} in new
    assert [verdict["attachable"] for verdict in old] == [True, True, False, False, False, False]


def test_sql_says_the_same(places: list[tuple[Kernel, Path]]) -> None:
    store = Store(places[0][1].parent.parent)
    statement = "SELECT kernel, image, symbol, mechanism, attachable, reason FROM attachability"
    with connect(store, statement=statement, judge=judge) as connection:
        told = Counter(row for batch in query(connection, statement).batches() for row in batch)
    names = ["vfs_read", "printk", "__rcu_read_lock", "helper"]
    symbols, about = functions_named(names, places), attach_rows(names, places)
    expected = Counter(
        (rows.kernel.id, symbol.image, symbol.name, mechanism.value, verdict.attachable, verdict.reason)
        for name in names
        for rows, also in zip(symbols[name], about[name], strict=True)
        for symbol, verdicts in zip(rows.symbols, attach_symbols(rows.symbols, also), strict=True)
        for mechanism, verdict in verdicts.items()
    )
    assert expected
    assert expected <= told


def test_what_was_won_and_lost_is_told(
    places: list[tuple[Kernel, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    won = "Attachability won: kprobe.multi (before: the kernel has no kprobe.multi (BPF_TRACE_KPROBE_MULTI"
    assert won in show(places, capsys, "vfs_read")
    dataset = str(places[0][1].parent.parent)
    for arguments in (
        ["diff", "5.10", "6.12", "--kind", "attachability"],
        ["history", "function", "vfs_read"],
    ):
        assert run([*arguments, "--dataset", dataset]) == 0
        assert won in capsys.readouterr().out
    assert (
        run(["diff", "6.12", "5.10", "--kind", "attachability", "--format", "json", "--dataset", dataset])
        == 0
    )
    (kind,) = json.loads(capsys.readouterr().out)["kinds"]
    changes = {entry["name"]: entry["changes"] for entry in kind["changed"]}
    # What the old kernel cannot do at all is said once.
    assert changes.keys() == {EVERY_FUNCTION}
    assert {change["kind"] for change in changes[EVERY_FUNCTION]} == {"AttachabilityLost"}
    lost = [change["old"] for change in changes[EVERY_FUNCTION]]
    assert lost == ["kprobe.multi", "fentry", "fexit", "fmod_ret"]
    assert all(change["reason"] and change["new"] is None for change in changes[EVERY_FUNCTION])
