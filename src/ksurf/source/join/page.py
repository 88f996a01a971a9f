"""What kernels made of one file, in one batch of look-ups."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from ksurf.dataset.lookup.written import functions_written
from ksurf.kernel import Kernel
from ksurf.source.facts import Caller, CallMark, CallOutcome, FunctionFacts, LineMarks, PageFacts
from ksurf.source.join.calls import calls_on_kernel, line_marks, text_calls
from ksurf.source.join.dispatch import Dispatch, DispatchCall, Field, file_dispatch
from ksurf.source.join.functions import Held, function_facts
from ksurf.source.semantic.model import SemanticFile, SymbolKind
from ksurf.surface.history import neighbours

__all__ = ["page_facts"]

_TARGETS = 12
"""Functions that are named of those that a call through a field may reach; some fields have hundreds."""


def page_facts(
    file: str,
    kernels: Sequence[tuple[Kernel, Path]],
    *,
    own: Collection[Kernel],
    seen: SemanticFile | None = None,
    functions: Collection[str] = (),
    dispatch: Dispatch | None = None,
) -> PageFacts:
    """What each kernel, with the folder of its tables, made of a file.

    ``own`` are the kernels that were built from this source, of which lines are known. ``functions`` are the
    names that the file defines where ``seen``, what the semantic layer saw of it, does not tell. Without
    ``dispatch`` calls through fields are those of this file alone.
    """
    kernels = sorted(kernels, key=lambda pair: pair[0])
    names = dict.fromkeys(functions)
    if seen is not None:
        found = (seen.symbols[one.symbol] for one in seen.definitions)
        names.update(dict.fromkeys(one.name for one in found if one.kind is SymbolKind.FUNCTION))
    held = [Held(rows, file) for rows in functions_written(file, set(names), kernels)]
    for one in held:
        for name, own_functions in one.functions.items():
            if any(function.decl_file == file for function in own_functions):
                names.setdefault(name)
    pairs = neighbours(kernel for kernel, _ in kernels)
    facts = {name: function_facts(name, file, held, pairs) for name in names}
    made = [calls_on_kernel(one, file, is_own=one.kernel in own) for one in held]
    marks = line_marks(text_calls(seen) if seen is not None else (), made)
    if seen is not None:
        dispatch = dispatch or Dispatch([file_dispatch(seen)])
        told = tuple(kernel for kernel, _ in kernels if kernel in own)
        marks = _with_targets(marks, seen, dispatch, told)
        facts = {name: _with_possible(one, dispatch.callers_of(name), own) for name, one in facts.items()}
    return PageFacts(marks, facts)


def _with_targets(
    marks: dict[int, LineMarks], seen: SemanticFile, dispatch: Dispatch, kernels: tuple[Kernel, ...]
) -> dict[int, LineMarks]:
    """Add what calls through fields may reach."""
    result = dict(marks)
    for call in seen.calls:
        if call.is_direct or call.symbol is None:
            continue
        symbol = seen.symbols[call.symbol]
        if symbol.kind is not SymbolKind.FIELD or symbol.owner is None:
            continue
        names = dict.fromkeys(one.function for one in dispatch.stored_in(Field(symbol.owner, symbol.name)))
        added = tuple(CallMark(name, CallOutcome.POSSIBLE, kernels) for name in [*names][:_TARGETS])
        if added:
            before = result.get(call.line, LineMarks()).calls
            result[call.line] = LineMarks((*before, *(mark for mark in added if mark not in before)))
    return dict(sorted(result.items()))


def _with_possible(
    facts: FunctionFacts, calls: Sequence[DispatchCall], own: Collection[Kernel]
) -> FunctionFacts:
    """Add those who may call a function through a field, on the kernels whose source says so."""
    callers = tuple(
        Caller(call.caller or str(call.field), call.place, CallOutcome.POSSIBLE) for call in calls
    )
    if not callers:
        return facts
    return replace(
        facts,
        kernels=tuple(
            replace(one, callers=one.callers + callers) if one.kernel in own and one.is_compiled else one
            for one in facts.kernels
        ),
    )
