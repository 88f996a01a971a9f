"""Call sites of unpacked tables, made when they are looked at, with the inlined calls around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from ksurf.dataset.lookup.table import Directory
from ksurf.dataset.rows import CallSite, Frame
from ksurf.dataset.unpacked.layout import PARENT
from ksurf.dataset.unpacked.table import UnpackedTable

__all__ = ["CallMaker", "unit_paths"]


def unit_paths(tables: Directory, units: Collection[int | None]) -> dict[int | None, str | None]:
    """The paths of units by their ids; of no unit there is none."""
    found: dict[int | None, str | None] = {None: None}
    rows = tables.table("units").at([unit for unit in units if unit is not None], ["path"])
    found.update((unit, path) for unit, (path,) in rows.items())
    return found


class _Caller(NamedTuple):
    name: str
    file: str | None
    """That declares it."""
    image: str
    unit: str | None
    unit_id: int | None


class CallMaker:
    """What one kernel's table of calls says of some of its rows."""

    def __init__(self, tables: Directory, calls: UnpackedTable, *, chains: bool) -> None:
        """Take the kernel's tables, and that of its calls."""
        self._tables = tables
        self._calls = calls
        self._chains = chains
        self._callers: dict[int, _Caller] = {}
        self._around: dict[int, tuple[tuple[Frame, ...], str | None]] = {}
        """Of rows that enclose others: the chain that ends in it, and the file that declares its callee."""

    def targets(self, numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """What tells which instances these rows call."""
        callers = self._calls.column("caller").values(numbers)
        known = self._tables.table("instances").at(callers, ["unit", "image"])
        units = {caller: unit for caller, (unit, _) in known.items()}
        images = {caller: self._tables.images[image][0] for caller, (_, image) in known.items()}
        return zip(
            *(self._calls.column(name).values(numbers) for name in ("callee_instance", "callee")),
            map(units.__getitem__, callers),
            map(images.__getitem__, callers),
            self.inline(numbers),
            strict=True,
        )

    def inline(self, numbers: Sequence[int]) -> list[bool]:
        """Whether a copy of the callee stands there."""
        return self._calls.column("inline").values(numbers)

    def sites(self, numbers: Sequence[int]) -> list[CallSite]:
        """These rows."""
        names = ("caller", "callee", "callee_instance", "inline", "depth", PARENT, "file", "line")
        columns = [self._calls.column(name).values(numbers) for name in names]
        self._learn(set(columns[0]))
        result = []
        for caller, callee, instance, inline, depth, parent, file, line in zip(*columns, strict=True):
            name, own_file, image, unit, unit_id = self._callers[caller]
            chain: tuple[Frame, ...] | None = None
            if self._chains:
                chain, around = self._enclosing(parent, own_file)
                file = file or around
            else:
                file = line = None
            result.append(
                CallSite(callee, instance, name, image, unit, unit_id, inline, depth, file, line, chain)
            )
        return result

    def _learn(self, callers: set[int]) -> None:
        """Look up who calls, of those who are not known yet."""
        new = self._tables.table("instances").at(
            callers - self._callers.keys(), ["function", "image", "unit"]
        )
        held = self._tables.table("functions").at(
            {function for function, _, _ in new.values()}, ["name", "decl_file"]
        )
        units = unit_paths(self._tables, {unit for _, _, unit in new.values()})
        images = self._tables.images
        for caller, (function, image, unit) in new.items():
            name, file = held[function]
            self._callers[caller] = _Caller(name, file, images[image][0], units[unit], unit)

    def _enclosing(self, parent: int, file: str | None) -> tuple[tuple[Frame, ...], str | None]:
        """The chain that ends in a row, and the file that declares its callee; ``file`` is the caller's."""
        if parent < 0:
            return (), file
        found = self._around.get(parent)
        if found is not None:
            return found
        parents = self._calls.column(PARENT)
        way = [parent]
        # What encloses a row stands before it.
        while 0 <= (above := parents.value(way[-1])) < way[-1] and above not in self._around:
            way.append(above)
        chain, around = self._around.get(above, ((), file))
        functions = self._tables.table("functions")
        rows = self._calls.at(way, ["callee", "file", "line"])
        known = functions.at({callee for callee, _, _ in rows.values()}, ["name", "decl_file"])
        for row in reversed(way):
            callee, own, line = rows[row]
            name, declared = known[callee]
            chain = (*chain, Frame(name, own or around, line))
            around = declared
            self._around[row] = chain, around
        return chain, around
