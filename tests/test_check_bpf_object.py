"""eBPF objects: what they need of the kernel, from small ones made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.check.bpf_object import essential_name, read_objects
from ksurf.check.dependency import Consumer, Kind
from ksurf.check.reached import Walks
from ksurf.check.walked import Walked
from ksurf.dataset.store import Store
from ksurf.surface.attach import Mechanism
from made_bpf import CODE, EXIT, FUNC, OBJECT, WEAK, Elf, Instruction, Types, code
from made_facts import facts

LOAD_FIRST = (0x79, 6, 1, 0, 0)
"""``r6 = *(u64 *)(r1 + 0)``"""


def read(elf: Elf, folder: Path, name: str = "tool.bpf.o") -> Consumer:
    path = folder / name
    path.write_bytes(elf.finish())
    (consumer,) = read_objects(str(path))
    return consumer


def needs(consumer: Consumer) -> set[tuple[str, str, str | None]]:
    return {
        (one.kind.value, one.name, one.mechanism.value if one.mechanism else None)
        for one in consumer.dependencies
    }


def hooks(section: str, folder: Path, *instructions: Instruction) -> set[tuple[str, str, str | None]]:
    elf = Elf()
    elf.program(section, "main", (*instructions, EXIT))
    consumer = read(elf, folder)
    assert consumer.incomplete == ()
    return {one for one in needs(consumer) if one[0] not in {"program type", "helper"}}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("kprobe/vfs_read", {("function", "vfs_read", "kprobe")}),
        ("kprobe/vfs_read+0x10", {("function", "vfs_read+0x10", "kprobe")}),
        ("?kretprobe/vfs_read", {("function", "vfs_read", "kretprobe")}),
        (
            "kprobe.multi/vfs_*",
            {("function", "vfs_*", "kprobe.multi"), ("attach type", "BPF_TRACE_KPROBE_MULTI", None)},
        ),
        (
            "fentry.s/kvm:kvm_init",
            {("function", "kvm:kvm_init", "fentry"), ("attach type", "BPF_TRACE_FENTRY", None)},
        ),
        (
            "fmod_ret/security_file_open",
            {("function", "security_file_open", "fmod_ret"), ("attach type", "BPF_MODIFY_RETURN", None)},
        ),
        ("ksyscall/openat", {("syscall", "openat", "ksyscall")}),
        ("kretsyscall/openat", {("syscall", "openat", "ksyscall")}),
        ("tp/sched/sched_switch", {("tracepoint", "sched:sched_switch", "tracepoint")}),
        ("raw_tracepoint/sched_switch", {("tracepoint", "sched_switch", "raw_tp")}),
        (
            "tp_btf/sched_switch",
            {("tracepoint", "sched_switch", "tp_btf"), ("attach type", "BPF_TRACE_RAW_TP", None)},
        ),
        ("lsm/file_open", {("lsm", "file_open", "lsm"), ("attach type", "BPF_LSM_MAC", None)}),
        ("iter/task", {("iter", "task", None), ("attach type", "BPF_TRACE_ITER", None)}),
        ("xdp", {("attach type", "BPF_XDP", None)}),
        ("uprobe//bin/bash:readline", set()),
        ("kprobe", set()),
        ("struct_ops/init", set()),
    ],
)
def test_hooks(section: str, expected: set[tuple[str, str, str | None]], tmp_path: Path) -> None:
    assert hooks(section, tmp_path) == expected


def test_programs_are_told_with_their_sections(tmp_path: Path) -> None:
    elf = Elf()
    elf.program("?kprobe/vfs_read", "on_read")
    elf.program("perf_event", "on_event")
    consumer = read(elf, tmp_path)
    assert (consumer.name, consumer.member) == ("tool", None)
    assert [(p.name, p.section, p.optional) for p in consumer.programs] == [
        ("on_read", "?kprobe/vfs_read", True),
        ("on_event", "perf_event", False),
    ]
    guards = {one.name: one.uses[0].guard for one in consumer.dependencies}
    assert guards["BPF_PROG_TYPE_PERF_EVENT"] is None
    assert (guard := guards["vfs_read"]) is not None
    assert (guard.text, guard.conditions) == ('SEC("?kprobe/vfs_read")', ())


def test_a_section_that_nothing_knows_is_told(tmp_path: Path) -> None:
    elf = Elf()
    elf.program("my_section", "main")
    elf.program("tp/sched", "other")
    assert read(elf, tmp_path).incomplete == (
        "program main: libbpf knows no programs of a section 'my_section'",
        "program other: section 'tp/sched' names no event",
    )


def test_arguments_that_are_read(tmp_path: Path) -> None:
    third = (0x79, 7, 1, 16, 0)
    assert ("parameter", "do_exit::2", "fentry") in hooks("fentry/do_exit", tmp_path, third)
    assert ("parameter", "do_exit::2", "fexit") in hooks("fexit/do_exit", tmp_path, third)
    assert ("tracepoint field", "sched_switch::2", "tp_btf") in hooks("tp_btf/sched_switch", tmp_path, third)
    assert ("tracepoint field", "sched_switch::2", "raw_tp") in hooks("raw_tp/sched_switch", tmp_path, third)
    # of a pattern, and without types, nothing is told
    for section in ("fentry.multi/vfs_*", "kprobe/vfs_read", "tp/sched/sched_switch", "lsm/file_open"):
        assert not any("::" in name for _, name, _ in hooks(section, tmp_path, third))


def _with_context(section: str, struct: str, member: str, folder: Path) -> Consumer:
    """A program that reads the first member of its context."""
    elf, types = Elf(), Types()
    long = types.integer("unsigned long", 8)
    context = types.pointer(types.structure(struct, 8, (member, long, 0)))
    types.function("main", types.integer("int", 4), ("ctx", context))
    elf.program(section, "main", (LOAD_FIRST, EXIT))
    elf.section(".BTF", types.finish(), 0)
    return read(elf, folder)


@pytest.mark.parametrize(
    ("section", "struct", "member", "expected"),
    [
        ("kprobe/f", "pt_regs", "si", ("parameter", "f::1", "kprobe")),
        ("kprobe/f", "pt_regs", "rcx", ("parameter", "f::3", "kprobe")),
        ("kprobe/f", "user_pt_regs", "regs[0]", ("parameter", "f::0", "kprobe")),
        ("kprobe/f", "pt_regs", "regs[4]", None),
        ("kprobe/f", "pt_regs", "a2", ("parameter", "f::2", "kprobe")),
        ("kprobe/f", "pt_regs", "ip", None),
        ("kprobe/f", "other", "di", None),
        ("kprobe/f+8", "pt_regs", "di", None),
        ("kretprobe/f", "pt_regs", "ax", ("parameter", "f::return", "kretprobe")),
        ("kretprobe/f", "pt_regs", "di", None),
        ("kprobe.multi/f*", "pt_regs", "di", None),
        ("kretprobe.multi/f", "pt_regs", "ax", ("parameter", "f::return", "kprobe.multi")),
        ("tp/sched/e", "my_args", "next", ("tracepoint field", "sched:e::next", "tracepoint")),
        ("tp/sched/e", "trace_event_raw_e", "next", None),
    ],
)
def test_registers_and_fields_that_are_read(
    section: str, struct: str, member: str, expected: tuple[str, str, str] | None, tmp_path: Path
) -> None:
    consumer = _with_context(section, struct, member, tmp_path)
    found = [one for one in needs(consumer) if "::" in one[1]]
    assert found == ([] if expected is None else [expected])
    (types,) = [{one.expected for one in consumer.dependencies if "::" in one.name}]
    assert types == (
        {"unsigned long"} if section.startswith("tp/") and expected else {None} if expected else set()
    )


def _with_externs(folder: Path) -> Consumer:
    elf, types = Elf(), Types()
    integer = types.integer("int", 4)
    names = ("bpf_task_release___new", "bpf_prog_active", "CONFIG_HZ", "LINUX_KERNEL_VERSION", "OTHER")
    kfunc = types.function(names[0], integer, ("task", integer), linkage=2)
    types.section(".ksyms", kfunc, types.variable(names[1], integer))
    types.section(".kconfig", *(types.variable(name, integer) for name in names[2:]))
    main = elf.program("xdp", "main", ((0x85, 0, 1, 0, -1), (0x18, 1, 0, 0, 0), EXIT))
    symbols = [elf.symbol(name, bind=WEAK if number < 3 else 1) for number, name in enumerate(names)]
    elf.relocate(main, [(0, symbols[0], 10), (8, symbols[2], 1)])
    elf.section(".BTF", types.finish(), 0)
    return read(elf, folder)


def test_externs(tmp_path: Path) -> None:
    consumer = _with_externs(tmp_path)
    assert consumer.incomplete == ("extern OTHER: no option of the configuration has such a name",)
    found = {one.kind: one for one in consumer.dependencies}
    kfunc, variable, option = found[Kind.KFUNC], found[Kind.KSYM], found[Kind.CONFIG]
    assert (kfunc.name, kfunc.mechanism) == ("bpf_task_release", Mechanism.KFUNC_CALL)
    assert kfunc.expected == "int bpf_task_release___new(int task);"
    assert (variable.name, option.name) == ("bpf_prog_active", "CONFIG_HZ")
    assert [(use.program, use.instruction) for use in kfunc.uses] == [("main", 0)]
    assert [(use.program, use.instruction) for use in option.uses] == [("main", 1)]
    # nothing uses it, and libbpf looks for it all the same
    assert [(use.program, use.instruction) for use in variable.uses] == [(None, None)]
    for one in (kfunc, variable, option):
        assert all(use.guard is not None and use.guard.text == "__weak" for use in one.uses)


def test_an_optional_program_does_not_make_its_externs_optional(tmp_path: Path) -> None:
    elf, types = Elf(), Types()
    types.section(".ksyms", types.variable("runqueues", types.integer("int", 4)))
    main = elf.program("?xdp", "main", ((0x18, 1, 0, 0, 0), EXIT))
    elf.relocate(main, [(0, elf.symbol("runqueues"), 1)])
    elf.section(".BTF", types.finish(), 0)
    (variable,) = [one for one in read(elf, tmp_path).dependencies if one.kind is Kind.KSYM]
    assert [(use.program, use.guard) for use in variable.uses] == [("main", None)]


def test_helpers_are_those_of_code_that_is_loaded(tmp_path: Path) -> None:
    elf = Elf()
    text = elf.section(".text", code([(0x85, 0, 0, 0, 1), EXIT, (0x85, 0, 0, 0, 2), EXIT]), CODE)
    used = elf.symbol("used", FUNC, text, 0, 16)
    elf.symbol("unused", FUNC, text, 16, 16)
    main = elf.program(
        "?xdp", "main", ((0x85, 0, 1, 0, -1), (0x85, 0, 0, 0, 14), (0x85, 0, 0, 0, 9999), EXIT)
    )
    elf.relocate(main, [(0, used, 10)])
    consumer = read(elf, tmp_path)
    helpers = {one.name: one.uses[0] for one in consumer.dependencies if one.kind is Kind.HELPER}
    assert set(helpers) == {"bpf_map_lookup_elem", "bpf_get_current_pid_tgid"}
    lookup = helpers["bpf_map_lookup_elem"]
    # a function that only an optional program calls is optional too
    assert (lookup.program, lookup.instruction) == ("used", 0)
    assert lookup.guard is not None and lookup.guard.text == 'SEC("?xdp")'
    assert consumer.incomplete == (
        "program main, instruction 2: helper 9999 is of a later kernel than ksurf knows",
    )
    assert [program.name for program in consumer.programs] == ["main"]


def test_maps_and_struct_ops(tmp_path: Path) -> None:
    elf, types = Elf(), Types()
    integer = types.integer("int", 4)
    shape = types.structure("", 8, ("type", types.number(integer, 27), 0))
    types.section(".maps", types.variable("events", shape, 1))
    callback = types.pointer(types.add("", 13, 0, 0))
    ops = types.structure("tcp_congestion_ops", 16, ("init", callback, 0), ("release", callback, 8))
    types.section("?.struct_ops", types.variable("mine", ops, 1))
    init = elf.program("struct_ops/init", "mine_init")
    maps = elf.section(".maps", bytes(8))
    elf.symbol("events", OBJECT, maps, 0, 8)
    holder = elf.section("?.struct_ops", bytes(16))
    elf.symbol("mine", OBJECT, holder, 0, 16)
    elf.relocate(holder, [(0, elf.symbol("mine_init_again", FUNC, init), 2)])
    elf.section(".BTF", types.finish(), 0)
    consumer = read(elf, tmp_path)
    assert {
        ("map type", "BPF_MAP_TYPE_RINGBUF", None),
        ("map type", "BPF_MAP_TYPE_STRUCT_OPS", None),
    } < needs(consumer)
    found = {one.name: one.uses[0] for one in consumer.dependencies if one.kind is Kind.STRUCT_OPS}
    assert set(found) == {"tcp_congestion_ops", "tcp_congestion_ops::init"}
    assert found["tcp_congestion_ops::init"].program == "mine_init"
    for use in found.values():
        assert use.guard is not None and use.guard.text == 'SEC("?.struct_ops")'


def test_objects_that_a_program_carries(tmp_path: Path) -> None:
    inner = Elf()
    inner.program("xdp", "main")
    one = inner.finish()
    outer = Elf(machine=62)
    outer.section(".rodata", one + bytes(3) + one[:200] + bytes(64))
    path = tmp_path / "tool"
    path.write_bytes(outer.finish())
    whole, cut = read_objects(str(path))
    assert (whole.name, whole.path, whole.incomplete) == ("tool:1", str(path), ())
    assert whole.member is not None and whole.member.startswith(".rodata at offset 0x")
    assert cut.name == "tool:2" and cut.programs == ()
    (reason,) = cut.incomplete
    assert reason.startswith("object: ")
    other = tmp_path / "text"
    other.write_text("nothing")
    assert read_objects(str(other)) == []


def test_names_without_their_flavors() -> None:
    names = {"task_struct___old": "task_struct", "a___b___c": "a___b", "___x": "___x", "a____b": "a____b"}
    for name, expected in {**names, "a___": "a___", "a__b": "a__b"}.items():
        assert essential_name(name) == expected


@pytest.mark.parametrize("extension", [b"", b"\x9f\xeb\1\0" + bytes(8), b"\x9f\xeb\1\0" + b"\xff" * 28])
def test_relocations_that_cannot_be_read_cost_only_themselves(extension: bytes, tmp_path: Path) -> None:
    """One damaged object of many ended the whole run, when all were to be walked."""
    elf = Elf()
    elf.program("kprobe/vfs_read", "on_read")
    elf.section(".BTF.ext", extension, 0)
    consumer = read(elf, tmp_path)
    assert len(consumer.incomplete) == 1
    assert ("function", "vfs_read", "kprobe") in needs(consumer)
    assert Walks([consumer], Store(tmp_path))([])(consumer, facts()) == Walked()


def carried(folder: Path, *named: str) -> Consumer:
    """An object in an executable that names some things itself."""
    elf = Elf()
    for way in ("enter", "exit"):
        elf.program(f"tracepoint/syscalls/sys_{way}_open", f"on_{way}", (EXIT,))
    elf.program("tracepoint/sched/sched_switch", "sched_switch", (EXIT,))
    strings = b"".join(b"\0" + name.encode() for name in named) + b"\0"
    path = folder / "tool"
    path.write_bytes(b"\x7fELF" + bytes(60) + elf.finish() + strings)
    (consumer,) = read_objects(str(path))
    return consumer


def test_a_loader_that_names_an_event_asks_for_it(tmp_path: Path) -> None:
    def guarded(*named: str) -> set[str]:
        hooks = (one for one in carried(tmp_path, *named).dependencies if one.kind is Kind.TRACEPOINT)
        return {one.name for one in hooks if any(use.guard is not None for use in one.uses)}

    assert guarded() == set()
    assert guarded("sys_enter_open") == {"syscalls:sys_enter_open", "syscalls:sys_exit_open"}
    # A skeleton names its programs.
    assert guarded("sched_switch", "on_enter") == set()
    (hook, *_) = (one for one in carried(tmp_path, "sys_enter_open").dependencies if ":" in one.name)
    assert hook.uses[0].guard is not None
    assert hook.uses[0].guard.text == "the executable's own code, which names sys_enter_open"
    assert "bpf_program__set_autoload" in (hook.uses[0].guard.catch or "")
