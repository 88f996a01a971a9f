"""Facts gathered from a dataset, consumers judged on several kernels, and what is suggested."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ksurf.check.dependency import Condition, Consumer, ConsumerKind, Dependency, Guard, Kind, Program, Use
from ksurf.check.facts import Facts, gather
from ksurf.check.judge import judge
from ksurf.check.names import read_list
from ksurf.check.verdict import Finding, Outcome, Report
from ksurf.check.walked import Place, Relocated, Walked
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism
from made_kernel import MadeKernel, bpf_kernel, kernel

OLD, NEW = kernel("6.1.0"), kernel("6.12.0")
ARM = kernel("6.12.0", arch="arm64")


def old_kernel() -> MadeKernel:
    """Functions, a struct and events, some of which the newer kernel has under other names."""
    made = bpf_kernel()
    made.image("kvm")
    unit = made.unit("security/security.c")
    _marked(made, unit)
    for name in ("security_map_alloc", "vfs_read", "vfs_write", "map_create"):
        _global(made, unit, name, "security/security.c")
    made.call(0, made.functions[1]["id"])
    made.struct("inode", ("struct timespec64", "i_atime", 0, 16), ("long", "i_ino", 16, 8))
    made.tracepoint("sched", "sched_move", ("int", "a", 8, 4))
    made.tracepoint("sched", "sched_wake_task", ("int", "pid", 8, 4), ("int", "prio", 12, 4))
    made.add("exports", name="security_map_alloc", image=0, gpl=True)
    return made


def new_kernel() -> MadeKernel:
    made = bpf_kernel(1)
    made.image("kvm")
    unit = made.unit("security/security.c")
    _marked(made, unit)
    for name in ("security_map_create", "vfs_write", "map_create"):
        _global(made, unit, name, "security/security.c")
    reader = made.function("vfs_read", "security/security.c", external=True)
    made.instance(reader, unit, inlined=True)
    callers = [i["id"] for i in made.instances if i["function"] == 3]
    made.call(callers[0], reader, inline=True)
    seconds, parts = ("s64", "i_atime_sec", 24, 8), ("u32", "i_atime_nsec", 32, 4)
    made.struct("inode", ("long", "i_ino", 16, 8), seconds, parts)
    made.tracepoint("sched", "sched_move", ("long", "a", 8, 8))
    made.tracepoint("sched", "sched_woken_task", ("int", "pid", 8, 4), ("int", "prio", 12, 4))
    made.add("exports", name="security_map_create", image=0, gpl=True)
    return made


def _marked(made: MadeKernel, unit: int) -> None:
    """What tells that the kernel has trampolines."""
    _global(made, unit, "arch_prepare_bpf_trampoline", "arch/x86/net/bpf_jit_comp.c")


def _global(made: MadeKernel, unit: int, name: str, file: str) -> None:
    function = made.function(name, file, external=True, prototype=f"int {name}(struct bpf_map *map);")
    code = made.instance(function, unit, address=0x1000 + 64 * len(made.instances))
    made.symbol(name, code, bind="STB_GLOBAL")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    old_kernel().write(tmp_path, OLD)
    new_kernel().write(tmp_path, NEW)
    new_kernel().write(tmp_path, ARM)
    return Store(tmp_path)


def checked(store: Store, text: str, *kernels: Kernel, baseline: Kernel | None = None) -> Report:
    return judge([read_list(text, "list")], kernels or (OLD, NEW), baseline, store)


def outcomes(report: Report) -> list[str]:
    return [finding.outcome.value for finding in report.findings]


def places(store: Store, *kernels: Kernel) -> list[tuple[Kernel, Path]]:
    return [(one, store.directory(one.id)) for one in kernels]


def known(store: Store, *wanted: Dependency | Condition, on: Kernel = OLD) -> Facts:
    (facts,) = gather(wanted, places(store, on))
    return facts


# Facts


def test_facts_of_every_kind_are_gathered(store: Store) -> None:
    names = {
        Kind.FUNCTION: "vfs_read+0x1",
        Kind.PARAMETER: "vfs_read::file",
        Kind.TRACEPOINT: "sched:sched_switch",
        Kind.TRACEPOINT_FIELD: "sched_switch::0",
        Kind.SYSCALL: "stat",
        Kind.LSM: "file_open",
        Kind.ITER: "task",
        Kind.STRUCT_OPS: "tcp_congestion_ops::init",
        Kind.KFUNC: "bpf_task_acquire",
        Kind.KSYM: "vfs_write",
        Kind.STRUCT: "inode",
        Kind.TYPEDEF: "pid_t",
        Kind.FIELD: "kvm::irqfds.items.next",
        Kind.ENUMERATOR: "pid_type::PIDTYPE_TGID",
        Kind.EXPORT: "kvm_get_kvm",
        Kind.CONFIG: "CONFIG_BPF",
        Kind.PROGRAM_TYPE: "BPF_PROG_TYPE_KPROBE",
    }
    facts = known(store, *(Dependency(kind, name) for kind, name in names.items()))
    assert facts.functions["vfs_read"].is_present
    assert facts.functions["vfs_read"].attach is not None
    assert facts.prototypes["vfs_read"] == ("ssize_t vfs_read(struct file *file, char *buf, size_t count);",)
    assert facts.tracepoints["sched:sched_switch"].is_present
    assert facts.tracepoint_verdicts["sched_switch"][Mechanism.TP_BTF].attachable
    assert facts.syscalls.named("stat") is not None
    assert facts.hooks["file_open"].is_present
    assert facts.fields["tcp_congestion_ops::init"].is_present
    assert facts.fields["kvm::irqfds.items.next"].is_present
    assert facts.definitions("bpf_struct_ops_tcp_congestion_ops", "struct")
    assert facts.kfuncs["bpf_task_acquire"].variants[0].content.program_types is not None
    assert facts.kfunc_verdicts["bpf_task_acquire"].attachable
    assert facts.enumerators("pid_type") == {"PIDTYPE_PID": 0, "PIDTYPE_TGID": 1, "PIDTYPE_0": 2}
    assert facts.exports["kvm_get_kvm"].is_present
    assert facts.has_config
    assert facts.config["CONFIG_BPF"].is_present
    assert facts.enumerators("bpf_prog_type") is not None


def test_inline_copies_are_known_by_their_callers(store: Store) -> None:
    status = known(store, Dependency(Kind.FUNCTION, "vfs_read"), on=NEW).functions["vfs_read"]
    assert not status.has_code
    assert [s.caller for i in status.instances for s in i.inline_callers or ()] == ["map_create"]


def test_patterns_meet_symbols_and_events(store: Store) -> None:
    probes = [
        Dependency(Kind.FUNCTION, "vfs_*", Mechanism.KPROBE),
        Dependency(Kind.FUNCTION, "vfs_*", Mechanism.KPROBE_MULTI),
        Dependency(Kind.FUNCTION, "none_*", Mechanism.KPROBE),
        Dependency(Kind.FUNCTION, "vfs_(", Mechanism.KPROBE),
        Dependency(Kind.TRACEPOINT, "sched:*", Mechanism.TRACEPOINT),
    ]
    matches = known(store, *probes).matches
    names = [matches[one.kind, one.name, one.mechanism] for one in probes]
    assert [held.names for held in names] == [
        ("vfs_read", "vfs_write"),
        ("vfs_read", "vfs_write"),
        (),
        (),
        ("sched:sched_move", "sched:sched_switch", "sched:sched_wake_task"),
    ]
    assert names[0].refused == {}
    assert set(names[1].refused) == {"vfs_read", "vfs_write"}


def test_prototypes_come_from_debug_information_where_btf_has_none(store: Store) -> None:
    facts = known(store, Dependency(Kind.PARAMETER, "vfs_write::0"))
    assert facts.prototypes["vfs_write"] == ("int vfs_write(struct bpf_map *map);",)


# The judge


def test_there_is_a_finding_for_each_dependency_and_kernel(store: Store) -> None:
    report = checked(store, "kprobe:vfs_write\nkprobe:vfs_read\nkprobe:nonesuch")
    assert outcomes(report) == ["ok", "ok", "ok", "broken", "broken", "broken"]
    assert [finding.kernel for finding in report.findings] == [OLD, NEW] * 3
    assert report.outcome is Outcome.BROKEN
    assert report.consumers[0].outcome(OLD) is Outcome.BROKEN


def test_a_change_is_relative_to_the_oldest_kernel_of_the_series(store: Store) -> None:
    changed = checked(store, "tracepoint:sched:sched_move::a").findings
    assert [f.outcome for f in changed] == [Outcome.OK, Outcome.CHANGED]
    assert [f.baseline for f in changed] == [OLD, OLD]
    assert changed[1].suggestions == ()
    # The oldest kernel need not be among those that are checked; another architecture is another series.
    alone = checked(store, "tracepoint:sched:sched_move::a", NEW, ARM).findings
    assert [(f.kernel, f.outcome, f.baseline) for f in alone] == [
        (NEW, Outcome.CHANGED, OLD),
        (ARM, Outcome.OK, ARM),
    ]
    named = checked(store, "tracepoint:sched:sched_move::a", OLD, ARM, baseline=ARM).findings
    assert [(f.outcome, f.baseline) for f in named] == [(Outcome.CHANGED, ARM), (Outcome.OK, ARM)]


def test_what_the_baseline_lacks_is_not_compared_with_it(store: Store) -> None:
    report = checked(store, "struct:inode::i_atime_sec", OLD, NEW, baseline=OLD)
    assert [(f.outcome, f.baseline) for f in report.findings] == [(Outcome.BROKEN, None), (Outcome.OK, None)]


def test_what_it_was_built_with_is_the_baseline(store: Store) -> None:
    field = Dependency(Kind.FIELD, "inode::i_ino", expected="long")
    consumer = Consumer(ConsumerKind.BPF_OBJECT, "o", "o", dependencies=(field,))
    assert [f.baseline for f in judge([consumer], [OLD, NEW], None, store).findings] == [OLD, OLD]


def test_conditions_of_guards_are_looked_up_too(store: Store) -> None:
    guard = Guard("get_kprobe_functions", (Condition(Kind.FUNCTION, "vfs_read", True, Mechanism.KPROBE),))
    probe = Dependency(Kind.FUNCTION, "vfs_read", Mechanism.KPROBE, (Use(line=1, guard=guard),))
    consumer = Consumer(ConsumerKind.BCC, "t", "t", dependencies=(probe,))
    report = judge([consumer], [OLD, NEW], None, store)
    assert outcomes(report) == ["ok", "guarded"]


def test_relocations_are_asked_for_by_consumer_and_kernel(store: Store) -> None:
    field = Dependency(Kind.FIELD, "inode::i_atime", uses=(Use(relocation=0),))
    consumer = Consumer(ConsumerKind.BPF_OBJECT, "o", "o", dependencies=(field,))

    def walk(one: Consumer, facts: Facts) -> Walked:
        assert one is consumer
        return Walked({0: Relocated(facts.kernel == OLD, reached=False)})

    assert outcomes(judge([consumer], [OLD, NEW], None, store)) == ["ok", "broken"]
    assert outcomes(judge([consumer], [OLD, NEW], None, store, lambda _: walk)) == ["ok", "guarded"]


def test_what_is_read_for_nothing_on_the_baseline_is_no_measure(store: Store) -> None:
    field = Dependency(Kind.TRACEPOINT_FIELD, "sched:sched_move::a", uses=(Use("p", instruction=0),))
    consumer = Consumer(ConsumerKind.BPF_OBJECT, "o", "o", dependencies=(field,))

    def told(*used: Kernel) -> list[str]:
        def walk(_: Consumer, facts: Facts) -> Walked:
            return Walked(places={("p", 0): Place(True, used=facts.kernel in used)})

        return outcomes(judge([consumer], [OLD, NEW], None, store, lambda _: walk))

    assert told(OLD, NEW) == ["ok", "changed"]
    assert told(OLD) == told(NEW) == ["ok", "ok"]


def test_a_program_that_its_loader_turns_off_is_not_affected(store: Store) -> None:
    hook = Dependency(Kind.TRACEPOINT, "a:gone", Mechanism.TRACEPOINT, (Use("p"),))
    consumer = Consumer(
        ConsumerKind.BPF_OBJECT, "c", "c", ".rodata", programs=(Program("p"),), dependencies=(hook,)
    )
    (finding,) = judge([consumer], [NEW], None, store).findings
    assert finding.outcome is Outcome.BROKEN
    assert finding.evidence[-1].startswith("not affected where the executable turns the program off before")
    (script,) = judge([replace(consumer, kind=ConsumerKind.BPFTRACE)], [NEW], None, store).findings
    assert script.evidence == ()


# Suggestions


def test_what_changed_is_told_apart_by_the_version(store: Store) -> None:
    field = Dependency(Kind.TRACEPOINT_FIELD, "sched:sched_move::a")
    for consumer, code in (
        (
            ConsumerKind.BPF_OBJECT,
            "extern int LINUX_KERNEL_VERSION __kconfig;\n\n"
            "if (LINUX_KERNEL_VERSION >= KERNEL_VERSION(6, 12, 0))",
        ),
        (ConsumerKind.BCC, "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)"),
        (ConsumerKind.BPFTRACE, None),
    ):
        one = Consumer(consumer, "c", "c", dependencies=(field,))
        (told,) = judge([one], [OLD, NEW], None, store).findings[1].suggestions
        assert told.text.startswith("it changed after 6.1 and not later than 6.12")
        assert told.code == code


def suggested(
    store: Store, name: str, consumer: ConsumerKind, **more: object
) -> list[tuple[str, str | None]]:
    kind = Kind.FIELD if "::" in name else Kind.FUNCTION
    mechanism = None if kind is Kind.FIELD else Mechanism.KPROBE
    one = Consumer(consumer, "c", "c", dependencies=(Dependency(kind, name, mechanism),))
    found: list[Finding] = [f for f in judge([one], [OLD, NEW], None, store).findings if f.kernel == NEW]
    assert [f.outcome for f in found] == [Outcome.BROKEN]
    return [(s.text, s.code) for f in found for s in f.suggestions]


def test_a_function_of_the_same_file_with_the_same_parameters_may_be_the_successor(store: Store) -> None:
    (text, code), guard = suggested(store, "security_map_alloc", ConsumerKind.BPF_OBJECT)
    assert text.startswith("it may be security_map_create now (compared with 6.1.0-cloud-amd64: names")
    assert code == 'SEC("kprobe/security_map_create")'
    assert guard[1] == 'SEC("?kprobe/security_map_alloc")'
    script = suggested(store, "security_map_alloc", ConsumerKind.BPFTRACE)
    assert script[0][1] == "kprobe:security_map_create"
    assert "kprobe:security_map_alloc,\nkprobe:security_map_create" in (script[1][1] or "")
    tool = suggested(store, "security_map_alloc", ConsumerKind.BCC)
    assert (tool[1][1] or "").splitlines() == [
        'if BPF.get_kprobe_functions(b"^security_map_alloc$"):',
        '    b.attach_kprobe(event="security_map_alloc", fn_name=...)',
        "else:",
        '    b.attach_kprobe(event="security_map_create", fn_name=...)',
    ]


def test_the_callers_took_over_what_was_inlined(store: Store) -> None:
    first, _ = suggested(store, "vfs_read", ConsumerKind.BPF_OBJECT)
    assert first == ("attach to its caller map_create, with other parameters", 'SEC("kprobe/map_create")')


def test_suggestions_that_cost_look_ups_may_be_left_out(store: Store) -> None:
    report = judge([read_list("kprobe:vfs_read", "list")], [NEW], None, store, suggest=False)
    assert [(f.outcome, f.suggestions) for f in report.findings] == [(Outcome.BROKEN, ())]


def test_a_name_that_no_kernel_has_may_be_misspelt(store: Store) -> None:
    first, *_ = suggested(store, "vfs_writes", ConsumerKind.LIST)
    assert first == ("names that are near: vfs_write", "kprobe:vfs_write")


def test_a_field_that_was_divided_keeps_its_name_as_a_part(store: Store) -> None:
    first, guard = suggested(store, "inode::i_atime", ConsumerKind.BPF_OBJECT)
    assert first[0].startswith("it may be inode::i_atime_sec now")
    assert guard[1] == "if (bpf_core_field_exists(struct inode, i_atime))"
    _, python = suggested(store, "inode::i_atime", ConsumerKind.BCC)
    assert (python[1] or "").startswith('if BPF.kernel_struct_has_field(b"inode", b"i_atime") == 1:')


@pytest.mark.parametrize(
    ("kind", "name", "mechanism", "successor", "code"),
    [
        (
            Kind.TRACEPOINT,
            "sched:sched_wake_task",
            Mechanism.TRACEPOINT,
            "sched:sched_woken_task",
            'SEC("tp/sched/sched_woken_task")',
        ),
        (Kind.EXPORT, "security_map_alloc", None, "security_map_create", None),
        (Kind.ENUMERATOR, "pid_type::PIDTYPE_0", None, "pid_type::PIDTYPE_1", None),
    ],
)
def test_other_things_have_successors_too(
    store: Store, kind: Kind, name: str, mechanism: Mechanism | None, successor: str, code: str | None
) -> None:
    one = Consumer(ConsumerKind.BPF_OBJECT, "c", "c", dependencies=(Dependency(kind, name, mechanism),))
    found = judge([one], [OLD, NEW], None, store).findings[1]
    assert found.outcome is Outcome.BROKEN
    assert found.suggestions[0].text.startswith(f"it may be {successor} now")
    assert found.suggestions[0].code == code


def test_what_is_not_used_on_the_baseline_is_not_compared_with_it(store: Store) -> None:
    only_new = Guard("if it is new", (Condition(Kind.FUNCTION, "security_map_create", True),))
    for guard, expected in ((None, ("changed", OLD)), (only_new, ("ok", NEW))):
        needed = Dependency(Kind.TRACEPOINT_FIELD, "sched:sched_move::a", uses=(Use(line=1, guard=guard),))
        consumer = Consumer(ConsumerKind.BPF_OBJECT, "c", "c", dependencies=(needed,))
        found = judge([consumer], [OLD, NEW], None, store, suggest=False).findings[-1]
        assert (found.outcome.value, found.baseline) == expected
    # What was named is not replaced: there is nothing to compare with then.
    found = judge([consumer], [NEW], OLD, store, suggest=False).findings[-1]
    assert (found.outcome.value, found.baseline) == ("ok", None)


def test_parameters_of_a_hook_that_is_not_there_follow_it(store: Store) -> None:
    hook = Dependency(Kind.FUNCTION, "security_map_alloc", Mechanism.KPROBE)
    read = Dependency(Kind.PARAMETER, "security_map_alloc::map", Mechanism.KPROBE)
    consumer = Consumer(ConsumerKind.BPFTRACE, "c", "c", dependencies=(hook, read))
    *_, first, second = judge([consumer], [NEW], None, store).findings
    assert first.outcome is second.outcome is Outcome.BROKEN
    assert first.follows is None and first.suggestions
    assert second.follows is hook and not second.suggestions


def test_functions_that_no_kernel_has_are_explained(store: Store) -> None:
    hooks = tuple(Dependency(Kind.FUNCTION, name, Mechanism.KPROBE) for name in ("dummy_read", "zpl_read"))
    consumer = Consumer(ConsumerKind.BPF_OBJECT, "c", "c", dependencies=hooks)
    report = judge([consumer], [OLD, NEW], None, store)
    assert outcomes(report) == ["guarded", "guarded", "broken", "broken"]
    assert "a module from elsewhere" in report.findings[-1].evidence[-1]
