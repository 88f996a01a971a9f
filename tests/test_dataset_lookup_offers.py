"""Look-ups of types and of what kernels offer, on made kernels, whatever the row groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ksurf.dataset import schema
from ksurf.dataset.lookup import (
    btf_id_names,
    btf_ids,
    config_named,
    config_names,
    definitions_of,
    export_names,
    exports_named,
    read_tables,
    syscall_names,
    syscalls_named,
    tracepoint_names,
    tracepoints_named,
    type_names,
    types_named,
)
from ksurf.dataset.rows import Member, Syscall, TracepointField
from ksurf.dataset.store import Store
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from made_kernel import kernel, kvm_kernel, offering_kernel

OLD, NEW = kernel("6.1.1"), kernel("6.12.1")
ALL = ("struct", "union", "enum", "typedef", "func", "var")


@pytest.fixture(params=[1, 3, 1 << 16])
def places(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Kernel, Path]]:
    for name, table in schema.TABLES.items():
        monkeypatch.setitem(schema.TABLES, name, replace(table, rows_per_group=request.param))
    offering_kernel(0).write(tmp_path, OLD)
    offering_kernel(1).write(tmp_path, NEW)
    kvm_kernel().write(tmp_path, kernel("7.3.1"))
    store = Store(tmp_path)
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def test_a_struct_with_its_members(places: list[tuple[Kernel, Path]]) -> None:
    old, new, without = types_named(["kvm", "nowhere"], places, kinds=["struct"])["kvm"]
    assert (old.kernel, new.kernel) == (OLD, NEW)
    assert (without.types, without.uses) == ((), ())
    (row,) = old.types
    assert (row.image, row.evidence) == ("kvm", "btf")
    assert (row.definition.kind, row.definition.name, row.definition.byte_size) == ("struct", "kvm", 48)
    assert row.definition.members[4] == Member(1, "lock", "spinlock_t", 128, 4)
    assert row.definition.members[1] == Member(0, None, "union (anon)", 64, 8)
    assert [m.bit_offset for rows in (old, new) for m in rows.types[0].definition.members if m.bit_size] == [
        320,
        321,
    ]
    assert row.definition.key != new.types[0].definition.key


def test_equal_definitions_are_one(places: list[tuple[Kernel, Path]]) -> None:
    old, new, _ = types_named(["list_head"], places, kinds=ALL)["list_head"]
    assert old.types[0].definition is new.types[0].definition


def test_definitions_of_one_name_and_where_they_are_used(places: list[tuple[Kernel, Path]]) -> None:
    rows = types_named(["twin"], places, kinds=["struct"])["twin"][0]
    users = {use.definition: (use.image, use.user_kind, use.user) for use in rows.uses}
    assert {len(row.definition.members): users[row.definition.key] for row in rows.types} == {
        2: ("kvm", "struct", "user"),
        1: ("kvm", "func", "use_twin"),
    }


def test_only_the_kinds_that_are_asked_for(places: list[tuple[Kernel, Path]]) -> None:
    assert types_named(["twin"], places, kinds=["union"])["twin"][0].types == ()
    assert set(type_names(places, kinds=["typedef", "enum"]).to_pylist()) == {"pid_t", "pid_type"}
    assert "vfs_read" in type_names(places, kinds=["func"]).to_pylist()
    ((row,), _, _) = (rows.types for rows in types_named(["vfs_read"], places, kinds=["func"])["vfs_read"])
    assert row.definition.type == "ssize_t"
    assert [m.name for m in row.definition.members] == ["file", "buf", "count"]


def test_many_definitions_at_once(places: list[tuple[Kernel, Path]]) -> None:
    tables = read_tables([directory for _, directory in places], {"types": ["name", "definition"]})
    old, new, _ = ({*zip(*t["types"].to_pydict().values(), strict=True)} for t in tables)
    changed = {name for name, _ in old ^ new}
    assert changed == {"kvm", "pid_type"}
    found = definitions_of({key for _, key in old ^ new}, places)
    assert sorted(d.name for d in found.values()) == ["kvm", "kvm", "pid_type", "pid_type"]
    names = {m.name for d in found.values() for m in d.members if d.kind == "enum"}
    assert names == {"PIDTYPE_PID", "PIDTYPE_TGID", "PIDTYPE_0", "PIDTYPE_1"}


def test_a_key_that_is_nowhere_is_said(places: list[tuple[Kernel, Path]]) -> None:
    with pytest.raises(DatasetError, match="1 of 1 definitions are missing"):
        definitions_of([1], places)
    assert definitions_of([], places) == {}


def test_tracepoints_by_name_and_by_system(places: list[tuple[Kernel, Path]]) -> None:
    names = ["sched_switch", "kvm_exit", "other:kvm_exit", "sched_bare", "sched:kvm_exit"]
    found = {name: rows[0] for name, rows in tracepoints_named(names, places).items()}
    (switch,) = found["sched_switch"]
    assert (switch.image, switch.system, switch.class_) == ("vmlinux", "sched", "sched_switch")
    assert switch.fields[1] == TracepointField("prev_pid", "pid_t", 24, 4, False)
    assert [(t.image, t.system, t.fields[0].name) for t in found["kvm_exit"]] == [
        ("kvm", "kvm", "reason"),
        ("kvm", "other", "x"),
    ]
    assert [t.system for t in found["other:kvm_exit"]] == ["other"]
    assert [(t.system, t.fields) for t in found["sched_bare"]] == [(None, ())]
    assert found["sched:kvm_exit"] == ()
    assert tracepoint_names(places) == {"sched:sched_switch", "kvm:kvm_exit", "other:kvm_exit", "sched_bare"}


def test_what_else_is_offered(places: list[tuple[Kernel, Path]]) -> None:
    assert syscalls_named(["stat"], places)["stat"][1] == (
        Syscall("32", 106, "stat", "__ia32_compat_sys_newstat"),
        Syscall("64", 4, "stat", "__x64_sys_newstat"),
    )
    assert set(syscall_names(places).to_pylist()) == {"read", "stat"}
    ((export,), _, none) = exports_named(["kvm_get_kvm"], places)["kvm_get_kvm"]
    assert (export.image, export.gpl, export.namespace, export.crc) == ("kvm", True, "KVM", 0xDEADBEEF)
    assert none == ()
    assert set(export_names(places).to_pylist()) == {"kvm_get_kvm", "vfs_read"}
    found = config_named(["BPF", "CONFIG_NUMBER", "NOWHERE"], places)
    assert [[o.value for o in options] for options in found["CONFIG_NUMBER"]] == [["0"], ["1"], []]
    assert [o.name for o in found["BPF"][0]] == ["CONFIG_BPF"]
    assert found["NOWHERE"] == [(), (), ()]
    assert set(config_names(places).to_pylist()) == {"CONFIG_BPF", "CONFIG_NUMBER"}


def test_sets_by_set_and_by_name(places: list[tuple[Kernel, Path]]) -> None:
    assert [len(rows) for rows in btf_ids(places)] == [2, 2, 0]
    ((hook,), _, _) = btf_ids(places, sets=["bpf_lsm_hooks"])
    assert (hook.name, hook.set_flags, hook.image) == ("bpf_lsm_file_open", None, "vmlinux")
    ((kfunc,), _, _) = btf_ids(places, names=["bpf_task_acquire"])
    assert (kfunc.set, kfunc.flags, kfunc.program_types) == ("task_kfuncs", 3, "26")
    assert btf_ids(places, sets=["bpf_lsm_hooks"], names=["bpf_task_acquire"])[0] == ()
    assert set(btf_id_names(places).to_pylist()) == {"bpf_lsm_file_open", "bpf_task_acquire"}


@pytest.mark.parametrize("table", ["types", "type_uses", "tracepoints", "tracepoint_fields", "exports"])
def test_a_damaged_table_is_one_clear_line(places: list[tuple[Kernel, Path]], table: str) -> None:
    path = places[0][1] / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match=f"{table}.parquet"):
        types_named(["kvm"], places, kinds=ALL)
        tracepoints_named(["sched_switch"], places)
        exports_named(["vfs_read"], places)
