"""One table on its way to disk: checked against the schema, then written with the schema's encodings."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ksurf.dataset.schema import FORMAT_VERSION, TABLES, Column, Table, arrow_schema

__all__ = ["SchemaMismatchError", "read_streams", "write_groups", "write_table"]


class SchemaMismatchError(ValueError):
    """Tables that break the contract of :mod:`ksurf.dataset.schema`: a defect of what produced them."""


def read_streams(streams: Mapping[str, Any]) -> dict[str, Any]:
    """Take every table from its Arrow stream and check it; :class:`SchemaMismatchError` if one breaks a rule.

    Checked are names and types of columns, nulls, dense ids, references between tables, and the order of
    rows: everything that the readers rely on.
    """
    import pyarrow as pa

    if set(streams) != set(TABLES):
        missing, unknown = sorted(set(TABLES) - set(streams)), sorted(set(streams) - set(TABLES))
        raise SchemaMismatchError(f"tables missing: {missing or 'none'}, unknown: {unknown or 'none'}")
    taken: dict[str, pa.Table] = {}
    for name, table in TABLES.items():
        taken[name] = _conform(pa.table(streams[name]), table)
    for name, table in TABLES.items():
        for column in table.columns:
            _check_column(taken, table, column)
        if table.sorted_by:
            _check_order(taken[name][table.sorted_by[0]], f"{name}.{table.sorted_by[0]}")
    for name in ("types", "type_uses", "members"):
        _check_keys(taken[name]["definition"], taken["definitions"]["key"], f"{name}.definition")
    return taken


def _conform(data: Any, table: Table) -> Any:
    expected = arrow_schema(table)
    if data.column_names != expected.names:
        raise SchemaMismatchError(f"{table.name}: columns are {data.column_names}, expected {expected.names}")
    import pyarrow as pa

    for field in expected:
        given = data.schema.field(field.name).type
        value = given.value_type if pa.types.is_dictionary(given) else given
        stringlike = pa.types.is_large_string(value) or pa.types.is_string(value) or value == pa.string_view()
        if given != field.type and not (field.type == pa.string() and stringlike):
            raise SchemaMismatchError(f"{table.name}.{field.name}: type {given}, expected {field.type}")
    # Nulls are looked at first: the cast to a schema with required columns does not do it in every version.
    for column in table.columns:
        nulls = data[column.name].null_count
        if nulls and not column.nullable:
            raise SchemaMismatchError(f"{table.name}.{column.name}: {nulls} nulls in a column without nulls")
    return data if data.schema.equals(expected) else data.cast(expected)


def _check_column(tables: Mapping[str, Any], table: Table, column: Column) -> None:
    import pyarrow.compute as pc

    values = tables[table.name][column.name]
    if column.name == "id" and len(values):
        steps = pc.pairwise_diff(values.combine_chunks())
        if values[0].as_py() != 0 or pc.all(pc.equal(steps, 1)).as_py() is False:
            raise SchemaMismatchError(f"{table.name}.id: not the numbers of the rows in order")
    if column.references is not None:
        bounds = pc.min_max(values).as_py()
        rows = tables[column.references].num_rows
        if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < rows:
            raise SchemaMismatchError(
                f"{table.name}.{column.name}: points to rows {bounds['min']} to {bounds['max']} "
                f"of {column.references}, which has {rows}"
            )


def _check_order(values: Any, name: str) -> None:
    import pyarrow.compute as pc

    if len(values) > 1 and not pc.all(pc.less_equal(values[:-1], values[1:])).as_py():
        raise SchemaMismatchError(f"{name}: rows are not in its order")


def _check_keys(values: Any, keys: Any, name: str) -> None:
    import pyarrow.compute as pc

    if pc.all(pc.is_in(values, value_set=keys.combine_chunks())).as_py() is False:
        raise SchemaMismatchError(f"{name}: points to a key that definitions does not have")


def write_table(data: Any, table: Table, path: Path | IO[bytes]) -> None:
    """Write one checked table to ``path``, which may be an open file."""
    first, size = int(table.first_alone), table.rows_per_group
    groups = [data.slice(start, size) for start in range(first, data.num_rows, size)]
    write_groups([data.slice(0, first), *groups] if first else groups, table, path)


def write_groups(groups: Sequence[Any], table: Table, path: Path | IO[bytes]) -> None:
    """Write checked rows of one table, each part of them as a row group; a part may be empty."""
    import pyarrow.parquet as pq

    coded = {c.name: c.encoding for c in table.columns if c.encoding not in ("PLAIN", "DICTIONARY")}
    metadata = {"ksurf.format_version": str(FORMAT_VERSION)}
    with pq.ParquetWriter(
        path,
        arrow_schema(table).with_metadata(metadata),
        compression="zstd",
        compression_level={c.name: c.level for c in table.columns},
        use_dictionary=[c.name for c in table.columns if c.encoding == "DICTIONARY"],
        column_encoding=coded or None,
        write_statistics=True,
        **_page_options(),
    ) as writer:
        for group in groups:
            writer.write_table(group.replace_schema_metadata(metadata), row_group_size=max(1, group.num_rows))


@functools.cache
def _page_options() -> dict[str, Any]:
    # zstd compresses page by page and finds no repeat across two, so a column chunk is made one page.
    import inspect

    import pyarrow.parquet as pq

    options: dict[str, Any] = {"data_page_size": 1 << 26, "dictionary_pagesize_limit": 1 << 24}
    if "max_rows_per_page" in inspect.signature(pq.ParquetWriter.__init__).parameters:
        options["max_rows_per_page"] = 1 << 30
    return options
