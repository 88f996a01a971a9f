"""System calls: their numbers in each table, and the symbols that they lead to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ksurf.dataset.rows import Syscall
from ksurf.kernel import Kernel
from ksurf.surface.change import Change
from ksurf.surface.symbol import SymbolStatus, found

__all__ = ["EntryChanged", "NumberChanged", "compare_syscalls", "judge_syscall", "native_abi", "native_entry"]


@dataclass(frozen=True, slots=True)
class NumberChanged(Change):
    """Programs call it by another number."""

    label = "Number changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class EntryChanged(Change):
    """The number leads to another symbol, which is what a probe of it attaches to."""

    label = "Entry changed"
    old: str
    new: str


def judge_syscall(kernel: Kernel, name: str, rows: Iterable[Syscall]) -> SymbolStatus[Syscall]:
    """Judge a name on one kernel. It may be in several tables, and be in one of them twice."""
    held = list(rows)
    tables: dict[str, int] = {}
    for row in held:
        tables[row.abi] = tables.get(row.abi, 0) + 1
    return found(
        kernel,
        name,
        (
            (
                (row.number, row.entry),
                row,
                None,
                row.abi if tables[row.abi] == 1 else f"{row.abi}:{row.number}",
            )
            for row in held
        ),
    )


def native_abi(abis: Iterable[str]) -> str | None:
    """The kernel's own table among those that it has.

    That is the one for 64 bits where there is one; tables for other sizes of pointers are never it.
    """
    return max((abi for abi in abis if abi in {"32", "64"}), default=None)


def native_entry(rows: Iterable[Syscall], abis: Iterable[str]) -> str | None:
    """The symbol that a system call leads to in the kernel's own table, given all tables of the kernel."""
    own = native_abi(abis)
    return next((row.entry for row in rows if row.abi == own), None)


def compare_syscalls(old: Syscall, new: Syscall) -> list[Change]:
    """The changes of one system call in one table."""
    changes: list[Change] = []
    if old.number != new.number:
        changes.append(NumberChanged(f"{old.abi}: {old.number}", f"{new.abi}: {new.number}"))
    if old.entry != new.entry:
        changes.append(EntryChanged(f"{old.abi}: {old.entry}", f"{new.abi}: {new.entry}"))
    return changes
