"""A report for a terminal: the statuses of all kernels in a few lines, then what they rest on, by kernel.

Colour only underlines what the words say; kernels that say the same are told together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import click

from ksurf.dataset.rows import CallSite, Instance
from ksurf.report.function import Delta, FunctionReport
from ksurf.series import Member
from ksurf.surface.function import FunctionStatus, InstanceStatus

__all__ = ["function_text"]

_CALLERS = 8
_INSTANCES = 6


def function_text(report: FunctionReport, *, everything: bool = False) -> str:
    """The report, at most some callers and instances of each kernel unless ``everything`` is asked for."""
    return "\n".join(_document(report, everything)) + "\n"


def _document(report: FunctionReport, everything: bool) -> Iterator[str]:
    yield click.style(report.name, bold=True)
    yield from _matrix(report)
    for group in report.groups:
        for member, status in group.members:
            if status.is_present:
                yield ""
                yield from _kernel(member, status, everything)
    deltas = [delta for group in report.groups for delta in group.deltas if delta.changes]
    if deltas:
        yield ""
        yield click.style("Differences", bold=True)
        for delta in deltas:
            yield from _delta(delta)


def _matrix(report: FunctionReport) -> Iterator[str]:
    width = max(len(member.label) for group in report.groups for member, _ in group.members)
    for group in report.groups:
        yield f"  {click.style(group.name, underline=True)}"
        for member, status in group.members:
            yield f"    {member.label.ljust(width)}  {_words(status)}"


def _words(status: FunctionStatus) -> str:
    if not status.statuses:
        unknown = " as far as it is known: inlining is not" if status.inline is None else ""
        return click.style(f"✔ OK{unknown}", fg="green")
    text = ", ".join(found.value for found in status.statuses)
    return click.style(f"{'✘' if not status.is_present else '⚠'} {text}", fg="yellow")


def _kernel(member: Member, status: FunctionStatus, everything: bool) -> Iterator[str]:
    kernel = member.kernel
    yield f"{click.style(member.label, bold=True)}  {kernel.release} ({kernel.distro}, {kernel.arch})"
    for prototype in status.prototypes:
        yield f"  {click.style(prototype, fg='cyan')}"
    facts = [
        status.collision.value if status.collision else "definitions unknown",
        f"inline: {status.inline.value if status.inline else 'unknown'}",
    ]
    if status.suffixes:
        facts.append(f"transformed: {', '.join(f'.{suffix}' for suffix in status.suffixes)}")
    yield f"  {'; '.join(facts)}"
    for reason in status.reasons:
        yield f"  {click.style('·', fg='yellow')} {reason}"
    shown = status.instances if everything else status.instances[:_INSTANCES]
    for instance in shown:
        yield from _instance(instance, everything)
    yield from _more(len(status.instances) - len(shown), "instance", "  ")
    for symbol in status.symbols:
        place = f"{symbol.image}{f':{symbol.section}' if symbol.section else ''}"
        end = f"-{symbol.address + symbol.byte_size:x}" if symbol.byte_size is not None else ""
        yield f"  symbol {symbol.name} in {place} at {symbol.address:x}{end} ({symbol.bind})"


def _instance(instance: InstanceStatus, everything: bool) -> Iterator[str]:
    row, function = instance.row, instance.function
    parts = [row.unit or row.image]
    if row.unit and row.image != "vmlinux":
        parts.append(f"[{row.image}]")
    parts.append(_code(row))
    if function.decl_file is not None and function.decl_file != row.unit:
        parts.append(f"(declared at {function.decl_file}:{function.decl_line})")
    yield f"  in {' '.join(parts)}"
    yield from _callers("inlined into", instance.inline_callers, everything)
    yield from _callers("called by", instance.direct_callers, everything)


def _code(row: Instance) -> str:
    if row.inlined is None:
        return "with code of its own" if row.out_of_line else ""
    if row.out_of_line:
        return "inlined, and with code of its own" if row.inlined else "with code of its own"
    return "inlined" if row.inlined else "removed by the compiler"


def _callers(title: str, calls: tuple[CallSite, ...] | None, everything: bool) -> Iterator[str]:
    if not calls:
        return
    counted = Counter((call.caller, call.unit, _chain(call)) for call in calls)
    callers = list(counted.items())
    shown = callers if everything else callers[:_CALLERS]
    yield f"    {title}:"
    for unit, members in groupby(shown, key=lambda item: item[0][1]):
        names = []
        for (caller, _, chain), count in members:
            times = f" ×{count}" if count > 1 else ""
            names.append(f"{caller}{chain}{times}")
        yield f"      {unit or 'unknown unit'}: {', '.join(names)}"
    yield from _more(len(callers) - len(shown), "caller", "      ")


def _chain(call: CallSite) -> str:
    return f" (through {' > '.join(frame.function for frame in call.chain)})" if call.chain else ""


def _more(count: int, what: str, indent: str) -> Iterator[str]:
    if count > 0:
        hint = "--all shows them" if count > 1 else "--all shows it"
        yield click.style(f"{indent}and {count} more {what}{'s' if count > 1 else ''}; {hint}", dim=True)


def _delta(delta: Delta) -> Iterator[str]:
    yield f"  {delta.old.label} → {delta.new.label}"
    for change in delta.changes or ():
        sides = [_side(getattr(change, side)) for side in ("old", "new") if hasattr(change, side)]
        yield f"    {change.label}: {' → '.join(sides)}"


def _side(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_side(part) for part in value)
    return str(getattr(value, "text", value))
