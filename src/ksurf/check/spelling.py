"""How each kind of consumer writes a hook: for suggestions."""

from __future__ import annotations

from ksurf.check.dependency import ConsumerKind
from ksurf.surface.attach import Mechanism

__all__ = ["hook_text"]

_SECTIONS = {
    Mechanism.KPROBE: "kprobe",
    Mechanism.KRETPROBE: "kretprobe",
    Mechanism.KPROBE_MULTI: "kprobe.multi",
    Mechanism.FENTRY: "fentry",
    Mechanism.FEXIT: "fexit",
    Mechanism.FMOD_RET: "fmod_ret",
    Mechanism.TRACEPOINT: "tp",
    Mechanism.RAW_TP: "raw_tp",
    Mechanism.TP_BTF: "tp_btf",
    Mechanism.LSM: "lsm",
    Mechanism.KSYSCALL: "ksyscall",
}
_PROBES = {
    Mechanism.KPROBE_MULTI: "kprobe",
    Mechanism.RAW_TP: "rawtracepoint",
    Mechanism.TP_BTF: "rawtracepoint",
}
_ATTACHES = {
    Mechanism.KPROBE: 'b.attach_kprobe(event="{}", fn_name=...)',
    Mechanism.KPROBE_MULTI: 'b.attach_kprobe(event_re="^{}$", fn_name=...)',
    Mechanism.KRETPROBE: 'b.attach_kretprobe(event="{}", fn_name=...)',
    Mechanism.TRACEPOINT: 'b.attach_tracepoint(tp="{}", fn_name=...)',
    Mechanism.RAW_TP: 'b.attach_raw_tracepoint(tp="{}", fn_name=...)',
    Mechanism.FENTRY: "KFUNC_PROBE({}, ...)",
    Mechanism.FEXIT: "KRETFUNC_PROBE({}, ...)",
}


def hook_text(consumer: ConsumerKind, mechanism: Mechanism, name: str) -> tuple[str, str]:
    """How a consumer of that kind writes a hook, and the language of that."""
    word = _SECTIONS.get(mechanism, mechanism.value)
    match consumer:
        case ConsumerKind.BPFTRACE:
            word = _PROBES.get(mechanism, mechanism.value)
            return f"{word}:{name}", "bpftrace"
        case ConsumerKind.BCC if mechanism in _ATTACHES:
            return _ATTACHES[mechanism].format(name), "c" if "PROBE(" in _ATTACHES[mechanism] else "python"
        case ConsumerKind.LIST:
            return f"{mechanism.value}:{name}", "text"
        case _:
            path = name.replace(":", "/") if mechanism is Mechanism.TRACEPOINT else name
            return f'SEC("{word}/{path}")', "c"
