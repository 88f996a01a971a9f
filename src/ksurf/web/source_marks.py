"""What kernels made of a file, as the gutter of its page says it: a sign, a colour, and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ksurf.kernel import Kernel
from ksurf.report.source_text import facts_lines, marks_text
from ksurf.source.facts import CallOutcome, FunctionFacts, FunctionOnKernel, LineMarks
from ksurf.source.page import Page

__all__ = ["LEGEND", "Marks", "Row", "marks_of"]

_TITLE = 600
"""Characters of what is said of one line; the list of definitions says all."""
_SAID = 12
"""Lines that are said of one function in the list of definitions."""


class _Made(Enum):
    """What a kernel made of a function: the class of its lines, the sign, and the words."""

    OWN = "own", "●", "with code of its own"
    BOTH = "both", "◐", "with code of its own, and inlined"
    INLINED = "inlined", "○", "inlined everywhere"
    REMOVED = "removed", "⊘", "removed by the compiler"
    COMPILED = "own", "●", "compiled"
    ABSENT = "absent", "✕", "not compiled"
    UNKNOWN = "unknown", "?", "unknown"
    MIXED = "mixed", "≈", "not the same on all kernels"


_CALLS = {
    CallOutcome.INLINED: ("inlined", "↳"),
    CallOutcome.DIRECT: ("called", "→"),
    CallOutcome.POSSIBLE: ("possible", "⇢"),
    CallOutcome.ABSENT: ("nothing", "⊘"),
}
LEGEND: Sequence[tuple[str, str]] = (
    *((made.value[1], made.value[2]) for made in _Made if made is not _Made.COMPILED),
    ("↳", "the call was inlined"),
    ("→", "called"),
    ("⇢", "a pointer is called, which may be that"),
    ("⊘", "nothing is left of the call"),
    ("∅", "left out by this configuration"),
)
"""Every sign of the gutter, and what it means."""


@dataclass(frozen=True, slots=True)
class Row:
    """The gutter of one line."""

    css: str
    sign: str = ""
    title: str = ""
    calls: str = ""
    """What became of the calls on it, in words."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The gutters of a file by line, and what is said of its functions by the line of their name."""

    rows: Mapping[int, Row] = field(default_factory=dict)
    functions: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    signs: Mapping[int, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """It as JSON, which a script puts into the page."""
        return {
            "rows": {str(line): [row.css, row.sign, row.title, row.calls] for line, row in self.rows.items()},
            "functions": {str(line): [self.signs[line], *said] for line, said in self.functions.items()},
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Marks:
        """The marks that a document was made of."""
        functions = {int(line): said for line, said in document["functions"].items()}
        return cls(
            {int(line): Row(*row) for line, row in document["rows"].items()},
            {line: tuple(said[1:]) for line, said in functions.items()},
            {line: said[0] for line, said in functions.items()},
        )


def marks_of(page: Page, kernel: Kernel | None) -> Marks:
    """What the page's facts say, as ``kernel`` has it; without one, as all of them do."""
    rows: dict[int, Row] = {}
    functions, signs = {}, {}
    facts = page.facts
    for found in page.definitions:
        known = facts.functions.get(found.name) if found.kind in {"function", "syscall"} else None
        if known is None:
            continue
        made = _made(known, kernel)
        css, sign, _ = made.value
        said = list(facts_lines(known))
        title = f"{found.name}: {_words(known, kernel, made)}"
        for line in range(found.first_line, found.last_line + 1):
            rows[line] = Row(css)
        rows[found.line] = Row(css, sign, _short("\n".join((title, *said))))
        more = [f"and {len(said) - _SAID} more"] if len(said) > _SAID else []
        functions[found.line] = (*(_short(one) for one in said[:_SAID]), *more)
        signs[found.line] = sign
    for line, marks in facts.marks.items():
        if line not in rows or not rows[line].sign:
            row = _call_row(marks, kernel, rows.get(line))
            if row is not None:
                rows[line] = row
    return Marks(rows, functions, signs)


def _call_row(marks: LineMarks, kernel: Kernel | None, around: Row | None) -> Row | None:
    said = marks_text(marks, kernel)
    if not said:
        return None
    own = [call.outcome for call in marks.calls if kernel in call.kernels] or [c.outcome for c in marks.calls]
    outcome = next(one for one in _CALLS if one in own)
    css, sign = _CALLS[outcome]
    both = f"{around.css} call-{css}" if around else f"call-{css}"
    return Row(both, sign, _short(said), _short(said))


def _words(facts: FunctionFacts, kernel: Kernel | None, made: _Made) -> str:
    on = next((one for one in facts.kernels if one.kernel == kernel), None)
    where = f" on {on.kernel.release}" if on is not None else ""
    return f"{made.value[2]}{where}"


def _made(facts: FunctionFacts, kernel: Kernel | None) -> _Made:
    own = [one for one in facts.kernels if one.kernel == kernel] or list(facts.kernels)
    states = {_state(one) for one in own}
    if len(own) > 1 and len(states) > 1:
        return _Made.MIXED
    return states.pop() if states else _Made.UNKNOWN


def _state(one: FunctionOnKernel) -> _Made:
    if one.is_compiled is False:
        return _Made.ABSENT
    if one.out_of_line:
        return _Made.BOTH if one.is_inlined else _Made.OWN
    if one.is_inlined:
        return _Made.INLINED
    if one.out_of_line is False and one.is_inlined is False:
        return _Made.REMOVED
    return _Made.COMPILED if one.is_compiled else _Made.UNKNOWN


def _short(text: str) -> str:
    return text if len(text) <= _TITLE else f"{text[: _TITLE - 1]}…"
