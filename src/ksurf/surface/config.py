"""Options of the kernel's configuration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ksurf.dataset.rows import ConfigOption
from ksurf.kernel import Kernel
from ksurf.surface.change import Change
from ksurf.surface.symbol import SymbolStatus, found

__all__ = ["ValueChanged", "compare_options", "judge_option", "option_text"]

_SWITCHES = frozenset("ymn")


@dataclass(frozen=True, slots=True)
class ValueChanged(Change):
    """The option has another value."""

    label = "Value changed"
    old: str
    new: str


def judge_option(kernel: Kernel, name: str, rows: Iterable[ConfigOption]) -> SymbolStatus[ConfigOption]:
    """Judge an option on one kernel. Absent is one that its configuration does not name at all."""
    return found(kernel, name, ((row.value, row, None, None) for row in rows))


def option_text(row: ConfigOption) -> str:
    """The option as a ``.config`` has it."""
    if row.value == "n":
        return f"# {row.name} is not set"
    plain = row.value in _SWITCHES or row.value.lstrip("-").isdecimal() or row.value.startswith("0x")
    return f"{row.name}={row.value}" if plain else f'{row.name}="{row.value}"'


def compare_options(old: ConfigOption, new: ConfigOption) -> list[Change]:
    """The change of one option."""
    return [] if old.value == new.value else [ValueChanged(option_text(old), option_text(new))]
