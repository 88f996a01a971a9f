"""SQL over all kernels of a dataset: DuckDB, with a view for each table.

A view has the column ``kernel`` in front and names where a person wants them; ``raw_<table>`` has the columns
as they lie on disk (``docs/tables/``). The connection reads the dataset and nothing else: no other file, no
network, no extension, and a statement cannot change that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.pool import SEGMENTS
from ksurf.dataset.schema import POOLED, TABLES
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
    "types": "one row per type, prototype or variable of an image, with the image by name",
    "type_uses": "one row per mention of a type of an ambiguous name, with the image by name",
    "definitions": "one row per definition that a kernel has; without the column kernel",
    "members": "one row per field, parameter or enumerator, with its definition; without the column kernel",
    "tracepoints": "one row per trace event or bare tracepoint, with the image by name",
    "tracepoint_fields": "one row per field of a trace event, with system and name of the event",
    "syscalls": "one row per system call",
    "exports": "one row per exported symbol, with the image by name",
    "btf_ids": "one row per entry of a set of BTF ids, with the image by name",
    "config": "one row per option of a kernel's configuration",
}
"""What each view is for."""

# Each is the view's part of one kernel: {kernel} is its id, and {functions} and so on its tables. Ids are
# numbers of one kernel, so that joins across kernels would only lead the planner to pair all with all.
_DEFINITIONS = {
    "images": "SELECT {kernel} AS kernel, * FROM {images}",
    "units": """
        SELECT {kernel} AS kernel, u.id, i.name AS image, u.path, u.language, u.producer
        FROM {units} u JOIN {images} i ON i.id = u.image""",
    "functions": "SELECT {kernel} AS kernel, * FROM {functions}",
    "instances": """
        SELECT {kernel} AS kernel, n.id, f.name AS function, n.function AS function_id, i.name AS image,
               u.path AS unit, f.decl_file, f.decl_line, f.external, n.inlined, n.out_of_line, n.section,
               n.address, n.byte_size, n.inline_address
        FROM {instances} n
        JOIN {functions} f ON f.id = n.function
        JOIN {images} i ON i.id = n.image
        LEFT JOIN {units} u ON u.id = n.unit""",
    # The inlined call around a call is the nearest row before it, of the same caller, one less deep.
    "call_sites": """
        SELECT {kernel} AS kernel, a.name AS caller, c.caller AS caller_instance, i.name AS image,
               u.path AS unit, c.depth, b.name AS callee, c.callee AS callee_function, c.callee_instance,
               c.inline, c.line,
               coalesce(c.file, CASE WHEN c.depth = 0 THEN a.decl_file ELSE e.decl_file END) AS file
        FROM {call_sites} c
        JOIN {instances} n ON n.id = c.caller
        JOIN {functions} a ON a.id = n.function
        JOIN {functions} b ON b.id = c.callee
        JOIN {images} i ON i.id = n.image
        LEFT JOIN {units} u ON u.id = n.unit
        ASOF LEFT JOIN (SELECT file_row_number, caller, depth, callee FROM {call_sites} WHERE inline) o
            ON o.caller = c.caller AND o.depth = c.depth - 1 AND o.file_row_number < c.file_row_number
        LEFT JOIN {functions} e ON e.id = o.callee""",
    "symbols": """
        SELECT {kernel} AS kernel, s.name, f.name AS function, s.function AS function_id, s.instance,
               i.name AS image, s.section, s.address, s.byte_size, s.bind, s.type,
               s.ftrace, s.kprobe_blacklist, s.error_injection, s.init
        FROM {symbols} s
        JOIN {images} i ON i.id = s.image
        LEFT JOIN {functions} f ON f.id = s.function""",
    "types": """
        SELECT {kernel} AS kernel, i.name AS image, t.kind, t.name, t.definition, t.evidence
        FROM {types} t JOIN {images} i ON i.id = t.image""",
    "type_uses": """
        SELECT {kernel} AS kernel, i.name AS image, u.name, u.definition, u.user_kind, u.user
        FROM {type_uses} u JOIN {images} i ON i.id = u.image""",
    "tracepoints": """
        SELECT {kernel} AS kernel, i.name AS image, t.system, t.name, t.class, t.tracepoint,
               t.print_format, t.id
        FROM {tracepoints} t JOIN {images} i ON i.id = t.image""",
    "tracepoint_fields": """
        SELECT {kernel} AS kernel, t.system, t.name AS event, f.position, f.name, f.type, f.byte_offset,
               f.byte_size, f.signed
        FROM {tracepoint_fields} f JOIN {tracepoints} t ON t.id = f.tracepoint""",
    "syscalls": "SELECT {kernel} AS kernel, * FROM {syscalls}",
    "exports": """
        SELECT {kernel} AS kernel, i.name AS image, e.name, e.gpl, e.namespace, e.crc
        FROM {exports} e JOIN {images} i ON i.id = e.image""",
    "btf_ids": """
        SELECT {kernel} AS kernel, i.name AS image, b.set, b.set_flags, b.kind, b.name, b.flags,
               b.program_types
        FROM {btf_ids} b JOIN {images} i ON i.id = b.image""",
    "config": "SELECT {kernel} AS kernel, * FROM {config}",
}

# The same for what is no kernel's own.
_POOL_DEFINITIONS = {
    "definitions": "SELECT * FROM {definitions}",
    "members": """
        SELECT d.kind, d.name AS definition_name, m.*
        FROM {members} m JOIN {definitions} d ON d.key = m.definition""",
}

_TYPES = {"bool": "BOOLEAN", "int32": "INTEGER", "int64": "BIGINT", "uint64": "UBIGINT", "string": "VARCHAR"}


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
    root = store.path.resolve()
    sources = [_sources(m.kernel.id, root / "kernels" / store.directory(m.kernel.id).name) for m in chosen]
    sources = sources or [_no_sources()]
    pool = _pool_sources(root / SEGMENTS, {segment.name for m in chosen for segment in m.segments})
    for table in TABLES.values():
        columns = ", ".join(_quoted(c.name) for c in table.columns)
        if table.name in POOLED:
            connection.execute(_view(f"raw_{table.name}", f"SELECT {columns} FROM {{{table.name}}}", [pool]))
        else:
            definition = f"SELECT {{kernel}} AS kernel, {columns} FROM {{{table.name}}}"
            connection.execute(_view(f"raw_{table.name}", definition, sources))
    for name, definition in _DEFINITIONS.items():
        connection.execute(_view(name, definition, sources))
    for name, definition in _POOL_DEFINITIONS.items():
        connection.execute(_view(name, definition, [pool]))
    # What does not fit into memory fails; it must not fill a disk.
    connection.execute("SET temp_directory = ''")
    # From here on only the dataset's own files can be opened, and no statement can undo it.
    folders = {"kernels": f"{root}/kernels/", "pool": f"{root}/{SEGMENTS}/"}
    connection.execute("SET allowed_directories = [$kernels, $pool]", folders)
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
    files = {name: _literal(f"{directory}/{name}.parquet") for name in TABLES if name not in POOLED}
    relations = {name: f"read_parquet({file}, hive_partitioning = false)" for name, file in files.items()}
    # The order of the code, which the rows of this table stand in.
    relations["call_sites"] = (
        f"read_parquet({files['call_sites']}, hive_partitioning = false, file_row_number = true)"
    )
    return {"kernel": _literal(kernel_id), **relations}


def _pool_sources(pool: Path, segments: Iterable[str]) -> dict[str, str]:
    """What a definition's names stand for, for these segments of the pool."""
    relations = {}
    for table in POOLED:
        files = ", ".join(_literal(f"{pool}/{segment}/{table}.parquet") for segment in sorted(segments))
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


def _view(name: str, definition: str, sources: Sequence[Mapping[str, str]]) -> str:
    parts = " UNION ALL ".join(definition.format_map(source) for source in sources)
    return f"CREATE VIEW {name} AS {parts}"


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
