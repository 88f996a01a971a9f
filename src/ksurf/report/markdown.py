"""A report as Markdown with the HTML that GitHub shows: ``<details>`` per kernel, code blocks for the facts.

The shape is that of the field's published reports, element for element, so that theirs and ksurf's can stand
side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from ksurf.dataset.rows import CallSite, Instance
from ksurf.report.condense import condensed
from ksurf.report.function import FunctionReport
from ksurf.report.kinds import SymbolKind, SymbolReport
from ksurf.report.layout import Delta, Group, Report, ReportStatus
from ksurf.series import Member
from ksurf.surface.change import Change
from ksurf.surface.function import FunctionStatus, InstanceStatus
from ksurf.surface.symbol import SymbolStatus

__all__ = ["change_items", "code", "function_markdown", "symbol_markdown"]

S = TypeVar("S", bound=ReportStatus)


def function_markdown(report: FunctionReport) -> str:
    """The whole report on a function, with a newline at its end."""
    return "\n".join(_document("Function", report, _function_details)) + "\n"


def symbol_markdown(kind: SymbolKind[Any], report: SymbolReport) -> str:
    """The whole report on a symbol of any other kind, with a newline at its end."""

    def details(status: SymbolStatus[Any]) -> Iterator[str]:
        return _symbol_details(kind, status)

    return "\n".join(_document(kind.title, report, details)) + "\n"


def _document(title: str, report: Report[S], details: Callable[[S], Iterable[str]]) -> Iterator[str]:
    yield f"# {title}: {code(report.name)}"
    yield ""
    yield "## Status"
    for group in report.groups:
        yield f"<b>{group.name}</b>"
        yield "<ul>"
        for member, status in group.members:
            yield "<li>"
            yield from _status(member, status, details)
            yield "</li>"
        yield "</ul>"
    yield ""
    yield "## Differences"
    for group in report.groups:
        yield from _differences(group)


def _status(member: Member, status: S, details: Callable[[S], Iterable[str]]) -> Iterator[str]:
    words = ", ".join(found.value for found in status.statuses)
    title = f"In {code(member.label)}: {f'{words} ⚠️' if words else '✅'}"
    if not status.is_present:
        yield title
        return
    yield "<details>"
    yield f"<summary>{title}</summary>"
    yield ""
    yield from details(status)
    yield "</details>"


def _symbol_details(kind: SymbolKind[Any], status: SymbolStatus[Any]) -> Iterator[str]:
    for variant in status.variants:
        if len(status.variants) > 1 and variant.place:
            yield f"**In {variant.place}:**"
            yield ""
        yield f"```{kind.language}"
        yield from (line.text for line in kind.lines(variant.content, False))
        yield "```"


def _function_details(status: FunctionStatus) -> Iterator[str]:
    # What is inlined away has no declaration that anyone could call or attach to.
    if status.has_code and status.prototypes:
        yield "```c"
        yield from status.prototypes
        yield "```"
        yield ""
    yield f"**Collision:** {status.collision.value if status.collision else 'Unknown'}"
    yield ""
    yield f"**Inline:** {status.inline.value if status.inline else 'Unknown'}"
    yield ""
    yield f"**Transformation:** {status.is_transformed}"
    yield ""
    yield "**Instances:**"
    yield ""
    for instance in status.instances:
        yield from _instance(instance)
    if status.symbols:
        yield "**Symbols:**"
        yield ""
        yield "```"
        for symbol in status.symbols:
            end = symbol.address + (symbol.byte_size or 0)
            yield f"{symbol.address:x}-{end:x}: {symbol.name} ({symbol.bind})"
        yield "```"


def _instance(instance: InstanceStatus) -> Iterator[str]:
    row, function = instance.row, instance.function
    yield "```"
    yield f"In {_place(row)}{_address(row)}"
    if function.decl_file is not None:
        yield f"Location: {function.decl_file}:{function.decl_line}"
    yield f"Inline: {'Unknown' if row.inlined is None else row.inlined}"
    yield from _callers("Inline callers:", instance.inline_callers)
    yield from _callers("Direct callers:", instance.direct_callers)
    yield "```"


def _place(instance: Instance) -> str:
    if instance.image == "vmlinux":
        return instance.unit or "vmlinux"
    return f"{instance.unit} [{instance.image}]" if instance.unit else f"[{instance.image}]"


def _address(instance: Instance) -> str:
    address = instance.address if instance.address is not None else instance.inline_address
    return "" if address is None else f" ({address:x})"


def _callers(title: str, calls: Sequence[CallSite] | None) -> Iterator[str]:
    if calls:
        yield title
        for call in calls:
            yield f"  - {call.unit or call.image}:{call.caller}"


def _differences(group: Group[Any]) -> Iterator[str]:
    # A group that has the function nowhere has nothing to compare.
    if not any(any(delta.present) for delta in group.deltas):
        return
    yield f"<b>{group.name}</b>"
    yield "<ul>"
    for delta in group.deltas:
        yield from _delta(delta)
    yield "</ul>"


def _delta(delta: Delta) -> Iterator[str]:
    if delta.changes is None:
        return
    yield "<li>"
    if delta.changes:
        yield "<details>"
        yield f"<summary>Changed between {code(delta.old.label)} and {code(delta.new.label)} ⚠️</summary>"
        yield "<ul>"
        yield from change_items(condensed(delta.changes))
        yield "</ul>"
        yield "</details>"
    else:
        yield f"No changes between {code(delta.old.label)} and {code(delta.new.label)} ✅"
    yield "</li>"


def change_items(changes: Iterable[Change]) -> Iterator[str]:
    """The changes as items of a list."""
    for change in changes:
        yield "<li>"
        yield f"<b>{change.label}. </b>"
        yield " ➡️ ".join(code(side) for side in (change.before, change.after) if side is not None)
        yield "</li>"


def code(text: str) -> str:
    """A name or C text as HTML shows it."""
    # Names come from files that anyone can make; Rust's have angle brackets of their own.
    return f"<code>{text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</code>"
