"""What a booted kernel made of Debian's eBPF programs: a typed reader of ``programs-*.tsv``.

``docs/truth.md`` describes the files of ``tests/data/truth``, ``scripts/truth programs`` makes them.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from truth import TRUTH

__all__ = ["ProgramTruth", "TriedProgram", "program_lists", "read_programs"]

_HEAD = re.compile(r"# (\S+): (.+); libbpf (\S+); (\d{4}-\d\d-\d\d)\n")
_RESULT = re.compile(r"ok|-\w+")


class TriedProgram(NamedTuple):
    """A program, and what became of it on the kernel."""

    object: str
    name: str
    section: str
    load: str
    """``ok``, or the error: ``-EINVAL``."""
    attach: str | None
    """As ``load``; ``None`` where that was not tried: it is not loaded, or its section names no place."""
    log: str
    """The last lines of what libbpf said."""

    @property
    def works(self) -> bool:
        """It was loaded, and attached where libbpf does that."""
        return self.load == "ok" and self.attach in {"ok", None}


@dataclass(frozen=True)
class ProgramTruth:
    """What one kernel made of all programs."""

    kernel: str
    """Its id, as ksurf spells it."""
    packages: dict[str, str]
    """The versions of the packages that the programs are in."""
    libbpf: str
    programs: tuple[TriedProgram, ...]


def program_lists() -> list[Path]:
    """Return the files of all kernels, by name."""
    return sorted(TRUTH.glob("programs-*.tsv"))


def read_programs(path: Path) -> ProgramTruth:
    """Read the programs of a kernel."""
    with path.open(newline="") as file:
        found = _HEAD.fullmatch(head := next(file))
        if found is None:
            raise ValueError(f"{path.name}: not a first line: {head!r}")
        rows = tuple(map(_program, csv.DictReader(file, delimiter="\t")))
    kernel, packages, libbpf, _date = found.groups()
    named = (part.split(" ", 1) for part in packages.split(", "))
    return ProgramTruth(kernel, dict(named), libbpf, rows)


def _program(row: dict[str, str]) -> TriedProgram:
    load, attach = row["load"], row["attach"]
    is_tried = load == "ok" and attach != "none"
    results = [load, attach] if is_tried else [load]
    if not all(map(_RESULT.fullmatch, results)) or (load != "ok" and attach):
        raise ValueError(f"not what became of a program: {row!r}")
    return TriedProgram(
        row["object"], row["program"], row["section"], load, attach if is_tried else None, row["log"]
    )
