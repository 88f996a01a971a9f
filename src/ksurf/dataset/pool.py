"""The pool of definitions: what types are, once in the dataset, however many kernels have them.

It lies in ``<dataset>/definitions/``, in segments: a segment has the definitions that one kernel brought,
with their members, and never changes. A kernel's manifest names the segments that it needs. One without a
kernel, left by a writer that was killed, does no harm: the next writer uses it, or the next removal takes it.

The row groups of a segment's two files belong together: group by group they hold the same definitions, in the
order of their names, so that a look-up by name reads one group of each.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ksurf.dataset.schema import POOLED, TABLES
from ksurf.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SEGMENTS", "Known", "look_up", "needed_segments", "segments_of", "write_segment"]

SEGMENTS = "definitions"
"""The folder of the segments in a dataset."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a pool has of a kernel's definitions."""

    segments: tuple[str, ...]
    """The segments that have some of them."""
    new: pa.ChunkedArray
    """The keys that none has."""


def segments_of(directory: Path) -> list[Path]:
    """The segments that a kernel needs, by its directory."""
    manifest = directory / "manifest.json"
    try:
        names = needed_segments(manifest.read_bytes())
    except FileNotFoundError as error:
        raise DatasetError(f"{directory}: gone while it was read", "run the command again") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"{manifest}: {error}") from error
    return [directory.parent.parent / SEGMENTS / name for name in names]


def needed_segments(manifest: bytes) -> list[str]:
    """The names of the segments that a manifest lists, of any format; :class:`ValueError` if it is none."""
    document = json.loads(manifest)
    try:
        return [str(segment["name"]) for segment in document.get("segments", [])]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its segments cannot be read: {error}") from error


def look_up(pool: Path, keys: pa.ChunkedArray) -> Known:
    """Tell which segments have these keys, and which keys none has; a damaged segment has none."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    used = []
    try:
        segments = sorted(pool.iterdir())
    except FileNotFoundError:
        segments = []
    for segment in segments:
        if not len(keys):
            break
        try:
            has = pq.read_table(segment / "definitions.parquet", columns=["key"])["key"]
            pq.read_metadata(segment / "members.parquet")
        except (OSError, ValueError):  # also Arrow's own errors
            continue
        absent = keys.filter(pc.invert(pc.is_in(keys, value_set=has.combine_chunks())))
        if len(absent) < len(keys):
            used.append(segment.name)
        keys = absent
    return Known(tuple(used), keys if isinstance(keys, pa.ChunkedArray) else pa.chunked_array([keys]))


def write_segment(definitions: Any, members: Any, new: Any, directory: Path) -> int:
    """Write the definitions of the ``new`` keys and their members; the bytes of both files.

    Raises :class:`~ksurf.dataset.parquet.SchemaMismatchError` if the members are in another order.
    """
    import pyarrow.compute as pc

    from ksurf.dataset.parquet import SchemaMismatchError, write_groups

    keys = new.combine_chunks()
    definitions = definitions.filter(pc.is_in(definitions["key"], value_set=keys))
    members = members.filter(pc.is_in(members["definition"], value_set=keys))
    runs = pc.run_end_encode(members["definition"].combine_chunks())
    ends = runs.run_ends.to_pylist()
    numbers = pc.index_in(runs.values, value_set=definitions["key"].combine_chunks()).to_pylist()
    if any(a >= b for a, b in pairwise(numbers)):
        raise SchemaMismatchError("members: rows are not in the order of the definitions")
    size = TABLES["definitions"].rows_per_group
    starts = range(0, definitions.num_rows, size)
    # How many members the definitions before each cut have.
    cuts = [bisect_left(numbers, start) for start in (*starts, definitions.num_rows)]
    places = [ends[cut - 1] if cut else 0 for cut in cuts]
    files = [directory / f"{name}.parquet" for name in POOLED]
    write_groups([definitions.slice(start, size) for start in starts], TABLES["definitions"], files[0])
    write_groups([members.slice(a, b - a) for a, b in pairwise(places)], TABLES["members"], files[1])
    return sum(file.stat().st_size for file in files)
