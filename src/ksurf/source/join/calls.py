"""What kernels made of the calls in a file's lines: pure functions over rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ksurf.dataset.rows import WrittenCall
from ksurf.kernel import Kernel
from ksurf.source.facts import CallMark, CallOutcome, LineMarks
from ksurf.source.join.functions import Held
from ksurf.source.semantic.model import SemanticFile

__all__ = ["CallsOnKernel", "TextCall", "calls_on_kernel", "line_marks", "text_calls"]


class TextCall(NamedTuple):
    """A call as the file's text has it."""

    line: int
    function: str | None
    """The function that it is written in."""
    callee: str
    by_macro: bool
    """A macro makes it, which may leave it out again: nothing is said if there is nothing of it."""


def text_calls(seen: SemanticFile) -> list[TextCall]:
    """The calls of functions by name, in the order of the file."""
    return [
        TextCall(call.line, call.caller, seen.symbols[call.symbol].name, call.macro is not None)
        for call in seen.calls
        if call.is_direct and call.symbol is not None
    ]


class _Made(NamedTuple):
    inlined: int
    direct: int


class CallsOnKernel(NamedTuple):
    """What one kernel made of the calls in a file's functions."""

    kernel: Kernel
    compiled: Collection[str]
    """Functions of the file of which there is code, so that what is not in it was removed."""
    by_line: Mapping[tuple[int, str], _Made] | None
    """By line and callee; ``None`` if the kernel was built from other source."""
    by_function: Mapping[tuple[str, str], _Made]
    """By function and callee."""


def calls_on_kernel(held: Held, file: str, *, is_own: bool) -> CallsOnKernel:
    """Count the calls in the functions of a file. ``is_own``: the kernel was built from this source."""
    functions_here = [function for own in held.functions.values() for function in own]
    names = {function.id: function.name for function in functions_here}
    elsewhere = {function.id for function in functions_here if function.decl_file != file}
    lines: dict[tuple[int, str], list[WrittenCall]] = defaultdict(list)
    functions: dict[tuple[str, str], list[WrittenCall]] = defaultdict(list)
    for call in held.rows.calls:
        name = names.get(call.function)
        if name is None:
            continue
        functions[name, call.callee].append(call)
        written = call.file if call.file is not None else None if call.function in elsewhere else file
        if call.line is not None and written == file:
            lines[call.line, call.callee].append(call)
    return CallsOnKernel(
        held.kernel,
        {name for name in held.functions if held.has_told(name)},
        {key: _made(calls) for key, calls in lines.items()} if is_own else None,
        {key: _made(calls) for key, calls in functions.items()},
    )


def _made(calls: Iterable[WrittenCall]) -> _Made:
    inlined = direct = 0
    for call in calls:
        if call.inline:
            inlined += call.copies
        else:
            direct += call.copies
    return _Made(inlined, direct)


def line_marks(calls: Sequence[TextCall], kernels: Sequence[CallsOnKernel]) -> dict[int, LineMarks]:
    """What became of the calls, line by line.

    Calls that the text does not show, as those that a macro makes, are taken from the kernels that were built
    from this source; where the text's calls are not known, all are.
    """
    order: dict[tuple[int, str], TextCall] = {}
    for call in calls:
        order.setdefault((call.line, call.callee), call)
    for one in kernels:
        for line, callee in sorted(one.by_line or ()):
            order.setdefault((line, callee), TextCall(line, None, callee, by_macro=True))
    marks: dict[int, list[CallMark]] = defaultdict(list)
    for call in order.values():
        found: dict[tuple[CallOutcome, bool], list[tuple[Kernel, int]]] = {}
        for one in kernels:
            for outcome, copies, by_line in _outcomes(call, one):
                found.setdefault((outcome, by_line), []).append((one.kernel, copies))
        marks[call.line] += [
            CallMark(call.callee, outcome, tuple(kernel for kernel, _ in held), held[0][1], by_line)
            for (outcome, by_line), held in found.items()
        ]
    return {line: LineMarks(tuple(held)) for line, held in sorted(marks.items()) if held}


def _outcomes(call: TextCall, one: CallsOnKernel) -> list[tuple[CallOutcome, int, bool]]:
    by_line = one.by_line is not None
    made: _Made | None = None
    if one.by_line is not None:
        made = one.by_line.get((call.line, call.callee))
    elif call.function is not None:
        made = one.by_function.get((call.function, call.callee))
    if made is None:
        if call.by_macro or call.function not in one.compiled:
            return []
        return [(CallOutcome.ABSENT, 0, by_line)]
    found = []
    if made.inlined:
        found.append((CallOutcome.INLINED, made.inlined, by_line))
    if made.direct:
        found.append((CallOutcome.DIRECT, made.direct, by_line))
    return found
