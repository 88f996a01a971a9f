"""The rules about all but functions, one test per case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ksurf.check.c_type import alias_names, longer_array, resolved, same_integer, same_type
from ksurf.check.dependency import ConsumerKind, Dependency, Kind, Use
from ksurf.check.facts import Facts
from ksurf.check.rules import Case, Ruling, judge_case
from ksurf.check.verdict import Outcome
from ksurf.dataset.rows import BtfId, ConfigOption, Export
from ksurf.surface.attach import (
    HookFacts,
    Mechanism,
    Refusal,
    TracepointFacts,
    Verdict,
    attach_hook,
    attach_tracepoint,
)
from ksurf.surface.config import judge_option
from ksurf.surface.kfunc import judge_kfunc
from ksurf.surface.lsm import Hook, judge_hook
from made_facts import (
    FEATURES,
    NEW,
    OLD,
    absent,
    event,
    facts,
    function,
    rule,
    symbol,
    types,
    with_export,
    with_field,
)
from made_kernel import kernel
from made_types import enum, func, member, struct, typedef

RELOCATED = (Use(relocation=1),)
BPFTRACE, BCC, MODULE = ConsumerKind.BPFTRACE, ConsumerKind.BCC, ConsumerKind.MODULE


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("__u32", "unsigned int", True),
        ("const char *", "char *", True),
        ("struct inode___old *", "struct inode *", True),
        ("unsigned long long", "u64", True),
        ("long unsigned int", "unsigned long", True),
        ("int", "unsigned int", False),
        ("unsigned long", "u64", False),
        ("struct a *", "struct b *", False),
        ("char [16]", "char [32]", False),
    ],
)
def test_types_are_the_same_by_what_they_mean(old: str, new: str, same: bool) -> None:
    assert same_type(old, new) is same


def test_arrays_may_grow_and_typedefs_are_what_they_stand_for() -> None:
    assert longer_array("struct upid [1]", "struct upid []")
    assert longer_array("struct zone [4]", "struct zone [5]")
    assert not longer_array("struct zone [5]", "struct zone [4]")
    assert not longer_array("struct zone [4]", "struct pane [5]")
    assert not longer_array("int", "int [2]")
    assert same_integer("long unsigned int", "u64") and same_integer("long", "int")
    assert not same_integer("unsigned long", "long") and not same_integer("u64", "struct x")
    targets = {"blk_opf_t": "__u32", "kdev_t": "dev_t", "dev_t": "u32", "loop": "loop"}
    assert same_type(resolved("blk_opf_t", targets), "unsigned int")
    assert same_type(resolved("const kdev_t *", targets), "u32 *")
    assert resolved("struct dev_t *", targets) == "struct dev_t *"
    assert resolved("loop", targets) == "loop"
    assert alias_names("struct a *(*)(gfp_t, unsigned int)") == {"gfp_t"}


def test_a_field_whose_type_only_got_a_name_is_the_same() -> None:
    old = one_field("unsigned a", on=OLD)
    new = one_field("blk_opf_t a")
    assert field(new, old).outcome is Outcome.CHANGED
    named = replace(new, types={**new.types, **types(typedef("blk_opf_t", "__u32"))})
    assert field(named, old).outcome is Outcome.OK


# Trace events

SWITCH = (("pid_t", "next_pid", 56, 4), ("char", "next_comm[16]", 40, 16))
TRACEPOINT = Mechanism.TRACEPOINT


def traced(status: Any, *, name: str = "sched:sched_switch", on: Any = NEW, **known: bool | None) -> Facts:
    verdicts = attach_tracepoint(
        TracepointFacts(
            bool(known.get("event", True)), bool(known.get("tracepoint", True)), known.get("typedef", True)
        )
    )
    return facts(on, tracepoints={name: status}, tracepoint_verdicts={name: verdicts})


def test_an_event_is_there_or_not() -> None:
    here = traced(event(*SWITCH))
    assert rule(Kind.TRACEPOINT, "sched:sched_switch", here, mechanism=TRACEPOINT) == Ruling(Outcome.OK)
    gone = rule(Kind.TRACEPOINT, "sched:gone", here, mechanism=TRACEPOINT)
    assert gone.consequence == "the program is refused at attach: the kernel has no event sched:gone"


def test_an_event_of_a_module_needs_it_loaded() -> None:
    here = traced(event(image="kvm"))
    assert rule(Kind.TRACEPOINT, "sched:sched_switch", here).consequence == "needs module kvm loaded"


def test_an_event_without_a_tracepoint_is_none_for_raw_programs() -> None:
    here = traced(event(), tracepoint=False)
    ruling = rule(Kind.TRACEPOINT, "sched:sched_switch", here, mechanism=Mechanism.RAW_TP)
    assert ruling.outcome is Outcome.BROKEN
    assert [s.code for s in ruling.suggestions] == ['SEC("tp/sched/sched_switch")']


def test_a_missing_typedef_is_no_matter_for_the_event() -> None:
    here = traced(event(), name="sched_switch", typedef=None)
    assert rule(Kind.TRACEPOINT, "sched_switch", here, mechanism=Mechanism.TP_BTF).outcome is Outcome.BROKEN
    assert rule(Kind.TRACEPOINT, "sched_switch", here, mechanism=Mechanism.RAW_TP).outcome is Outcome.OK


def field_of(new: Any, old: Any = None, *, name: str = "next_pid", **more: Any) -> Ruling:
    before = None if old is None else traced(old, on=OLD)
    return rule(Kind.TRACEPOINT_FIELD, f"sched:sched_switch::{name}", traced(new), before=before, **more)


def test_fields_of_events_may_move_for_those_who_read_the_format() -> None:
    moved = event(("pid_t", "next_pid", 64, 4))
    assert field_of(moved, event(*SWITCH), consumer=BPFTRACE).outcome is Outcome.OK
    assert field_of(moved, event(*SWITCH), consumer=BCC).outcome is Outcome.OK
    compiled = field_of(moved, event(*SWITCH))
    assert compiled.outcome is Outcome.CHANGED
    assert "at byte 56" in compiled.evidence[0]


def test_fields_of_events_of_another_type_or_size_are_read_wrongly() -> None:
    for now in (("long", "next_pid", 56, 8), ("pid_t", "next_pid", 56, 8)):
        assert field_of(event(now), event(*SWITCH), consumer=BPFTRACE).outcome is Outcome.CHANGED
    longer = event(("char", "next_comm[32]", 40, 32))
    assert field_of(longer, event(*SWITCH), name="next_comm", consumer=BCC).outcome is Outcome.CHANGED
    built = field_of(event(("int", "next_pid", 56, 4)), event(*SWITCH), expected="int")
    assert built.outcome is Outcome.OK


def test_a_missing_field_of_an_event_is_refused_or_read_wrongly() -> None:
    assert field_of(event(), event(*SWITCH)).outcome is Outcome.CHANGED
    assert field_of(event(), event(*SWITCH), consumer=BPFTRACE).outcome is Outcome.BROKEN
    assert field_of(event(), consumer=BCC).consequence.startswith("the tool's C does not compile")
    assert field_of(event(), name="common_pid", consumer=BPFTRACE).outcome is Outcome.OK


def test_what_is_read_of_all_that_a_pattern_matches_is_not_judged() -> None:
    for kind, name in [
        (Kind.TRACEPOINT_FIELD, "syscalls:sys_enter_*::fd"),
        (Kind.TRACEPOINT_FIELD, "sched_*::0"),
        (Kind.PARAMETER, "vfs_*::0"),
    ]:
        ruling = rule(kind, name, facts(), consumer=BPFTRACE)
        assert (ruling.outcome, ruling.consequence) == (Outcome.OK, "")


def test_arguments_of_raw_tracepoints_are_parameters() -> None:
    def raw(*params: str, on: Any = NEW) -> Facts:
        called = func("__traceiter_sched_switch", "int", "void *data", *params)
        return traced(event(prototype=called, on=on), name="sched_switch", on=on)

    old, new = raw("bool preempt", "struct task_struct *prev", on=OLD), raw("struct task_struct *prev")

    def argument(place: str, mechanism: Mechanism) -> Ruling:
        name = f"sched_switch::{place}"
        return rule(Kind.TRACEPOINT_FIELD, name, new, mechanism=mechanism, before=old)

    assert argument("0", Mechanism.RAW_TP).outcome is Outcome.CHANGED
    assert argument("prev", Mechanism.TP_BTF).outcome is Outcome.OK
    # One that there is not is refused: by the kernel when it is attached, by the verifier when it is loaded.
    raw_tp, tp_btf = argument("1", Mechanism.RAW_TP), argument("1", Mechanism.TP_BTF)
    assert (raw_tp.outcome, tp_btf.outcome) == (Outcome.BROKEN, Outcome.BROKEN)
    assert raw_tp.consequence.startswith("the program is refused at attach: ")
    assert tp_btf.consequence.startswith("the object is refused at load: ")


# Types and fields


def field(new: Facts, old: Facts | None = None, name: str = "s::a", **more: Any) -> Ruling:
    return rule(Kind.FIELD, name, new, before=old, **more)


def one_field(text: str, *, at: int = 0, size: int = 4, on: Any = NEW) -> Facts:
    return with_field("s::a", struct("s", member(text, offset=at, size=size)), on=on)


def test_a_field_that_moved_is_fine_but_for_a_module() -> None:
    old, new = one_field("int a", on=OLD), one_field("int a", at=8)
    for consumer in (ConsumerKind.BPF_OBJECT, BPFTRACE, BCC):
        assert field(new, old, consumer=consumer).outcome is Outcome.OK
    module = field(new, old, consumer=MODULE)
    assert module.outcome is Outcome.CHANGED
    assert module.evidence == (
        "int a; at byte 0, 4 bytes on 6.1.0-cloud-amd64",
        "int a; at byte 8, 4 bytes here",
    )


@pytest.mark.parametrize("text", ["char *a", "int a:3", "int a[2]"])
def test_a_field_of_another_type_or_width_may_be_read_wrongly(text: str) -> None:
    old, new = one_field("int a", on=OLD), one_field(text)
    assert field(new, old).outcome is Outcome.CHANGED
    assert field(old, new).outcome is Outcome.CHANGED


def test_integers_as_long_are_the_same_and_arrays_are_known_on_the_spot() -> None:
    old, new = one_field("unsigned long a", size=8, on=OLD), one_field("u64 a", size=8)
    assert field(new, old).outcome is Outcome.OK
    assert field(one_field("s64 a", size=8), old).outcome is Outcome.CHANGED
    longer, shorter = one_field("int a[3]", size=12, on=OLD), one_field("int a[2]", size=8)
    assert field(shorter, longer).outcome is Outcome.CHANGED
    for consumer in (BPFTRACE, BCC):
        assert field(shorter, longer, consumer=consumer).outcome is Outcome.OK


def test_what_is_compiled_on_the_spot_reads_integers_of_any_length() -> None:
    old, new = one_field("unsigned int a", on=OLD), one_field("u8 a", size=1)
    assert field(new, old).outcome is Outcome.CHANGED
    for consumer in (BPFTRACE, BCC):
        assert field(new, old, consumer=consumer).outcome is Outcome.OK
        assert field(one_field("char *a", size=8), old, consumer=consumer).outcome is Outcome.CHANGED


def test_a_number_that_grew_under_its_name_may_be_read_wrongly_and_a_struct_not() -> None:
    assert field(one_field("dev_t a", size=8), one_field("dev_t a", on=OLD)).outcome is Outcome.CHANGED
    grown = field(one_field("struct in a", size=8), one_field("struct in a", on=OLD))
    assert grown.outcome is Outcome.OK


def test_a_field_as_the_consumer_was_built_with_is_no_change() -> None:
    assert field(one_field("char *a"), one_field("int a", on=OLD), expected="char *").outcome is Outcome.OK


@pytest.mark.parametrize(
    ("consumer", "uses", "begin"),
    [
        (ConsumerKind.BPF_OBJECT, RELOCATED, "its relocation fails"),
        (ConsumerKind.BPF_OBJECT, (), "it cannot be resolved"),
        (BPFTRACE, (), "bpftrace refuses the script"),
        (BCC, (), "the tool's C does not compile"),
        (ConsumerKind.LIST, (), "it is not there"),
    ],
)
def test_a_missing_field_is_broken(consumer: ConsumerKind, uses: tuple[Use, ...], begin: str) -> None:
    here = with_field("s::b", struct("s", "int a"))
    ruling = field(here, name="s::b", consumer=consumer, uses=uses)
    assert ruling.outcome is Outcome.BROKEN
    assert ruling.consequence.startswith(begin)
    assert ruling.consequence.endswith("s has no field b")


def test_a_field_of_a_missing_struct_says_so() -> None:
    assert field(facts(), name="s::a").consequence.endswith("the kernel has no type s")


def test_of_several_structs_of_a_name_one_that_is_as_it_was_is_enough() -> None:
    old = one_field("int a", on=OLD)
    two = with_field("s::a", struct("s", "char *a"), struct("s", "int a", "int b"))
    assert field(two, old).outcome is Outcome.OK


def test_core_needs_the_kernels_own_btf() -> None:
    without = replace(FEATURES, btf=False)
    here = facts(features=without, types=types(struct("s", "int a")))
    assert rule(Kind.STRUCT, "s", here).outcome is Outcome.BROKEN
    assert rule(Kind.STRUCT, "s", here, consumer=BCC).outcome is Outcome.OK


def test_registers_of_another_architecture_are_what_the_object_was_built_for() -> None:
    here = with_field(
        "pt_regs::di", struct("pt_regs", member("u64 regs", size=8)), on=kernel("6.12.0", arch="arm64")
    )
    found = rule(Kind.FIELD, "pt_regs::di", here)
    assert found.outcome is Outcome.BROKEN
    assert found.consequence.endswith("it was compiled for the registers of another architecture")
    assert [one.code for one in found.suggestions] == ["-D__TARGET_ARCH_arm64"]
    assert rule(Kind.FIELD, "pt_regs::di", here, consumer=BCC).suggestions == ()


def test_a_type_is_there_or_not_or_another_kind() -> None:
    here = facts(types=types(struct("s", "int a"), typedef("t", "int"), enum("e", A=1)))
    assert rule(Kind.STRUCT, "s", here).outcome is Outcome.OK
    assert rule(Kind.TYPEDEF, "t", here).outcome is Outcome.OK
    assert rule(Kind.ENUM, "e", here).outcome is Outcome.OK
    assert rule(Kind.UNION, "u", here).consequence.endswith("the kernel has no union u")
    assert rule(Kind.UNION, "s", here).evidence == ("it is a struct here",)


def test_a_struct_that_is_laid_out_otherwise_matters_to_a_module() -> None:
    old = facts(OLD, types=types(struct("s", "int a")))
    new = facts(types=types(struct("s", "int a", "int b")))
    assert rule(Kind.STRUCT, "s", new, before=old).outcome is Outcome.OK
    module = rule(Kind.STRUCT, "s", new, before=old, consumer=MODULE)
    assert module.outcome is Outcome.CHANGED
    assert module.evidence[0] == "Field added: int b"


def test_an_enumerators_value_is_put_in_at_load_or_was_compiled_in() -> None:
    old, new = (facts(on, types=types(enum("e", A=value))) for on, value in ((OLD, 1), (NEW, 2)))
    assert rule(Kind.ENUMERATOR, "e::A", new, before=old).outcome is Outcome.CHANGED
    assert rule(Kind.ENUMERATOR, "e::A", new, before=old, uses=RELOCATED).outcome is Outcome.OK
    assert rule(Kind.ENUMERATOR, "e::A", new, before=old, consumer=BCC).outcome is Outcome.OK
    assert rule(Kind.ENUMERATOR, "e::A", new, expected="1").outcome is Outcome.CHANGED
    assert rule(Kind.ENUMERATOR, "e::A", new, expected="0x2").outcome is Outcome.OK
    assert rule(Kind.ENUMERATOR, "e::B", new).outcome is Outcome.BROKEN
    assert rule(Kind.ENUMERATOR, "x::A", new).consequence.endswith("the kernel has no enum x")
    assert rule(Kind.ENUMERATOR, "::A", new).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("kind", "enum_name", "listed", "name"),
    [
        (Kind.HELPER, "bpf_func_id", "BPF_FUNC_map_lookup_elem", "bpf_map_lookup_elem"),
        (Kind.PROGRAM_TYPE, "bpf_prog_type", "BPF_PROG_TYPE_LSM", "BPF_PROG_TYPE_LSM"),
        (Kind.ATTACH_TYPE, "bpf_attach_type", "BPF_TRACE_FENTRY", "BPF_TRACE_FENTRY"),
        (Kind.MAP_TYPE, "bpf_map_type", "BPF_MAP_TYPE_RINGBUF", "BPF_MAP_TYPE_RINGBUF"),
    ],
)
def test_what_the_kernel_lists_in_enums(kind: Kind, enum_name: str, listed: str, name: str) -> None:
    here = facts(types=types(enum(enum_name, signed=False, **{listed: 1})))
    assert rule(kind, name, here).outcome is Outcome.OK
    missing = rule(kind, "bpf_nonesuch" if kind is Kind.HELPER else "BPF_NONESUCH", here)
    assert missing.outcome is Outcome.BROKEN
    assert "refused at load" in missing.consequence
    assert rule(kind, name, facts()).outcome is Outcome.OK


# Hooks, iterators, operations


def hooked(prototype: str | None, on: Any = NEW, **known: bool) -> Facts:
    found = {} if prototype is None else {"file_open": Hook("file_open", prototype, True)}
    told = HookFacts(known.get("btf", True), known.get("listed", True), known.get("disabled", False))
    return facts(
        on,
        hooks={"file_open": judge_hook(on, "file_open", found)},
        hook_verdicts={"file_open": attach_hook(told, FEATURES)},
    )


def test_an_lsm_hook_is_there_is_for_bpf_and_is_called_as_before() -> None:
    one, more = "int file_open(struct file *);", "int file_open(struct file *, int);"

    def lsm(here: Facts, before: Facts | None = None) -> Outcome:
        return rule(Kind.LSM, "file_open", here, mechanism=Mechanism.LSM, before=before).outcome

    assert lsm(hooked(one)) is Outcome.OK
    assert lsm(hooked(None)) is Outcome.BROKEN
    assert lsm(hooked(one, listed=False)) is Outcome.BROKEN
    assert lsm(hooked(one, disabled=True)) is Outcome.BROKEN
    # What is added behind all that was does not move that.
    assert lsm(hooked(more), hooked(one, OLD)) is Outcome.OK
    assert lsm(hooked(one), hooked(more, OLD)) is Outcome.CHANGED
    assert lsm(hooked("int file_open(struct path *);"), hooked(one, OLD)) is Outcome.CHANGED


def test_an_iterator_is_a_function_in_btf() -> None:
    here = facts(types=types(func("bpf_iter_task", "int")))
    assert rule(Kind.ITER, "task", here).outcome is Outcome.OK
    assert rule(Kind.ITER, "nonesuch", here).outcome is Outcome.BROKEN


def test_operations_need_a_struct_that_bpf_may_implement_and_its_member() -> None:
    ops = struct("ops", "int (*init)(void)")
    assert rule(Kind.STRUCT_OPS, "ops", facts()).outcome is Outcome.BROKEN
    plain = facts(types=types(ops))
    assert "cannot implement" in rule(Kind.STRUCT_OPS, "ops", plain).consequence
    there = with_field("ops::init", ops, struct("bpf_struct_ops_ops", "int x"))
    assert rule(Kind.STRUCT_OPS, "ops", there).outcome is Outcome.OK
    assert rule(Kind.STRUCT_OPS, "ops::init", there).outcome is Outcome.OK
    without = with_field("ops::exit", ops, struct("bpf_struct_ops_ops", "int x"))
    assert rule(Kind.STRUCT_OPS, "ops::exit", without).outcome is Outcome.BROKEN


# Kfuncs and variables


def called(*params: str, flags: int = 0, programs: str = "26", on: Any = NEW, verdict: Any = None) -> Facts:
    row = BtfId("set", "vmlinux", 1, "func", "k", flags, programs)
    status = judge_kfunc(on, "k", [row], {"k": func("k", "int", *params)}, {26: "BPF_PROG_TYPE_TRACING"})
    return facts(on, kfuncs={"k": status}, kfunc_verdicts={"k": verdict or Verdict(True)})


def test_a_kfunc_is_the_same_to_the_verifier_or_not() -> None:
    def kfunc(here: Facts, before: Facts | None = None) -> Ruling:
        return rule(Kind.KFUNC, "k", here, mechanism=Mechanism.KFUNC_CALL, before=before)

    old = called("int a", on=OLD)
    assert kfunc(called("int a"), old) == Ruling(Outcome.OK)
    assert kfunc(called("int a", "int b"), old).outcome is Outcome.CHANGED
    assert kfunc(called("char *a"), old).outcome is Outcome.CHANGED
    stricter = kfunc(called("int a", flags=1 << 2), old)
    assert stricter.evidence[0] == "KF_RET_NULL is new: its result may be NULL, and has to be tested"
    assert (
        kfunc(called("int a"), called("int a", flags=1, on=OLD)).evidence[0].startswith("KF_ACQUIRE is gone")
    )
    assert "tracing" in kfunc(called("int a", programs="27"), old).evidence[0]
    undescribed = Verdict(False, "no FUNC", Refusal.NOT_IN_BTF)
    assert kfunc(called("int a", verdict=undescribed)).outcome is Outcome.BROKEN


@pytest.mark.parametrize(
    ("section", "outcome"),
    [
        ("fentry/vfs_read", Outcome.OK),
        ("lsm.s/file_open", Outcome.OK),
        ("?kprobe/vfs_read", Outcome.BROKEN),
        ("xdp", Outcome.BROKEN),
        ("perf_event", Outcome.OK),
    ],
)
def test_a_kfunc_is_for_some_programs(section: str, outcome: Outcome) -> None:
    dependency = Dependency(Kind.KFUNC, "k", Mechanism.KFUNC_CALL)
    case = Case(dependency, ConsumerKind.BPF_OBJECT, called("int a"), sections=(section,))
    assert judge_case(case).outcome is outcome


def test_a_missing_kfunc_may_be_there_as_a_function() -> None:
    here = facts(functions={"k": function("k", "k")})
    ruling = rule(Kind.KFUNC, "k", here)
    assert ruling.outcome is Outcome.BROKEN
    assert "no set of kfuncs lists it" in ruling.evidence[0]
    assert rule(Kind.KFUNC, "k", facts(functions={"k": absent("k")})).evidence == ()


def test_a_variable_is_known_by_btf_by_its_export_or_not_at_all() -> None:
    from ksurf.dataset.rows import Definition

    variable = Definition(1, "var", "v", None, None, "int", None, ())
    assert rule(Kind.KSYM, "v", facts(types=types(variable))).outcome is Outcome.OK
    assert rule(Kind.KSYM, "f", facts(functions={"f": function("f", "f")})).outcome is Outcome.OK
    assert (
        rule(Kind.KSYM, "e", with_export("e", Export("e", "vmlinux", True, None, None))).outcome is Outcome.OK
    )
    untyped = rule(Kind.KSYM, "x", facts(), expected="const void")
    assert (untyped.outcome, untyped.consequence) == (Outcome.OK, "")
    assert "nothing is known" in untyped.evidence[0]
    assert rule(Kind.KSYM, "x", facts(), expected="struct rq").outcome is Outcome.BROKEN
    inlined = facts(functions={"f": function("f", inlined_into=("a",), code=0)})
    assert rule(Kind.KSYM, "f", inlined).outcome is Outcome.BROKEN


# Exports and options


def exported(on: Any = NEW, **more: Any) -> Facts:
    values = {"name": "e", "image": "vmlinux", "gpl": False, "namespace": None, "crc": 1, **more}
    return with_export("e", Export(**values), on=on)


def export(here: Facts, before: Facts | None = None, **more: Any) -> Ruling:
    return rule(Kind.EXPORT, "e", here, consumer=MODULE, before=before, **more)


def test_an_export_is_linked_with_under_its_conditions() -> None:
    old = exported(OLD)
    unknown = export(exported(), old)
    assert unknown.outcome is Outcome.OK
    assert "the module tells no prototype of it" in unknown.evidence[0]
    assert export(exported(), crc=1) == Ruling(Outcome.OK)
    other = export(exported(), crc=2)
    assert (other.outcome, other.evidence[0]) == (
        Outcome.BROKEN,
        "CRC 0x00000002 in the module, 0x00000001 here (CONFIG_MODVERSIONS)",
    )
    assert export(exported(crc=None), crc=2).outcome is Outcome.OK
    assert export(exported(gpl=True), old).outcome is Outcome.CHANGED
    space = export(exported(namespace="X"), old)
    assert (space.outcome, space.suggestions[0].code) == (Outcome.BROKEN, 'MODULE_IMPORT_NS("X");')
    assert export(exported(image="kvm"), old).consequence == "needs module kvm loaded"


def test_a_module_says_what_it_may_use() -> None:
    gpl = exported(gpl=True)
    assert export(gpl, gpl=True).outcome is Outcome.OK
    refused = export(gpl, gpl=False)
    assert refused.outcome is Outcome.BROKEN and "for modules under the GPL only" in refused.consequence
    space = exported(namespace="X")
    assert export(space, namespaces=("X", "module:m")).outcome is Outcome.OK
    missing = export(space, namespaces=("module:m",))
    assert missing.outcome is Outcome.BROKEN
    assert missing.suggestions[0].code == 'MODULE_IMPORT_NS("X");'
    own = exported(namespace="module:kvm-intel,vfio*")
    for name, outcome in (("kvm_intel", Outcome.OK), ("vfio_pci", Outcome.OK), ("kvm", Outcome.BROKEN)):
        assert export(own, namespaces=(f"module:{name}",)).outcome is outcome


def test_what_is_not_exported_may_be_inline_static_or_nowhere() -> None:
    inline = function("e", inlined_into=("a",), code=0, file="include/linux/skbuff.h", external=False)
    header = export(with_export("e", functions={"e": inline}))
    assert header.outcome is Outcome.BROKEN
    assert "inline function of a header" in header.consequence
    assert header.suggestions[0].code == "#include <linux/skbuff.h>"
    static = function("e", symbol("e", instance=0, bind="STB_LOCAL"), external=False)
    assert (
        "static function that is not exported"
        in export(with_export("e", functions={"e": static})).consequence
    )
    plain = with_export("e", functions={"e": function("e", "e")})
    assert export(plain).consequence.endswith("e is a function that is not exported")
    assert export(with_export("e", functions={"e": absent("e")})).consequence.endswith(
        "the kernel has no symbol e"
    )


def option(value: str | None, on: Any = NEW) -> Facts:
    rows = [] if value is None else [ConfigOption("CONFIG_X", value)]
    return facts(on, config={"CONFIG_X": judge_option(on, "CONFIG_X", rows)})


def test_an_option_is_set_to_what_is_expected() -> None:
    def config(here: Facts, before: Facts | None = None, **more: Any) -> Outcome:
        return rule(Kind.CONFIG, "CONFIG_X", here, before=before, **more).outcome

    assert config(option("y")) is Outcome.OK
    assert config(option("m"), option("y", OLD)) is Outcome.OK
    assert config(option(None)) is Outcome.BROKEN
    assert config(option("n")) is Outcome.BROKEN
    assert config(option("n"), consumer=ConsumerKind.LIST, expected="n") is Outcome.OK
    assert config(option("250"), option("1000", OLD), consumer=ConsumerKind.LIST) is Outcome.CHANGED
    assert config(option("250"), consumer=ConsumerKind.LIST, expected="1000") is Outcome.CHANGED
    # libbpf puts the kernel's value in, of which an object tells the type; who is compiled there sees it.
    assert config(option("250"), option("1000", OLD), expected="int") is Outcome.OK
    for consumer in (BCC, BPFTRACE):
        assert config(option("250"), option("1000", OLD), consumer=consumer) is Outcome.OK
    assert config(facts(has_config=False)) is Outcome.OK
    assert rule(Kind.CONFIG, "LINUX_KERNEL_VERSION", facts()).outcome is Outcome.OK
