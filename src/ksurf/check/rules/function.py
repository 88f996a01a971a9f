"""Functions: whether something can be attached to one by its name, and whether it then sees every call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind, Kind
from ksurf.check.facts import Facts, called_by
from ksurf.check.hook import base_name, is_pattern, split_hook
from ksurf.check.rules.case import (
    Case,
    Ruling,
    broken,
    changed,
    few,
    not_attachable,
    partial,
    refused,
    with_module,
)
from ksurf.check.spelling import hook_text
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.surface.attach import Mechanism, Refusal, Verdict
from ksurf.surface.attach_change import by_name
from ksurf.surface.function import SPLIT_SUFFIX, FunctionStatus, InlineKind, suffixes

__all__ = ["function_rule", "inline_callers", "name_of_ksyscall", "pattern_rule"]

_OTHERS = {
    Mechanism.KPROBE: (Mechanism.FENTRY, Mechanism.KPROBE_MULTI),
    Mechanism.KRETPROBE: (Mechanism.FEXIT, Mechanism.KPROBE_MULTI),
    Mechanism.KPROBE_MULTI: (Mechanism.KPROBE,),
    Mechanism.FENTRY: (Mechanism.KPROBE,),
    Mechanism.FEXIT: (Mechanism.KRETPROBE,),
}
"""What sees the same, best first."""
_TRAMPOLINES = {Mechanism.FENTRY, Mechanism.FEXIT, Mechanism.FMOD_RET}


def function_rule(case: Case) -> Ruling:
    """Judge a function that is attached to, or only named, on one kernel."""
    name = case.dependency.name
    if is_pattern(name):
        return pattern_rule(case)
    _, symbol, offset = split_hook(name)
    status = case.facts.functions.get(base_name(name))
    if status is None or not status.is_present:
        return _absent(case, symbol, status)
    if not status.has_code:
        return _inlined(case, status)
    own = [(s, v) for s, v in zip(status.symbols, status.attach or (), strict=True) if s.name == symbol]
    if not own:
        return _suffixed(case, symbol, status)
    ruling = _attached(case, symbol, status, [verdicts for _, verdicts in own])
    if ruling.outcome is not Outcome.BROKEN and offset is not None:
        ruling = _at_offset(case, symbol, offset, ruling)
    return with_module(ruling, [s.image for s, _ in own])


def _absent(case: Case, symbol: str, status: FunctionStatus | None) -> Ruling:
    evidence = status.reasons if status is not None else ()
    wrapper = case.facts.syscalls.of_symbol(symbol)
    suggestions: tuple[Suggestion, ...] = ()
    if wrapper is not None and wrapper.entry != symbol:
        evidence = (f"the system call {wrapper.name} is entered by {wrapper.entry} here", *evidence)
        suggestions = tuple(_wrapper_suggestions(case, wrapper.name, wrapper.entry))
    elif wrapper is None and case.facts.syscalls.rows and (called := called_by(symbol)) is not None:
        evidence = (f"there is no system call {called} on this architecture", *evidence)
    return broken(
        Cause.FUNCTION_ABSENT, f"{refused(case)}: the kernel has no function {symbol}", evidence, suggestions
    )


def _wrapper_suggestions(case: Case, name: str, entry: str) -> Iterator[Suggestion]:
    mechanism = case.dependency.mechanism or Mechanism.KPROBE
    text, language = hook_text(case.consumer, mechanism, entry)
    yield Suggestion(
        "the entry has the architecture's own name, and takes one struct pt_regs * with the arguments in it",
        text,
        language,
    )
    enter = "exit" if mechanism in {Mechanism.KRETPROBE, Mechanism.FEXIT} else "enter"
    event = f"syscalls:sys_{enter}_{name}"
    if case.consumer is ConsumerKind.BPF_OBJECT:
        short = name_of_ksyscall(entry)
        section = "kretsyscall" if enter == "exit" else "ksyscall"
        yield Suggestion("libbpf finds the entry on every architecture", f'SEC("{section}/{short}")', "c")
    else:
        text, language = hook_text(case.consumer, Mechanism.TRACEPOINT, event)
        yield Suggestion("its tracepoint is the same everywhere", text, language)


def name_of_ksyscall(entry: str) -> str:
    """What libbpf's ``ksyscall`` has to be given to find an entry: ``newstat`` of ``__x64_sys_newstat``."""
    return entry.partition("sys_")[2] or entry


def _inlined(case: Case, status: FunctionStatus) -> Ruling:
    callers = inline_callers(status)
    into = f" into {few(callers)}" if callers else ""
    return broken(
        Cause.FUNCTION_INLINED,
        f"{refused(case)}: {status.name} has no code of its own, it is inlined everywhere",
        (f"inlined{into}",),
    )


def inline_callers(status: FunctionStatus) -> list[str]:
    """The functions that hold copies of it, each once."""
    found = {s.caller: None for i in status.instances for s in i.inline_callers or ()}
    return [name for name in found if name != status.name]


def _suffixed(case: Case, symbol: str, status: FunctionStatus) -> Ruling:
    """The compiler changed its parameters or its code, and left only names with a suffix."""
    left = [(s, v) for s, v in zip(status.symbols, status.attach or (), strict=True) if s.name != symbol]
    left.sort(key=lambda held: SPLIT_SUFFIX in suffixes(held[0].name))
    names = list(dict.fromkeys(s.name for s, _ in left))
    suggestions = []
    mechanism = case.dependency.mechanism
    if mechanism in {None, Mechanism.KPROBE, Mechanism.KRETPROBE, Mechanism.KPROBE_MULTI}:
        usable = [
            s.name
            for s, verdicts in left
            if SPLIT_SUFFIX not in suffixes(s.name) and verdicts[mechanism or Mechanism.KPROBE].attachable
        ]
        if usable:
            text, language = hook_text(case.consumer, mechanism or Mechanism.KPROBE, usable[0])
            suggestions.append(
                Suggestion(
                    f"{few(usable)} can be attached to; its parameters may differ from the source's, and the "
                    "suffix from kernel to kernel",
                    text,
                    language,
                )
            )
    elif left and left[0][1][Mechanism.KPROBE].attachable:
        text, language = hook_text(case.consumer, _kprobe_for(mechanism), names[0])
        suggestions.append(
            Suggestion(
                f"BTF does not describe {names[0]}; a kprobe by that name works, and its parameters may "
                "differ from the source's",
                text,
                language,
            )
        )
    return broken(
        Cause.FUNCTION_RENAMED,
        f"{refused(case)}: no symbol is named {symbol}, the compiler left {few(names)}",
        _what_is_left(status),
        tuple(suggestions),
    )


def _kprobe_for(mechanism: Mechanism | None) -> Mechanism:
    return Mechanism.KRETPROBE if mechanism is Mechanism.FEXIT else Mechanism.KPROBE


def _what_is_left(status: FunctionStatus) -> tuple[str, ...]:
    evidence = [f"transformed by the compiler: {', '.join(f'.{s}' for s in status.suffixes)}"]
    if callers := inline_callers(status):
        evidence.append(f"inlined into {few(callers)}")
    return tuple(evidence) if status.suffixes else tuple(evidence[1:])


def _attached(
    case: Case, symbol: str, status: FunctionStatus, verdicts: Sequence[Mapping[Mechanism, Verdict]]
) -> Ruling:
    mechanism = case.dependency.mechanism
    found = by_name(verdicts)
    verdict = Verdict(True) if mechanism is None else found.get(mechanism, Verdict(True))
    if mechanism is not None and not verdict.attachable:
        reasons = _reasons(mechanism, verdicts)
        others = tuple(_other_mechanisms(case, symbol, found))
        if mechanism in _TRAMPOLINES and any(_is_shared(one[mechanism]) for one in verdicts):
            return _one_of_several(symbol, mechanism, len(verdicts), reasons, others)
        return not_attachable(case, verdict, f"{mechanism.value} does not take {symbol}", reasons, others)
    missed, evidence = _missed(case, symbol, status, verdict, len(verdicts))
    if not missed:
        return Ruling(Outcome.OK, "", evidence)
    return partial(next(iter(missed)), "; ".join(missed.values()), evidence)


def _is_shared(verdict: Verdict) -> bool:
    """Nothing speaks against it but that the name is shared."""
    return verdict.refusal is Refusal.NAME_SHARED and not verdict.at_load


def _one_of_several(
    symbol: str, mechanism: Mechanism, count: int, reasons: tuple[str, ...], others: tuple[Suggestion, ...]
) -> Ruling:
    """The verifier looks a name up among all symbols, and takes what comes (``kallsyms_lookup_name``)."""
    return changed(
        Cause.NAME_SHARED,
        f"{mechanism.value} meets one of the {count} functions named {symbol}, and reads its "
        "arguments by the prototype of one of them; where ftrace has no place in it, it is refused at attach",
        reasons,
        others,
    )


def _reasons(mechanism: Mechanism, verdicts: Sequence[Mapping[Mechanism, Verdict]]) -> tuple[str, ...]:
    """Why it is refused: several symbols of a name may be so for several reasons."""
    held = (one[mechanism].reason for one in verdicts if mechanism in one)
    return tuple(dict.fromkeys(reason for reason in held if reason is not None))


def _other_mechanisms(case: Case, symbol: str, found: Mapping[Mechanism, Verdict]) -> Iterator[Suggestion]:
    mechanism = case.dependency.mechanism
    for other in _OTHERS.get(mechanism, ()) if mechanism else ():
        if found[other].attachable:
            text, language = hook_text(case.consumer, other, symbol)
            catch = f", but {found[other].reason}" if found[other].reason else ""
            yield Suggestion(f"{other.value} works there{catch}", text, language)
            return


def _missed(
    case: Case, symbol: str, status: FunctionStatus, verdict: Verdict, count: int
) -> tuple[dict[Cause, str], tuple[str, ...]]:
    """Which calls a probe by that name does not see, and why; what matters most comes first."""
    missed: dict[Cause, str] = {}
    evidence = []
    if count > 1:
        files = sorted({f for i in status.instances if i.row.out_of_line and (f := i.function.decl_file)})
        missed[Cause.NAME_SHARED] = (
            f"{count} functions are named {symbol}, and only the first of them is meant"
        )
        evidence.append(f"defined in {few(files)}" if files else f"{count} symbols of this name")
        if verdict.reason is not None:
            evidence.append(verdict.reason)
    if symbol == status.name:
        places = {(i.function.decl_file, i.function.decl_line) for i in status.instances if i.row.out_of_line}
        same = [i for i in status.instances if (i.function.decl_file, i.function.decl_line) in places]
        callers = [
            name
            for name in dict.fromkeys(s.caller for i in same for s in i.inline_callers or ())
            if name != status.name
        ]
        if status.inline is InlineKind.SELECTIVE and callers:
            missed.setdefault(
                Cause.FUNCTION_INLINED_PARTLY,
                f"calls from {few(callers)} are missed, into which it is inlined",
            )
            evidence.append(f"inlined into {len(callers)} function{'s' if len(callers) > 1 else ''}")
        clones = [s.name for s in status.symbols if s.name != symbol and SPLIT_SUFFIX not in suffixes(s.name)]
        if clones:
            copies = few(list(dict.fromkeys(clones)))
            missed[Cause.FUNCTION_COPIED] = f"calls of {copies} are missed, copies by the compiler"
    return missed, tuple(evidence)


def _at_offset(case: Case, symbol: str, offset: int, ruling: Ruling) -> Ruling:
    """An instruction of the function: its code must be that of the kernel for which the offset was found."""
    size = _byte_size(case.facts, symbol)
    if size is not None and offset >= size:
        return broken(
            Cause.CODE_CHANGED,
            f"{refused(case)}: the offset {offset:#x} is behind the end of {symbol}",
            (f"{symbol} has {size:#x} bytes",),
        )
    before = None if case.baseline is None else _byte_size(case.baseline, symbol)
    if case.baseline is None or case.baseline.kernel == case.facts.kernel or before is None or size is None:
        return ruling
    if before != size:
        return changed(
            Cause.CODE_CHANGED,
            f"at {offset:#x} another instruction may be met: the code of {symbol} differs",
            (f"{symbol} has {size:#x} bytes, and {before:#x} on {case.baseline.kernel.release}",),
        )
    told = "whether the offset still means the same instruction cannot be told: the function is as long"
    return replace(ruling, consequence="; ".join(filter(None, (ruling.consequence, told))))


def _byte_size(facts: Facts, symbol: str) -> int | None:
    status = facts.functions.get(base_name(symbol))
    sizes = [s.byte_size for s in status.symbols if s.name == symbol] if status is not None else []
    return sizes[0] if sizes else None


def pattern_rule(case: Case) -> Ruling:
    """Judge a pattern of names of functions or of events."""
    name, kind = case.dependency.name, case.dependency.kind
    key = kind, name, case.dependency.mechanism
    matches = case.facts.matches.get(key)
    what = "event" if kind is Kind.TRACEPOINT else "function"
    if matches is None or not matches.names:
        return broken(Cause.NOTHING_MATCHES, f"{refused(case)}: no {what} matches {name}")
    total, refused_names = len(matches.names), matches.refused
    count = f"{total} {what}{'s' if total > 1 else ''} match{'' if total > 1 else 'es'}"
    if len(refused_names) == total:
        reasons = tuple(dict.fromkeys(refused_names.values()))
        return broken(
            Cause.NOTHING_MATCHES,
            f"{refused(case)}: {count} {name}, and none can be attached to",
            reasons[:3],
        )
    evidence: tuple[str, ...] = ()
    if refused_names:
        count += f", of which {len(refused_names)} cannot be attached to and are left out"
        evidence = tuple(f"{one}: {reason}" for one, reason in list(refused_names.items())[:3])
    if (baseline := case.baseline) is not None and baseline.kernel != case.facts.kernel:
        before = baseline.matches.get(key)
        gone = sorted(set(before.names) - set(matches.names)) if before is not None else []
        if gone:
            evidence += (f"matched on {baseline.kernel.release} and not here: {few(gone)}",)
    return with_module(Ruling(Outcome.OK, count, evidence), matches.images)
