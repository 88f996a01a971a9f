"""Fields and enumerators by a part of their name, over all kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ksurf.dataset.lookup.table import TableFile, file_at, in_parallel, values_of
from ksurf.dataset.pool import segments_of
from ksurf.kernel import Kernel

__all__ = ["MEMBER_KINDS", "members_like", "members_of"]

MEMBER_KINDS = ("field", "enumerator")
_OWNERS = ("struct", "union", "enum", "typedef")


class _Member(NamedTuple):
    definition: int
    """The key of the definition that it is a part of."""
    kind: str
    name: str
    """With its owner's: ``kvm::irqfds.lock``, ``pid_type::PIDTYPE_PID``."""


def members_like(
    text: str, kernels: Sequence[tuple[Kernel, Path]], kinds: Collection[str] = MEMBER_KINDS
) -> Counter[tuple[str, str]]:
    """On how many of the kernels each member is that has the text in its name, by kind and name.

    ``kvm::lock`` asks for owners whose name has the first part and members whose name has the second, and
    ``irqfds.lock`` for a field in a nested struct. Upper and lower case are alike.
    """
    owner, separator, path = text.rpartition("::")
    owner = owner.removeprefix("struct ").removeprefix("union ").removeprefix("enum ")
    if not separator:
        path = text
    segments = list(dict.fromkeys(segment for _, directory in kernels for segment in segments_of(directory)))
    found = in_parallel(lambda segment: list(_in_segment(segment, owner, path, kinds)), segments)
    keys = {member.definition for members in found for member in members}
    held = dict.fromkeys(keys, 0)
    for number, own in enumerate(in_parallel(lambda kernel: _held(kernel[1], keys), kernels)):
        for key in own:
            held[key] |= 1 << number
    on: dict[tuple[str, str], int] = {}
    for members in found:
        for key, kind, name in members:
            if bits := held[key]:
                on[kind, name] = on.get((kind, name), 0) | bits
    return Counter({symbol: bits.bit_count() for symbol, bits in on.items()})


def _held(directory: Path, keys: Collection[int]) -> list[int]:
    """Those of the keys that a kernel has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not keys:
        return []
    column = TableFile(directory / "types.parquet").read(["definition"])["definition"]
    wanted = pa.array(sorted(keys), pa.uint64())
    found: list[int] = column.filter(pc.is_in(column, value_set=wanted)).unique().to_pylist()
    return found


def _in_segment(directory: Path, owner: str, path: str, kinds: Collection[str]) -> Iterator[_Member]:
    import pyarrow.compute as pc

    owners = TableFile(directory / "definitions.parquet").read(["key", "kind", "name"])
    owners = owners.filter(_one_of(owners["kind"], _OWNERS))
    if owner:
        owners = owners.filter(_has(owners["name"], owner))
    if not owners.num_rows:
        return
    members = TableFile(directory / "members.parquet").read(["definition", "depth", "name", "value"])
    rows = pc.indices_nonzero(_has(members["name"], path.rpartition(".")[2]))
    rows = rows.filter(pc.is_in(members["definition"].take(rows), value_set=owners["key"].combine_chunks()))
    found = members.take(rows)
    valued = found["value"].is_valid().to_pylist()
    names = dict(zip(values_of(owners["key"]), values_of(owners["name"]), strict=True))
    above = _Above(members)
    wanted = path.casefold()
    columns = (values_of(found[column]) for column in ("definition", "depth", "name"))
    for row, is_value, key, depth, name in zip(values_of(rows), valued, *columns, strict=True):
        kind = "enumerator" if is_value else "field"
        own = f"{above.path(row)}{name}" if depth else name
        if kind in kinds and wanted in own.casefold():
            yield _Member(key, kind, f"{names[key]}::{own}")


def members_of(directory: Path, kind: str) -> Iterator[tuple[int, str]]:
    """All members of a kind in a segment of the pool: the definition's key, and the name with its owner's."""
    import pyarrow.compute as pc

    owners = file_at(directory / "definitions.parquet").read(["key", "kind", "name"])
    owners = owners.filter(_one_of(owners["kind"], _OWNERS))
    names = dict(zip(values_of(owners["key"]), values_of(owners["name"]), strict=True))
    columns = ["definition", "depth", "name", "value"]
    members = file_at(directory / "members.parquet").read(columns)
    members = members.filter(pc.is_in(members["definition"], value_set=owners["key"].combine_chunks()))
    valued = members["value"].is_valid().to_pylist()
    before = None
    around: list[tuple[int, str]] = []
    rows = zip(*(values_of(members[column]) for column in columns[:3]), valued, strict=True)
    for key, depth, name, is_value in rows:
        if key != before:
            around.clear()
            before, owner = key, names[key]
        while around and around[-1][0] >= depth:
            around.pop()
        path = around[-1][1] if around else ""
        if name and is_value == (kind == "enumerator"):
            yield key, f"{owner}::{path}{name}"
        around.append((depth, f"{path}{name}." if name else path))


def _one_of(column: Any, values: Collection[str]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(column, value_set=pa.array(values, pa.string()))


def _has(column: Any, text: str) -> Any:
    """Which rows have the text in them: looked for in each distinct value once."""
    import pyarrow.compute as pc

    coded = column.combine_chunks().dictionary_encode()
    codes = pc.indices_nonzero(pc.match_substring(coded.dictionary, text, ignore_case=True))
    return pc.is_in(coded.indices, value_set=codes.cast(coded.indices.type))


class _Above:
    """What members stand in, from the columns of ``members``, which are read when a nested one is met."""

    def __init__(self, members: Any) -> None:
        self._members = members
        self._columns: tuple[list[int], list[int]] | None = None

    def path(self, row: int) -> str:
        """The path to a row, with a dot at its end; unnamed structs and unions take no part in it."""
        if self._columns is None:
            keys, depths = (values_of(self._members[column]) for column in ("definition", "depth"))
            self._columns = keys, depths
        keys, depths = self._columns
        parts: list[str] = []
        key, depth = keys[row], depths[row]
        while depth and row and keys[row - 1] == key:
            row -= 1
            if depths[row] < depth:
                depth = depths[row]
                name = self._members["name"][row].as_py()
                if name:
                    parts.append(f"{name}.")
        return "".join(reversed(parts))
