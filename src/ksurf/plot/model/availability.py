"""Availability: what becomes of a program's dependencies on each kernel, as a map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ksurf.check.verdict import Finding, Outcome, worst
from ksurf.plot.model.figure import Figure, Value, command_line, kernels_text
from ksurf.report.check_layout import Page, plain, rows, title
from ksurf.series import Column

__all__ = ["LIMIT", "Availability", "Cell", "Program", "Row", "availability"]

LIMIT = 30
"""Rows of a figure that is still read on a slide."""
_CELLS = 4000
"""Cells of a figure, of which matplotlib draws some hundred in a second."""


class Cell(NamedTuple):
    """A dependency on a kernel."""

    outcome: Outcome
    accepted: bool = False
    """What is bad about it is accepted by the policy."""
    cause: str | None = None
    consequence: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A dependency on all kernels; ``None`` where nothing was judged."""

    title: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A consumer's dependencies, the worst first."""

    name: str
    path: str
    dependencies: int
    """How many it has, also those that are not among the rows."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Availability(Figure):
    """The dependencies of some programs on the kernels of a check."""

    name: ClassVar[str] = "availability"

    programs: tuple[Program, ...]
    left_out: int
    """Dependencies that the limit cut off."""
    left_out_ok: int
    """How many of these are ok on all kernels."""
    baseline: str | None = None
    """Id of the kernel that the programs were made for, if one was named."""

    @property
    def title(self) -> str:
        """What it shows."""
        if len(self.programs) == 1:
            return f"What {plain(self.programs[0].name)} needs, and which kernels have it"
        return f"What {len(self.programs)} programs need, and which kernels have it"

    @property
    def facts(self) -> str:
        """Of which kernels."""
        total = sum(program.dependencies for program in self.programs)
        return f"{total} dependencies on {len(self.columns)} kernels: {kernels_text(self.columns)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not shown."""
        if not self.left_out:
            return ()
        ok = f", of which {self.left_out_ok} are ok on all kernels" if self.left_out_ok else ""
        return (f"The worst are shown; {self.left_out} more dependencies are not{ok}.",)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of a row."""
        names = ("program", "path", "dependency", "group", "label", "kernel")
        return (*names, "outcome", "accepted", "cause", "consequence", "source")

    def rows(self) -> Iterator[dict[str, Value]]:
        """One for each dependency and kernel."""
        for program in self.programs:
            for row in program.rows:
                for column, cell in zip(self.columns, row.cells, strict=True):
                    yield {
                        "program": program.name,
                        "path": program.path,
                        "dependency": row.title,
                        "group": column.group,
                        "label": column.label,
                        "kernel": column.kernel.id,
                        "outcome": cell.outcome.value if cell else None,
                        "accepted": cell.accepted if cell else None,
                        "cause": cell.cause if cell else None,
                        "consequence": cell.consequence if cell else None,
                        "source": self._source(program, column),
                    }

    def _source(self, program: Program, column: Column) -> str:
        words = ["check", program.path, "--on", column.kernel.id]
        if self.baseline is not None:
            words += ["--baseline", self.baseline]
        return command_line(*words, "--format", "json")


def availability(page: Page, limit: int = LIMIT) -> Availability:
    """The findings of a check; of each program the worst dependencies first, and up to ``limit`` in all.

    Of very many kernels there are fewer.
    """
    columns = tuple(Column(one.group, one.label, one.kernel) for one in page.columns)
    programs = []
    left_out: list[Row] = []
    room = min(limit, max(1, _CELLS // max(1, len(columns))))
    outcomes = list(Outcome)
    for report in sorted(page.report.consumers, key=lambda one: -outcomes.index(worst(one.findings))):
        made = [
            Row(title(row.dependency), tuple(_cell(finding, page) for finding in row.findings))
            for row in rows(report, page.columns)
        ]
        shown, rest = made[:room], made[room:]
        room -= len(shown)
        left_out += rest
        consumer = report.consumer
        programs.append(Program(consumer.name, consumer.path, len(made), tuple(shown)))
    named = {report.baseline.id for report in page.report.consumers if report.baseline is not None}
    return Availability(
        columns,
        tuple(programs),
        len(left_out),
        sum(all(cell is None or cell.outcome is Outcome.OK for cell in row.cells) for row in left_out),
        next(iter(named), None),
    )


def _cell(finding: Finding | None, page: Page) -> Cell | None:
    if finding is None:
        return None
    return Cell(
        finding.outcome,
        page.applied.of(finding) is not None,
        None if finding.cause is None else finding.cause.value,
        finding.consequence or None,
    )
