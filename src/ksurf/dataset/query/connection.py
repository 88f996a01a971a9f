"""The connection that a statement runs on: which views there are, and what it may not do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ksurf.dataset.banner import parse_banner
from ksurf.dataset.manifest import Manifest
from ksurf.dataset.pool import SEGMENTS
from ksurf.dataset.query import attachability
from ksurf.dataset.query.attachability import Judge
from ksurf.dataset.query.surface import SURFACE_DEFINITIONS
from ksurf.dataset.query.tables import POOL_DEFINITIONS, TABLE_DEFINITIONS
from ksurf.dataset.schema import POOLED, TABLES
from ksurf.errors import DatasetError, InputError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from ksurf.dataset.store import Store

__all__ = ["Result", "connect", "literal", "query"]

_TYPES = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint64": "UBIGINT",
    "string": "VARCHAR",
    "binary": "BLOB",
}


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


def connect(
    store: Store,
    manifests: Sequence[Manifest] | None = None,
    *,
    statement: str | None = None,
    judge: Judge | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open SQL over the dataset's kernels, or over those of the manifests.

    With a ``statement`` there are only the views that it needs, which takes less time where kernels are many.
    ``judge`` makes the verdicts of the view ``attachability``, which is there only with it.
    """
    import duckdb

    chosen = store.kernels() if manifests is None else list(manifests)
    connection = duckdb.connect(":memory:", config={"allow_unsigned_extensions": "false"})
    connection.register("_kernels", _kernels(chosen))
    connection.execute("CREATE TABLE kernels AS SELECT * FROM _kernels")
    connection.unregister("_kernels")
    connection.execute("SET enable_progress_bar = false")
    views = _definitions(store, chosen)
    if judge is None:
        views = {name: sql for name, sql in views.items() if name not in attachability.VIEWS}
    needed = list(views) if statement is None else _needed(statement, views)
    if attachability.VIEW in needed:
        attachability.make_tables(connection)
    for name in needed:
        connection.execute(f"CREATE VIEW {name} AS {views[name]}")
    if judge is not None and attachability.VIEW in (needed if statement is None else _words(statement)):
        places = [(m.kernel, store.directory(m.kernel.id)) for m in chosen]
        attachability.make_verdicts(connection, places, judge)
    # What does not fit into memory fails; it must not fill a disk.
    connection.execute("SET temp_directory = ''")
    # From here on only the dataset's own files can be opened, and no statement can undo it.
    root = store.path.resolve()
    folders = {"kernels": f"{root}/kernels/", "pool": f"{root}/{SEGMENTS}/"}
    connection.execute("SET allowed_directories = [$kernels, $pool]", folders)
    connection.execute("SET enable_external_access = false")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _definitions(store: Store, manifests: Sequence[Manifest]) -> dict[str, str]:
    """The SQL of every view, each after those that it is made of."""
    root = store.path.resolve()
    sources = [_sources(m.kernel.id, root / "kernels" / store.directory(m.kernel.id).name) for m in manifests]
    sources = sources or [_no_sources()]
    pool = _pool_sources(root / SEGMENTS, {segment.name for m in manifests for segment in m.segments})
    views = {}
    for table in TABLES.values():
        columns = ", ".join(_quoted(c.name) for c in table.columns)
        own = table.name not in POOLED
        definition = f"SELECT {'{kernel} AS kernel, ' if own else ''}{columns} FROM {{{table.name}}}"
        views[f"raw_{table.name}"] = _union(definition, sources if own else [pool])
    for name, definition in TABLE_DEFINITIONS.items():
        views[name] = _union(definition, sources)
    for name, definition in POOL_DEFINITIONS.items():
        views[name] = _union(definition, [pool])
    views |= SURFACE_DEFINITIONS
    views["_facts_code"] = _union(attachability.CODE_FACTS, sources)
    return views | attachability.DEFINITIONS


def _needed(statement: str, views: Mapping[str, str]) -> list[str]:
    """The views that a statement mentions, and those that they are made of, in the order of all."""
    named = _words(statement) & views.keys()
    if not named or _words(statement) & _CATALOGUE:
        return list(views)
    needed: set[str] = set()
    while named:
        needed |= named
        named = {word for name in named for word in _words(views[name])} & views.keys() - needed
    return [name for name in views if name in needed]


_CATALOGUE = {
    "show",
    "information_schema",
    "duckdb_views",
    "duckdb_columns",
    "duckdb_tables",
    "sqlite_master",
}
"""Words of statements that ask what views there are."""


def _words(text: str) -> set[str]:
    """The words of a statement outside of its texts."""
    return set(re.findall(r"[a-z_][a-z0-9_]*", re.sub(r"'[^']*'", "", text.lower())))


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
    except duckdb.OutOfMemoryException as error:
        hint = "ask less at once: fewer kernels with --on, fewer columns, a filter"
        raise InputError(_one_line(error), hint) from error
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


def _sources(kernel_id: str, directory: Path) -> dict[str, str]:
    """What a definition's names stand for, for one kernel."""
    files = {name: literal(f"{directory}/{name}.parquet") for name in TABLES if name not in POOLED}
    relations = {name: f"read_parquet({file}, hive_partitioning = false)" for name, file in files.items()}
    # The order of the code, which the rows of this table stand in.
    relations["call_sites"] = (
        f"read_parquet({files['call_sites']}, hive_partitioning = false, file_row_number = true)"
    )
    return {"kernel": literal(kernel_id), **relations}


def _pool_sources(pool: Path, segments: Iterable[str]) -> dict[str, str]:
    """What a definition's names stand for, for these segments of the pool."""
    relations = {}
    for table in POOLED:
        files = ", ".join(literal(f"{pool}/{segment}/{table}.parquet") for segment in sorted(segments))
        relations[table] = (
            f"read_parquet([{files}], hive_partitioning = false)" if files else _no_sources()[table]
        )
    return relations


def _no_sources() -> dict[str, str]:
    """The same for a dataset without kernels: tables without rows."""
    relations = {}
    for table in TABLES.values():
        columns = [f"NULL::{_TYPES[c.type]} AS {_quoted(c.name)}" for c in table.columns]
        if table.name == "call_sites":
            columns.append("NULL::BIGINT AS file_row_number")
        relations[table.name] = f"(SELECT {', '.join(columns)} WHERE false)"
    return {"kernel": "NULL::VARCHAR", **relations}


def _union(definition: str, sources: Sequence[Mapping[str, str]]) -> str:
    return " UNION ALL ".join(definition.format_map(source) for source in sources)


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
            "compiler": None if m.banner is None else parse_banner(m.banner).compiler,
            **{table: m.tables[table].rows for table in TABLES},
            "byte_size": m.byte_size,
            "unreadable": len(m.unreadable),
            "incomplete": len(m.incomplete),
            "created": m.created,
        }
        for m in manifests
    ]
    text = ("kernel", "distro", "release", "version", "base_version", "flavor", "arch", "compiler")
    schema = pa.schema(
        [
            *(pa.field(name, pa.string()) for name in text),
            *(pa.field(name, pa.int64()) for name in (*TABLES, "byte_size", "unreadable", "incomplete")),
            pa.field("created", pa.timestamp("s", "UTC")),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _one_line(error: Exception) -> str:
    # DuckDB adds the statement with a caret under the place; the first line says what is wrong.
    return str(error).split("\n\n")[0].replace("\n", " ").strip()


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
