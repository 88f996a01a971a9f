"""Reports on names of any kind: looked up, judged and laid out in one step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ksurf.kernel import Kernel
from ksurf.series import Groups

if TYPE_CHECKING:
    from ksurf.report.function import FunctionReport
    from ksurf.report.kinds import SymbolReport

__all__ = ["function_reports", "symbol_reports"]

Kernels = Sequence[tuple[Kernel, Path]]


def function_reports(
    names: Sequence[str], kernels: Kernels, groups: Groups, *, in_full: bool = True
) -> list[FunctionReport]:
    """The reports on functions; without calls' places and attachability if not ``in_full``."""
    # A page on a function need not load all that is known of other kinds.
    from ksurf.dataset.lookup import attach_rows, functions_named
    from ksurf.report.function import report
    from ksurf.surface.function import judge

    found = functions_named(names, kernels, chains=in_full)
    about = attach_rows(names, kernels) if in_full else {name: [None] * len(kernels) for name in names}
    return [
        report(
            name,
            groups,
            {rows.kernel: judge(rows, also) for rows, also in zip(found[name], about[name], strict=True)},
        )
        for name in names
    ]


def symbol_reports(
    kind: str, names: Sequence[str], kernels: Kernels, groups: Groups, *, in_full: bool = True
) -> list[SymbolReport]:
    """The reports on symbols of another kind; without attachability if not ``in_full``."""
    from ksurf.report.find import statuses_of
    from ksurf.report.kinds import KINDS, report
    from ksurf.report.verdicts import with_verdicts

    found = statuses_of(kind, names, kernels)
    if in_full:
        found = with_verdicts(kind, found, kernels)
    return [report(KINDS[kind], name, groups, {s.kernel: s for s in found[name]}) for name in names]
