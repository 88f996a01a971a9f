"""What a load from a program's context is a use of: an argument, a result, a field of an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ksurf.check.dependency import Kind
from ksurf.check.hook import is_pattern, split_hook
from ksurf.surface.attach import Mechanism

__all__ = ["context_dependency"]

_WORD = 8
"""Bytes of an argument in the context of a raw tracepoint or a trampoline."""
_REGISTERS: Mapping[str, int] = {
    # x86: as the kernel and as its headers for programs call them
    **{name: place for place, name in enumerate("di si dx cx r8 r9".split())},
    **{name: place for place, name in enumerate("rdi rsi rdx rcx".split())},
    **{f"regs[{place}]": place for place in range(8)},  # arm64
    **{f"gprs[{place + 2}]": place for place in range(5)},  # s390x
    **{f"gpr[{place + 3}]": place for place in range(8)},  # powerpc
    **{f"a{place}": place for place in range(8)},  # riscv
    **{f"uregs[{place}]": place for place in range(4)},  # arm
}
"""The parameters that ``struct pt_regs`` holds when a function begins, by each architecture's calling
convention (``PT_REGS_PARM1`` and so on of libbpf's bpf_tracing.h)."""
_RESULTS = frozenset(("ax", "rax", "regs[0]", "gprs[2]", "gpr[3]", "a0", "uregs[0]"))
_REGISTER_STRUCTS = frozenset(("pt_regs", "user_pt_regs", "user_regs_struct"))

Found = tuple[Kind, str, Mechanism, str | None]
"""Kind, name, mechanism and expected type of a dependency."""


def context_dependency(program: Mapping[str, Any], load: Mapping[str, Any]) -> Found | None:
    """What is read, given a row of ``programs`` and one of its ``context_loads``; ``None`` if it is nothing
    that kernels have each in their own way, or cannot be told.

    A program that runs after a function (``fexit``, ``fmod_ret``) finds the result behind the arguments, in
    the place of the number of parameters, which only the kernel tells: it is named by that place.
    """
    if program["mechanism"] is None or program["target"] is None:
        return None
    mechanism, target = Mechanism(program["mechanism"]), str(program["target"])
    place = load["byte_offset"] // _WORD
    match mechanism:
        case Mechanism.KPROBE | Mechanism.KRETPROBE | Mechanism.KPROBE_MULTI:
            return _register(program, mechanism, target, load["field"])
        case Mechanism.FENTRY | Mechanism.FEXIT | Mechanism.FMOD_RET:
            if is_pattern(target):
                return None
            return Kind.PARAMETER, f"{target}::{place}", mechanism, None
        case Mechanism.RAW_TP | Mechanism.TP_BTF:
            return Kind.TRACEPOINT_FIELD, f"{target}::{place}", mechanism, None
        case Mechanism.TRACEPOINT:
            return _event_field(program, target, load)
        case _:
            return None


def _register(
    program: Mapping[str, Any], mechanism: Mechanism, target: str, field: str | None
) -> Found | None:
    if field is None or program["context"] not in _REGISTER_STRUCTS:
        return None
    if is_pattern(target) or split_hook(target).offset:
        return None
    # `regs[1]` of a union in it is the register as well
    register = field.rpartition(".")[2]
    if register.startswith("regs[") and field == register and program["context"] == "pt_regs":
        return None  # of mips or loongarch, whose parameters begin elsewhere
    returns = str(program["definition"]).startswith("kretprobe")
    if returns and register in _RESULTS:
        return Kind.PARAMETER, f"{target}::return", mechanism, None
    if not returns and register in _REGISTERS:
        return Kind.PARAMETER, f"{target}::{_REGISTERS[register]}", mechanism, None
    return None


def _event_field(program: Mapping[str, Any], target: str, load: Mapping[str, Any]) -> Found | None:
    system, slash, event = target.partition("/")
    field: str | None = load["field"]
    # CO-RE says more of its own accesses, and the kernel's structs are not of one event but of its class.
    if not slash or field is None or load["relocated"] or program["context"].startswith("trace_event_raw_"):
        return None
    name = field.partition(".")[0]
    return Kind.TRACEPOINT_FIELD, f"{system}:{event}::{name}", Mechanism.TRACEPOINT, load["field_type"]
