"""Look-ups of types, function prototypes and variables, with their definitions from the pool."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ksurf.dataset.lookup.kept import kept
from ksurf.dataset.lookup.table import (
    Directory,
    directory_at,
    file_at,
    in_parallel,
    stored_columns,
    unique,
    unpacked_at,
    values_of,
)
from ksurf.dataset.pool import segments_of
from ksurf.dataset.rows import Definition, Member, TypeRow, TypeRows, TypeUse
from ksurf.dataset.schema import POOLED
from ksurf.dataset.unpacked.cache import unpacked
from ksurf.dataset.unpacked.file import UnpackedFile
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["definitions_of", "images_with_btf", "type_names", "types_named"]


def types_named(
    names: Sequence[str],
    kernels: Sequence[tuple[Kernel, Path]],
    *,
    kinds: Collection[str],
    uses: bool = True,
) -> dict[str, list[TypeRows]]:
    """The definitions of each name that are of one of the kinds, on each kernel, and where each is used."""
    found = in_parallel(lambda kernel: _named(names, kernel[1], kinds, uses=uses), kernels)
    keys = {row["definition"] for types, _ in found for row in types}
    wanted = set(names)
    definitions = _from_pool(keys, kernels, lambda segment: segment.definitions.overlapping("name", wanted))
    result: dict[str, list[TypeRows]] = {name: [] for name in names}
    for (kernel, _), (types, used) in zip(kernels, found, strict=True):
        types_of, uses_of = defaultdict(list), defaultdict(list)
        for row in types:
            definition = definitions[row["definition"]]
            types_of[row["name"]].append(TypeRow(row["image"], row["evidence"], definition))
        for row in used:
            uses_of[row.pop("name")].append(TypeUse(**row))
        for name in result:
            result[name].append(TypeRows(kernel, name, tuple(types_of[name]), tuple(uses_of[name])))
    return result


def type_names(kernels: Sequence[tuple[Kernel, Path]], *, kinds: Collection[str]) -> pa.StringArray:
    """Every name of a type of one of the kinds on the kernels, once."""
    return unique(in_parallel(lambda kernel: _names(kernel[1], kinds), kernels))


def images_with_btf(kernels: Sequence[tuple[Kernel, Path]]) -> list[set[str]]:
    """The images of each kernel that ship BTF."""

    def read(kernel: tuple[Kernel, Path]) -> set[str]:
        active = unpacked()
        told = None if active is None else active.once(kernel[1], _told_shipping)
        return _shipping(kernel[1]) if told is None else told

    return in_parallel(read, kernels)


def _told_shipping(directory: Path, _: UnpackedFile) -> set[str]:
    return _shipping(directory)


def _shipping(directory: Path) -> set[str]:
    import pyarrow.compute as pc

    tables = directory_at(directory)
    types = tables.table("types").read(["image", "evidence"])
    images = types["image"].filter(pc.equal(types["evidence"], "btf")).unique().to_pylist()
    return {tables.images[image][0] for image in images}


def definitions_of(keys: Iterable[int], kernels: Sequence[tuple[Kernel, Path]]) -> dict[int, Definition]:
    """The definitions behind keys that occur on these kernels."""
    return _from_pool(set(keys), kernels, None)


def _named(
    names: Sequence[str], directory: Path, kinds: Collection[str], *, uses: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of ``types`` and of ``type_uses``, with images by name."""
    tables = directory_at(directory)
    types = [row for row in _rows(tables, "types", names) if row["kind"] in kinds]
    if not types:
        return [], []
    used: list[dict[str, Any]] = []
    if uses:
        keys = {row["definition"] for row in types}
        used = [row for row in _rows(tables, "type_uses", names) if row["definition"] in keys]
    for row in (*types, *used):
        row["image"] = tables.images[row["image"]][0]
    return types, used


def _rows(tables: Directory, table: str, names: Sequence[str]) -> list[dict[str, Any]]:
    columns = stored_columns(table)
    _, rows = tables.table(table).rows("name", set(names), columns)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _names(directory: Path, kinds: Collection[str]) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = directory_at(directory).table("types").read(["name", "kind"])
    return table["name"].filter(pc.is_in(table["kind"], value_set=pa.array(sorted(kinds))))


_MEMBER = [name for name in stored_columns("members") if name not in {"definition", "position"}]
"""What a member has, in the order of :class:`~ksurf.dataset.rows.Member`."""


def _unpacked(directory: Path, keys: Collection[int]) -> dict[int, Definition]:
    """Those of the definitions that an unpacked segment has."""
    definitions, members = (unpacked_at(directory / f"{name}.parquet") for name in POOLED)
    assert definitions is not None and members is not None
    found = {}
    for row in definitions.rows("key", keys, stored_columns("definitions"))[1]:
        _, own = members.rows("definition", row[:1], _MEMBER)
        key, kind, name, size, signed, type_, tags = row
        found[key] = Definition(key, kind, name, size, signed, type_, tags, tuple(map(Member._make, own)))
    return found


class _Segment:
    """One segment of the pool: the row groups of its two files hold the same definitions."""

    def __init__(self, directory: Path) -> None:
        self.definitions = file_at(directory / "definitions.parquet")
        self._members = file_at(directory / "members.parquet")

    def read(self, keys: Any, groups: Sequence[int]) -> dict[int, Definition]:
        """The definitions of these keys (an Arrow array) that are in these row groups."""
        import pyarrow.compute as pc

        found: dict[int, Definition] = {}
        for group in groups:
            mask = pc.is_in(self.definitions.read(["key"], [group])["key"], value_set=keys)
            if not pc.any(mask).as_py():
                continue
            definitions = self.definitions.read(stored_columns("definitions"), [group]).filter(mask)
            members = self._members_of(definitions["key"], group)
            columns = [values_of(definitions[column]) for column in stored_columns("definitions")]
            of_each = [members.get(key, ()) for key in columns[0]]
            found.update(zip(columns[0], map(Definition, *columns, of_each), strict=True))
        return found

    def _members_of(self, keys: Any, group: int) -> dict[int, tuple[Member, ...]]:
        import pyarrow.compute as pc

        if group >= len(self._members.groups):
            return {}
        key = self._members.read(["definition"], [group])["definition"]
        mask = pc.equal(key, keys[0]) if len(keys) == 1 else pc.is_in(key, value_set=keys.combine_chunks())
        rows = self._members.read(_MEMBER, [group]).filter(mask)
        made = list(map(Member._make, zip(*(values_of(rows[column]) for column in _MEMBER), strict=True)))
        members = {}
        start = 0
        runs = pc.run_end_encode(key.filter(mask).combine_chunks())
        for owner, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            members[owner] = tuple(made[start:end])
            start = end
        return members


def _from_pool(
    keys: set[int],
    kernels: Sequence[tuple[Kernel, Path]],
    narrowed: Callable[[_Segment], list[int]] | None,
) -> dict[int, Definition]:
    """The definitions of the keys, and maybe others; ``narrowed`` tells the row groups of a segment that may
    have them.
    """
    import pyarrow as pa

    store, active = kept(), unpacked()
    found: dict[int, Definition] = {} if store is None else store.definitions
    if active is not None:
        found = active.known(keys)
    missing = keys - found.keys()
    if not missing:
        return found
    wanted = pa.array(sorted(missing), pa.uint64())

    def read(directory: Path) -> dict[int, Definition]:
        if unpacked_at(directory / "definitions.parquet") is not None:
            return _unpacked(directory, missing)
        segment = _Segment(directory)
        groups = narrowed(segment) if narrowed else range(len(segment.definitions.groups))
        return segment.read(wanted, groups)

    segments = dict.fromkeys(segment for _, directory in kernels for segment in _segments(directory))
    for part in in_parallel(read, list(segments)):
        found.update(part)
        if active is not None:
            active.learn(part)
    if missing := keys - found.keys():
        pool = next(iter(segments), kernels[0][1]).parent
        raise DatasetError(
            f"{pool}: {len(missing)} of {len(keys)} definitions are missing",
            "ksurf rm the kernel, and pull or add it again",
        )
    return found


def _told_segments(directory: Path, _: UnpackedFile) -> list[Path]:
    return segments_of(directory)


def _segments(directory: Path) -> list[Path]:
    store, active = kept(), unpacked()
    if active is not None:
        return active.once(directory, _told_segments) or segments_of(directory)
    if store is None:
        return segments_of(directory)
    return store.once(directory / "manifest.json", lambda manifest: segments_of(manifest.parent))
