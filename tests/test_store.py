"""The dataset on disk: whole kernels or none, whoever dies, writes or looks at the same time."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from full_disk import room_for
from ksurf.dataset.lookup import functions_named, types_named
from ksurf.dataset.manifest import Manifest
from ksurf.dataset.parquet import SchemaMismatchError, read_streams
from ksurf.dataset.schema import FORMAT_VERSION, POOLED, TABLES
from ksurf.dataset.store import MANIFEST, Store
from ksurf.errors import DatasetError, DiskFullError
from small_kernel import identity, tables, tables_with_offers

WRITER = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from small_kernel import identity, tables_with_offers
from ksurf.dataset.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    kernel = identity(f"6.{{number}}")
    with store.locked(kernel.id):
        if not store.has(kernel.id):
            store.write(kernel, tables_with_offers(number % 5), source={{"kind": "test"}})
    print(kernel.id, flush=True)
"""


REMOVER = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from ksurf.dataset.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
for manifest in store.kernels():
    store.remove(manifest.kernel.id)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "dataset")


def write(store: Store, version: str = "6.1", number: int = 0) -> Manifest:
    return store.write(
        identity(version),
        tables_with_offers(number),
        source={"kind": "test"},
        unreadable=[("broken", "lib/broken.ko", "truncated")],
        incomplete=[("half", "lib/half.ko", "types: truncated")],
        banner="Linux version 6.1 (a@b) (gcc-12 (Debian 12.2.0-14) 12.2.0) #1 SMP",
    )


def writer(store: Store, kernels: int) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parent), *sys.path]
    code = WRITER.format(paths=paths)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store.path), str(kernels)], stdout=subprocess.PIPE, text=True
    )


def remover(store: Store) -> subprocess.Popen[str]:
    code = REMOVER.format(paths=[str(Path(__file__).parent), *sys.path])
    return subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)


def readable(store: Store) -> bool:
    """Every kernel that can be seen is whole."""
    kernels = [m.kernel for m in store.kernels()]
    places = [(k, store.directory(k.id)) for k in kernels]
    found = functions_named(["submit"], places, chains=True)
    # A definition that is missing would be an error.
    types = types_named(["kvm", "pid_type"], places, kinds=["struct", "enum"])
    return (
        store.refused() == []
        and all(rows.instances and rows.symbols for rows in found["submit"])
        and all(rows.types for of_name in types.values() for rows in of_name)
        and sum(m.byte_size for m in store.kernels()) <= on_disk(store)
    )


def on_disk(store: Store) -> int:
    """Bytes of all tables."""
    return sum(file.stat().st_size for file in store.path.glob("**/*.parquet"))


def segments(store: Store) -> list[str]:
    pool = store.path / "definitions"
    return sorted(path.name for path in pool.iterdir()) if pool.is_dir() else []


def test_what_is_written_is_there(store: Store) -> None:
    made = write(store)
    (found,) = store.kernels()
    assert found == made
    assert store.has(made.kernel.id)
    assert found.unreadable[0].reason == "truncated"
    assert found.incomplete[0].image == "half"
    assert found.byte_size == on_disk(store)
    for name, size in found.tables.items():
        if name not in POOLED:
            path = store.directory(made.kernel.id) / f"{name}.parquet"
            assert pa.parquet.read_metadata(path).num_rows == size.rows
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
    # Removals that are killed leave no less to see.
    for _ in range(4):
        process = remover(store)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert readable(store)
    # At least one is removed whole below: with it go segments that killed removals left.
    write(store, "9.8")
    before = {m.kernel.id for m in store.kernels()}
    write(store, "9.9")
    assert {m.kernel.id for m in store.kernels()} == before | {identity("9.9").id}
    assert list((store.path / "tmp").iterdir()) == []
    for kernel_id in before:
        store.remove(kernel_id)
    assert readable(store)
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)


def test_writers_at_the_same_time(store: Store) -> None:
    """Several processes that want the same kernels: each is made once, and nobody fails."""
    processes = [writer(store, 3) for _ in range(3)]
    for process in processes:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert len(printed.splitlines()) == 4
    assert len(store.kernels()) == 3
    assert readable(store)
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)


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
    assert store.refused()[0].outdated
    assert store.write(newer.kernel, tables(), source={"kind": "files"}).kernel == newer.kernel
    assert store.refused() == []


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
    assert segments(store) == [made.kernel.id]


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


def test_a_definition_lies_once_in_the_dataset(store: Store) -> None:
    first, second, third = write(store, "6.1"), write(store, "6.2"), write(store, "6.3", number=1)
    assert [s.name for s in first.segments] == [first.kernel.id]
    assert [(s.name, s.own) for s in second.segments] == [(first.kernel.id, False)]
    assert [(s.name, s.own) for s in third.segments] == [(first.kernel.id, False), (third.kernel.id, True)]
    assert segments(store) == [first.kernel.id, third.kernel.id]
    new = pa.parquet.read_table(store.path / "definitions" / third.kernel.id / "definitions.parquet")
    assert new["name"].to_pylist() == ["kvm", "pid_type"]
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)
    assert readable(store)


def test_a_segment_goes_with_the_last_kernel_that_needs_it(store: Store) -> None:
    first, second = write(store, "6.1"), write(store, "6.2", number=1)
    store.remove(first.kernel.id)
    assert segments(store) == [first.kernel.id, second.kernel.id]
    assert readable(store)
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)
    again = write(store, "6.1")
    # What it brought is still there.
    assert [s.name for s in again.segments] == [first.kernel.id]
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)
    store.remove(again.kernel.id)
    other = write(store, "6.1", number=2)
    assert [(s.name, s.own) for s in other.segments] == [
        (first.kernel.id, False),
        (f"{first.kernel.id}.2", True),
    ]
    for manifest in store.kernels():
        store.remove(manifest.kernel.id)
    assert segments(store) == []


def test_a_writer_that_fails_takes_its_definitions_back(store: Store) -> None:
    write(store)
    with pytest.raises(DatasetError, match="already"):
        write(store, number=1)
    assert segments(store) == [identity("6.1").id]
    assert list((store.path / "tmp").iterdir()) == []


def test_segments_without_a_kernel_are_used_or_removed(store: Store) -> None:
    first = write(store, "6.1")
    # As if the writer had been killed between the two.
    shutil.rmtree(store.directory(first.kernel.id))
    second = write(store, "6.2")
    assert [s.name for s in second.segments] == [first.kernel.id]
    assert sum(m.byte_size for m in store.kernels()) == on_disk(store)
    third = write(store, "6.3", number=1)
    shutil.rmtree(store.directory(third.kernel.id))
    store.remove(write(store, "6.4").kernel.id)
    assert segments(store) == [first.kernel.id]


def test_a_damaged_segment_is_named_and_not_used(store: Store) -> None:
    first = write(store, "6.1")
    path = store.path / "definitions" / first.kernel.id / "members.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DatasetError, match=r"members\.parquet"):
        readable(store)
    second = write(store, "6.2")
    assert [s.name for s in second.segments] == [second.kernel.id]
    store.remove(first.kernel.id)
    assert readable(store)


def test_a_segment_that_goes_away_meanwhile_is_said(store: Store) -> None:
    made = write(store)
    places = [(made.kernel, store.directory(made.kernel.id))]
    shutil.rmtree(store.path / "definitions")
    with pytest.raises(DatasetError, match="gone while it was read") as caught:
        types_named(["kvm"], places, kinds=["struct"])
    assert caught.value.hint == "run the command again"
    store.remove(made.kernel.id)
    with pytest.raises(DatasetError, match="gone while it was read"):
        types_named(["kvm"], places, kinds=["struct"])


@pytest.mark.parametrize("text", ["", "[]", '{"segments": [{}]}'])
def test_what_a_damaged_manifest_may_need_stays(store: Store, text: str) -> None:
    first, second = write(store, "6.1"), write(store, "6.2", number=1)
    (store.directory(first.kernel.id) / MANIFEST).write_text(text)
    store.remove(second.kernel.id)
    assert segments(store) == [first.kernel.id, second.kernel.id]


def test_members_stand_in_the_order_of_their_definitions(store: Store) -> None:
    broken = {table: pa.table(stream) for table, stream in tables_with_offers().items()}
    broken["members"] = broken["members"].take(list(range(broken["members"].num_rows))[::-1])
    with pytest.raises(SchemaMismatchError, match="order of the definitions"):
        store.write(identity(), broken, source={})
    broken["members"] = broken["members"].slice(0, 0)
    broken["definitions"] = broken["definitions"].slice(1)
    with pytest.raises(SchemaMismatchError, match="does not have"):
        store.write(identity(), broken, source={})
    assert segments(store) == []
