"""What BPF programs lean on beside functions and types: system calls, hooks, iterators, kfuncs, variables."""

from __future__ import annotations

from collections.abc import Iterator

from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind
from ksurf.check.rules.case import (
    FINE,
    Case,
    Ruling,
    broken,
    changed,
    few,
    not_attachable,
    refused,
    with_module,
)
from ksurf.check.rules.function import function_rule, name_of_ksyscall
from ksurf.check.rules.parameter import parsed, prototype_changes
from ksurf.check.rules.types import field_rule
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.surface.attach import Mechanism
from ksurf.surface.attach_change import by_name
from ksurf.surface.kfunc import Kfunc

__all__ = ["iter_rule", "kfunc_rule", "ksym_rule", "lsm_rule", "struct_ops_rule", "syscall_rule"]

_PROGRAMS = {
    **dict.fromkeys(("kprobe", "kretprobe", "kprobe.multi", "kretprobe.multi", "ksyscall"), "kprobe"),
    **dict.fromkeys(("fentry", "fexit", "fmod_ret", "tp_btf", "iter", "lsm"), "tracing"),
    **dict.fromkeys(("tc", "tcx", "classifier"), "sched_cls"),
    "xdp": "xdp",
    "struct_ops": "struct_ops",
    "syscall": "syscall",
}
"""The types of programs by their sections, where what they may call has not changed with the versions."""
_STRICTER = {
    "KF_RET_NULL": "its result may be NULL, and has to be tested",
    "KF_ACQUIRE": "its result has to be released",
    "KF_RELEASE": "its argument is released by it",
    "KF_TRUSTED_ARGS": "its arguments have to be trusted pointers",
    "KF_RCU": "its arguments have to be trusted or RCU pointers",
    "KF_RCU_PROTECTED": "it has to be called under RCU",
    "KF_SLEEPABLE": "only programs that may sleep may call it",
    "KF_DESTRUCTIVE": "it needs CAP_SYS_BOOT",
}
"""What a flag asks of the caller (Documentation/bpf/kfuncs.rst)."""


def syscall_rule(case: Case) -> Ruling:
    """Judge a system call, by the name that users know, or if it is attached to, by that of its entry."""
    name, mechanism = case.dependency.name, case.dependency.mechanism
    table = case.facts.syscalls
    row, entered = table.named(name), table.entered_by(name)
    if row is None and entered is None:
        return broken(
            Cause.SYSCALL_ABSENT,
            f"{refused(case)}: the kernel has no system call {name} on this architecture",
        )
    if mechanism in {None, Mechanism.TRACEPOINT}:
        return FINE
    if entered is None and row is not None:
        short = name_of_ksyscall(row.entry)
        code = f'SEC("ksyscall/{short}")' if case.consumer is ConsumerKind.BPF_OBJECT else f"ksyscall:{short}"
        language = "c" if case.consumer is ConsumerKind.BPF_OBJECT else "text"
        return broken(
            Cause.SYSCALL_RENAMED,
            f"{refused(case)}: the system call {name} is entered by {row.entry}, and is looked for by that",
            (f"{row.entry} is what its number {row.number} leads to",),
            (Suggestion("what is looked for is the name of the entry", code, language),),
        )
    assert entered is not None
    how = Mechanism.KPROBE if mechanism is None or mechanism is Mechanism.KSYSCALL else mechanism
    status = case.facts.functions.get(entered.entry)
    pairs = zip(status.symbols, status.attach or (), strict=True) if status is not None else ()
    verdict = by_name([held for s, held in pairs if s.name == entered.entry]).get(how)
    if verdict is not None and not verdict.attachable:
        return not_attachable(case, verdict, f"{how.value} does not take {entered.entry}")
    return Ruling(Outcome.OK, "", (f"entered by {entered.entry}",))


def lsm_rule(case: Case) -> Ruling:
    """Judge an LSM hook."""
    name = case.dependency.name
    status, verdict = case.facts.hooks.get(name), case.facts.hook_verdicts.get(name)
    if status is None or not status.is_present:
        return broken(Cause.HOOK_ABSENT, f"{refused(case)}: the kernel has no LSM hook {name}")
    if verdict is not None and not verdict.attachable:
        return not_attachable(case, verdict, f"BPF cannot attach to the hook {name}")
    before = None if case.baseline is None else case.baseline.hooks.get(name)
    if before is None or not before.variants or case.baseline is None:
        return FINE
    old, new = before.variants[0].content.prototype, status.variants[0].content.prototype
    changes = _changes(old, new, name)
    if not changes:
        return FINE
    return changed(
        Cause.HOOK_CHANGED,
        f"the hook {name} is called with other arguments: they may be read wrongly",
        (f"{old} on {case.baseline.kernel.release}", f"{new} here", *changes[:4]),
    )


def _changes(old: str, new: str, name: str) -> list[str]:
    if old == new:
        return []
    before, after = parsed([old], name), parsed([new], name)
    return prototype_changes(before[0], after[0]) if before and after else ["Prototype changed"]


def iter_rule(case: Case) -> Ruling:
    """Judge what a BPF iterator goes over: libbpf looks for the function ``bpf_iter_NAME`` in BTF."""
    name = case.dependency.name
    rows = case.facts.definitions(f"bpf_iter_{name}", "func")
    if any(row.evidence == "btf" for row in rows):
        return with_module(FINE, [row.image for row in rows])
    return broken(
        Cause.ITERATOR_ABSENT,
        f"{refused(case, at_load=True)}: the kernel has no iterator {name}",
        (f"no FUNC bpf_iter_{name} in BTF",),
    )


def struct_ops_rule(case: Case) -> Ruling:
    """Judge a struct of operations that BPF implements, or a member of one."""
    owner, _, member = case.dependency.name.partition("::")
    rows = case.facts.definitions(owner, "struct")
    if not rows:
        return broken(
            Cause.STRUCT_OPS_ABSENT, f"{refused(case, at_load=True)}: the kernel has no struct {owner}"
        )
    if not case.facts.definitions(f"bpf_struct_ops_{owner}", "struct"):
        return broken(
            Cause.STRUCT_OPS_ABSENT,
            f"{refused(case, at_load=True)}: BPF cannot implement struct {owner} here",
            (f"no struct bpf_struct_ops_{owner} in BTF",),
        )
    return field_rule(case) if member else with_module(FINE, [row.image for row in rows])


def kfunc_rule(case: Case) -> Ruling:
    """Judge a function of the kernel that the program calls."""
    name = case.dependency.name
    status, verdict = case.facts.kfuncs.get(name), case.facts.kfunc_verdicts.get(name)
    if status is None or not status.is_present:
        function = case.facts.functions.get(name)
        evidence = ("a function of that name is there, and no set of kfuncs lists it",)
        there = function is not None and function.is_present
        return broken(
            Cause.KFUNC_ABSENT,
            f"{refused(case, at_load=True)}: the kernel has no kfunc {name}",
            evidence if there else (),
        )
    if verdict is not None and not verdict.attachable:
        return not_attachable(case, verdict, f"{name} cannot be called from BPF")
    images = [image for variant in status.variants for image in variant.images]
    if (ruling := _for_other_programs(case, status.variants[0].content)) is not None:
        return ruling
    before = None if case.baseline is None else case.baseline.kfuncs.get(name)
    if before is None or not before.variants:
        return with_module(FINE, images)
    old, new = before.variants[0].content, status.variants[0].content
    told = [*_prototype_of_kfunc(old, new), *_flags(old, new), *_program_types(old, new)]
    if not told:
        return with_module(FINE, images)
    assert case.baseline is not None
    return with_module(
        changed(
            Cause.KFUNC_CHANGED,
            f"the kfunc {name} is another one to the verifier, which may refuse the program",
            (*told, f"compared with {case.baseline.kernel.release}"),
        ),
        images,
    )


def _for_other_programs(case: Case, kfunc: Kfunc) -> Ruling | None:
    """The verifier lets programs call what is registered for their type, or for all."""
    allowed = kfunc.program_types
    if allowed is None or "unspec" in allowed:
        return None
    # Programs of type LSM may call what is registered for tracing (kernel/bpf/btf.c).
    kinds = {"tracing" if kind == "lsm" else kind for kind in allowed}
    for section in case.sections:
        kind = _PROGRAMS.get(section.removeprefix("?").partition("/")[0].removesuffix(".s"))
        if kind is not None and kind not in kinds:
            return broken(
                Cause.KFUNC_FOR_OTHERS,
                f"{refused(case, at_load=True)}: programs of type {kind} cannot call {kfunc.name}",
                (f"registered for programs of type {few(allowed)}",),
            )
    return None


def _prototype_of_kfunc(old: Kfunc, new: Kfunc) -> Iterator[str]:
    if old.prototype is not None and new.prototype is not None and old.prototype != new.prototype:
        before, after = parsed([old.prototype], old.name), parsed([new.prototype], new.name)
        # What is added at the end counts as well: the verifier wants every argument.
        more = bool(before and after) and len(before[0].params) != len(after[0].params)
        if more or _changes(old.prototype, new.prototype, old.name):
            yield f"{old.prototype} -> {new.prototype}"


def _flags(old: Kfunc, new: Kfunc) -> Iterator[str]:
    for flag in new.flags:
        if flag not in old.flags and flag in _STRICTER:
            yield f"{flag} is new: {_STRICTER[flag]}"
    if "KF_ACQUIRE" in old.flags and "KF_ACQUIRE" not in new.flags:
        yield "KF_ACQUIRE is gone: its result must not be released"


def _program_types(old: Kfunc, new: Kfunc) -> Iterator[str]:
    if old.program_types is not None and new.program_types is not None:
        gone = sorted(set(old.program_types) - set(new.program_types))
        if gone and "unspec" not in new.program_types:
            yield f"not for programs of type {few(gone)} any more"


def ksym_rule(case: Case) -> Ruling:
    """Judge a variable, or a function whose address is taken."""
    name, expected = case.dependency.name, case.dependency.expected
    function = case.facts.functions.get(name)
    variables = case.facts.definitions(name, "var")
    if variables:
        return with_module(FINE, [row.image for row in variables])
    if function is not None and any(symbol.name == name for symbol in function.symbols):
        return with_module(FINE, [symbol.image for symbol in function.symbols if symbol.name == name])
    if case.facts.exports.get(name) is not None and case.facts.exports[name].is_present:
        return FINE
    if function is not None and function.is_present and not function.has_code:
        return function_rule(case)
    if expected is None or expected.removeprefix("const ").strip() in {"void", ""}:
        return Ruling(
            Outcome.OK,
            "",
            ("no type and no function of that name; of variables without a type in BTF nothing is known",),
        )
    return broken(
        Cause.KSYM_ABSENT,
        f"{refused(case, at_load=True)}: BTF has no variable {name}",
        ("no VAR and no FUNC of that name in BTF",),
    )
