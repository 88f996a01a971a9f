"""What a BCC tool can ask a kernel, and the names that BCC puts together."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ksurf.check.bcc.guard import Atom
from ksurf.check.bcc.source import Attach
from ksurf.check.bcc.text import CHOSEN, SYSCALL_PREFIX, UNKNOWN
from ksurf.check.dependency import Condition, Kind
from ksurf.surface.attach import Mechanism

__all__ = ["MECHANISMS", "SYSCALL_PREFIXES", "attached_to", "question", "syscall_of", "wildcards"]

SYSCALL_PREFIXES = (
    "sys_",
    "__x64_sys_",
    "__x32_compat_sys_",
    "__ia32_compat_sys_",
    "__arm64_sys_",
    "__s390x_sys_",
    "__s390_sys_",
    "__riscv_sys_",
    SYSCALL_PREFIX,
)
"""What BCC takes for the start of a system call's function."""


MECHANISMS = {
    "kprobe": Mechanism.KPROBE,
    "kretprobe": Mechanism.KRETPROBE,
    "tracepoint": Mechanism.TRACEPOINT,
    "raw_tracepoint": Mechanism.RAW_TP,
    "kfunc": Mechanism.FENTRY,
    "kretfunc": Mechanism.FEXIT,
    "kmod_ret": Mechanism.FMOD_RET,
    "lsm": Mechanism.LSM,
}
"""By BCC's names."""
_OF_FUNCTIONS = {"kprobe", "kretprobe"}


def syscall_of(function: str) -> str | None:
    """The system call that a function is put together for, or is, by BCC's rule."""
    prefix = next((prefix for prefix in SYSCALL_PREFIXES if function.startswith(prefix)), None)
    return function[len(prefix) :] if prefix else None


def question(method: str, arguments: list[str], text: str) -> Atom | None:
    """What a method of ``BPF`` asks the kernel; ``None`` if it is none of those that ask."""
    asked = _QUESTIONS.get(method)
    if asked is None:
        return None
    condition = None
    if not any(marker in one for one in arguments for marker in (CHOSEN, UNKNOWN)):
        condition = asked(arguments)
    if condition is None:
        return Atom(f"{method}({', '.join(arguments)})", text)
    key = f"{condition.kind.value} {condition.name} {condition.mechanism}"
    return Atom(key, text, condition)


def attached_to(calls: Sequence[Attach]) -> tuple[Condition, ...]:
    """What the first of these calls lacks where it fails."""
    for call in calls:
        event = call.event.plain
        if call.regex or CHOSEN in event:
            return ()
        if event.startswith(SYSCALL_PREFIX):
            return (Condition(Kind.SYSCALL, event.removeprefix(SYSCALL_PREFIX), False),)
        kind = Kind.FUNCTION if call.how in _OF_FUNCTIONS else Kind.TRACEPOINT
        return (Condition(kind, event, False, MECHANISMS[call.how]),)
    return ()


def _field(arguments: list[str]) -> Condition | None:
    match arguments:
        case [struct, field]:
            return Condition(Kind.FIELD, f"{struct}::{field}", True)
    return None


def _enumerator(arguments: list[str]) -> Condition | None:
    match arguments:
        case [enum, name]:
            return Condition(Kind.ENUMERATOR, f"{enum}::{name}", True)
    return None


def _functions(arguments: list[str]) -> Condition | None:
    match arguments:
        case [pattern, *_] if len(names := wildcards(pattern)) == 1:
            # BCC matches from the start and to no end, but the tools mean one function.
            name = names[0].removesuffix("*") if _NAME.fullmatch(pattern) else names[0]
            return Condition(Kind.FUNCTION, name, True, Mechanism.KPROBE)
    return None


def _event(arguments: list[str]) -> Condition | None:
    match arguments:
        case [category, event]:
            return Condition(Kind.TRACEPOINT, f"{category}:{event}", True)
    return None


def _symbol(arguments: list[str]) -> Condition | None:
    match arguments:
        case [name, *_] if name.startswith(SYSCALL_PREFIX):
            return Condition(Kind.SYSCALL, name.removeprefix(SYSCALL_PREFIX), True)
        case [name, *_]:
            return Condition(Kind.KSYM, name, True)
    return None


def _fixed(kind: Kind, name: str) -> Callable[[list[str]], Condition]:
    return lambda _: Condition(kind, name, True)


_QUESTIONS: dict[str, Callable[[list[str]], Condition | None]] = {
    "kernel_struct_has_field": _field,
    "kernel_enum_has_val": _enumerator,
    "get_kprobe_functions": _functions,
    "tracepoint_exists": _event,
    "ksymname": _symbol,
    # What BCC's ``src/python/bcc/__init__.py`` looks for in /proc/kallsyms to answer these.
    "support_kfunc": _fixed(Kind.KSYM, "bpf_trampoline_link_prog"),
    "support_fmod_ret": _fixed(Kind.ENUMERATOR, "bpf_attach_type::BPF_MODIFY_RETURN"),
    "support_lsm": _fixed(Kind.KSYM, "bpf_lsm_bpf"),
    "support_raw_tracepoint": _fixed(Kind.KSYM, "bpf_get_raw_tracepoint"),
    "support_raw_tracepoint_in_module": _fixed(Kind.KSYM, "bpf_trace_modules"),
}

_NAME = re.compile(r"\^?\w+\$?")
_ELEMENT = re.compile(r"(\\[.\w$^*+?|()\[\]]|\[[^\]]*\]|\.|[\w:])([*+?]|\{\d*,?\d*\})?")


def wildcards(pattern: str) -> list[str]:
    """A regular expression for names as patterns with ``*``, one for each alternative; rather too wide."""
    found = []
    # What stands in parentheses may be anything.
    for alternative in pattern.split("|") if "(" not in pattern else [pattern]:
        body = alternative.removeprefix("^")
        closed = body.endswith("$")
        body = body.removesuffix("$")
        name, position = "", 0
        while match := _ELEMENT.match(body, position):
            element, repeated = match[1], match[2]
            position = match.end()
            plain = element.removeprefix("\\")
            literal = element not in {".", "\\d", "\\w"} and not element.startswith("[")
            name += plain if literal and not repeated else "*"
        if position < len(body) or not closed:
            name += "*"
        found.append(re.sub(r"\*+", "*", name))
    return list(dict.fromkeys(found))
