"""Why a finding is not ok: one word for each cause, which stays, and one sentence about it.

Reports group by them, ``ksurf.toml`` accepts by them, and ``docs/commands/check.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ksurf.surface.attach import Refusal

__all__ = ["CAUSES", "Cause", "cause_of"]


class Cause(Enum):
    """A cause: its value is the word, :attr:`sentence` says what it means."""

    sentence: str
    """For people, of any kernel and program."""

    def __new__(cls, word: str, sentence: str) -> Cause:
        """Make one whose value is the word."""
        made = object.__new__(cls)
        made._value_ = word
        made.sentence = sentence
        return made

    # Functions
    FUNCTION_ABSENT = "function-absent", "The kernel has no function of that name."
    FUNCTION_INLINED = (
        "function-inlined",
        "The compiler inlined every call of the function: nothing is left to attach to.",
    )
    FUNCTION_INLINED_PARTLY = (
        "function-inlined-partly",
        "The compiler inlined some calls of the function: a probe does not see these.",
    )
    FUNCTION_RENAMED = (
        "function-renamed",
        "The compiler changed the function and left only symbols with a suffix (.isra, .constprop, .part).",
    )
    FUNCTION_COPIED = (
        "function-copied",
        "The compiler made copies of the function under other names: a probe does not see their calls.",
    )
    CODE_CHANGED = (
        "code-changed",
        "The function's code is not that for which an offset into it was found.",
    )
    NOTHING_MATCHES = "nothing-matches", "Nothing that can be attached to matches the pattern."
    NAME_SHARED = (
        "name-shared",
        "Several functions share the name: it is refused, or another one than is meant is met.",
    )

    # Mechanisms
    INIT_CODE = "init-code", "The function is gone once the kernel has booted."
    KPROBE_BLACKLIST = "kprobe-blacklist", "Kprobes must leave the function alone."
    NO_KPROBE_MULTI = "no-kprobe-multi", "The kernel knows no kprobe.multi."
    NO_FPROBE = "no-fprobe", "The kernel was built without fprobe, on which kprobe.multi stands."
    NO_FTRACE_SITE = "no-ftrace-site", "Ftrace has no place in the function, on which the mechanism stands."
    NO_BTF = "no-btf", "The kernel, or the module, ships no BTF."
    NO_TRAMPOLINE = "no-trampoline", "The kernel has no BPF trampolines, or ftrace cannot call them."
    NOT_IN_BTF = "not-in-btf", "BTF does not describe it."
    VARIADIC = "variadic", "The function takes a variable number of arguments, which a trampoline cannot."
    TOO_MANY_PARAMETERS = (
        "too-many-parameters",
        "The function has more parameters than a trampoline takes on that architecture.",
    )
    TRAMPOLINE_DENIED = "trampoline-denied", "BPF trampolines must leave the function alone."
    NO_RETURN = "no-return", "The function never returns."
    RESULT_FIXED = "result-fixed", "Programs must not change what the function returns."

    # What functions are called with
    PARAMETER_ABSENT = "parameter-absent", "A function or tracepoint has no such parameter."
    PARAMETER_CHANGED = (
        "parameter-changed",
        "A parameter is another one, has another type, or is at another place.",
    )
    RESULT_CHANGED = "result-changed", "The function returns something else."
    ARGUMENTS_IN_REGISTERS = (
        "arguments-in-registers",
        "The entry of a system call is given its arguments in a struct pt_regs.",
    )

    # Events, hooks, system calls
    TRACEPOINT_ABSENT = "tracepoint-absent", "The kernel has no trace event or tracepoint of that name."
    NO_EVENT = "no-event", "It is a bare tracepoint, without an event."
    NO_TRACEPOINT = "no-tracepoint", "The event has no tracepoint that raw programs can be attached to."
    EVENT_FIELD_ABSENT = "event-field-absent", "The trace event has no such field."
    EVENT_FIELD_CHANGED = (
        "event-field-changed",
        "A field of the trace event has another type or size, or lies elsewhere.",
    )
    SYSCALL_ABSENT = "syscall-absent", "The architecture has no such system call."
    SYSCALL_RENAMED = "syscall-renamed", "The system call is entered by a function of another name."
    HOOK_ABSENT = "hook-absent", "The kernel has no such LSM hook."
    HOOK_CHANGED = "hook-changed", "The LSM hook is called with other arguments."
    HOOK_NOT_FOR_BPF = "hook-not-for-bpf", "The kernel does not let BPF attach to that LSM hook."
    NO_BPF_LSM = "no-bpf-lsm", "The kernel was built without LSM programs of BPF."

    # What BPF offers
    ITERATOR_ABSENT = "iterator-absent", "The kernel has no such BPF iterator."
    STRUCT_OPS_ABSENT = (
        "struct-ops-absent",
        "The kernel has no such struct of operations, or BPF cannot implement it.",
    )
    KFUNC_ABSENT = "kfunc-absent", "The kernel has no such kfunc."
    KFUNC_CHANGED = "kfunc-changed", "The kfunc has another prototype, other flags, or other users."
    KFUNC_FOR_OTHERS = "kfunc-for-others", "Programs of that type must not call the kfunc."
    KSYM_ABSENT = "ksym-absent", "The kernel has no such variable or function for a program to refer to."
    HELPER_ABSENT = "helper-absent", "The kernel has no such helper."
    PROGRAM_TYPE_ABSENT = "program-type-absent", "The kernel has no such type of programs."
    ATTACH_TYPE_ABSENT = "attach-type-absent", "The kernel has no such way to attach programs."
    MAP_TYPE_ABSENT = "map-type-absent", "The kernel has no such type of maps."

    # Types
    TYPE_ABSENT = "type-absent", "The kernel has no type of that name."
    LAYOUT_CHANGED = "layout-changed", "The kernel's type is laid out otherwise than what was compiled in."
    FIELD_ABSENT = "field-absent", "The type has no such field."
    FIELD_CHANGED = "field-changed", "The field has another type or size."
    OTHER_ARCHITECTURE = (
        "other-architecture",
        "The program was compiled for the registers of another architecture.",
    )
    ENUMERATOR_ABSENT = "enumerator-absent", "The enum has no such name."
    ENUMERATOR_CHANGED = "enumerator-changed", "The name of the enum has another value than was compiled in."
    RELOCATION_FAILED = (
        "relocation-failed",
        "A CO-RE relocation fails for another reason.",
    )

    # Modules and configuration
    EXPORT_ABSENT = "export-absent", "The kernel does not export the symbol."
    EXPORT_INLINE = "export-inline", "It is an inline function of a header, and no symbol."
    EXPORT_CRC = "export-crc", "The symbol's CRC is not the one that the module was built with."
    EXPORT_CHANGED = "export-changed", "The symbol has another prototype than the module was built with."
    EXPORT_GPL_ONLY = "export-gpl-only", "The symbol is for modules under the GPL only."
    MODULE_VERMAGIC = (
        "module-vermagic",
        "The module was built for a kernel of another release, or built otherwise.",
    )
    EXPORT_NAMESPACE = "export-namespace", "The symbol is in a namespace that is not imported."
    CONFIG_ABSENT = "config-absent", "The kernel's configuration has no such option, or it is not set."
    CONFIG_CHANGED = "config-changed", "The option of the configuration has another value."


CAUSES: Mapping[str, Cause] = {cause.value: cause for cause in Cause}
"""By their words."""


def cause_of(refusal: Refusal) -> Cause:
    """The cause that a refusal to attach is: they have the same words."""
    return CAUSES[refusal.value]
