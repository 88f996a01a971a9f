"""SQL over all kernels of a dataset: DuckDB, with a view for each table.

A view has the column ``kernel`` in front and names where a person wants them; ``raw_<table>`` has the columns
as they lie on disk (``docs/tables/``). The connection reads the dataset and nothing else: no other file, no
network, no extension, and a statement cannot change that.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.schema import TABLES, Table
from ksurf.errors import DatasetError, InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from ksurf.dataset.store import Store

__all__ = ["VIEWS", "Result", "connect", "query"]

VIEWS: dict[str, str] = {
    "kernels": "one row per kernel: its identity, and how many rows and bytes it has",
    "images": "one row per ELF file",
    "units": "one row per compile unit, with its image by name",
    "functions": "one row per source function",
    "instances": "one row per compiled definition, with function, image and unit by name",
    "call_sites": "one row per call, with caller and callee, unit, image and file by name",
    "symbols": "one row per function symbol, with function and image by name",
}
"""What each view is for."""

# Joins are by (kernel, id), so a filter on `kernel` prunes every table to that kernel's files.
_DEFINITIONS = {
    "images": "SELECT kernel, * EXCLUDE (kernel) FROM raw_images",
    "units": """
        SELECT u.kernel, u.id, i.name AS image, u.path, u.language, u.producer
        FROM raw_units u JOIN raw_images i ON i.kernel = u.kernel AND i.id = u.image""",
    "functions": "SELECT kernel, * EXCLUDE (kernel) FROM raw_functions",
    "instances": """
        SELECT n.kernel, n.id, f.name AS function, n.function AS function_id, i.name AS image, u.path AS unit,
               f.decl_file, f.decl_line, f.external, n.inlined, n.out_of_line, n.section, n.address,
               n.byte_size, n.inline_address
        FROM raw_instances n
        JOIN raw_functions f ON f.kernel = n.kernel AND f.id = n.function
        JOIN raw_images i ON i.kernel = n.kernel AND i.id = n.image
        LEFT JOIN raw_units u ON u.kernel = n.kernel AND u.id = n.unit""",
    "call_sites": """
        SELECT c.kernel, a.name AS caller, c.caller AS caller_instance, i.name AS image, u.path AS unit,
               c.depth, b.name AS callee, c.callee AS callee_function, c.callee_instance, c.inline,
               coalesce(c.file, CASE WHEN c.depth = 0 THEN a.decl_file END) AS file, c.line
        FROM raw_call_sites c
        JOIN raw_instances n ON n.kernel = c.kernel AND n.id = c.caller
        JOIN raw_functions a ON a.kernel = c.kernel AND a.id = n.function
        JOIN raw_functions b ON b.kernel = c.kernel AND b.id = c.callee
        JOIN raw_images i ON i.kernel = c.kernel AND i.id = n.image
        LEFT JOIN raw_units u ON u.kernel = c.kernel AND u.id = n.unit""",
    "symbols": """
        SELECT s.kernel, s.name, f.name AS function, s.function AS function_id, s.instance, i.name AS image,
               s.section, s.address, s.byte_size, s.bind, s.type
        FROM raw_symbols s
        JOIN raw_images i ON i.kernel = s.kernel AND i.id = s.image
        LEFT JOIN raw_functions f ON f.kernel = s.kernel AND f.id = s.function""",
}

_TYPES = {"bool": "BOOLEAN", "int32": "INTEGER", "uint64": "UBIGINT", "string": "VARCHAR"}


class Result:
    """What a statement returned: the names of its columns, and its rows in batches."""

    def __init__(self, columns: Sequence[str], reader: Any) -> None:
        """Wrap a DuckDB result that was not fetched yet."""
        self.columns = tuple(columns)
        self._reader = reader

    def batches(self, size: int = 4096) -> Any:
        """The rows as tuples, in lists of up to ``size``."""
        while rows := self._reader.fetchmany(size):
            yield rows


def connect(store: Store, manifests: Sequence[Manifest] | None = None) -> duckdb.DuckDBPyConnection:
    """Open SQL over the dataset's kernels, or over those of the manifests."""
    import duckdb

    chosen = store.kernels() if manifests is None else list(manifests)
    connection = duckdb.connect(":memory:", config={"allow_unsigned_extensions": "false"})
    connection.register("_kernels", _kernels(chosen))
    connection.execute("CREATE TABLE kernels AS SELECT * FROM _kernels")
    connection.unregister("_kernels")
    root = store.path.resolve() / "kernels"
    for table in TABLES.values():
        connection.execute(_raw_view(table, [store.directory(m.kernel.id).resolve() for m in chosen]))
    for name, definition in _DEFINITIONS.items():
        connection.execute(f"CREATE VIEW {name} AS {definition}")
    # From here on only the dataset's own files can be opened, and no statement can undo it.
    connection.execute("SET allowed_directories = [$root]", {"root": f"{root}/"})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET lock_configuration = true")
    return connection


def query(connection: duckdb.DuckDBPyConnection, statement: str) -> Result:
    """Run one statement; :class:`~ksurf.errors.InputError` with the reason if it is wrong, or no question."""
    import duckdb

    try:
        _only_a_question(connection.extract_statements(statement))
        cursor = connection.execute(statement)
    except duckdb.IOException as error:
        raise DatasetError(
            _one_line(error), "run the command again; ksurf ls shows what is damaged"
        ) from error
    except duckdb.PermissionException as error:
        raise InputError(_one_line(error), "a statement can read the dataset, and nothing else") from error
    except duckdb.Error as error:
        raise InputError(_one_line(error), "docs/tables lists tables and columns") from error
    return Result([column[0] for column in cursor.description or ()], cursor)


def _only_a_question(statements: Sequence[duckdb.Statement]) -> None:
    """Refuse what is not exactly one statement that only reads.

    DuckDB can be kept to a folder, but not from writing into it: `COPY ... TO` would replace a table's file.
    """
    import duckdb

    if len(statements) != 1:
        raise InputError(f"one statement is expected, not {len(statements)}")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name.replace("_", " ")
        raise InputError(f"{kind} is not run here", "a statement can read the dataset, and nothing else")


def _raw_view(table: Table, directories: Sequence[Path]) -> str:
    if not directories:
        columns = ", ".join(f"NULL::{_TYPES[c.type]} AS {_quoted(c.name)}" for c in table.columns)
        return f"CREATE VIEW raw_{table.name} AS SELECT NULL::VARCHAR AS kernel, {columns} WHERE false"
    files = ", ".join(_literal(f"{directory}/{table.name}.parquet") for directory in directories)
    columns = ", ".join(_quoted(c.name) for c in table.columns)
    return (
        f"CREATE VIEW raw_{table.name} AS SELECT kernel, {columns} "
        f"FROM read_parquet([{files}], hive_partitioning = true, hive_types = {{'kernel': VARCHAR}})"
    )


def _kernels(manifests: Sequence[Manifest]) -> pa.Table:
    import pyarrow as pa

    rows = [
        {
            "kernel": m.kernel.id,
            "distro": m.kernel.distro,
            "release": m.kernel.release,
            "version": m.kernel.version,
            "base_version": m.kernel.base_version,
            "flavor": m.kernel.flavor,
            "arch": m.kernel.arch,
            **{table: m.tables[table].rows for table in TABLES},
            "byte_size": m.byte_size,
            "unreadable": len(m.unreadable),
            "created": m.created,
        }
        for m in manifests
    ]
    text = ("kernel", "distro", "release", "version", "base_version", "flavor", "arch")
    schema = pa.schema(
        [
            *(pa.field(name, pa.string()) for name in text),
            *(pa.field(name, pa.int64()) for name in (*TABLES, "byte_size", "unreadable")),
            pa.field("created", pa.timestamp("s", "UTC")),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _one_line(error: Exception) -> str:
    # DuckDB adds the statement with a caret under the place; the first line says what is wrong.
    return str(error).split("\n\n")[0].replace("\n", " ").strip()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
