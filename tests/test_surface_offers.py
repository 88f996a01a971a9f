"""Tracepoints, system calls, exports, options, hooks, kfuncs and fields: judged and compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ksurf.dataset.rows import (
    BtfId,
    ConfigOption,
    Definition,
    Export,
    Member,
    Syscall,
    Tracepoint,
    TracepointField,
)
from ksurf.surface.config import compare_options, judge_option, option_text
from ksurf.surface.export import compare_exports, export_text, judge_export
from ksurf.surface.field import compare_owned, judge_field, owner_and_path, types_on_the_way
from ksurf.surface.function import Status
from ksurf.surface.kfunc import compare_kfuncs, flag_names, is_kfunc, judge_kfunc, program_type_names
from ksurf.surface.lsm import compare_hooks, hooks, judge_hook
from ksurf.surface.symbol import compare_statuses
from ksurf.surface.syscall import compare_syscalls, judge_syscall
from ksurf.surface.tracepoint import TraceEvent, compare_tracepoints, field_text, judge_tracepoint
from made_kernel import kernel
from made_types import func, member, struct, texts, typedef

K = kernel()
SWITCH = Tracepoint(
    "vmlinux",
    "sched",
    "sched_switch",
    "sched_switch",
    "sched_switch",
    '"prev=%s"',
    (
        TracepointField("prev_comm[16]", "char", 8, 16, False),
        TracepointField("prev_pid", "pid_t", 24, 4, True),
    ),
)
TRACEITER = func(
    "__traceiter_sched_switch", "int", "void *__data", "bool preempt", "struct task_struct *prev"
)


def event(row: Tracepoint = SWITCH, prototype: Definition = TRACEITER) -> TraceEvent:
    status = judge_tracepoint(K, row.name, [row], {prototype.name: prototype})
    return status.variants[0].content


def test_events_that_are_called_otherwise_are_compared() -> None:
    longer = replace(TRACEITER, members=(*TRACEITER.members, member("int more")))
    old, new = (judge_tracepoint(K, "sched_switch", [SWITCH], {p.name: p}) for p in (TRACEITER, longer))
    assert len(compare_statuses(old, new, compare_tracepoints)) == 1


def test_a_tracepoint_is_called_without_its_own_data() -> None:
    assert event().prototype == "void sched_switch(bool preempt, struct task_struct *prev);"
    assert event(replace(SWITCH, tracepoint=None)).prototype is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("void (*)(void *, bool, struct task_struct *)", "void sched_switch(bool, struct task_struct *);"),
        ("void (*)(void *, int (*)(void *))", "void sched_switch(int (*)(void *));"),
        ("void (*)(void *)", "void sched_switch(void);"),
        ("void (*)(int)", None),
        ("int", None),
    ],
)
def test_a_typedef_has_the_prototype_where_no_function_has(text: str, expected: str | None) -> None:
    assert event(prototype=typedef("btf_trace_sched_switch", text)).prototype == expected


def test_the_names_of_parameters_are_compared_where_both_sides_have_them() -> None:
    unnamed = typedef("btf_trace_sched_switch", "void (*)(void *, bool, struct task_struct *)")
    assert compare_tracepoints(event(), event(prototype=unnamed)) == []
    other = typedef("btf_trace_sched_switch", "void (*)(void *, int, struct task_struct *)")
    assert texts(compare_tracepoints(event(prototype=unnamed), event(prototype=other))) == [
        "Prototype changed: void sched_switch(bool, struct task_struct *); -> "
        "void sched_switch(int, struct task_struct *);"
    ]
    renamed = replace(TRACEITER, members=(*TRACEITER.members[:-1], member("struct task_struct *next")))
    assert len(compare_tracepoints(event(), event(prototype=renamed))) == 1


def test_fields_are_declared_as_format_does() -> None:
    assert field_text(SWITCH.fields[0]) == "char prev_comm[16]"
    assert field_text(TracepointField("name", "__data_loc char[]", 8, 4, False)) == "__data_loc char[] name"


def test_events_of_two_systems_are_no_collision() -> None:
    other = replace(SWITCH, system="other")
    assert judge_tracepoint(K, "sched_switch", [SWITCH, other], {}).statuses == ()
    assert judge_tracepoint(K, "sched_switch", [], {}).statuses == (Status.ABSENT,)


def test_changes_of_a_tracepoint() -> None:
    first, second = SWITCH.fields
    assert compare_tracepoints(event(), event()) == []
    assert texts(compare_tracepoints(event(), event(replace(SWITCH, fields=(first,))))) == [
        "Field removed: pid_t prev_pid"
    ]
    moved = replace(SWITCH, fields=(first, replace(second, byte_offset=32, byte_size=8, signed=False)))
    assert texts(compare_tracepoints(event(), event(moved))) == [
        "Field size changed: prev_pid: 4 bytes -> prev_pid: 8 bytes",
        "Field offset changed: prev_pid: byte 24 -> prev_pid: byte 32",
        "Sign changed: prev_pid: signed -> prev_pid: unsigned",
    ]
    shorter = replace(SWITCH, fields=(replace(first, name="prev_comm[8]"), second))
    assert texts(compare_tracepoints(event(), event(shorter))) == [
        "Field type changed: char prev_comm[16] -> char prev_comm[8]"
    ]
    longer = replace(TRACEITER, members=(*TRACEITER.members, member("unsigned int prev_state")))
    assert texts(compare_tracepoints(event(), event(prototype=longer))) == [
        "Prototype changed: void sched_switch(bool preempt, struct task_struct *prev); -> "
        "void sched_switch(bool preempt, struct task_struct *prev, unsigned int prev_state);"
    ]
    assert texts(compare_tracepoints(event(), event(replace(SWITCH, print_format='"%d"')))) == [
        'Format changed: "prev=%s" -> "%d"'
    ]
    bare = replace(SWITCH, tracepoint=None)
    assert texts(compare_tracepoints(event(), event(bare))) == ["Tracepoint changed: sched_switch -> none"]


STAT = Syscall("64", 4, "stat", "__x64_sys_newstat")


def test_a_system_call_in_two_tables_is_no_collision() -> None:
    status = judge_syscall(K, "stat", [STAT, Syscall("32", 106, "stat", "__ia32_sys_newstat")])
    assert status.statuses == ()
    # Numbers of x32 that differ from the native ones come twice.
    twice = [Syscall("x32", 59, "execve", "a"), Syscall("x32", 520, "execve", "b")]
    assert judge_syscall(K, "execve", twice).statuses == ()


def test_changes_of_a_system_call() -> None:
    assert texts(compare_syscalls(STAT, replace(STAT, number=5, entry="__x64_sys_stat"))) == [
        "Number changed: 64: 4 -> 64: 5",
        "Entry changed: 64: __x64_sys_newstat -> 64: __x64_sys_stat",
    ]
    compat = Syscall("32", 106, "stat", "__ia32_sys_newstat")
    old, new = judge_syscall(K, "stat", [STAT]), judge_syscall(K, "stat", [STAT, compat])
    assert texts(compare_statuses(old, new, compare_syscalls)) == ["Definition added: 32"]


def test_changes_of_an_export() -> None:
    row = Export("kvm_get_kvm", "kvm", False, None, 1)
    assert export_text(row) == "EXPORT_SYMBOL(kvm_get_kvm);"
    new = replace(row, gpl=True, namespace="KVM", crc=2)
    assert export_text(new) == 'EXPORT_SYMBOL_NS_GPL(kvm_get_kvm, "KVM");'
    assert texts(compare_exports(row, new)) == [
        "License changed: any license -> GPL only",
        "Namespace changed: none -> KVM",
        "CRC changed: 0x00000001 -> 0x00000002",
    ]
    assert compare_exports(row, replace(row, crc=None)) == []
    assert judge_export(K, row.name, [row]).statuses == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("y", "CONFIG_X=y"),
        ("n", "# CONFIG_X is not set"),
        ("250", "CONFIG_X=250"),
        ("0x1000", "CONFIG_X=0x1000"),
        ("lockdown,yama", 'CONFIG_X="lockdown,yama"'),
        ("", 'CONFIG_X=""'),
    ],
)
def test_an_option_as_the_configuration_has_it(value: str, expected: str) -> None:
    assert option_text(ConfigOption("CONFIG_X", value)) == expected


def test_changes_of_an_option() -> None:
    old, new = ConfigOption("CONFIG_X", "m"), ConfigOption("CONFIG_X", "y")
    assert texts(compare_options(old, new)) == ["Value changed: CONFIG_X=m -> CONFIG_X=y"]
    assert compare_options(old, old) == []
    assert judge_option(K, "CONFIG_X", []).statuses == (Status.ABSENT,)


UNION = struct(
    "security_list_options",
    Member(0, "file_open", "int (*)(struct file *)", 0, 8),
    Member(0, "task_free", "void (*)(struct task_struct *)", 0, 8),
    Member(0, "lsm_func_addr", "void *", 0, 8),
    kind="union",
)
LISTED = [BtfId("bpf_lsm_hooks", "vmlinux", None, "func", "bpf_lsm_file_open", None, None)]


def test_hooks_are_the_unions_functions() -> None:
    held = hooks(UNION, LISTED)
    assert {name: (hook.prototype, hook.bpf) for name, hook in held.items()} == {
        "file_open": ("int file_open(struct file *);", True),
        "task_free": ("void task_free(struct task_struct *);", False),
    }
    assert hooks(UNION, [])["file_open"].bpf is None
    assert hooks(None, LISTED) == {}
    assert judge_hook(K, "nothing", held).statuses == (Status.ABSENT,)
    disabled = [*LISTED, replace(LISTED[0], set="bpf_lsm_disabled_hooks")]
    assert hooks(UNION, disabled)["file_open"].bpf is False


def test_changes_of_a_hook() -> None:
    hook = hooks(UNION, LISTED)["file_open"]
    new = replace(hook, prototype="int file_open(struct file *, int);", bpf=False)
    assert texts(compare_hooks(hook, new)) == [
        "Prototype changed: int file_open(struct file *); -> int file_open(struct file *, int);",
        "BPF attachment changed: for BPF programs -> not for BPF programs",
    ]


ACQUIRE = BtfId("task_kfuncs", "vmlinux", 1, "func", "bpf_task_acquire", 3, "26")
PROTOTYPE = func("bpf_task_acquire", "struct task_struct *", "struct task_struct *p")


def test_kfuncs_are_listed_and_other_sets_are_not() -> None:
    assert is_kfunc(ACQUIRE)
    assert is_kfunc(replace(ACQUIRE, set_flags=0))
    assert not is_kfunc(replace(ACQUIRE, set_flags=0, program_types=None, flags=0))
    assert not is_kfunc(replace(ACQUIRE, set_flags=None, flags=None, program_types=None))
    assert not is_kfunc(replace(ACQUIRE, kind="struct"))
    assert not is_kfunc(replace(ACQUIRE, program_types=None, registered_as="fmod_ret"))


def test_flags_and_program_types_by_name() -> None:
    assert flag_names(0) == ()
    assert flag_names(1 | 1 << 5) == ("KF_ACQUIRE", "KF_SLEEPABLE")
    assert flag_names(1 << 30) == ("1 << 30",)
    assert program_type_names(None, {}) is None
    assert program_type_names("26 7", {26: "BPF_PROG_TYPE_TRACING"}) == ("tracing", "7")


def test_changes_of_a_kfunc() -> None:
    names = {26: "BPF_PROG_TYPE_TRACING", 29: "BPF_PROG_TYPE_LSM"}
    old = judge_kfunc(K, "bpf_task_acquire", [ACQUIRE], {PROTOTYPE.name: PROTOTYPE}, names)
    row = replace(ACQUIRE, flags=5, program_types="26 29")
    new = judge_kfunc(K, "bpf_task_acquire", [row], {PROTOTYPE.name: PROTOTYPE}, names)
    assert old.statuses == ()
    assert texts(compare_statuses(old, new, compare_kfuncs)) == [
        "Flags changed: KF_ACQUIRE, KF_RELEASE -> KF_ACQUIRE, KF_RET_NULL",
        "Program types changed: tracing -> lsm, tracing",
    ]


TYPES = {
    "kvm": [
        (
            "kvm",
            struct(
                "kvm",
                member("struct mutex lock", offset=0, size=32),
                member("struct kvm_arch arch", offset=32, size=16),
                member("struct kvm_arch *pointer", offset=48, size=8),
            ),
        )
    ],
    "mutex": [("vmlinux", struct("mutex", member("atomic_t owner", offset=8, size=4)))],
    "atomic_t": [("vmlinux", typedef("atomic_t", "struct (anon)", member("int counter", offset=0, size=4)))],
    "kvm_arch": [
        ("vmlinux", struct("kvm_arch", member("int wrong", offset=0, size=4))),
        ("kvm", struct("kvm_arch", member("int mode", offset=4, size=4))),
    ],
}


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("kvm::lock", 0),
        ("kvm::lock.owner", 64),
        ("kvm::lock.owner.counter", 64),
        # Of two definitions the one of the same image.
        ("kvm::arch.mode", 288),
    ],
)
def test_a_path_leads_through_other_structs(name: str, offset: int) -> None:
    (variant,) = judge_field(K, name, TYPES).variants
    assert variant.content.field.bit_offset == offset
    assert variant.content.field.path == name.partition("::")[2]


@pytest.mark.parametrize(
    "name", ["kvm::nothing", "kvm::arch.wrong", "kvm::pointer.mode", "kvm", "::", "x::y"]
)
def test_a_path_that_leads_nowhere(name: str) -> None:
    assert judge_field(K, name, TYPES).statuses == (Status.ABSENT,)


def test_the_types_on_the_way_are_asked_for_one_by_one() -> None:
    assert types_on_the_way("kvm::lock.owner", {}) == {"kvm"}
    assert types_on_the_way("kvm::lock.owner", {"kvm": TYPES["kvm"]}) == {"mutex"}
    assert types_on_the_way("kvm::lock.owner", TYPES) == set()
    assert types_on_the_way("kvm::lock", {"kvm": []}) == set()


def test_a_typedef_of_itself_ends() -> None:
    endless = {"t": [("vmlinux", typedef("t", "t"))]}
    assert judge_field(K, "t::a", endless).statuses == (Status.ABSENT,)


def test_the_two_parts_of_a_name() -> None:
    assert owner_and_path("struct kvm::irqfds.lock") == ("kvm", "irqfds.lock")
    assert owner_and_path("kvm.lock") is None


def test_changes_of_a_field() -> None:
    old = judge_field(K, "kvm::lock", TYPES)
    types = {"kvm": [("kvm", struct("kvm", member("spinlock_t lock", offset=8, size=4)))]}
    assert texts(compare_statuses(old, judge_field(K, "kvm::lock", types), compare_owned)) == [
        "Field type changed: struct mutex lock -> spinlock_t lock",
        "Field offset changed: lock: byte 0 -> lock: byte 8",
    ]
