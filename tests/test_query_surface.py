"""Views that are no tables: fields by their path, BPF's parts, attachability."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ksurf.dataset.query import connect, query
from ksurf.dataset.query.surface import MEMBER_DEPTH_LIMIT
from ksurf.dataset.rows import Marks
from ksurf.dataset.store import Store
from ksurf.surface.attach_facts import judge
from made_kernel import MadeKernel, bpf_kernel, kernel

OLD, NEW = kernel("6.1.1"), kernel("6.12.1")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    dataset = tmp_path_factory.mktemp("dataset")
    for number, identity in enumerate((OLD, NEW)):
        code_of(bpf_kernel(number)).write(dataset, identity)
    return Store(dataset)


def code_of(made: MadeKernel) -> MadeKernel:
    """Add symbols that differ in what can be attached to them."""
    made.unit("fs/read_write.c")
    made.unit("virt/kvm.c", image=1)

    def code(name: str, address: int, *, unit: int = 0, **facts: Any) -> None:
        made.symbol(name, made.instance(made.function(name, f"{name}.c"), unit, address=address))
        made.symbols[-1].update(facts)

    code("vfs_read", 16, ftrace=True)
    code("__x64_sys_newstat", 32, ftrace=False, kprobe_blacklist="NOKPROBE_SYMBOL")
    code("helper", 48, ftrace=True)
    code("helper", 0, unit=1, ftrace=True)
    code("register_ftrace_direct", 64)
    for address, name in ((80, "arch_prepare_bpf_trampoline"), (96, "register_fprobe_ips")):
        code(name, address)
        made.symbols[-1]["bind"] = "STB_GLOBAL"
    return made


def rows(store: Store, statement: str) -> list[Sequence[Any]]:
    with connect(store, statement=statement, judge=judge) as connection:
        return [row for batch in query(connection, statement).batches() for row in batch]


def test_fields_by_their_path(store: Store) -> None:
    found = rows(
        store,
        "SELECT kernel, image, field, type, bit_offset, byte_size, bit_size FROM fields "
        "WHERE struct = 'kvm' ORDER BY ALL",
    )
    paths = ["flag", "irqfds", "irqfds.items", "irqfds.lock", "mmu_lock", "nested"]
    assert [row[2] for row in found] == paths * 2
    assert found[6] == (NEW.id, "kvm", "flag", "bool", 321, 1, 1)
    assert found[3] == (OLD.id, "kvm", "irqfds.lock", "spinlock_t", 128, 4, None)
    assert rows(store, "SELECT DISTINCT kind FROM fields WHERE struct = 'vfs_read'") == []


def test_fields_that_are_nested_deep(tmp_path: Path) -> None:
    """A path has the names around it, and only these: neither of those before it, nor of unnamed ones."""
    made = MadeKernel()
    made.image()
    members: list[dict[str, Any]] = []
    for name in ("a", "b"):
        for depth in range(MEMBER_DEPTH_LIMIT):
            own = {} if depth % 3 == 1 else {"name": f"{name}{depth}"}
            members.append({"depth": depth, "type": "struct (anon)", "bit_offset": 0, "byte_size": 8, **own})
        leaf = {"depth": MEMBER_DEPTH_LIMIT, "name": "leaf", "type": "int", "bit_offset": 0, "byte_size": 4}
        members.append(leaf)
        members.append({"depth": 1, "name": "after", "type": "int", "bit_offset": 32, "byte_size": 4})
    made.type("struct", "deep", members, byte_size=8)
    made.write(tmp_path, OLD)
    found = {row[0] for row in rows(Store(tmp_path), "SELECT field FROM fields WHERE struct = 'deep'")}
    named = [depth for depth in range(MEMBER_DEPTH_LIMIT) if depth % 3 != 1]
    expected = {
        ".".join(f"{name}{depth}" for depth in named[:end])
        for name in "ab"
        for end in range(1, len(named) + 1)
    }
    expected |= {".".join([*(f"{name}{depth}" for depth in named), "leaf"]) for name in "ab"}
    assert found == expected | {"a0.after", "b0.after"}


def test_enumerators(store: Store) -> None:
    statement = (
        "SELECT enum, name, value FROM enumerators WHERE enum IN ('pid_type', 'wide') AND kernel = '{}'"
    )
    assert set(rows(store, statement.format(OLD.id))) == {
        ("pid_type", "PIDTYPE_PID", 0),
        ("pid_type", "PIDTYPE_TGID", 1),
        ("pid_type", "PIDTYPE_0", 2),
        ("wide", "TOP", 2**64 - 1),
    }
    found = rows(store, f"SELECT DISTINCT enum FROM bpf_enums WHERE kernel = '{OLD.id}'")
    assert set(found) == {("bpf_prog_type",), ("bpf_attach_type",)}


def test_hooks(store: Store) -> None:
    statement = (
        f"SELECT name, prototype, bpf, sleepable FROM lsm_hooks WHERE kernel = '{NEW.id}' ORDER BY name"
    )
    assert rows(store, statement) == [
        ("file_open", "int file_open(struct file *);", True, True),
        ("task_free", "void task_free(struct task_struct *);", False, False),
    ]


def test_hooks_of_a_kernel_without_sets(tmp_path: Path) -> None:
    made = bpf_kernel()
    made.others.pop("btf_ids")
    made.write(tmp_path, OLD)
    assert set(rows(Store(tmp_path), "SELECT bpf, sleepable FROM lsm_hooks")) == {(None, None)}


def test_kfuncs(store: Store) -> None:
    statement = f"SELECT name, set, flags, program_types FROM kfuncs WHERE kernel = '{NEW.id}' ORDER BY set"
    assert rows(store, statement) == [
        (
            "bpf_task_acquire",
            "old_kfuncs",
            f"KF_SLEEPABLE and {1 << 30}",
            "BPF_PROG_TYPE_KPROBE BPF_PROG_TYPE_TRACING 99",
        ),
        ("bpf_task_acquire", "task_kfuncs", "KF_ACQUIRE KF_RELEASE", "BPF_PROG_TYPE_TRACING"),
    ]


def test_struct_ops(store: Store) -> None:
    assert set(rows(store, "SELECT image, name FROM struct_ops")) == {("vmlinux", "tcp_congestion_ops")}


def attachable(store: Store, symbol: str, image: str = "vmlinux") -> dict[str, tuple[bool, str | None]]:
    statement = (
        "SELECT mechanism, attachable, reason FROM attachability "
        f"WHERE symbol = '{symbol}' AND image = '{image}' AND kernel = '{NEW.id}'"
    )
    return {mechanism: (yes, reason) for mechanism, yes, reason in rows(store, statement)}


def test_attachability_of_code(store: Store) -> None:
    found = attachable(store, "vfs_read")
    assert {mechanism for mechanism, (yes, _) in found.items() if yes} == {
        "kprobe",
        "kretprobe",
        "kprobe.multi",
        "fentry",
        "fexit",
    }
    assert "_error_injection_whitelist" in str(found["fmod_ret"][1])
    # The one in vmlinux has no other in its image; the module's has that one.
    assert attachable(store, "helper")["kprobe"] == (True, None)
    assert "first of 2 symbols" in str(attachable(store, "helper", "kvm")["kprobe"][1])
    assert "no FUNC" in str(attachable(store, "helper")["fentry"][1])


def test_attachability_of_what_is_no_code(store: Store) -> None:
    assert attachable(store, "sched:sched_switch") == {
        "tracepoint": (True, None),
        "raw_tp": (True, None),
        "tp_btf": (True, None),
    }
    assert attachable(store, "sched_bare")["tracepoint"][0] is False
    assert attachable(store, "sched_bare")["tp_btf"] == (False, "no typedef btf_trace_* in the image's BTF")
    types = "kprobe, tracing"
    assert attachable(store, "bpf_task_acquire")["kfunc call"] == (
        True,
        f"from programs of type 99, {types}",
    )
    assert "no BPF LSM" in str(attachable(store, "file_open")["lsm"][1])
    assert attachable(store, "stat") == {
        "ksyscall": (False, "kprobes refuse it (NOKPROBE_SYMBOL, in _kprobe_blacklist)")
    }


def test_a_judge_is_asked_once_about_what_is_the_same(store: Store) -> None:
    asked: list[tuple[str, str]] = []

    def ask(marks: Marks, subject: str, facts: Mapping[str, Any]) -> list[tuple[str, bool, str | None]]:
        asked.append((subject, str(facts)))
        return [("any", True, None)]

    def count(statement: str) -> int:
        with connect(store, statement=statement, judge=ask) as connection:
            ((found,),) = query(connection, statement).batches().__next__()
        return int(found)

    symbols = count("SELECT count(*) FROM symbols")
    assert asked == []
    about_code = "SELECT count(*) FROM attachability WHERE symbol IN (SELECT name FROM symbols)"
    assert count(about_code) == symbols
    # Once for each of the two kernels, which may have different marks.
    assert max(Counter(asked).values()) == 2


def test_without_a_judge_there_is_no_attachability(store: Store) -> None:
    with connect(store) as connection:
        names = {row[0] for batch in query(connection, "SHOW TABLES").batches() for row in batch}
    assert "fields" in names
    assert "attachability" not in names


def test_only_what_is_mentioned_is_made(store: Store) -> None:
    statement = "SELECT * FROM enumerators"
    with connect(store, statement=statement, judge=judge) as connection:
        names = {row[0] for batch in query(connection, "SHOW TABLES").batches() for row in batch}
    assert names == {"kernels", "types", "members", "definitions", "enumerators"}
