"""The rules about functions, their parameters and system calls, one test per case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind, Kind
from ksurf.check.facts import Facts, Matches
from ksurf.check.rules import Ruling
from ksurf.check.verdict import Outcome
from ksurf.dataset.rows import BtfId
from ksurf.surface.attach import Mechanism
from made_facts import FEATURES, MARKS, NEW, OLD, absent, facts, function, rule, symbol, syscalls

KPROBE, FENTRY, MULTI = Mechanism.KPROBE, Mechanism.FENTRY, Mechanism.KPROBE_MULTI


def judged(name: str, *, mechanism: Mechanism | None = KPROBE, here: Facts, **more: object) -> Ruling:
    return rule(Kind.FUNCTION, name, here, mechanism=mechanism, **more)  # type: ignore[arg-type]


def test_a_function_with_one_symbol_is_fine() -> None:
    assert judged("f", here=facts(functions={"f": function("f", "f")})) == Ruling(Outcome.OK)


def test_an_absent_function_is_refused_at_attach_or_at_load() -> None:
    here = facts(functions={"f": absent()})
    kprobe, fentry = judged("f", here=here), judged("f", mechanism=FENTRY, here=here)
    assert (kprobe.outcome, fentry.outcome) == (Outcome.BROKEN, Outcome.BROKEN)
    assert kprobe.consequence == "the program is refused at attach: the kernel has no function f"
    assert fentry.consequence == "the object is refused at load: the kernel has no function f"


@pytest.mark.parametrize(
    ("consumer", "begin"),
    [
        (ConsumerKind.BPFTRACE, "bpftrace refuses"),
        (ConsumerKind.BCC, "attaching raises"),
        (ConsumerKind.LIST, "it cannot be attached"),
        (ConsumerKind.MODULE, "the module is refused"),
    ],
)
def test_each_consumer_fails_in_its_own_way(consumer: ConsumerKind, begin: str) -> None:
    ruling = judged("f", here=facts(functions={"f": absent()}), consumer=consumer)
    assert ruling.consequence.startswith(begin)


def test_what_is_inlined_everywhere_is_broken_and_says_into_what() -> None:
    ruling = judged("f", here=facts(functions={"f": function("f", inlined_into=("a", "b", "a"), code=0)}))
    assert ruling.outcome is Outcome.BROKEN
    assert "inlined everywhere" in ruling.consequence
    assert ruling.evidence == ("inlined into a, b",)


def test_what_is_inlined_here_and_there_is_partial_and_names_the_first_callers() -> None:
    callers = ("a", "b", "c", "d", "e", "f")
    ruling = judged("f", here=facts(functions={"f": function("f", "f", inlined_into=callers)}))
    assert ruling.outcome is Outcome.PARTIAL
    assert ruling.consequence == "calls from a, b, c, d and 1 more are missed, into which it is inlined"
    assert ruling.evidence == ("inlined into 5 functions",)


@pytest.mark.parametrize("suffix", ["isra.0", "constprop.0", "part.0", "llvm.123"])
def test_a_suffix_alone_is_broken_for_the_plain_name(suffix: str) -> None:
    ruling = judged("f", here=facts(functions={"f": function("f", f"f.{suffix}")}))
    assert ruling.outcome is Outcome.BROKEN
    assert ruling.consequence.endswith(f"no symbol is named f, the compiler left f.{suffix}")
    assert [s.code for s in ruling.suggestions] == [f'SEC("kprobe/f.{suffix}")']
    assert "parameters may differ" in ruling.suggestions[0].text


def test_a_suffixed_symbol_can_be_asked_for_by_its_own_name() -> None:
    assert judged("f.isra.0", here=facts(functions={"f": function("f", "f.isra.0")})).outcome is Outcome.OK


def test_btf_does_not_know_suffixes_but_a_kprobe_takes_them() -> None:
    ruling = judged("f", mechanism=FENTRY, here=facts(functions={"f": function("f", "f.isra.0")}))
    assert ruling.outcome is Outcome.BROKEN
    assert [s.code for s in ruling.suggestions] == ['SEC("kprobe/f.isra.0")']


def test_a_cold_part_beside_the_function_is_no_matter_and_alone_is_not_suggested() -> None:
    both = facts(functions={"f": function("f", "f", "f.cold")})
    assert judged("f", here=both).outcome is Outcome.OK
    alone = judged("f", here=facts(functions={"f": function("f", "f.cold")}))
    assert (alone.outcome, alone.suggestions) == (Outcome.BROKEN, ())


def test_copies_by_the_compiler_beside_the_function_are_missed() -> None:
    ruling = judged("f", here=facts(functions={"f": function("f", "f", "f.constprop.0", code=2)}))
    assert ruling.outcome is Outcome.PARTIAL
    assert ruling.consequence == "calls of f.constprop.0 are missed, copies by the compiler"


def test_a_shared_name_is_refused_where_the_kernel_wants_one_function() -> None:
    shared = function(
        "f", symbol("f", instance=0), symbol("f", instance=1, address=2), code=2, external=False
    )
    here = facts(functions={"f": shared})
    kprobe, fentry, multi = (judged("f", mechanism=m, here=here) for m in (KPROBE, FENTRY, MULTI))
    assert kprobe.outcome is Outcome.BROKEN
    assert "ambiguous" in kprobe.evidence[0]
    # The verifier takes any of them.
    assert fentry.outcome is Outcome.CHANGED
    assert fentry.consequence.startswith("fentry meets one of the 2 functions named f")
    assert multi.outcome is Outcome.PARTIAL
    assert multi.consequence == "2 functions are named f, and only the first of them is meant"
    assert kprobe.suggestions[0].code == 'SEC("kprobe.multi/f")'
    assert "the first of 2" in kprobe.suggestions[0].text


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"init": True}, ".init.text"),
        ({"kprobe_blacklist": "NOKPROBE_SYMBOL"}, "NOKPROBE_SYMBOL"),
        ({"kprobe_blacklist": ".noinstr.text"}, ".noinstr.text"),
    ],
)
def test_what_kprobes_refuse_is_broken_for_that_reason(more: dict[str, object], reason: str) -> None:
    made = function("f", symbol("f", instance=0, **more))  # type: ignore[arg-type]
    ruling = judged("f", here=facts(functions={"f": made}))
    assert ruling.outcome is Outcome.BROKEN
    assert ruling.consequence.endswith("kprobe does not take f")
    assert reason in ruling.evidence[0]


def test_another_mechanism_that_works_is_suggested() -> None:
    here = facts(functions={"f": function("f", symbol("f", instance=0, ftrace=False))})
    ruling = judged("f", mechanism=FENTRY, here=here)
    assert ruling.outcome is Outcome.BROKEN
    assert "ftrace" in ruling.evidence[0]
    assert [(s.text, s.code) for s in ruling.suggestions] == [("kprobe works there", 'SEC("kprobe/f")')]
    exits = judged("f", mechanism=Mechanism.FEXIT, here=here, consumer=ConsumerKind.BPFTRACE)
    assert exits.suggestions[0].code == "kretprobe:f"


@pytest.mark.parametrize(
    ("more", "features", "marks", "begin"),
    [
        ({"ftrace": False}, {}, {}, "the program is refused at attach"),
        ({"init": True}, {}, {}, "the program is refused at attach"),
        ({}, {}, {"register_ftrace_direct": None}, "the program is refused at attach"),
        ({}, {}, {"arch_prepare_bpf_trampoline": "STB_WEAK"}, "the program is refused at attach"),
        ({"ftrace": False}, {"btf": False}, {}, "the object is refused at load"),
    ],
)
def test_when_a_trampoline_is_refused(
    more: dict[str, Any], features: dict[str, Any], marks: dict[str, str | None], begin: str
) -> None:
    binds = {name: bind for name, bind in {**MARKS.binds, **marks}.items() if bind is not None}
    known = replace(MARKS, binds=binds, btf=features.get("btf", True))
    made = function("f", symbol("f", instance=0, **more), marks=known)
    ruling = judged("f", mechanism=FENTRY, here=facts(functions={"f": made}))
    assert ruling.outcome is Outcome.BROKEN
    assert ruling.consequence == f"{begin}: fentry does not take f"


def test_what_trampolines_must_leave_alone_is_broken_for_fentry() -> None:
    denied = BtfId("btf_id_deny", "vmlinux", None, "func", "f", None, None)
    here = facts(functions={"f": function("f", "f", ids=(denied,))})
    fentry = judged("f", mechanism=FENTRY, here=here)
    assert (fentry.outcome, fentry.cause) == (Outcome.BROKEN, Cause.TRAMPOLINE_DENIED)
    assert fentry.consequence.startswith("the object is refused at load")
    assert judged("f", here=here).outcome is Outcome.OK


def test_without_a_mechanism_only_the_symbol_counts() -> None:
    made = function("f", symbol("f", instance=0, init=True))
    assert judged("f", mechanism=None, here=facts(functions={"f": made})).outcome is Outcome.OK


def test_a_function_of_a_module_needs_it_loaded() -> None:
    ruling = judged("f", here=facts(functions={"f": function("f", "f", image="kvm")}))
    assert (ruling.outcome, ruling.consequence) == (Outcome.OK, "needs module kvm loaded")
    named = judged("kvm:f", here=facts(functions={"f": function("f", "f", image="kvm")}))
    assert named.outcome is Outcome.OK


def test_an_offset_means_the_code_that_it_was_found_in() -> None:
    def sized(size: int, on: object = NEW) -> Facts:
        return facts(on, functions={"f": function("f", symbol("f", instance=0, size=size))})  # type: ignore[arg-type]

    assert judged("f+0x8", here=sized(16)).outcome is Outcome.OK
    behind = judged("f+0x10", here=sized(16))
    assert behind.outcome is Outcome.BROKEN
    assert "behind the end" in behind.consequence
    other = judged("f+0x8", here=sized(16), before=sized(32, OLD))
    assert other.outcome is Outcome.CHANGED
    assert "0x20 on 6.1.0" in other.evidence[0]
    same = judged("f+0x8", here=sized(16), before=sized(16, OLD))
    assert same.outcome is Outcome.OK
    assert "cannot be told" in same.consequence


def test_a_pattern_says_how_many_it_meets_and_what_is_left_out() -> None:
    key = (Kind.FUNCTION, "vfs_*", KPROBE)
    some = facts(matches={key: Matches(("vfs_a", "vfs_b"), ("vmlinux",), {"vfs_b": "kprobes refuse it"})})
    ruling = judged("vfs_*", here=some)
    assert ruling.outcome is Outcome.OK
    assert ruling.consequence == ("2 functions match, of which 1 cannot be attached to and are left out")
    assert ruling.evidence == ("vfs_b: kprobes refuse it",)
    none = judged("vfs_*", here=facts(matches={key: Matches(())}))
    assert (none.outcome, none.consequence) == (
        Outcome.BROKEN,
        "the program is refused at attach: no function matches vfs_*",
    )
    bad = judged("vfs_*", here=facts(matches={key: Matches(("vfs_b",), ("vmlinux",), {"vfs_b": "no"})}))
    assert (bad.outcome, bad.evidence) == (Outcome.BROKEN, ("no",))
    more = facts(OLD, matches={key: Matches(("vfs_a", "vfs_gone"), ("vmlinux",))})
    one = facts(matches={key: Matches(("vfs_a",), ("vmlinux",))})
    assert "vfs_gone" in judged("vfs_*", here=one, before=more).evidence[0]


def test_a_system_calls_entry_has_another_name_on_each_architecture() -> None:
    here = facts(
        functions={"sys_openat": absent("sys_openat")}, syscalls=syscalls((257, "openat", "__x64_sys_openat"))
    )
    ruling = judged("sys_openat", here=here)
    assert ruling.outcome is Outcome.BROKEN
    assert ruling.evidence == ("the system call openat is entered by __x64_sys_openat here",)
    assert [s.code for s in ruling.suggestions] == [
        'SEC("kprobe/__x64_sys_openat")',
        'SEC("ksyscall/openat")',
    ]
    assert "pt_regs" in ruling.suggestions[0].text
    script = judged("sys_openat", here=here, consumer=ConsumerKind.BPFTRACE)
    assert [s.code for s in script.suggestions] == [
        "kprobe:__x64_sys_openat",
        "tracepoint:syscalls:sys_enter_openat",
    ]
    gone = judged("__x64_sys_openat", here=facts(syscalls=syscalls((1, "exit", "__arm64_sys_exit"))))
    assert gone.evidence == ("there is no system call openat on this architecture",)


# Parameters


OLD_ACCEPT = "struct sock *accept(struct sock *sk, int flags, int *err, bool kern);"
NEW_ACCEPT = "struct sock *accept(struct sock *sk, struct proto_accept_arg *arg);"


def param(
    wanted: str, before: str | None, now: str, *, mechanism: Mechanism | None = None, **more: object
) -> Ruling:
    def known(text: str, on: object) -> Facts:
        return facts(on, functions={"accept": function("accept", "accept")}, prototypes={"accept": (text,)})  # type: ignore[arg-type]

    return rule(
        Kind.PARAMETER,
        f"accept::{wanted}",
        known(now, NEW),
        mechanism=mechanism,
        before=None if before is None else known(before, OLD),
        **more,  # type: ignore[arg-type]
    )


def test_a_parameter_before_the_change_is_fine() -> None:
    assert param("0", OLD_ACCEPT, NEW_ACCEPT).outcome is Outcome.OK
    assert param("sk", OLD_ACCEPT, NEW_ACCEPT).outcome is Outcome.OK
    assert param("return", OLD_ACCEPT, NEW_ACCEPT).outcome is Outcome.OK


def test_another_parameter_in_the_same_place_is_a_change() -> None:
    ruling = param("1", OLD_ACCEPT, NEW_ACCEPT)
    assert ruling.outcome is Outcome.CHANGED
    assert "int flags on 6.1.0" in ruling.consequence
    assert any(line.startswith("Param removed") for line in ruling.evidence)


def test_a_place_that_is_gone_holds_what_a_register_held_or_is_refused() -> None:
    assert param("3", OLD_ACCEPT, NEW_ACCEPT).outcome is Outcome.CHANGED
    assert param("3", OLD_ACCEPT, NEW_ACCEPT, mechanism=FENTRY).outcome is Outcome.BROKEN


def test_a_name_that_is_gone_is_refused() -> None:
    ruling = param("flags", OLD_ACCEPT, NEW_ACCEPT, consumer=ConsumerKind.BPFTRACE)
    assert (ruling.outcome, ruling.consequence) == (
        Outcome.BROKEN,
        "the probe is refused: accept has no parameter flags",
    )


def test_a_parameter_that_moved_is_found_by_name_and_missed_by_place() -> None:
    old, new = "int accept(int a, int b);", "int accept(int b, int a);"
    assert param("a", old, new).outcome is Outcome.OK
    ruling = param("0", old, new)
    assert ruling.outcome is Outcome.CHANGED
    assert ruling.consequence.endswith("a is parameter 1 now")


def test_a_parameter_that_came_in_between_moves_the_next() -> None:
    old, new = "int accept(int a, int b);", "int accept(int a, int x, int b);"
    assert param("0", old, new).outcome is Outcome.OK
    assert param("1", old, new).outcome is Outcome.CHANGED


def test_another_name_is_no_change_and_another_type_is() -> None:
    assert param("0", "int accept(int a);", "int accept(int b);").outcome is Outcome.OK
    assert param("0", "int accept(u32 a);", "int accept(unsigned int a);").outcome is Outcome.OK
    assert param("0", "int accept(int a);", "int accept(char *a);").outcome is Outcome.CHANGED
    assert param("a", "int accept(int a);", "int accept(char *a);").outcome is Outcome.CHANGED


def test_what_the_consumer_was_built_with_is_no_change() -> None:
    built = param("0", "int accept(int a);", "int accept(char *a);", expected="char *")
    assert built.outcome is Outcome.OK


def test_another_result_is_a_change() -> None:
    assert param("return", "int accept(void);", "long accept(void);").outcome is Outcome.CHANGED
    nothing = param("return", "int accept(void);", "void accept(void);")
    assert nothing.outcome is Outcome.CHANGED
    assert "returns nothing" in nothing.consequence


def test_the_result_stands_behind_the_arguments_of_fexit() -> None:
    fexit = Mechanism.FEXIT
    old, more = "int accept(int a);", "int accept(int a, int b);"
    assert param("1", None, old, mechanism=fexit).outcome is Outcome.OK
    assert param("1", old, old, mechanism=fexit).outcome is Outcome.OK
    assert param("1", old, "long accept(int a);", mechanism=fexit).outcome is Outcome.CHANGED
    moved = param("1", old, more, mechanism=fexit)
    assert (moved.outcome, moved.consequence) == (
        Outcome.CHANGED,
        "the result of accept is argument 2 (from 0) now, not 1",
    )
    assert param("2", None, old, mechanism=fexit).outcome is Outcome.BROKEN
    assert param("1", None, old, mechanism=FENTRY).outcome is Outcome.BROKEN


def test_the_arguments_of_a_system_calls_entry_are_in_its_registers() -> None:
    name = "__x64_sys_openat"
    prototype = f"long {name}(const struct pt_regs *regs);"
    here = facts(functions={name: function(name, name)}, prototypes={name: (prototype,)})

    def argument(place: str, expected: str | None = None) -> Outcome:
        return rule(Kind.PARAMETER, f"{name}::{place}", here, mechanism=KPROBE, expected=expected).outcome

    assert argument("0") is Outcome.OK
    assert argument("0", "struct pt_regs *") is Outcome.OK
    assert argument("0", "int") is Outcome.CHANGED
    assert argument("1") is Outcome.CHANGED
    assert argument("return") is Outcome.OK


def test_parameters_without_names_are_told_apart_by_their_place() -> None:
    same = "void accept(unsigned int, unsigned int);"
    assert param("1", same, same).outcome is Outcome.OK
    assert param("1", same, "void accept(unsigned int state, unsigned int cpu);").outcome is Outcome.OK


def test_without_a_baseline_or_a_prototype_nothing_is_known_to_be_wrong() -> None:
    assert param("0", None, NEW_ACCEPT).outcome is Outcome.OK
    here = facts(functions={"accept": function("accept", "accept")})
    assert rule(Kind.PARAMETER, "accept::0", here).outcome is Outcome.OK
    assert rule(Kind.PARAMETER, "accept::0", facts()).outcome is Outcome.BROKEN


# System calls


def test_a_system_call_is_there_or_not() -> None:
    here = facts(syscalls=syscalls((257, "openat", "__x64_sys_openat")))
    assert rule(Kind.SYSCALL, "openat", here).outcome is Outcome.OK
    assert rule(Kind.SYSCALL, "open", here).outcome is Outcome.BROKEN


def test_ksyscall_takes_the_name_of_the_entry() -> None:
    here = facts(syscalls=syscalls((4, "stat", "__x64_sys_newstat")))
    ruling = rule(Kind.SYSCALL, "stat", here, mechanism=Mechanism.KSYSCALL)
    assert ruling.outcome is Outcome.BROKEN
    assert [s.code for s in ruling.suggestions] == ['SEC("ksyscall/newstat")']
    assert rule(Kind.SYSCALL, "newstat", here, mechanism=Mechanism.KSYSCALL).outcome is Outcome.OK
    assert rule(Kind.SYSCALL, "nonesuch", here, mechanism=Mechanism.KSYSCALL).outcome is Outcome.BROKEN


def test_ksyscall_needs_an_entry_that_kprobes_take() -> None:
    entry = function("__x64_sys_a", symbol("__x64_sys_a", instance=0, kprobe_blacklist="NOKPROBE_SYMBOL"))
    here = facts(
        functions={"__x64_sys_a": entry}, syscalls=syscalls((1, "a", "__x64_sys_a")), features=FEATURES
    )
    assert rule(Kind.SYSCALL, "a", here, mechanism=Mechanism.KSYSCALL).outcome is Outcome.BROKEN
