"""Where a probe is attached: ``kprobe:vfs_*``, ``tracepoint:sched:sched_switch``, by all names of bpftrace.

Source: bpftrace's docs/language.md, "Probes", and its manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["AttachPoint", "Provider", "attach_points"]


class Provider(Enum):
    """What a probe belongs to, by the name that bpftrace uses now."""

    KPROBE = "kprobe"
    KRETPROBE = "kretprobe"
    FENTRY = "fentry"
    FEXIT = "fexit"
    TRACEPOINT = "tracepoint"
    RAWTRACEPOINT = "rawtracepoint"
    ITER = "iter"
    USER = "user"
    """uprobe, uretprobe, usdt: nothing of the kernel is named."""
    EVENT = "event"
    """Timers, counters, addresses, and bpftrace's own events: nothing of the kernel is named."""


_PROVIDERS = {
    **dict.fromkeys(("kprobe", "k"), Provider.KPROBE),
    **dict.fromkeys(("kretprobe", "kr"), Provider.KRETPROBE),
    **dict.fromkeys(("fentry", "kfunc", "f"), Provider.FENTRY),
    **dict.fromkeys(("fexit", "kretfunc", "fr"), Provider.FEXIT),
    **dict.fromkeys(("tracepoint", "t"), Provider.TRACEPOINT),
    **dict.fromkeys(("rawtracepoint", "rt"), Provider.RAWTRACEPOINT),
    **dict.fromkeys(("iter", "it"), Provider.ITER),
    **dict.fromkeys(("uprobe", "u", "uretprobe", "ur", "usdt", "U"), Provider.USER),
    **dict.fromkeys("BEGIN END begin end interval i profile p hardware h software s".split(), Provider.EVENT),
    **dict.fromkeys("watchpoint w asyncwatchpoint aw self bench test".split(), Provider.EVENT),
}
_PIECE = re.compile(r'"(?:[^"\\\n]|\\.)*"|[^",\s:]+|,|:|\s+')
_NAMED = re.compile(r"[A-Za-z_]\w*=")
_SYMBOL = re.compile(r"[\w.*?\[\]\-^!$]+")
_OFFSET = re.compile(r"([^+]+)\+(0[xX][0-9a-fA-F]+|\d+)$")
_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]+|\d+")


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """One place that a probe is attached to."""

    text: str
    """As the script writes it, without blanks."""
    position: int
    """Of its first character in the text that was read."""
    provider: Provider
    name: str | None = None
    """Of the function (with its offset: ``f+0x10``), the event (``sched:sched_switch``, or ``sched_switch``
    of a raw tracepoint) or the iterator; ``None`` if it names nothing of the kernel."""
    module: str | None = None
    """The module that its function or event is looked for in, where the script names one."""
    error: str | None = None
    """Why it cannot be told what it is attached to."""

    @property
    def offset(self) -> bool:
        """Whether it is attached inside of a function, where registers hold no arguments any more."""
        return self.name is not None and "+" in self.name


def attach_points(text: str) -> list[AttachPoint]:
    """The attach points of a probe: what is before its predicate and its block."""
    points: list[AttachPoint] = []
    parts: list[str] = [""]
    start: int | None = None
    for piece in _PIECE.finditer(text):
        what = piece[0]
        if what.isspace():
            continue
        if what == ",":
            points.append(_point(parts, piece.start() if start is None else start))
            parts, start = [""], None
            continue
        if start is None:
            start = piece.start()
        if what == ":":
            parts.append("")
        else:
            parts[-1] += what
    return [*points, _point(parts, len(text) if start is None else start)]


def _point(parts: list[str], position: int) -> AttachPoint:
    text = ":".join(parts)
    values = [part.replace('"', "") for part in parts]
    if named := _NAMED.match(values[0]):
        values[0] = values[0][named.end() :]
    provider = _PROVIDERS.get(values[0])
    rest = values[1:]
    if provider is None and "*" in values[0] and rest:
        error = "which kinds of probes the wildcard stands for is only told when it is run"
        return AttachPoint(text, position, Provider.EVENT, error=error)
    if provider is None:
        reason = f"expected a probe, found {text[:60]!r}" if text else "expected a probe"
        return AttachPoint(text, position, Provider.EVENT, error=reason)
    if provider in {Provider.USER, Provider.EVENT}:
        return AttachPoint(text, position, provider)
    if not rest or not all(rest):
        return AttachPoint(text, position, provider, error=f"expected a name, found {text[:60]!r}")
    if any("$" in one for one in rest):
        return AttachPoint(
            text, position, provider, error="what it is attached to is only told when it is run"
        )
    return _kernel_point(text, position, provider, rest)


def _kernel_point(text: str, position: int, provider: Provider, rest: list[str]) -> AttachPoint:
    module, name, error = None, rest[-1], None
    match provider:
        case Provider.ITER:
            name = rest[0]
        case Provider.TRACEPOINT if rest == ["*"]:
            name = "*:*"
        case Provider.TRACEPOINT:
            name = ":".join(rest)
            error = None if len(rest) == 2 else "expected tracepoint:category:event"
        case Provider.FENTRY | Provider.FEXIT if rest[0] == "bpf" and len(rest) > 1:
            # A BPF program that is loaded already.
            return AttachPoint(text, position, provider)
        case _:
            module = rest[0] if len(rest) > 1 and rest[0] != "vmlinux" else None
            error = "expected a module and a name" if len(rest) > 2 else None
    if provider in {Provider.KPROBE, Provider.KRETPROBE} and _ADDRESS.fullmatch(name):
        error = "it is attached at an address: what is there differs between kernels"
    base = found[1] if (found := _OFFSET.fullmatch(name)) else name
    if error is None and not all(_SYMBOL.fullmatch(one) for one in base.split(":")):
        error = f"expected a name, found {name[:60]!r}"
    if error is not None:
        return AttachPoint(text, position, provider, error=error)
    return AttachPoint(text, position, provider, name, module)
