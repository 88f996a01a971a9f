"""The dataset on disk: whole kernels or none, whoever dies, writes or looks at the same time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from full_disk import room_for
from ksurf.dataset.lookup import functions_named
from ksurf.dataset.manifest import Manifest
from ksurf.dataset.parquet import SchemaMismatchError, read_streams
from ksurf.dataset.schema import FORMAT_VERSION, TABLES
from ksurf.dataset.store import MANIFEST, Store
from ksurf.errors import DatasetError, DiskFullError
from small_kernel import identity, tables

WRITER = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from small_kernel import identity, tables
from ksurf.dataset.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    kernel = identity(f"6.{{number}}")
    with store.locked(kernel.id):
        if not store.has(kernel.id):
            store.write(kernel, tables(), source={{"kind": "test"}})
    print(kernel.id, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "dataset")


def write(store: Store, version: str = "6.1") -> Manifest:
    unreadable = [("broken", "lib/broken.ko", "truncated")]
    return store.write(identity(version), tables(), source={"kind": "test"}, unreadable=unreadable)


def writer(store: Store, kernels: int) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parent), *sys.path]
    code = WRITER.format(paths=paths)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store.path), str(kernels)], stdout=subprocess.PIPE, text=True
    )


def readable(store: Store) -> bool:
    """Every kernel that can be seen is whole."""
    kernels = [m.kernel for m in store.kernels()]
    found = functions_named(["submit"], [(k, store.directory(k.id)) for k in kernels], chains=True)
    return store.refused() == [] and all(rows.instances and rows.symbols for rows in found["submit"])


def test_what_is_written_is_there(store: Store) -> None:
    made = write(store)
    (found,) = store.kernels()
    assert found == made
    assert store.has(made.kernel.id)
    assert found.unreadable[0].reason == "truncated"
    assert found.byte_size == sum(f.stat().st_size for f in store.directory(made.kernel.id).glob("*.parquet"))
    for name, size in found.tables.items():
        assert (
            pa.parquet.read_metadata(store.directory(made.kernel.id) / f"{name}.parquet").num_rows
            == size.rows
        )
    assert list((store.path / "tmp").iterdir()) == []


def test_opening_touches_nothing(store: Store) -> None:
    assert store.kernels() == []
    assert store.refused() == []
    assert not store.path.exists()


def test_a_kernel_is_written_once(store: Store) -> None:
    write(store)
    with pytest.raises(DatasetError, match="already"):
        write(store)
    assert len(store.kernels()) == 1


def test_removed_is_gone(store: Store) -> None:
    made = write(store)
    store.remove(made.kernel.id)
    assert store.kernels() == []
    assert not store.has(made.kernel.id)
    with pytest.raises(DatasetError, match="no kernel"):
        store.remove(made.kernel.id)


def test_kernels_come_in_version_order(store: Store) -> None:
    for version in ("6.12", "5.10", "6.1"):
        write(store, version)
    assert [m.kernel.base_version for m in store.kernels()] == ["5.10", "6.1", "6.12"]


def test_killed_at_any_moment(store: Store) -> None:
    """kill -9 leaves no half of a kernel to see, and what it leaves behind goes with the next writer."""
    moments = random.Random(612)
    for _ in range(8):
        process = writer(store, 40)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert readable(store)
    before = {m.kernel.id for m in store.kernels()}
    write(store, "9.9")
    assert {m.kernel.id for m in store.kernels()} == before | {identity("9.9").id}
    assert list((store.path / "tmp").iterdir()) == []


def test_writers_at_the_same_time(store: Store) -> None:
    """Several processes that want the same kernels: each is made once, and nobody fails."""
    processes = [writer(store, 3) for _ in range(3)]
    for process in processes:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert len(printed.splitlines()) == 4
    assert len(store.kernels()) == 3
    assert readable(store)


def changed(store: Store, kernel_id: str, change: Callable[[dict[str, object]], None]) -> None:
    path = store.directory(kernel_id) / MANIFEST
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_another_format_is_refused_and_the_others_stay(store: Store) -> None:
    newer, other = write(store, "6.1"), write(store, "6.2")
    changed(store, newer.kernel.id, lambda d: d.update(format_version=FORMAT_VERSION + 1, tool_version="9.9"))
    assert [m.kernel for m in store.kernels()] == [other.kernel]
    (refused,) = store.refused()
    assert refused.id == newer.kernel.id
    assert "newer ksurf (9.9)" in refused.reason
    assert refused.path == store.directory(newer.kernel.id)
    changed(store, newer.kernel.id, lambda d: d.update(format_version=FORMAT_VERSION - 1, tool_version="0.1"))
    assert "older ksurf (0.1)" in store.refused()[0].reason


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", f'{{"format_version": {FORMAT_VERSION}}}', '{"format_version": "x"}']
)
def test_a_damaged_manifest_is_refused(store: Store, text: str) -> None:
    made = write(store)
    (store.directory(made.kernel.id) / MANIFEST).write_text(text)
    assert store.kernels() == []
    assert "damaged" in store.refused()[0].reason


def test_a_damaged_table_is_an_error_that_names_it(store: Store) -> None:
    made = write(store)
    path = store.directory(made.kernel.id) / "functions.parquet"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match=r"functions\.parquet"):
        functions_named(["submit"], [(made.kernel, store.directory(made.kernel.id))])


def test_a_full_disk_leaves_the_dataset_as_it_was(store: Store) -> None:
    made = write(store, "6.1")
    with room_for(1 << 10), pytest.raises(DiskFullError, match="no room"):
        write(store, "6.2")
    assert [m.kernel for m in store.kernels()] == [made.kernel]
    assert list((store.path / "tmp").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatasetError, match="file"):
        write(Store(tmp_path / "file"))


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_break_the_schema_are_not_written(store: Store, name: str) -> None:
    broken = {table: pa.table(stream) for table, stream in tables().items()}
    broken[name] = broken[name].drop_columns([TABLES[name].columns[-1].name])
    with pytest.raises(SchemaMismatchError, match=name):
        store.write(identity(), broken, source={})
    assert store.kernels() == []


def test_references_and_order_are_checked() -> None:
    taken = {table: pa.table(stream) for table, stream in tables().items()}
    read_streams(taken)
    functions = taken["functions"]
    with pytest.raises(SchemaMismatchError, match="points to rows"):
        read_streams({**taken, "functions": functions.slice(0, 1)})
    with pytest.raises(SchemaMismatchError, match=r"order|id"):
        read_streams({**taken, "functions": functions.take(list(range(functions.num_rows))[::-1])})


def test_the_process_that_waits_is_told(store: Store) -> None:
    told = []
    with store.locked("a"):
        pid = os.fork()
        if pid == 0:
            with store.locked("a", on_wait=lambda: os._exit(7)):
                os._exit(0)
        told.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    with store.locked("a", on_wait=lambda: told.append(-1)):
        pass
    assert told == [7]
