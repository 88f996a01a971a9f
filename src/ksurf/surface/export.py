"""Exported symbols: what a module may link with, and under which conditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ksurf.dataset.rows import Export
from ksurf.kernel import Kernel
from ksurf.surface.change import Change
from ksurf.surface.symbol import SymbolStatus, found

__all__ = [
    "CrcChanged",
    "LicenseChanged",
    "NamespaceChanged",
    "compare_exports",
    "export_text",
    "judge_export",
]


@dataclass(frozen=True, slots=True)
class LicenseChanged(Change):
    """It is for modules under the GPL only, or no longer so."""

    label = "License changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class NamespaceChanged(Change):
    """A module has to import another namespace for it, or none."""

    label = "Namespace changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class CrcChanged(Change):
    """Its prototype, or a type that this uses, differs: a module built for one does not load on the other."""

    label = "CRC changed"
    incidental = True
    old: str
    new: str


def judge_export(kernel: Kernel, name: str, rows: Iterable[Export]) -> SymbolStatus[Export]:
    """Judge a name on one kernel."""
    return found(kernel, name, (((row.gpl, row.namespace, row.crc), row, row.image, None) for row in rows))


def export_text(row: Export) -> str:
    """The macro that exports it."""
    license_ = "_GPL" if row.gpl else ""
    if row.namespace is not None:
        return f'EXPORT_SYMBOL_NS{license_}({row.name}, "{row.namespace}");'
    return f"EXPORT_SYMBOL{license_}({row.name});"


def compare_exports(old: Export, new: Export) -> list[Change]:
    """The changes of one exported symbol. A checksum that one side does not have is no change."""
    changes: list[Change] = []
    if old.gpl != new.gpl:
        changes.append(LicenseChanged(_license(old), _license(new)))
    if old.namespace != new.namespace:
        changes.append(NamespaceChanged(old.namespace or "none", new.namespace or "none"))
    if old.crc != new.crc and old.crc is not None and new.crc is not None:
        changes.append(CrcChanged(f"{old.crc:#010x}", f"{new.crc:#010x}"))
    return changes


def _license(row: Export) -> str:
    return "GPL only" if row.gpl else "any license"
