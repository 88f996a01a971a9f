"""SQL over a dataset: what can be asked, and what cannot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ksurf.cli import run
from ksurf.dataset.query import VIEWS, connect, query
from ksurf.dataset.schema import POOLED, TABLES
from ksurf.dataset.store import Store
from ksurf.errors import InputError
from ksurf.surface.attach_facts import judge
from small_kernel import identity, tables, tables_with_offers


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    # A path with what SQL would take for its own.
    store = Store(tmp_path_factory.mktemp("data'set kernel=x") / "d")
    for number, version in enumerate(("6.1", "6.12")):
        store.write(identity(version), tables_with_offers(number), source={"kind": "test"})
    return store


def rows(store: Store, statement: str) -> list[Sequence[Any]]:
    with connect(store, statement=statement, judge=judge) as connection:
        return [row for batch in query(connection, statement).batches() for row in batch]


def columns(store: Store, view: str) -> tuple[str, ...]:
    with connect(store, judge=judge) as connection:
        return query(connection, f"SELECT * FROM {view}").columns


@pytest.mark.parametrize("name", [*VIEWS, *(f"raw_{table}" for table in TABLES)])
def test_each_view_has_every_kernel(store: Store, name: str) -> None:
    if name.removeprefix("raw_") in POOLED:
        assert "kernel" not in columns(store, name)
        assert rows(store, f"SELECT * FROM {name}")
        return
    kernels = {identity(version).id for version in ("6.1", "6.12")}
    assert {row[0] for row in rows(store, f"SELECT DISTINCT kernel FROM {name}")} == kernels


def test_raw_views_have_the_columns_of_their_table(store: Store) -> None:
    for table in TABLES.values():
        own = () if table.name in POOLED else ("kernel",)
        assert columns(store, f"raw_{table.name}") == (*own, *(column.name for column in table.columns))


def test_names_stand_in_place_of_numbers(store: Store) -> None:
    found = rows(
        store,
        "SELECT DISTINCT caller, unit, image, callee, inline FROM call_sites "
        "WHERE callee = 'twice' AND NOT starts_with(caller, '_') ORDER BY caller",
    )
    assert ("drive", "driver.c", "vmlinux", "twice", True) in found
    assert ("probe", "module.c", "my_module", "twice", True) in found


def test_an_empty_dataset_has_empty_views(tmp_path: Path) -> None:
    for name in VIEWS:
        assert rows(Store(tmp_path), f"SELECT * FROM {name}") == []


def test_only_the_chosen_kernels_are_there(store: Store) -> None:
    chosen = [m for m in store.kernels() if m.kernel.base_version == "6.1"]
    with connect(store, chosen) as connection:
        result = query(connection, "SELECT DISTINCT kernel FROM symbols")
        assert [row for batch in result.batches() for row in batch] == [(identity("6.1").id,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/ksurf-test.csv'",
        "COPY kernels TO 'here.parquet'",
        "ATTACH '/tmp/ksurf-test.db'",
        "EXPORT DATABASE '/tmp/ksurf-test'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
    ],
)
def test_nothing_else_can_be_read_or_written(store: Store, statement: str) -> None:
    with pytest.raises(InputError):
        rows(store, statement)


def test_the_dataset_cannot_be_changed(store: Store) -> None:
    directory = store.directory(identity("6.1").id)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    file = f"{directory.resolve()}/functions.parquet".replace("'", "''")
    for statement in (
        f"COPY (SELECT 1) TO '{file}'",
        f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        f"SELECT 1; COPY (SELECT 1) TO '{file}'",
        f"COPY (SELECT 1) TO '{directory.resolve()}/new.parquet'".replace("data'set", "data''set"),
        "CREATE OR REPLACE VIEW functions AS SELECT 1",
        "DROP VIEW functions",
        "DELETE FROM kernels",
    ):
        with pytest.raises(InputError):
            rows(store, statement)
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.parametrize(
    "statement", ["selec 1", "SELECT nothing FROM functions", "SELECT * FROM nowhere", ""]
)
def test_a_wrong_statement_is_one_line(
    store: Store, statement: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(["sql", statement, "--dataset", str(store.path)])
    printed = capsys.readouterr()
    if statement:
        assert status == 1
        assert printed.err.startswith("ksurf: error: ")
        assert len(printed.err.splitlines()) == 2
    assert printed.out.strip() == ""


def test_formats(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    statement = (
        "SELECT name, decl_line, external, NULL AS nothing FROM functions WHERE name = 'submit' LIMIT 1"
    )
    arguments = ["sql", statement, "--dataset", str(store.path), "--format"]
    assert run([*arguments, "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "submit"
    assert row["external"] is True
    assert row["nothing"] is None
    assert run([*arguments, "csv"]) == 0
    (cells,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert cells["decl_line"] == str(row["decl_line"])
    assert cells["nothing"] == ""
    assert run([*arguments, "table"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "decl_line", "external", "nothing"]
    assert line.split() == ["submit", str(row["decl_line"]), "true", "null"]


def test_no_rows_are_no_rows(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["sql", "SELECT name FROM functions WHERE false", "--dataset", str(store.path), "--format"]
    assert run([*arguments, "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run([*arguments, "csv"]) == 0
    assert capsys.readouterr().out == "name\n"
    assert run([*arguments, "table"]) == 0
    assert capsys.readouterr().out == "name\n"


def test_ls_and_rm(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = Store(tmp_path / "own")
    for version in ("6.1", "6.12"):
        own.write(
            identity(version),
            tables(),
            source={},
            unreadable=[("bad", "bad.ko", "truncated")],
            incomplete=[("half", "half.ko", "types: truncated")],
            banner="Linux version 6.1 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld 2.40) #1 SMP",
        )
    dataset = ["--dataset", str(own.path)]
    assert run(["ls", *dataset, "--format", "json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [
        identity(version).id for version in ("6.1", "6.12")
    ]
    assert run(["ls", *dataset, "--unreadable"]) == 0
    printed = capsys.readouterr().out
    assert "bad.ko   all      truncated" in printed
    assert "half.ko  part     types: truncated" in printed
    assert run(["ls", *dataset, "--long", "--format", "json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    assert (row["unreadable"], row["incomplete"], row["config"]) == (1, 1, 1)
    assert row["compiler"] == "gcc-12 (Debian 12.2.0-14) 12.2.0"
    statement = "SELECT compiler, unreadable, incomplete FROM kernels LIMIT 1"
    assert rows(own, statement) == [("gcc-12 (Debian 12.2.0-14) 12.2.0", 1, 1)]
    assert run(["rm", "6.1", *dataset]) == 1
    assert "--yes" in capsys.readouterr().err
    assert len(own.kernels()) == 2
    assert run(["rm", "6.1", "--yes", *dataset]) == 0
    assert [m.kernel.base_version for m in own.kernels()] == ["6.12"]
    assert run(["rm", "6.1", "--yes", *dataset]) == 1


def test_show(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = ["--dataset", str(store.path)]
    assert run(["show", "function", "submit", *dataset]) == 0
    printed = capsys.readouterr().out
    assert "int submit(struct request *request, handler_t handler, const char * const *names);" in printed
    assert "my_init" in printed
    assert run(["show", "function", "twice", "submit", *dataset, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [function["name"] for function in document["functions"]] == ["twice", "submit"]
    (entry, _) = document["functions"][0]["groups"][0]["kernels"]
    assert entry["statuses"] == ["Duplicate", "Full Inline"]
    chains = {
        tuple(frame["function"] for frame in call["chain"])
        for instance in entry["instances"]
        for call in instance["inline_callers"]
    }
    assert ("chain",) in chains
    assert run(["show", "function", "local", *dataset, "--format", "md"]) == 0
    assert "Static-Static Collision" in capsys.readouterr().out


def test_an_unknown_name_gets_near_ones(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "function", "sumbit", "--dataset", str(store.path)]) == 1
    printed = capsys.readouterr()
    assert "no function sumbit" in printed.err
    assert "submit" in printed.err


def test_a_kernel_of_no_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = Store(tmp_path / "own")
    for version in ("6.1", "6.12"):
        own.write(identity(version), tables(), source={})
    manifest = own.directory(identity("6.1").id) / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 99}))
    assert run(["show", "function", "submit", "--dataset", str(own.path)]) == 0
    printed = capsys.readouterr()
    assert "left out" in printed.err
    assert "newer ksurf" in printed.err
    assert "submit" in printed.out
