"""Makes an unpacked file of a folder of Parquet tables, one table after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ksurf.dataset.lookup.table import TableFile, stored_columns
from ksurf.dataset.unpacked.file import write_file
from ksurf.dataset.unpacked.layout import CODED, INDEXED, PARENT
from ksurf.dataset.workspace import sync

__all__ = ["unpack"]


def unpack(directory: Path, path: Path) -> None:
    """Write the tables of a kernel's folder, or of a segment's of the pool, to a new file.

    Raises :class:`~ksurf.errors.DatasetError` if one cannot be read.
    """
    with path.open("wb") as file:
        write_file(file, _parts(directory))
    sync(path)


def _parts(directory: Path) -> Iterator[tuple[str, Any]]:
    for name, indexed in INDEXED.items():
        source = directory / f"{name}.parquet"
        if source.is_file():
            columns = _columns(name, source)
            for column in indexed:
                yield f"{name}.{column}", _order(columns[column])
            yield name, _batch(name, columns)


def _columns(name: str, source: Path) -> dict[str, Any]:
    import pyarrow as pa

    table = TableFile(source).read(stored_columns(name))
    return {
        column: pa.concat_arrays(table[column].chunks) if table.num_rows else pa.array([], table[column].type)
        for column in table.column_names
    }


def _batch(name: str, columns: dict[str, Any]) -> Any:
    """A table as one batch, with few texts as codes."""
    import pyarrow as pa

    coded = CODED.get(name, ())
    arrays = {
        column: array.dictionary_encode() if column in coded else array for column, array in columns.items()
    }
    if name == "call_sites":
        arrays[PARENT] = _parents(arrays["depth"], arrays["inline"])
    return pa.record_batch(arrays)


def _parents(depths: Any, inlines: Any) -> Any:
    """For each call the inlined call around it: the nearest before it that is inlined, and one less deep."""
    import pyarrow as pa
    import pyarrow.compute as pc

    deepest = pc.max(depths).as_py() or 0
    open_at = [-1] * (deepest + 2)
    parents = []
    for row, (depth, inline) in enumerate(zip(depths.to_pylist(), inlines.to_pylist(), strict=True)):
        parents.append(open_at[depth])
        if inline:
            open_at[depth + 1] = row
    return pa.array(parents, pa.int32())


def _order(array: Any) -> Any:
    """The numbers of the rows, without nulls, in the order of a column; ``None`` if they stand in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count == 0 and (len(array) < 2 or pc.all(pc.less_equal(array[:-1], array[1:])).as_py()):
        return None
    order = pc.array_sort_indices(array)[: len(array) - array.null_count]
    return pa.record_batch({"row": order.cast(pa.int32())})
