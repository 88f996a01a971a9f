"""What a report on a function says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ksurf.kernel import Kernel
from ksurf.report.layout import Delta, Group, Report, lay_out
from ksurf.series import Groups
from ksurf.surface.function import FunctionStatus
from ksurf.surface.function_change import compare_functions

__all__ = ["Delta", "FunctionReport", "Group", "report"]

FunctionReport: TypeAlias = Report[FunctionStatus]
"""One function over the chosen kernels."""


def report(name: str, groups: Groups, statuses: Mapping[Kernel, FunctionStatus]) -> FunctionReport:
    """Lay out the statuses of one function as the groups say."""
    return lay_out(name, groups, statuses, compare_functions)
