"""Whole tables of one kernel, as Arrow has them: for comparisons of everything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ksurf.dataset.lookup.table import file_at, in_parallel, values_of
from ksurf.dataset.pool import segments_of
from ksurf.dataset.rows import Member
from ksurf.dataset.unpacked.table import UnpackedTable

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["fields_of", "parameters_of", "read_tables"]


def read_tables(
    directories: Sequence[Path], columns: Mapping[str, Sequence[str]]
) -> list[dict[str, pa.Table]]:
    """The named columns of the named tables of each kernel, by its directory, as they lie on disk.

    Definitions and members are not a kernel's own: :func:`~ksurf.dataset.lookup.definitions_of` reads those
    behind the keys that differ, and :func:`parameters_of` no more than how many parameters there are.
    """
    parts = [(directory, name) for directory in directories for name in columns]
    read = in_parallel(
        lambda part: file_at(part[0] / f"{part[1]}.parquet").read(list(columns[part[1]])), parts
    )
    found = dict(zip(parts, read, strict=True))
    return [{name: found[directory, name] for name in columns} for directory in directories]


def parameters_of(keys: Collection[int], directories: Sequence[Path]) -> dict[int, tuple[int, bool]]:
    """How many parameters the prototypes behind these keys have, and whether the last is ``...``.

    One that has none is left out, as it has no rows.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(keys), pa.uint64())

    def read(segment: Path) -> dict[int, tuple[int, bool]]:
        file = file_at(segment / "members.parquet")
        takes: dict[int, tuple[int, bool]] = {}
        # Group by group, whose memory serves for the next.
        for group in range(len(file.groups)):
            owners = file.read(["definition"], [group])["definition"].combine_chunks()
            # The members of a definition stand together, and are no more than one look-up.
            runs = pc.run_end_encode(owners, run_end_type=pa.int64())
            own = pc.is_in(runs.values, value_set=wanted)
            if pc.any(own).as_py():
                starts = pa.concat_arrays([pa.array([0], pa.int64()), runs.run_ends])
                counts = pc.subtract(runs.run_ends, starts[:-1]).filter(own).to_pylist()
                last = pc.equal(file.read(["type"], [group])["type"], "...").combine_chunks()
                variadic = set(owners.filter(last).to_pylist())
                found = runs.values.filter(own).to_pylist()
                takes.update(
                    (key, (count, key in variadic)) for key, count in zip(found, counts, strict=True)
                )
        return takes

    found = in_parallel(read, _segments(directories)) if keys else []
    return {key: takes for own in found for key, takes in own.items()}


def fields_of(name: str, keys: Collection[int], directories: Sequence[Path]) -> dict[int, list[Member]]:
    """The fields of the structs and unions of this name behind these keys: name, type and offset of each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(keys), pa.uint64())
    columns = ["depth", "name", "type", "bit_offset"]

    def read(segment: Path) -> dict[int, list[Member]]:
        file = file_at(segment / "members.parquet")
        found: dict[int, list[Member]] = {}
        if isinstance(file, UnpackedTable):
            for key, *member in file.rows("definition", keys, ["definition", *columns])[1]:
                found.setdefault(key, []).append(Member(*member))
            return found
        # The row groups of both files hold the same definitions.
        groups = file_at(segment / "definitions.parquet").overlapping("name", [name])
        for group in (number for number in groups if number < len(file.groups)):
            owners = file.read(["definition"], [group])["definition"]
            mask = pc.is_in(owners, value_set=wanted)
            if pc.any(mask).as_py():
                rows = file.read(columns, [group]).filter(mask)
                values = (values_of(rows[column]) for column in columns)
                for key, *member in zip(values_of(owners.filter(mask)), *values, strict=True):
                    found.setdefault(key, []).append(Member(*member))
        return found

    found = in_parallel(read, _segments(directories)) if keys else []
    return {key: members for own in found for key, members in own.items()}


def _segments(directories: Sequence[Path]) -> list[Path]:
    """The segments of the pool that some of the kernels need."""
    return list(dict.fromkeys(segment for directory in directories for segment in segments_of(directory)))
