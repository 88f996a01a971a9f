"""What a piece of work reads is kept until it ends, and says the same."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

import pyarrow.parquet as pq
import pytest

from ksurf.dataset.lookup import functions_named, reading_ahead, reading_once, tracepoints_named, types_named
from ksurf.dataset.lookup.brief import functions_in_brief
from ksurf.dataset.lookup.kept import kept
from ksurf.dataset.lookup.table import TableFile, file_at
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from made_kernel import kernel, offering_kernel, store_with

KINDS = ("struct", "union", "enum", "typedef", "func", "var")


@pytest.fixture
def places(tmp_path: Path) -> list[tuple[Kernel, Path]]:
    for number, identity in enumerate((kernel("6.1.1"), kernel("6.12.1"))):
        offering_kernel(number).write(tmp_path, identity)
    store = store_with(tmp_path, kernel("7.3.1"))
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def everything(places: list[tuple[Kernel, Path]]) -> list[object]:
    names = ["kvm_vcpu_kick", "kvm", "twin", "pid_t", "vfs_read", "nothing", "outer"]
    return [
        types_named(names, places, kinds=KINDS),
        types_named(names, places, kinds=("struct",), uses=False),
        functions_in_brief(names, places),
        functions_named(names, places),
        tracepoints_named(["kvm:kvm_exit", "kvm_exit", "sched_bare"], places),
    ]


def test_what_is_kept_says_the_same(places: list[tuple[Kernel, Path]]) -> None:
    alone = everything(places)
    with reading_once():
        assert [everything(places), everything(places)] == [alone, alone]


def test_no_column_is_decoded_twice(
    places: list[tuple[Kernel, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[tuple[object, ...]] = []
    read = pq.ParquetFile.read_row_groups

    def noted(self: pq.ParquetFile, groups: list[int], columns: list[str], **options: object) -> object:
        decoded.extend((id(self), group, column) for group in groups for column in columns)
        return read(self, groups, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", noted)
    with reading_once():
        types_named(["kvm"], places, kinds=KINDS)
        assert decoded
        assert len(decoded) == len(set(decoded))
        before = len(decoded)
        types_named(["kvm"], places, kinds=KINDS)
        assert len(decoded) == before


def test_a_kernel_that_goes_meanwhile_stays_as_it_was(places: list[tuple[Kernel, Path]]) -> None:
    with reading_once():
        first = types_named(["kvm"], places, kinds=KINDS)
        (places[0][1] / "types.parquet").unlink()
        assert types_named(["kvm"], places, kinds=KINDS) == first
    with pytest.raises(DatasetError, match="gone while it was read"):
        types_named(["kvm"], places, kinds=KINDS)


def test_nothing_is_kept_beyond_it(places: list[tuple[Kernel, Path]]) -> None:
    path = places[0][1] / "types.parquet"
    with reading_once():
        one = file_at(path)
        with reading_once():
            assert file_at(path) is one
        assert file_at(path) is one
    assert kept() is None
    assert file_at(path) is not one


def test_other_threads_of_the_process_keep_nothing(places: list[tuple[Kernel, Path]]) -> None:
    found: list[object] = []
    with reading_once():
        other = Thread(target=lambda: found.append(kept()))
        other.start()
        other.join()
    assert found == [None]


def test_there_is_a_limit(places: list[tuple[Kernel, Path]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ksurf.dataset.lookup.kept._FILES_LIMIT", 0)
    monkeypatch.setattr("ksurf.dataset.lookup.kept._BYTES_LIMIT", 0)
    alone = everything(places)
    with reading_once():
        assert everything(places) == alone
        assert file_at(places[0][1] / "types.parquet") is not file_at(places[0][1] / "types.parquet")


def test_ids_are_found_as_values_are(places: list[tuple[Kernel, Path]]) -> None:
    sites = TableFile(places[-1][1] / "call_sites.parquet")
    callees = sites.read(["callee"])["callee"].to_pylist()
    wanted = sorted(set(callees))[:2]
    numbers, found = sites.where("callee", [*wanted, 1 << 23], ["callee", "caller"])
    assert numbers == [at for at, callee in enumerate(callees) if callee in wanted]
    assert set(found["callee"].to_pylist()) == set(wanted)


def test_names_are_read_beside_other_work(
    places: list[tuple[Kernel, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Event()
    kernels_read = []
    read = TableFile.read

    def noted(self: TableFile, columns: list[str], groups: list[int] | None = None) -> object:
        kernels_read.append(columns)
        if len(kernels_read) == len(places):
            done.set()
        return read(self, columns, groups)

    monkeypatch.setattr(TableFile, "read", noted)
    with reading_once():
        with reading_ahead(places):
            assert done.wait(60)
        monkeypatch.undo()
        store = kept()
        assert store is not None
        path = places[-1][1] / "functions.parquet"
        assert store.column(path, "name", 0) is not None
        assert functions_in_brief(["outer"], places)
    assert kernels_read == [["name"]] * len(places)


def test_damage_is_told_to_the_one_who_asks(places: list[tuple[Kernel, Path]]) -> None:
    for _, directory in places:
        (directory / "functions.parquet").write_bytes(b"PAR1 and no more")
    with reading_once():
        with reading_ahead(places):
            pass
        with pytest.raises(DatasetError, match="cannot be read"):
            functions_in_brief(["outer"], places)


def test_reading_ahead_ends_with_the_work(places: list[tuple[Kernel, Path]]) -> None:
    with pytest.raises(KeyError), reading_once(), reading_ahead(places * 1000):
        raise KeyError
    assert kept() is None
