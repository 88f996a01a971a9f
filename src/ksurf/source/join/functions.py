"""What kernels made of a file's functions: pure functions over rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from ksurf.dataset.rows import Caller, FileRows, Function, FunctionRows, Instance, Symbol
from ksurf.kernel import Kernel
from ksurf.source.facts import Caller as PageCaller
from ksurf.source.facts import CallOutcome, FunctionChange, FunctionFacts, FunctionOnKernel
from ksurf.surface.function import FunctionStatus, judge
from ksurf.surface.function_change import compare_functions
from ksurf.surface.history import changes_between

__all__ = ["Held", "function_facts", "own_functions"]

_Row = TypeVar("_Row", Instance, Symbol, Caller)


class Held:
    """The functions of a file on one kernel, by name, with what is known of each."""

    def __init__(self, rows: FileRows, file: str) -> None:
        """Choose the file's own functions.

        What the kernel declares in this file is. A function of its name elsewhere is meant where there is
        none here, if it may be the same one: an external one, or one in a file of this name, which was moved
        since.
        """
        self.rows = rows
        found: dict[str, list[Function]] = {}
        for function in rows.functions:
            found.setdefault(function.name, []).append(function)
        self.functions = {name: held for name, own in found.items() if (held := own_functions(own, file))}
        self._instances = _by_function(rows.instances, lambda one: one.function)
        self._symbols = _by_function(rows.symbols, lambda one: one.function)
        self._callers = _by_function(rows.callers, lambda one: one.callee)

    @property
    def kernel(self) -> Kernel:
        """The kernel."""
        return self.rows.kernel

    def status(self, name: str) -> FunctionStatus:
        """What a function is on the kernel, without its callers."""
        functions = self.functions.get(name, ())
        return judge(
            FunctionRows(
                self.kernel,
                name,
                functions,
                tuple(one for function in functions for one in self._instances.get(function.id, ())),
                (),
                tuple(one for function in functions for one in self._symbols.get(function.id, ())),
            )
        )

    def callers(self, name: str, *, inline: bool) -> list[str]:
        """The names of those whose code calls a function, or holds a copy of it, each once."""
        functions = self.functions.get(name, ())
        held = (one for function in functions for one in self._callers.get(function.id, ()))
        return [*dict.fromkeys(one.name for one in held if one.inline is inline)]

    def has_told(self, name: str) -> bool:
        """Whether debug information tells what is in the function's code."""
        functions = self.functions.get(name, ())
        held = (one for function in functions for one in self._instances.get(function.id, ()))
        return any(one.evidence == "dwarf" for one in held)


def _by_function(rows: Iterable[_Row], key: Callable[[_Row], int | None]) -> dict[int | None, list[_Row]]:
    found: dict[int | None, list[_Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def own_functions(functions: Sequence[Function], file: str) -> tuple[Function, ...]:
    """Those of a name that a file defines, or, if it defines none, those that may have been moved there."""
    here = tuple(function for function in functions if function.decl_file == file)
    if here:
        return here
    base = PurePosixPath(file).name
    return tuple(
        function
        for function in functions
        if function.external or function.decl_file is None or PurePosixPath(function.decl_file).name == base
    )


def function_facts(
    name: str, file: str, kernels: Sequence[Held], pairs: Sequence[tuple[Kernel, Kernel]]
) -> FunctionFacts:
    """What the kernels, oldest first, made of one function of the file, and what changed in pairs of them."""
    statuses = {one.kernel: one.status(name) for one in kernels}
    changes = (
        FunctionChange(old, new, changes_between(name, statuses[old], statuses[new], compare_functions))
        for old, new in pairs
    )
    return FunctionFacts(
        tuple(_on_kernel(name, statuses[one.kernel], one, file) for one in kernels),
        tuple(change for change in changes if change.changes),
    )


def _on_kernel(name: str, status: FunctionStatus, held: Held, file: str) -> FunctionOnKernel:
    if not status.is_present:
        is_compiled, reason = _absence(held.rows, file, declared=name in held.functions)
        return FunctionOnKernel(held.kernel, is_compiled, None, None, reason=reason)
    told = held.has_told(name)
    return FunctionOnKernel(
        held.kernel,
        is_compiled=True,
        is_inlined=any(one.row.inlined for one in status.instances) if told else None,
        out_of_line=status.has_code if told or status.symbols else None,
        callers=(
            *(PageCaller(caller, None, CallOutcome.INLINED) for caller in held.callers(name, inline=True)),
            *(PageCaller(caller, None, CallOutcome.DIRECT) for caller in held.callers(name, inline=False)),
        ),
        symbols=tuple(dict.fromkeys(symbol.name for symbol in status.symbols)),
        reason=_elsewhere(held.functions[name], file),
    )


def _absence(rows: FileRows, file: str, *, declared: bool) -> tuple[bool | None, str]:
    """Why a kernel has nothing of a function; whether that is known."""
    if declared:
        return False, "only declared: no image that could be read defines it"
    if rows.units is None:
        return None, "no image of this kernel tells of its units, nor of a function of this name"
    if rows.units:
        return False, "its file is compiled without it: the configuration leaves it out, or nobody calls it"
    if file.endswith(".c"):
        return False, "its file is not compiled for this kernel"
    return False, "no unit of this kernel has code of it"


def _elsewhere(functions: Iterable[Function], file: str) -> str | None:
    places = {function.decl_file for function in functions if function.decl_file is not None}
    return None if not places or file in places else f"in {', '.join(sorted(places))} there"
