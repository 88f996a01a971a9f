"""Every cause is one that a rule finds, and the documents list it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ksurf.check.cause import CAUSES, Cause, cause_of
from ksurf.check.dependency import ConsumerKind, Dependency, Kind, Use
from ksurf.check.facts import Facts, Matches
from ksurf.check.judge import judge_dependency
from ksurf.check.rules import FINE, Case, Ruling, judge_case
from ksurf.check.verdict import Outcome
from ksurf.check.walked import Relocated, Walked
from ksurf.dataset.rows import AttachRows, BtfId, ConfigOption, Export, Marks, TypeRow
from ksurf.surface.attach import (
    Features,
    HookFacts,
    KfuncFacts,
    Mechanism,
    Refusal,
    TracepointFacts,
    attach_hook,
    attach_kfunc,
    attach_symbols,
    attach_tracepoint,
)
from ksurf.surface.config import judge_option
from ksurf.surface.kfunc import judge_kfunc
from ksurf.surface.lsm import Hook, judge_hook
from made_facts import (
    FEATURES,
    MARKS,
    NEW,
    OLD,
    absent,
    event,
    facts,
    function,
    rule,
    symbol,
    syscalls,
    types,
    with_export,
    with_field,
)
from made_types import enum, func, member, struct

ROOT = Path(__file__).parents[1]
KPROBE, FENTRY = Mechanism.KPROBE, Mechanism.FENTRY
MODULE = ConsumerKind.MODULE
PATTERN = (Kind.FUNCTION, "f_*", KPROBE)


def one(*symbols: Any, marks: Marks = MARKS, mechanism: Mechanism = KPROBE, **more: Any) -> Ruling:
    """Of a function that is attached to."""
    made = facts(functions={"f": function("f", *symbols, marks=marks, **more)})
    return rule(Kind.FUNCTION, "f", made, mechanism=mechanism)


def plain(mechanism: Mechanism = KPROBE, marks: Marks = MARKS, ids: str = "", **more: Any) -> Ruling:
    """Of a function that has one symbol, which is in a set of ids, maybe."""
    sets = (BtfId(ids, "vmlinux", None, "func", "f", None, None),) if ids else ()
    return one(symbol("f", instance=0, **more), mechanism=mechanism, marks=marks, ids=sets)


def without(**binds: str | None) -> Marks:
    """Of a kernel with other symbols, or without some."""
    kept = {name: bind for name, bind in {**MARKS.binds, **binds}.items() if bind is not None}
    return replace(MARKS, binds=kept)


def prototype(text: str, before: str | None, wanted: str, mechanism: Mechanism = KPROBE) -> Ruling:
    """Of a parameter, or the result, of a function."""
    name = text.partition("(")[0].split()[-1]

    def known(on: Any, text: str) -> Facts:
        return facts(on, functions={name: function(name, name)}, prototypes={name: (text,)})

    old = None if before is None else known(OLD, before)
    return rule(Kind.PARAMETER, f"{name}::{wanted}", known(NEW, text), mechanism=mechanism, before=old)


def with_parameters(*names: str, marks: Marks = MARKS) -> Ruling:
    """Of a function that a trampoline is to take with these parameters."""
    status = function("f", "f")
    own = func("f", "int", *names)
    rows = AttachRows(marks, "f", (TypeRow("vmlinux", "btf", own),), ())
    status = replace(status, attach=attach_symbols(status.symbols, rows))
    return rule(Kind.FUNCTION, "f", facts(functions={"f": status}), mechanism=FENTRY)


def traced(mechanism: Mechanism, **known: bool) -> Ruling:
    """Of a trace event."""
    about = TracepointFacts(known.get("event", True), known.get("tracepoint", True), known.get("btf", True))
    here = facts(tracepoints={"a:b": event()}, tracepoint_verdicts={"a:b": attach_tracepoint(about)})
    return rule(Kind.TRACEPOINT, "a:b", here, mechanism=mechanism)


def event_field(name: str, size: int = 4) -> Ruling:
    """Of a field of a trace event."""
    old = facts(OLD, tracepoints={"a:b": event(("int", "pid", 8, 4), on=OLD)})
    here = facts(tracepoints={"a:b": event(("int", "pid", 8, size))})
    return rule(Kind.TRACEPOINT_FIELD, f"a:b::{name}", here, before=old)


def hook(prototype: str | None, listed: bool = True, features: Features = FEATURES) -> Ruling:
    """Of an LSM hook."""

    def known(on: Any, text: str | None) -> Facts:
        found = {} if text is None else {"h": Hook("h", text, True)}
        verdict = attach_hook(HookFacts(True, listed, False), features)
        return facts(on, hooks={"h": judge_hook(on, "h", found)}, hook_verdicts={"h": verdict})

    old = known(OLD, "int h(struct file *);")
    return rule(Kind.LSM, "h", known(NEW, prototype), mechanism=Mechanism.LSM, before=old)


def kfunc(*params: str, section: str = "fentry/f", in_btf: bool = True) -> Ruling:
    """Of a kfunc that takes an ``int`` on the baseline, and is for programs that trace."""

    def known(on: Any, *params: str) -> Facts:
        row = BtfId("set", "vmlinux", 1, "func", "k", 0, "26")
        status = judge_kfunc(on, "k", [row], {"k": func("k", "int", *params)}, {26: "BPF_PROG_TYPE_TRACING"})
        verdict = attach_kfunc(KfuncFacts(in_btf, ("BPF_PROG_TYPE_TRACING",)))
        return facts(on, kfuncs={"k": status}, kfunc_verdicts={"k": verdict})

    dependency = Dependency(Kind.KFUNC, "k", Mechanism.KFUNC_CALL)
    here, old = known(NEW, *params), known(OLD, "int a")
    return judge_case(Case(dependency, ConsumerKind.BPF_OBJECT, here, old, (section,)))


def listed(kind: Kind, of: str, name: str) -> Ruling:
    """Of something that an enum of the kernel would list."""
    return rule(kind, name, facts(types=types(enum(of, signed=False, OTHER=1))))


def field(text: str | None, name: str = "s::a", **more: Any) -> Ruling:
    """Of a field that is an ``int`` on the baseline."""
    owner = name.partition("::")[0]
    here = with_field(name, struct(owner, "int other" if text is None else member(text)), **more)
    return rule(Kind.FIELD, name, here, before=with_field(name, struct(owner, "int a"), on=OLD))


def export(crc: int = 1, before: Facts | None = None, **more: Any) -> Ruling:
    """Of a symbol that a module imports."""
    row = Export(**{"name": "e", "image": "vmlinux", "gpl": False, "namespace": None, "crc": 1, **more})
    return rule(Kind.EXPORT, "e", with_export("e", row), consumer=MODULE, crc=crc, gpl=False, namespaces=())


def unexported(made: Any) -> Ruling:
    """Of a function that is not exported."""
    return rule(Kind.EXPORT, "e", with_export("e", functions={"e": made}), consumer=MODULE)


def option(value: str | None, **more: Any) -> Ruling:
    """Of an option of the configuration."""
    rows = [] if value is None else [ConfigOption("CONFIG_X", value)]
    here = facts(config={"CONFIG_X": judge_option(NEW, "CONFIG_X", rows)})
    return rule(Kind.CONFIG, "CONFIG_X", here, **more)


def without_reason() -> Ruling:
    """Of a relocation that fails though the kernel has the field."""
    dependency = Dependency(Kind.FIELD, "s::a", uses=(Use("p", relocation=0),))
    walked = Walked({0: Relocated(resolved=False, reason="its bits lie otherwise")})
    found = judge_dependency(FINE, dependency, facts(), ConsumerKind.BPF_OBJECT, walked)
    return Ruling(found.outcome, found.consequence, cause=found.cause)


def e(*params: str) -> Facts:
    """A kernel that exports a function without a CRC."""
    row = Export("e", "vmlinux", False, None, None)
    return with_export("e", row, prototypes={"e": (f"int e({', '.join(params)});",)})


TWO = (symbol("f", instance=0), symbol("f", instance=1, address=2))
SYSCALLS = facts(syscalls=syscalls((4, "stat", "__x64_sys_newstat")))
LAID_OUT = (struct("s", "int a"), struct("s", "int a", "int b"))

RULINGS: dict[Cause, Ruling] = {
    Cause.FUNCTION_ABSENT: rule(Kind.FUNCTION, "f", facts(functions={"f": absent()}), mechanism=KPROBE),
    Cause.FUNCTION_INLINED: one(inlined_into=("a",), code=0),
    Cause.FUNCTION_INLINED_PARTLY: one("f", inlined_into=("a",)),
    Cause.FUNCTION_RENAMED: one("f.isra.0"),
    Cause.FUNCTION_COPIED: one("f", "f.constprop.0", code=2),
    Cause.CODE_CHANGED: rule(
        Kind.FUNCTION, "f+0x20", facts(functions={"f": function("f", symbol("f", instance=0, size=16))})
    ),
    Cause.NOTHING_MATCHES: rule(
        Kind.FUNCTION, "f_*", facts(matches={PATTERN: Matches(())}), mechanism=KPROBE
    ),
    Cause.NAME_SHARED: one(*TWO, code=2, external=False),
    Cause.INIT_CODE: plain(init=True),
    Cause.KPROBE_BLACKLIST: plain(kprobe_blacklist="NOKPROBE_SYMBOL"),
    Cause.NO_KPROBE_MULTI: plain(Mechanism.KPROBE_MULTI, replace(MARKS, attach_types=frozenset())),
    Cause.NO_FPROBE: plain(Mechanism.KPROBE_MULTI, without(register_fprobe_ips=None)),
    Cause.NO_FTRACE_SITE: plain(FENTRY, ftrace=False),
    Cause.NO_BTF: plain(FENTRY, replace(MARKS, btf=False)),
    Cause.NO_TRAMPOLINE: plain(FENTRY, without(register_ftrace_direct=None)),
    Cause.NOT_IN_BTF: kfunc("int a", in_btf=False),
    Cause.VARIADIC: with_parameters("char *format", "... more"),
    Cause.TOO_MANY_PARAMETERS: with_parameters(*(f"int a{n}" for n in range(13))),
    Cause.TRAMPOLINE_DENIED: plain(FENTRY, ids="btf_id_deny"),
    Cause.NO_RETURN: plain(Mechanism.FEXIT, ids="noreturn_deny"),
    Cause.RESULT_FIXED: plain(Mechanism.FMOD_RET),
    Cause.PARAMETER_ABSENT: prototype("int f(int a);", "int f(int a, int b);", "1"),
    Cause.PARAMETER_CHANGED: prototype("int f(char *a);", "int f(int a);", "0"),
    Cause.RESULT_CHANGED: prototype("void f(int a);", "int f(int a);", "return"),
    Cause.ARGUMENTS_IN_REGISTERS: prototype("long __x64_sys_openat(const struct pt_regs *regs);", None, "1"),
    Cause.TRACEPOINT_ABSENT: rule(Kind.TRACEPOINT, "a:b", facts(), mechanism=Mechanism.TRACEPOINT),
    Cause.NO_EVENT: traced(Mechanism.TRACEPOINT, event=False),
    Cause.NO_TRACEPOINT: traced(Mechanism.RAW_TP, tracepoint=False),
    Cause.EVENT_FIELD_ABSENT: event_field("gone"),
    Cause.EVENT_FIELD_CHANGED: event_field("pid", size=8),
    Cause.SYSCALL_ABSENT: rule(Kind.SYSCALL, "open", SYSCALLS),
    Cause.SYSCALL_RENAMED: rule(Kind.SYSCALL, "stat", SYSCALLS, mechanism=Mechanism.KSYSCALL),
    Cause.HOOK_ABSENT: hook(None),
    Cause.HOOK_CHANGED: hook("int h(struct path *);"),
    Cause.HOOK_NOT_FOR_BPF: hook("int h(struct file *);", listed=False),
    Cause.NO_BPF_LSM: hook("int h(struct file *);", features=replace(FEATURES, bpf_lsm=False)),
    Cause.ITERATOR_ABSENT: rule(Kind.ITER, "task", facts()),
    Cause.STRUCT_OPS_ABSENT: rule(Kind.STRUCT_OPS, "ops", facts()),
    Cause.KFUNC_ABSENT: rule(Kind.KFUNC, "k", facts(), mechanism=Mechanism.KFUNC_CALL),
    Cause.KFUNC_CHANGED: kfunc("char *a"),
    Cause.KFUNC_FOR_OTHERS: kfunc("int a", section="xdp"),
    Cause.KSYM_ABSENT: rule(Kind.KSYM, "x", facts(), expected="struct rq"),
    Cause.HELPER_ABSENT: listed(Kind.HELPER, "bpf_func_id", "bpf_x"),
    Cause.PROGRAM_TYPE_ABSENT: listed(Kind.PROGRAM_TYPE, "bpf_prog_type", "X"),
    Cause.ATTACH_TYPE_ABSENT: listed(Kind.ATTACH_TYPE, "bpf_attach_type", "X"),
    Cause.MAP_TYPE_ABSENT: listed(Kind.MAP_TYPE, "bpf_map_type", "X"),
    Cause.TYPE_ABSENT: rule(Kind.STRUCT, "s", facts()),
    Cause.LAYOUT_CHANGED: rule(
        Kind.STRUCT, "s", facts(types=types(LAID_OUT[1])), consumer=MODULE, layout=(LAID_OUT[0],)
    ),
    Cause.FIELD_ABSENT: field(None),
    Cause.FIELD_CHANGED: field("char *a"),
    Cause.OTHER_ARCHITECTURE: field(None, "pt_regs::di"),
    Cause.ENUMERATOR_ABSENT: rule(Kind.ENUMERATOR, "e::B", facts(types=types(enum("e", A=1)))),
    Cause.ENUMERATOR_CHANGED: rule(Kind.ENUMERATOR, "e::A", facts(types=types(enum("e", A=2))), expected="1"),
    Cause.RELOCATION_FAILED: without_reason(),
    Cause.EXPORT_ABSENT: unexported(absent("e")),
    Cause.EXPORT_INLINE: unexported(
        function("e", inlined_into=("a",), code=0, file="include/linux/e.h", external=False)
    ),
    Cause.EXPORT_CRC: export(crc=2),
    Cause.EXPORT_CHANGED: rule(Kind.EXPORT, "e", e("int a"), consumer=MODULE, expected="int e(char *a);"),
    Cause.EXPORT_GPL_ONLY: export(gpl=True),
    Cause.MODULE_VERMAGIC: rule(Kind.VERMAGIC, "5.0-other SMP mod_unload", facts(), consumer=MODULE),
    Cause.EXPORT_NAMESPACE: export(namespace="X"),
    Cause.CONFIG_ABSENT: option(None),
    Cause.CONFIG_CHANGED: option("250", consumer=ConsumerKind.LIST, expected="1000"),
}
"""What a rule says where each is the cause."""


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.value)
def test_a_rule_finds_each_cause(cause: Cause) -> None:
    ruling = RULINGS[cause]
    assert ruling.cause is cause
    assert ruling.outcome > Outcome.GUARDED and ruling.consequence


def test_refusals_are_causes() -> None:
    assert [cause_of(refusal).value for refusal in Refusal] == [refusal.value for refusal in Refusal]


def test_causes_are_words_that_the_documents_explain() -> None:
    page = (ROOT / "docs/commands/check.md").read_text()
    listed = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page.partition("## Causes")[2], re.MULTILINE))
    assert listed == {word: cause.sentence for word, cause in CAUSES.items()}
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", word) for word in CAUSES)
    assert all(cause.sentence.endswith(".") for cause in Cause)
