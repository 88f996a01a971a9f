"""What all formats of a source page say in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from ksurf.kernel import Kernel
from ksurf.source.facts import CallOutcome, FunctionFacts, FunctionOnKernel, LineMarks
from ksurf.source.page import Layer, Line, Page

__all__ = [
    "VISIBLE",
    "change_lines",
    "facts_lines",
    "layer_lines",
    "marks_text",
    "ranges",
    "title",
    "with_hints",
]

VISIBLE = {
    # The pictures of control characters; the end of a line and the tab are what they are.
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"},
    0x7F: "\u2421",
    # What would show as nothing, or turn the order of what is shown.
    **{
        code: f"<U+{code:04X}>"
        for code in (
            *range(0x80, 0xA0),
            0xAD,
            0x61C,
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            0xFEFF,
        )
    },
}
"""For :meth:`str.translate`: a source may hold what a terminal obeys, and what hides how code runs."""

_CALLERS = 6
_KERNELS = 2


def with_hints(line: Line) -> str:
    """The text of a line, each hint in front of its argument."""
    if not line.hints:
        return line.text
    parts, done = [], 0
    for hint in line.hints:
        parts.append(line.text[done : hint.start])
        parts.append(f"{hint.name}: ")
        done = hint.start
    return "".join((*parts, line.text[done:]))


def title(page: Page) -> str:
    """Whose source it is, and as whom it is shown."""
    if page.kernel is None or not page.is_semantic:
        return page.tree
    return f"{page.tree}, as {page.kernel.release} ({page.kernel.arch}) has it"


def layer_lines(page: Page) -> Iterator[str]:
    """Which layer it is, and why not a better one; then what else there is to say of the file."""
    layer = page.layer
    if layer.layer is Layer.SEMANTIC:
        yield f"{page.file}: {title(page)}; semantic layer, seen through {layer.unit}"
    else:
        what = "names layer" if layer.layer is Layer.NAMES else "text only"
        why = f": {layer.reason}" if layer.reason else ""
        yield f"{page.file}: {title(page)}; {what}, no semantic one{why}"
        if layer.remedy:
            yield layer.remedy
    yield from page.notes
    for problem in layer.problems:
        yield f"not understood: {problem}"


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in order as ``3, 7-12``."""
    parts = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        parts.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ", ".join(parts)


def marks_text(marks: LineMarks, kernel: Kernel | None) -> str:
    """What binaries did with the calls of a line: ``inlined kvm_vcpu_kick; called printk``.

    Where the page's kernel is among those that tell, it alone counts; else it is said on which it is so.
    """
    own = [call for call in marks.calls if kernel in call.kernels]
    told = {one for call in marks.calls for one in call.kernels}
    groups: dict[tuple[CallOutcome, tuple[Kernel, ...]], list[str]] = {}
    for call in own or marks.calls:
        names = groups.setdefault((call.outcome, () if own else call.kernels), [])
        if call.callee not in names:
            names.append(call.callee)
    return "; ".join(
        f"{_OUTCOMES[outcome]} {', '.join(names)}{_on(kernels, len(told))}"
        for (outcome, kernels), names in groups.items()
    )


_OUTCOMES = {
    CallOutcome.INLINED: "inlined",
    CallOutcome.DIRECT: "called",
    CallOutcome.POSSIBLE: "possibly called",
    CallOutcome.ABSENT: "nothing left of",
}


def _on(kernels: Sequence[Kernel], told: int) -> str:
    """On which kernels something is so, if that is not all that tell."""
    if not kernels or len(kernels) == told:
        return ""
    if len(kernels) > _KERNELS:
        return f" (on {len(kernels)} of {told} kernels)"
    return f" (on {', '.join(kernel.release for kernel in kernels)})"


def facts_lines(facts: FunctionFacts) -> Iterator[str]:
    """What each kernel made of a function, those of one answer together; then what changed between which."""
    by_answer: dict[str, list[str]] = {}
    for found in facts.kernels:
        by_answer.setdefault(_made(found), []).append(found.kernel.release)
    for answer, kernels in by_answer.items():
        yield f"{', '.join(kernels)}: {answer}"
    yield from change_lines(facts)


def change_lines(facts: FunctionFacts) -> Iterator[str]:
    """What changed, a line for each change."""
    for delta in facts.changes:
        for change in delta.changes:
            sides = " → ".join(side for side in (change.before, change.after) if side is not None)
            yield f"{delta.old.release} → {delta.new.release}: {change.label}: {sides}"


def _made(found: FunctionOnKernel) -> str:
    words = []
    if found.is_compiled is False:
        words.append("not compiled")
    elif found.out_of_line and found.is_inlined:
        words.append("inlined, and with code of its own")
    elif found.out_of_line:
        words.append("with code of its own")
    elif found.is_inlined:
        # Where it is known into what, that says it.
        if all(caller.outcome is not CallOutcome.INLINED for caller in found.callers):
            words.append("inlined")
    elif found.out_of_line is False and found.is_inlined is False:
        words.append("removed by the compiler")
    elif found.is_compiled:
        words.append("compiled")
    else:
        words.append("unknown")
    if found.reason:
        words.append(f"({found.reason})")
    for outcome in (CallOutcome.INLINED, CallOutcome.DIRECT, CallOutcome.POSSIBLE):
        callers = list(dict.fromkeys(c.function for c in found.callers if c.outcome is outcome))
        if callers:
            more = f" and {len(callers) - _CALLERS} more" if len(callers) > _CALLERS else ""
            words.append(f"{_BY[outcome]} {', '.join(callers[:_CALLERS])}{more}")
    return "; ".join(words).replace("; (", " (")


_BY = {
    CallOutcome.INLINED: "inlined into",
    CallOutcome.DIRECT: "called by",
    CallOutcome.POSSIBLE: "possibly called by",
}
