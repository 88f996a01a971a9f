"""A report for a terminal: all kernels in a few lines, then what one status rests on, then the changes.

Colour only underlines what the words say. What would fill screens is counted, with the way to see it all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, repeat
from typing import Any

import click

from ksurf.dataset.rows import CallSite, Instance
from ksurf.report.condense import condensed
from ksurf.report.function import FunctionReport
from ksurf.report.layout import Report
from ksurf.series import Member
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.attach_change import AttachabilityLost, AttachabilityWon
from ksurf.surface.change import Change, RenameProposed
from ksurf.surface.function import FunctionStatus, InstanceStatus

__all__ = ["attach_lines", "change_line", "difference_lines", "function_text"]

_SIDE = 240
"""Characters of a change's side; what an event prints may be thousands, and is in JSON."""
_CALLERS = 8
_INSTANCES = 6
_SYMBOLS = 6
_HEADS = ("status", "collision", "definitions", "symbols", "inlined", "called")


def function_text(report: FunctionReport, *, everything: bool = False) -> str:
    """The report; details of one kernel and some callers of it, unless ``everything`` is asked for."""
    return "\n".join(_document(report, everything)) + "\n"


def _document(report: FunctionReport, everything: bool) -> Iterator[str]:
    yield click.style(report.name, bold=True)
    yield from _matrix(report)
    yield from _prototypes(report)
    present = [(m, s) for group in report.groups for m, s in group.members if s.is_present]
    # The baseline, or, where that has nothing to show, the first kernel that has.
    detailed = [(m, s) for m, s in present if m.kernel == report.baseline] or present[:1]
    for member, status in present if everything else detailed:
        yield ""
        yield from _kernel(member, status, everything)
    yield from difference_lines(report)
    others = len(present) - len(detailed)
    if others > 0 and not everything:
        which = "another kernel has" if others == 1 else f"{others} other kernels have"
        yield ""
        yield click.style(f"{which} it too: --all shows their details, --on SELECTOR those of some", dim=True)


def _matrix(report: FunctionReport) -> Iterator[str]:
    rows = [(group.name, m, s) for group in report.groups for m, s in group.members]
    # Labels are indented by two more than the names of groups, and share their column.
    width = max(max(len(member.label), len(name) - 2) for name, member, _ in rows)
    cells = [_facts(status) for _, _, status in rows]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    heads = _aligned(_HEADS, widths)
    for name, members in groupby(zip(rows, cells, strict=True), key=lambda item: item[0][0]):
        padding = " " * (width + 4 - len(name))
        yield f"  {click.style(name, underline=True)}{padding}{click.style(heads, dim=True)}"
        for (_, member, status), facts in members:
            color = "green" if status.is_present and not status.statuses else "yellow"
            line = _aligned(facts, widths).rstrip()
            first, rest = line[: len(facts[0])], line[len(facts[0]) :]
            yield f"    {member.label.ljust(width)}  {click.style(first, fg=color)}{rest}"


def _facts(status: FunctionStatus) -> tuple[str, ...]:
    """One kernel's cells; what is not known is a question mark."""
    if not status.is_present:
        return ("✘ Absent", "", "", "", "", "")
    words = ", ".join(found.value for found in status.statuses)
    unknown = ", as far as it is known" if status.inline is None else ""
    return (
        f"⚠ {words}" if words else f"✔ OK{unknown}",
        status.collision.value if status.collision else "?",
        str(len(status.instances)),
        str(len(status.plain_symbols)),
        _count([instance.inline_callers for instance in status.instances]),
        _count([instance.direct_callers for instance in status.instances]),
    )


def _count(calls: Sequence[Sequence[CallSite] | None]) -> str:
    known = [len(found) for found in calls if found is not None]
    return str(sum(known)) if known else "?"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    words = (cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True))
    numbers = (cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True))
    return "  ".join((*words, *numbers))


def _prototypes(report: FunctionReport) -> Iterator[str]:
    """Each declaration once; with the kernels that have it, if there are several."""
    kernels: dict[tuple[str, ...], list[str]] = {}
    for group in report.groups:
        for member, status in group.members:
            if status.prototypes:
                kernels.setdefault(status.prototypes, []).append(member.label)
    if kernels:
        yield ""
    for prototypes, labels in kernels.items():
        if len(kernels) > 1:
            yield f"  on {', '.join(labels)}"
        for prototype in prototypes:
            yield f"  {click.style(prototype, fg='cyan')}"


def _kernel(member: Member, status: FunctionStatus, everything: bool) -> Iterator[str]:
    kernel = member.kernel
    yield f"{click.style(member.label, bold=True)}  {kernel.release} ({kernel.distro}, {kernel.arch})"
    facts = [
        status.collision.value if status.collision else "static or global unknown",
        f"inline: {status.inline.value if status.inline else 'unknown'}",
    ]
    if status.suffixes:
        facts.append(f"transformed: {', '.join(f'.{suffix}' for suffix in status.suffixes)}")
    yield f"  {'; '.join(facts)}"
    for reason in status.reasons:
        yield f"  {click.style('·', fg='yellow')} {reason}"
    instances = status.instances if everything else status.instances[:_INSTANCES]
    place = None
    for instance in instances:
        function = instance.function
        if function.decl_file is not None and (function.decl_file, function.decl_line) != place:
            place = (function.decl_file, function.decl_line)
            yield f"  declared at {function.decl_file}:{function.decl_line}"
        yield from _instance(instance, everything)
    yield from _more(len(status.instances) - len(instances), "definition", "  ")
    symbols = status.symbols if everything else status.symbols[:_SYMBOLS]
    for symbol, verdicts in zip(symbols, status.attach or repeat(None), strict=False):
        where = f"{symbol.image}{f':{symbol.section}' if symbol.section else ''}"
        end = f"-{symbol.address + symbol.byte_size:x}" if symbol.byte_size is not None else ""
        yield f"  symbol {symbol.name} in {where} at {symbol.address:x}{end} ({symbol.bind})"
        yield from (f"    {line}" for line in attach_lines(verdicts or {}))
    yield from _more(len(status.symbols) - len(symbols), "symbol", "  ")


def attach_lines(verdicts: Mapping[Mechanism, Verdict]) -> Iterator[str]:
    """What can be attached to something, and what cannot, those of one reason together."""
    by_verdict: dict[Verdict, list[str]] = {}
    for mechanism, verdict in verdicts.items():
        by_verdict.setdefault(verdict, []).append(mechanism.value)
    for verdict, mechanisms in sorted(by_verdict.items(), key=lambda item: not item[0].attachable):
        sign, color = ("✔", "green") if verdict.attachable else ("✘", "yellow")
        because = f": {verdict.reason}" if verdict.reason else ""
        yield f"{click.style(sign, fg=color)} {', '.join(mechanisms)}{because}"


def _instance(instance: InstanceStatus, everything: bool) -> Iterator[str]:
    row = instance.row
    parts = [row.unit or row.image]
    if row.unit and row.image != "vmlinux":
        parts.append(f"[{row.image}]")
    yield f"  in {' '.join((*parts, _code(row)))}".rstrip()
    yield from _callers("inlined into", instance.inline_callers, everything)
    yield from _callers("called by", instance.direct_callers, everything)


def _code(row: Instance) -> str:
    if row.inlined is None:
        return "with code of its own" if row.out_of_line else ""
    if row.out_of_line:
        return "inlined, and with code of its own" if row.inlined else "with code of its own"
    return "inlined" if row.inlined else "removed by the compiler"


def _callers(title: str, calls: Sequence[CallSite] | None, everything: bool) -> Iterator[str]:
    if not calls:
        return
    yield f"    {title}:"
    if everything:
        for call in calls:
            line = "" if call.line is None else f":{call.line}"
            yield f"      {call.file or call.unit or call.image}{line} {call.caller}{_chain(call)}"
        return
    counted = list(Counter((call.unit or call.image, call.caller, _chain(call)) for call in calls).items())
    for unit, members in groupby(counted[:_CALLERS], key=lambda item: item[0][0]):
        names = (f"{caller}{chain}{f' ×{n}' if n > 1 else ''}" for (_, caller, chain), n in members)
        yield f"      {unit}: {', '.join(names)}"
    yield from _more(len(counted) - _CALLERS, "caller", "      ")


def _chain(call: CallSite) -> str:
    return f" (through {' > '.join(frame.function for frame in call.chain)})" if call.chain else ""


def _more(count: int, what: str, indent: str) -> Iterator[str]:
    if count > 0:
        hint = "--all shows them" if count > 1 else "--all shows it"
        yield click.style(f"{indent}and {count} more {what}{'s' if count > 1 else ''}; {hint}", dim=True)


def difference_lines(report: Report[Any]) -> Iterator[str]:
    """All changes, those between two kernels under a line that names them; nothing if there are none."""
    deltas = [delta for group in report.groups for delta in group.deltas if delta.changes]
    if deltas:
        yield ""
        yield click.style("Differences", bold=True)
    for delta in deltas:
        yield f"  {delta.old.label} → {delta.new.label}"
        for change in condensed(delta.changes or ()):
            yield f"    {change_line(change)}"


def change_line(change: Change) -> str:
    """One change as a line; texts that are longer than a line are cut."""
    sides = " → ".join(_cut(side) for side in (change.before, change.after) if side is not None)
    if isinstance(change, RenameProposed):
        why = f"({change.score:.0%}: {'; '.join(change.evidence)})"
        return f"{change.label}: {sides} {click.style(why, dim=True)}"
    if isinstance(change, AttachabilityLost | AttachabilityWon):
        when = "now" if isinstance(change, AttachabilityLost) else "before"
        return f"{change.label}: {sides} {click.style(f'({when}: {change.reason})', dim=True)}"
    return f"{change.label}: {sides}"


def _cut(text: str) -> str:
    return text if len(text) <= _SIDE else f"{text[: _SIDE - 1]}…"
