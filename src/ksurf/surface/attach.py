"""Attachability: whether a mechanism can be attached to something of a kernel, and if not, why not.

Pure functions over small facts; every rule stands in one place, with the part of the kernel that makes it so.
What a kernel as a whole can do is told by what is in it (:class:`Features`), never by its version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from ksurf.dataset.rows import AttachRows, Marks, Symbol

__all__ = [
    "BPF_FUNC_ARGS_LIMIT",
    "CodeFacts",
    "Features",
    "HookFacts",
    "KfuncFacts",
    "Mechanism",
    "Refusal",
    "TracepointFacts",
    "Verdict",
    "attach_any",
    "attach_code",
    "attach_hook",
    "attach_kfunc",
    "attach_symbols",
    "attach_tracepoint",
    "code_facts",
    "features_of",
]

BPF_FUNC_ARGS_LIMIT = 12
"""``MAX_BPF_FUNC_ARGS``: the most parameters that a trampoline takes (include/linux/bpf.h)."""

_IN_REGISTERS = {"amd64": (6, "get_nr_used_regs"), "arm64": (8, "calc_arg_aux")}
"""How many an architecture's trampoline took before it knew those on the stack, and the function that
came with that (arch/x86/net/bpf_jit_comp.c, arch/arm64/net/bpf_jit_comp.c).
"""


class Mechanism(Enum):
    """A way to run a program at some place of the kernel, or to call it, by libbpf's name."""

    KPROBE = "kprobe"
    KRETPROBE = "kretprobe"
    KPROBE_MULTI = "kprobe.multi"
    FENTRY = "fentry"
    FEXIT = "fexit"
    FMOD_RET = "fmod_ret"
    TRACEPOINT = "tracepoint"
    RAW_TP = "raw_tp"
    TP_BTF = "tp_btf"
    LSM = "lsm"
    KSYSCALL = "ksyscall"
    KFUNC_CALL = "kfunc call"


class Refusal(Enum):
    """Why something cannot be attached to: a word that stays, for each rule."""

    INIT_CODE = "init-code"
    KPROBE_BLACKLIST = "kprobe-blacklist"
    NAME_SHARED = "name-shared"
    NO_KPROBE_MULTI = "no-kprobe-multi"
    NO_FPROBE = "no-fprobe"
    NO_FTRACE_SITE = "no-ftrace-site"
    NO_BTF = "no-btf"
    NO_TRAMPOLINE = "no-trampoline"
    NOT_IN_BTF = "not-in-btf"
    VARIADIC = "variadic"
    TOO_MANY_PARAMETERS = "too-many-parameters"
    TRAMPOLINE_DENIED = "trampoline-denied"
    NO_RETURN = "no-return"
    RESULT_FIXED = "result-fixed"
    NO_BPF_LSM = "no-bpf-lsm"
    HOOK_NOT_FOR_BPF = "hook-not-for-bpf"
    NO_EVENT = "no-event"
    NO_TRACEPOINT = "no-tracepoint"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it can be attached. A reason is always there for "no", and for "yes" where there is a catch."""

    attachable: bool
    reason: str | None = None
    refusal: Refusal | None = field(default=None, compare=False)
    """The rule that says no."""
    at_load: bool = field(default=False, compare=False)
    """It is refused when the program is loaded, by libbpf or the verifier, and not when it is attached."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a kernel can do at all, as its symbols and types tell."""

    kprobe_multi: bool
    """``enum bpf_attach_type`` has ``BPF_TRACE_KPROBE_MULTI``."""
    fprobe: bool
    """``register_fprobe_ips`` is there (``CONFIG_FPROBE``), not the inline one that refuses."""
    trampoline: bool
    """``arch_prepare_bpf_trampoline`` is the architecture's own, not the weak one that refuses."""
    ftrace_direct: bool
    """``register_ftrace_direct`` is there (``CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS``)."""
    unique_kprobes: bool
    """``number_of_same_symbols`` is there: a probe by an ambiguous name is refused."""
    bpf_lsm: bool
    """``bpf_lsm_*`` functions are there (``CONFIG_BPF_LSM``)."""
    btf: bool
    """vmlinux ships BTF."""
    trampoline_args: int = BPF_FUNC_ARGS_LIMIT
    """The parameters that the architecture's trampoline takes."""


@dataclass(frozen=True, slots=True)
class CodeFacts:
    """What is known of a symbol of code. Few combinations exist, so that a kernel needs few judgements."""

    ftrace: bool | None
    kprobe_blacklist: str | None
    error_injection: str | None
    init: bool
    namesakes: int = 0
    """Other symbols of the same name in the image, and in vmlinux."""
    btf_functions: int = 0
    """``FUNC`` entries of that name in the image's BTF."""
    parameters: int | None = None
    """How many its BTF prototype has."""
    variadic: bool = False
    denied: bool = False
    """It is in the set ``btf_id_deny``: trampolines must leave it alone."""
    no_return: bool = False
    """It is in the set ``noreturn_deny``: it never returns."""
    modify_return: bool = False
    """It is in a set that is registered for ``fmod_ret``, or begins with ``security_``."""


@dataclass(frozen=True, slots=True)
class TracepointFacts:
    """What is known of a trace event or a bare tracepoint."""

    event: bool
    """It has an event in a system."""
    tracepoint: bool
    """There is a ``struct tracepoint`` behind it."""
    btf_typedef: bool | None
    """The image's BTF has ``btf_trace_NAME``; ``None`` where the image has no BTF."""


@dataclass(frozen=True, slots=True)
class HookFacts:
    """What is known of an LSM hook."""

    btf_function: bool
    """BTF has ``bpf_lsm_NAME``."""
    listed: bool
    """It is in the set ``bpf_lsm_hooks``."""
    disabled: bool
    """It is in the set ``bpf_lsm_disabled_hooks``."""


@dataclass(frozen=True, slots=True)
class KfuncFacts:
    """What is known of a kfunc."""

    btf_function: bool
    program_types: tuple[str, ...] | None
    """Names of the program types that it is registered for; ``None`` where the image does not tell."""


def features_of(marks: Marks) -> Features:
    """Tell what a kernel can do from what is in it."""
    return Features(
        kprobe_multi="BPF_TRACE_KPROBE_MULTI" in marks.attach_types,
        fprobe=marks.binds.get("register_fprobe_ips") == "STB_GLOBAL",
        trampoline=marks.binds.get("arch_prepare_bpf_trampoline") == "STB_GLOBAL",
        ftrace_direct="register_ftrace_direct" in marks.binds,
        unique_kprobes="number_of_same_symbols" in marks.binds,
        bpf_lsm="bpf_lsm_file_open" in marks.binds,
        btf=marks.btf,
        trampoline_args=_trampoline_args(marks),
    )


def _trampoline_args(marks: Marks) -> int:
    registers, function = _IN_REGISTERS.get(marks.arch, (BPF_FUNC_ARGS_LIMIT, ""))
    return BPF_FUNC_ARGS_LIMIT if function in marks.binds else registers


def code_facts(symbol: Symbol, symbols: Iterable[Symbol], rows: AttachRows) -> CodeFacts:
    """Gather what is known of one symbol; ``symbols`` are all of its function's name on the kernel.

    BTF and the sets know functions, not what the compiler made of them: a suffix is another name.
    """
    same = [s for s in symbols if s.name == symbol.name and s.image in {symbol.image, "vmlinux"}]
    prototypes = [row.definition for row in rows.prototypes if row.image == symbol.image]
    prototypes = prototypes if symbol.name == rows.name else []
    parameters = prototypes[0].members if prototypes else ()
    own = [row for row in rows.btf_ids if symbol.name == row.name and row.kind == "func"]
    sets = {row.set for row in own}
    return CodeFacts(
        ftrace=symbol.ftrace,
        kprobe_blacklist=symbol.kprobe_blacklist,
        error_injection=symbol.error_injection,
        init=symbol.init,
        namesakes=len(same) - 1,
        btf_functions=len(prototypes),
        parameters=len(parameters) if prototypes else None,
        variadic=any(parameter.type == "..." for parameter in parameters[-1:]),
        denied="btf_id_deny" in sets,
        no_return="noreturn_deny" in sets,
        modify_return=symbol.name.startswith("security_")
        or any(row.registered_as == "fmod_ret" or "fmodret" in row.set for row in own),
    )


def attach_symbols(symbols: Sequence[Symbol], rows: AttachRows) -> tuple[Mapping[Mechanism, Verdict], ...]:
    """Judge each of a function's symbols on a kernel; ``symbols`` are all of the function's name."""
    features = features_of(rows.marks)
    return tuple(attach_code(code_facts(symbol, symbols, rows), features) for symbol in symbols)


def attach_code(facts: CodeFacts, features: Features) -> dict[Mechanism, Verdict]:
    """Judge the mechanisms that attach to a symbol of code."""
    return {mechanism: rule(facts, features) for mechanism, rule in _CODE_RULES.items()}


def attach_any(features: Features) -> dict[Mechanism, Verdict]:
    """Judge a function that nothing speaks against: what the kernel can attach to functions at all."""
    facts = CodeFacts(True, None, "EI_ETYPE_ERRNO", init=False, btf_functions=1, parameters=0)
    return attach_code(facts, features)


def attach_tracepoint(facts: TracepointFacts) -> dict[Mechanism, Verdict]:
    """Judge the mechanisms that attach to a trace event or tracepoint."""
    return {
        Mechanism.TRACEPOINT: _tracepoint(facts),
        Mechanism.RAW_TP: _raw_tracepoint(facts),
        Mechanism.TP_BTF: _at_load(_btf_tracepoint(facts)),
    }


def attach_hook(facts: HookFacts, features: Features) -> Verdict:
    """Judge ``lsm`` on a hook: a trampoline of the hook's function calls the program, as for ``fexit``."""
    verdict = _at_load(_hook(facts, features))
    return verdict if not verdict.attachable else _no_trampoline(features) or verdict


def _hook(facts: HookFacts, features: Features) -> Verdict:
    # kernel/bpf/bpf_lsm.c, bpf_lsm_verify_prog, when it is loaded.
    if not features.bpf_lsm:
        return _no(Refusal.NO_BPF_LSM, "the kernel has no BPF LSM (no function bpf_lsm_*)")
    if facts.disabled:
        return _no(Refusal.HOOK_NOT_FOR_BPF, "BPF must not attach to it (set bpf_lsm_disabled_hooks)")
    if not facts.listed:
        return _no(Refusal.HOOK_NOT_FOR_BPF, "it is not among the hooks for BPF (set bpf_lsm_hooks)")
    if not facts.btf_function:
        return _no(Refusal.NOT_IN_BTF, "its function bpf_lsm_* is not in BTF")
    return _YES


def attach_kfunc(facts: KfuncFacts) -> Verdict:
    """Judge a call from a BPF program (kernel/bpf/btf.c, ``btf_kfunc_id_set_contains``)."""
    if not facts.btf_function:
        return _at_load(_no(Refusal.NOT_IN_BTF, "no FUNC of this name in BTF"))
    if facts.program_types is None:
        return Verdict(True, "for which program types the image does not tell")
    kinds = sorted(kind.removeprefix("BPF_PROG_TYPE_").lower() for kind in facts.program_types)
    return Verdict(True, f"from programs of type {', '.join(kinds)}")


_YES = Verdict(True)


def _no(refusal: Refusal, reason: str) -> Verdict:
    return Verdict(False, reason, refusal)


def _at_load(verdict: Verdict) -> Verdict:
    return verdict if verdict.attachable else replace(verdict, at_load=True)


def _kprobe(facts: CodeFacts, features: Features) -> Verdict:
    # kernel/kprobes.c, check_kprobe_address_safe and within_kprobe_blacklist; kernel/trace/trace_kprobe.c.
    if facts.init:
        return _no(Refusal.INIT_CODE, "it is gone once the kernel runs (.init.text)")
    if facts.kprobe_blacklist == "NOKPROBE_SYMBOL":
        return _no(Refusal.KPROBE_BLACKLIST, "kprobes refuse it (NOKPROBE_SYMBOL, in _kprobe_blacklist)")
    if facts.kprobe_blacklist is not None:
        return _no(Refusal.KPROBE_BLACKLIST, f"kprobes refuse its section ({facts.kprobe_blacklist})")
    if facts.namesakes and features.unique_kprobes:
        return _no(
            Refusal.NAME_SHARED,
            f"the name is ambiguous ({facts.namesakes + 1} symbols), which this kernel refuses",
        )
    if facts.namesakes:
        return Verdict(True, f"by name, the first of {facts.namesakes + 1} symbols is meant")
    return _YES


def _kprobe_multi(facts: CodeFacts, features: Features) -> Verdict:
    # kernel/trace/bpf_trace.c, bpf_kprobe_multi_link_attach: fprobe on top of ftrace; -EOPNOTSUPP without it.
    if not features.kprobe_multi:
        return _no(
            Refusal.NO_KPROBE_MULTI,
            "the kernel has no kprobe.multi (BPF_TRACE_KPROBE_MULTI is not in enum bpf_attach_type)",
        )
    if not features.fprobe:
        return _no(
            Refusal.NO_FPROBE,
            "the kernel has no fprobe (no register_fprobe_ips), on which kprobe.multi stands",
        )
    if (refusal := _no_ftrace(facts)) is not None:
        return refusal
    if facts.namesakes:
        return Verdict(True, f"by name, the first of {facts.namesakes + 1} symbols is meant")
    return _YES


def _fentry(facts: CodeFacts, features: Features) -> Verdict:
    verdict = _trampoline(facts, features)
    return _at_load(verdict) if _is_refused_at_load(facts, features) else verdict


def _is_refused_at_load(facts: CodeFacts, features: Features) -> bool:
    """Whether libbpf or the verifier refuses the program, whatever the trampoline would.

    libbpf looks for the FUNC (``libbpf_find_attach_btf_id``), the verifier at its prototype and the sets
    (kernel/bpf/btf.c, ``btf_distill_func_proto``; kernel/bpf/verifier.c, ``check_attach_btf_id``).
    """
    parameters = 0 if facts.parameters is None else facts.parameters
    return (
        not features.btf
        or not facts.btf_functions
        or facts.variadic
        or parameters > BPF_FUNC_ARGS_LIMIT
        or facts.denied
    )


def _trampoline(facts: CodeFacts, features: Features) -> Verdict:
    # kernel/bpf/verifier.c, bpf_check_attach_target, when it is loaded; when it is attached,
    # kernel/bpf/trampoline.c, register_fentry, and the architecture's arch_prepare_bpf_trampoline: -ENOTSUPP
    # if that, or ftrace's direct calls, cannot do it, -EBUSY of bpf_arch_text_poke if ftrace has no place.
    if not features.btf:
        return _no(Refusal.NO_BTF, "the kernel ships no BTF")
    if (refusal := _no_trampoline(features) or _no_ftrace(facts)) is not None:
        return refusal
    if not facts.btf_functions:
        return _no(Refusal.NOT_IN_BTF, "no FUNC of this name in the image's BTF")
    if facts.btf_functions > 1 or facts.namesakes:
        count = max(facts.btf_functions, facts.namesakes + 1)
        return _no(
            Refusal.NAME_SHARED,
            f"the name is ambiguous ({count} of this name): which one is meant cannot be told",
        )
    if facts.variadic:
        return _no(Refusal.VARIADIC, "it takes a variable number of arguments")
    if facts.parameters is not None and facts.parameters > features.trampoline_args:
        return _no(
            Refusal.TOO_MANY_PARAMETERS,
            f"it has {facts.parameters} parameters, a trampoline takes {features.trampoline_args}",
        )
    if facts.denied:
        return _no(Refusal.TRAMPOLINE_DENIED, "trampolines must leave it alone (set btf_id_deny)")
    return _YES


def _no_trampoline(features: Features) -> Verdict | None:
    if not features.trampoline:
        return _no(
            Refusal.NO_TRAMPOLINE,
            "the architecture has no BPF trampoline (arch_prepare_bpf_trampoline is weak)",
        )
    if not features.ftrace_direct:
        return _no(Refusal.NO_TRAMPOLINE, "ftrace has no direct calls here (no register_ftrace_direct)")
    return None


def _fexit(facts: CodeFacts, features: Features) -> Verdict:
    if facts.no_return:
        return _at_load(_no(Refusal.NO_RETURN, "it never returns (set noreturn_deny)"))
    return _fentry(facts, features)


def _fmod_ret(facts: CodeFacts, features: Features) -> Verdict:
    # kernel/bpf/verifier.c, check_attach_modify_return.
    fexit = _fexit(facts, features)
    modifiable = facts.error_injection is not None or facts.modify_return
    if not fexit.attachable:
        return fexit if modifiable else _at_load(fexit)
    if not modifiable:
        reason = "its return value must not be changed (not in _error_injection_whitelist, no fmod_ret set)"
        return _at_load(_no(Refusal.RESULT_FIXED, reason))
    return _YES


def _no_ftrace(facts: CodeFacts) -> Verdict | None:
    if facts.init:
        return _no(Refusal.INIT_CODE, "it is gone once the kernel runs (.init.text)")
    if facts.ftrace is None:
        return _no(Refusal.NO_FTRACE_SITE, "the image lists no places for ftrace (no __mcount_loc)")
    if not facts.ftrace:
        return _no(
            Refusal.NO_FTRACE_SITE,
            "ftrace has no place in it (inline, notrace, noinstr or assembly: not in __mcount_loc)",
        )
    return None


_CODE_RULES: Mapping[Mechanism, Callable[[CodeFacts, Features], Verdict]] = {
    Mechanism.KPROBE: _kprobe,
    Mechanism.KRETPROBE: _kprobe,
    Mechanism.KPROBE_MULTI: _kprobe_multi,
    Mechanism.FENTRY: _fentry,
    Mechanism.FEXIT: _fexit,
    Mechanism.FMOD_RET: _fmod_ret,
}


def _tracepoint(facts: TracepointFacts) -> Verdict:
    return (
        _YES if facts.event else _no(Refusal.NO_EVENT, "it is a bare tracepoint: it has no event in events/")
    )


def _raw_tracepoint(facts: TracepointFacts) -> Verdict:
    # include/trace/bpf_probe.h makes an entry of __bpf_raw_tp_map and the typedef btf_trace_* together.
    if not facts.tracepoint:
        return _no(Refusal.NO_TRACEPOINT, "no tracepoint is behind this event")
    if facts.btf_typedef is False:
        return _no(Refusal.NO_TRACEPOINT, "no raw tracepoint is made of it (no typedef btf_trace_* in BTF)")
    return _YES


def _btf_tracepoint(facts: TracepointFacts) -> Verdict:
    if not facts.tracepoint:
        return _no(Refusal.NO_TRACEPOINT, "no tracepoint is behind this event")
    if facts.btf_typedef is None:
        return _no(Refusal.NO_BTF, "the image ships no BTF")
    if not facts.btf_typedef:
        return _no(Refusal.NOT_IN_BTF, "no typedef btf_trace_* in the image's BTF")
    return _YES
