"""Which functions to look at, drawn at random from every kind, and which units speak of them."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from oracle.reading import Image, Symbol, UnitReading

STRATA = {
    "global": 30,
    "static": 30,
    "suffixed symbol": 25,
    "several symbols": 25,
    "inlined, of its own file": 30,
    "inlined, of a header": 30,
    "inlined and out of line": 30,
}
"""How many functions of each kind."""
HOME_UNITS = 48
"""Units to draw inlined functions from, which have no symbols to be drawn by."""
UNIT_BYTES = 40_000_000
"""How much of ``.debug_info`` to read; functions of more units are looked at in those read anyway."""
NO_SOURCE = ("__pfx_", "__SCT__")
"""Padding before functions and trampolines of static calls: symbols, but no functions of the source."""


@dataclass(frozen=True)
class Sample:
    """What was drawn and read."""

    strata: dict[str, list[str]]
    units: dict[int, UnitReading]
    complete: frozenset[str]
    """Functions all of whose units are among ``units``."""
    total_units: int

    @property
    def names(self) -> set[str]:
        """All functions drawn."""
        return {name for names in self.strata.values() for name in names}

    def __str__(self) -> str:
        kinds = ", ".join(f"{len(names)} {stratum}" for stratum, names in self.strata.items())
        return (
            f"{len(self.names)} functions ({kinds}), read in {len(self.units)} of {self.total_units} units; "
            f"{len(self.complete)} of them in every unit that speaks of them"
        )


def draw(image: Image, seed: int) -> Sample:
    """Draw a sample and read its units."""
    rng = random.Random(seed)
    home = sorted(rng.sample(range(len(image.units)), HOME_UNITS))
    units = image.read(home)
    strata: dict[str, list[str]] = {}
    drawn: set[str] = set()
    pools = {**_symbol_pools(image.symbols()), **_unit_pools(units.values())}
    for stratum, count in STRATA.items():
        strata[stratum] = rng.sample(sorted(pools[stratum] - drawn), count)
        drawn.update(strata[stratum])

    speaking = units_naming(image, drawn)
    wanted = set(home)
    complete = set()
    size = sum(image.units[number]["unit_length"] for number in wanted)
    for name in sorted(drawn, key=lambda name: (len(speaking[name]), name)):
        more = speaking[name] - wanted
        size += sum(image.units[number]["unit_length"] for number in more)
        if size > UNIT_BYTES:
            break
        wanted |= more
    complete = {name for name in drawn if speaking[name] <= wanted}
    units |= image.read(sorted(wanted - set(home)))
    return Sample(strata, units, frozenset(complete), len(image.units))


def _symbol_pools(symbols: Iterable[Symbol]) -> dict[str, set[str]]:
    table = [symbol for symbol in symbols if not symbol.name.startswith(NO_SOURCE)]
    plain = Counter(symbol.name for symbol in table if symbol.name == symbol.base)
    return {
        "global": {symbol.name for symbol in table if symbol.bind == "STB_GLOBAL"},
        "static": {symbol.name for symbol in table if symbol.bind == "STB_LOCAL" and plain[symbol.name] == 1},
        "suffixed symbol": {symbol.base for symbol in table if symbol.name != symbol.base},
        "several symbols": {name for name, count in plain.items() if count > 1},
    }


def _unit_pools(units: Iterable[UnitReading]) -> dict[str, set[str]]:
    inlined = [definition for unit in units for definition in unit.definitions if definition.inlined]
    code = [definition for definition in inlined if definition.addresses]
    gone = [definition for definition in inlined if not definition.addresses]
    return {
        "inlined, of its own file": {d.name for d in gone if d.decl_file == d.unit},
        "inlined, of a header": {d.name for d in gone if d.decl_file and d.decl_file.endswith(".h")},
        "inlined and out of line": {d.name for d in code},
    }


def units_naming(image: Image, names: set[str]) -> dict[str, set[int]]:
    """The units that may speak of each name: a superset, since every reference to the string is in them.

    A DIE names a function by the offset of the string in ``.debug_str``: four bytes, at any alignment. They
    are looked for in all of ``.debug_info``, whatever they belong to, so some units only look as if.
    """
    strings = image.section(".debug_str")
    info = image.section(".debug_info")
    offsets: dict[int, str] = {}
    for name in names:
        # The linker keeps one copy of a string that is the tail of others.
        at = strings.find(text := name.encode() + b"\0")
        while at >= 0:
            offsets[at] = name
            at = strings.find(text, at + 1)
    wanted = pa.array(sorted(offsets), pa.uint32())
    starts = [unit.cu_offset for unit in image.units]
    found: dict[str, set[int]] = {name: set() for name in names}
    for alignment in range(4):
        count = (len(info) - alignment) // 4
        words = pa.Array.from_buffers(pa.uint32(), count, [None, pa.py_buffer(memoryview(info)[alignment:])])
        hits = pc.indices_nonzero(pc.is_in(words, value_set=wanted))
        for index in hits.to_pylist():
            name = offsets[words[index].as_py()]
            found[name].add(bisect_right(starts, index * 4 + alignment) - 1)
    return found
