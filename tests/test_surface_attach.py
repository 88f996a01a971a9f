"""Attachability: every rule, and what each mechanism does not care about."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.dataset.rows import Marks
from ksurf.surface.attach import (
    BPF_FUNC_ARGS_LIMIT,
    CodeFacts,
    Features,
    HookFacts,
    KfuncFacts,
    Mechanism,
    TracepointFacts,
    Verdict,
    attach_code,
    attach_hook,
    attach_kfunc,
    attach_tracepoint,
    features_of,
)
from ksurf.surface.attach_change import AttachabilityLost, AttachabilityWon, by_name, compare_attachability
from ksurf.surface.change import Change

FEATURES = Features(
    kprobe_multi=True,
    fprobe=True,
    trampoline=True,
    ftrace_direct=True,
    unique_kprobes=True,
    bpf_lsm=True,
    btf=True,
)
CODE = CodeFacts(
    ftrace=True,
    kprobe_blacklist=None,
    error_injection="EI_ETYPE_ERRNO",
    init=False,
    btf_functions=1,
    parameters=2,
)
ALL = {"kprobe", "kretprobe", "kprobe.multi", "fentry", "fexit", "fmod_ret"}
HOOK = HookFacts(btf_function=True, listed=True, disabled=False)
KPROBES = {"kprobe", "kretprobe"}
TRAMPOLINES = {"fentry", "fexit", "fmod_ret"}


def refused(facts: CodeFacts, features: Features = FEATURES) -> dict[str, str]:
    """Reasons by mechanism."""
    verdicts = attach_code(facts, features)
    return {m.value: str(v.reason) for m, v in verdicts.items() if not v.attachable}


def test_everything_can_be_attached_to_a_plain_function() -> None:
    verdicts = attach_code(CODE, FEATURES)
    assert {mechanism.value for mechanism in verdicts} == ALL
    assert set(verdicts.values()) == {Verdict(True)}


@pytest.mark.parametrize(
    ("facts", "mechanisms", "words"),
    [
        (replace(CODE, init=True), ALL, ".init.text"),
        (replace(CODE, kprobe_blacklist="NOKPROBE_SYMBOL"), KPROBES, "NOKPROBE_SYMBOL"),
        (replace(CODE, kprobe_blacklist=".noinstr.text"), KPROBES, ".noinstr.text"),
        (replace(CODE, ftrace=False), ALL - KPROBES, "__mcount_loc"),
        (replace(CODE, ftrace=None), ALL - KPROBES, "no __mcount_loc"),
        (replace(CODE, btf_functions=0), TRAMPOLINES, "no FUNC"),
        (replace(CODE, btf_functions=2), TRAMPOLINES, "2 of this name"),
        (replace(CODE, namesakes=2), TRAMPOLINES | KPROBES, "ambiguous (3 "),
        (replace(CODE, variadic=True), TRAMPOLINES, "variable number"),
        (replace(CODE, parameters=BPF_FUNC_ARGS_LIMIT + 1), TRAMPOLINES, "13 parameters"),
        (replace(CODE, denied=True), TRAMPOLINES, "btf_id_deny"),
        (replace(CODE, no_return=True), TRAMPOLINES - {"fentry"}, "noreturn_deny"),
        (replace(CODE, error_injection=None), {"fmod_ret"}, "_error_injection_whitelist"),
        (replace(CODE, parameters=BPF_FUNC_ARGS_LIMIT), set(), ""),
        (replace(CODE, error_injection=None, modify_return=True), set(), ""),
    ],
)
def test_what_a_fact_refuses(facts: CodeFacts, mechanisms: set[str], words: str) -> None:
    reasons = refused(facts)
    assert set(reasons) == mechanisms
    assert all(words in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("features", "mechanisms", "words"),
    [
        (replace(FEATURES, kprobe_multi=False), {"kprobe.multi"}, "BPF_TRACE_KPROBE_MULTI"),
        (replace(FEATURES, fprobe=False), {"kprobe.multi"}, "register_fprobe_ips"),
        (replace(FEATURES, trampoline=False), TRAMPOLINES, "arch_prepare_bpf_trampoline"),
        (replace(FEATURES, ftrace_direct=False), TRAMPOLINES, "register_ftrace_direct"),
        (replace(FEATURES, btf=False), TRAMPOLINES, "no BTF"),
        (replace(FEATURES, bpf_lsm=False), set(), ""),
    ],
)
def test_what_a_kernel_cannot_do(features: Features, mechanisms: set[str], words: str) -> None:
    reasons = refused(CODE, features)
    assert set(reasons) == mechanisms
    assert all(words in reason for reason in reasons.values())


def test_before_names_had_to_be_unique_the_first_symbol_is_meant() -> None:
    verdicts = attach_code(replace(CODE, namesakes=1), replace(FEATURES, unique_kprobes=False))
    assert verdicts[Mechanism.KPROBE] == Verdict(True, "by name, the first of 2 symbols is meant")
    assert verdicts[Mechanism.KPROBE_MULTI].attachable
    assert not verdicts[Mechanism.FENTRY].attachable


@pytest.mark.parametrize(
    ("facts", "features", "at_load"),
    [
        (replace(CODE, btf_functions=0), FEATURES, TRAMPOLINES),
        (replace(CODE, variadic=True), FEATURES, TRAMPOLINES),
        (replace(CODE, denied=True), FEATURES, TRAMPOLINES),
        (replace(CODE, parameters=13), FEATURES, TRAMPOLINES),
        (replace(CODE, parameters=7), replace(FEATURES, trampoline_args=6), set()),
        (CODE, replace(FEATURES, btf=False), TRAMPOLINES),
        (CODE, replace(FEATURES, trampoline=False), set()),
        (CODE, replace(FEATURES, ftrace_direct=False), set()),
        (replace(CODE, ftrace=False), FEATURES, set()),
        (replace(CODE, ftrace=False, btf_functions=0), FEATURES, TRAMPOLINES),
        (replace(CODE, no_return=True), FEATURES, TRAMPOLINES - {"fentry"}),
        (replace(CODE, error_injection=None), FEATURES, {"fmod_ret"}),
        (replace(CODE, ftrace=False, error_injection=None), FEATURES, {"fmod_ret"}),
        (replace(CODE, kprobe_blacklist="NOKPROBE_SYMBOL", init=True), FEATURES, set()),
    ],
)
def test_what_is_refused_when_a_program_is_loaded(
    facts: CodeFacts, features: Features, at_load: set[str]
) -> None:
    verdicts = attach_code(facts, features)
    assert {mechanism.value for mechanism, verdict in verdicts.items() if verdict.at_load} == at_load


code_facts = st.builds(
    CodeFacts,
    ftrace=st.sampled_from([True, False, None]),
    kprobe_blacklist=st.sampled_from([None, "NOKPROBE_SYMBOL", ".entry.text"]),
    error_injection=st.sampled_from([None, "EI_ETYPE_NULL"]),
    init=st.booleans(),
    namesakes=st.integers(0, 3),
    btf_functions=st.integers(0, 3),
    parameters=st.none() | st.integers(0, 20),
    variadic=st.booleans(),
    denied=st.booleans(),
    no_return=st.booleans(),
    modify_return=st.booleans(),
)
features = st.builds(Features, *[st.booleans()] * 7)


@given(code_facts, features)
def test_every_refusal_has_a_reason_and_stronger_mechanisms_need_weaker_ones(
    facts: CodeFacts, features: Features
) -> None:
    verdicts = attach_code(facts, features)
    assert all(verdict.reason and verdict.refusal for verdict in verdicts.values() if not verdict.attachable)
    assert verdicts[Mechanism.KPROBE] == verdicts[Mechanism.KRETPROBE]
    if verdicts[Mechanism.FMOD_RET].attachable:
        assert verdicts[Mechanism.FEXIT].attachable
    if verdicts[Mechanism.FEXIT].attachable:
        assert verdicts[Mechanism.FENTRY].attachable
        assert facts.ftrace is True


@pytest.mark.parametrize(
    ("facts", "attachable"),
    [
        (TracepointFacts(event=True, tracepoint=True, btf_typedef=True), {"tracepoint", "raw_tp", "tp_btf"}),
        (TracepointFacts(event=False, tracepoint=True, btf_typedef=True), {"raw_tp", "tp_btf"}),
        (TracepointFacts(event=True, tracepoint=True, btf_typedef=None), {"tracepoint", "raw_tp"}),
        (TracepointFacts(event=False, tracepoint=True, btf_typedef=False), set()),
        (TracepointFacts(event=True, tracepoint=False, btf_typedef=True), {"tracepoint"}),
    ],
)
def test_tracepoints(facts: TracepointFacts, attachable: set[str]) -> None:
    verdicts = attach_tracepoint(facts)
    assert {mechanism.value for mechanism, verdict in verdicts.items() if verdict.attachable} == attachable
    assert all(verdict.reason and verdict.refusal for verdict in verdicts.values() if not verdict.attachable)


@pytest.mark.parametrize(
    ("facts", "features", "words", "at_load"),
    [
        (HOOK, FEATURES, None, False),
        (HOOK, replace(FEATURES, bpf_lsm=False), "BPF LSM", True),
        (replace(HOOK, disabled=True), FEATURES, "bpf_lsm_disabled_hooks", True),
        (replace(HOOK, listed=False), FEATURES, "bpf_lsm_hooks", True),
        (replace(HOOK, btf_function=False), FEATURES, "BTF", True),
        (HOOK, replace(FEATURES, trampoline=False), "arch_prepare_bpf_trampoline", False),
        (HOOK, replace(FEATURES, ftrace_direct=False), "register_ftrace_direct", False),
        (replace(HOOK, listed=False), replace(FEATURES, trampoline=False), "bpf_lsm_hooks", True),
    ],
)
def test_hooks(facts: HookFacts, features: Features, words: str | None, at_load: bool) -> None:
    verdict = attach_hook(facts, features)
    assert (verdict.attachable, verdict.at_load) == (words is None, at_load)
    assert words is None or words in str(verdict.reason)


def test_kfuncs() -> None:
    assert not attach_kfunc(KfuncFacts(btf_function=False, program_types=("xdp",))).attachable
    known = attach_kfunc(KfuncFacts(btf_function=True, program_types=("xdp", "sched_cls")))
    assert known == Verdict(True, "from programs of type sched_cls, xdp")
    assert "does not tell" in str(attach_kfunc(KfuncFacts(btf_function=True, program_types=None)).reason)


YES, NO = Verdict(True), Verdict(False, "because")


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (YES, YES, []),
        (NO, Verdict(False, "of another reason"), []),
        (YES, NO, [AttachabilityLost("kprobe", "because")]),
        (NO, YES, [AttachabilityWon("kprobe", "because")]),
    ],
)
def test_what_is_lost_and_won(old: Verdict, new: Verdict, changes: list[Change]) -> None:
    assert list(compare_attachability({Mechanism.KPROBE: old}, {Mechanism.KPROBE: new})) == changes
    assert list(compare_attachability({Mechanism.KPROBE: old}, {})) == []


def test_a_name_that_several_bear_can_be_attached_if_one_can() -> None:
    assert by_name([{Mechanism.KPROBE: NO}, {Mechanism.KPROBE: YES}]) == {Mechanism.KPROBE: YES}
    assert by_name([{Mechanism.KPROBE: NO}]) == {Mechanism.KPROBE: NO}
    assert by_name([]) == {}


@pytest.mark.parametrize(
    ("arch", "function", "before"), [("amd64", "get_nr_used_regs", 6), ("arm64", "calc_arg_aux", 8)]
)
def test_trampolines_of_before_took_what_registers_hold(arch: str, function: str, before: int) -> None:
    old, new = (
        features_of(Marks(dict.fromkeys(names, "STB_LOCAL"), frozenset(), True, arch))
        for names in ((), (function,))
    )
    assert (old.trampoline_args, new.trampoline_args) == (before, 12)
    assert features_of(Marks({}, frozenset(), True, "riscv64")).trampoline_args == 12
