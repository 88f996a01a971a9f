"""Unpacked tables say what the dataset says, and are made again when they are old or damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import callers_named, code_symbols, functions_in_brief, prototypes_named
from ksurf.dataset.lookup.table import TableFile, unpacked_at
from ksurf.dataset.lookup.whole import fields_of, parameters_of, read_tables
from ksurf.dataset.lookup.written import callees_of, functions_written
from ksurf.dataset.rows import CallSites
from ksurf.dataset.schema import TABLES
from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked, reading_unpacked, unpacked
from ksurf.dataset.unpacked.column import column_of
from ksurf.dataset.unpacked.file import DamagedFileError, UnpackedFile
from ksurf.dataset.unpacked.layout import CODED, INDEXED, PLAIN
from ksurf.dataset.unpacked.table import UnpackedTable
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from ksurf.surface.function import judge
from made_kernel import MadeKernel, bpf_kernel, kernel, kvm_kernel, offering_kernel

KINDS = ("struct", "union", "enum", "typedef", "func", "var")
NAMES = [
    "kvm_vcpu_kick",
    "kvm_make_request",
    "post",
    "outer",
    "wake_up_process",
    "kvm",
    "twin",
    "pid_t",
    "nothing",
]
NAMES += ["vfs_read", "level_0", "level_3", "called", "bpf_task_acquire", "été", ""]

Places = list[tuple[Kernel, Path]]


def nested_kernel() -> MadeKernel:
    """Calls inside calls that are inlined, several functions of a name, and names of all sorts."""
    made = MadeKernel()
    vmlinux = made.image()
    units = [made.unit(f"kernel/{letter}.c", vmlinux) for letter in "abc"]
    levels = [made.function(f"level_{depth}", f"include/{depth}.h", depth + 1) for depth in range(4)]
    twins = [made.function("called", f"kernel/{letter}.c", 7, external=letter == "a") for letter in "abc"]
    accented = made.function("été", None, None, external=True)
    code = [
        made.instance(twin, unit, address=64 * (at + 1))
        for at, (twin, unit) in enumerate(zip(twins, units, strict=True))
    ]
    for unit in units:
        for level in levels:
            made.instance(level, unit, inlined=True)
    for caller, twin in zip(code, reversed(twins), strict=True):
        for depth, level in enumerate(levels):
            made.call(
                caller, level, depth, inline=True, line=100 + depth, file="kernel/d.c" if depth == 2 else None
            )
        made.call(caller, twin, 4, line=9)
        made.call(caller, twins[0], 2, line=None)
        made.call(caller, accented, line=3)
        made.call(caller, levels[3], inline=True, line=5)
        made.call(caller, twin, 1, line=6, callee_instance=code[1] if twin == twins[1] else None)
    made.symbol("called", code[0], bind="STB_GLOBAL")
    made.symbol("called", code[1])
    made.symbol("called.isra.0", code[2])
    return made


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for number, made in enumerate((kvm_kernel(), offering_kernel(), bpf_kernel(1), nested_kernel())):
        made.write(tmp_path / "dataset", kernel(f"6.{number + 1}.1"))
    return tmp_path / "dataset"


def places_of(dataset: Path) -> Places:
    store = Store(dataset)
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


def made_unpacked(dataset: Path) -> Unpacked:
    own = Unpacked(dataset, dataset.parent / "cache")
    for directory in own.missing(path for _, path in places_of(dataset)):
        own.make(directory)
    return own


def everything(places: Places) -> list[object]:
    with_calls = lookup.functions_named(NAMES, places, chains=True)
    about = lookup.attach_rows(NAMES, places)
    keys = {
        key
        for tables in read_tables([path for _, path in places], {"types": ["definition"]})
        for key in tables["types"]["definition"].to_pylist()
    }
    return [
        with_calls,
        lookup.functions_named(NAMES, places),
        {name: [judge(*pair) for pair in zip(with_calls[name], about[name], strict=True)] for name in NAMES},
        about,
        lookup.types_named(NAMES, places, kinds=KINDS),
        lookup.tracepoints_named(["kvm:kvm_exit", "kvm_exit", "sched_bare", "none"], places),
        lookup.syscalls_named(["stat", "read", "none"], places),
        lookup.exports_named(["kvm_get_kvm", "vfs_read", "none"], places),
        lookup.config_named(["BPF", "CONFIG_NUMBER", "NONE"], places),
        lookup.btf_ids(places),
        lookup.btf_ids(places, sets={"bpf_lsm_hooks", "none"}),
        lookup.btf_ids(places, names={"bpf_task_acquire", "none"}),
        lookup.images_with_btf(places),
        lookup.syscall_abis(places),
        lookup.kernel_marks(places),
        sorted(lookup.function_names(places).to_pylist()),
        sorted(lookup.type_names(places, kinds=("struct", "enum")).to_pylist()),
        lookup.tracepoint_names(places),
        lookup.members_like("lock", places),
        {key: found for key, found in lookup.definitions_of(keys, places).items() if key in keys},
        functions_in_brief(NAMES, places, placed=["outer"], prototypes=True),
        callers_named(NAMES, places),
        prototypes_named(NAMES, places),
        code_symbols([".*", "call.*", "("], places),
        parameters_of(keys, [path for _, path in places]),
        fields_of("kvm", keys, [path for _, path in places]),
        functions_written("arch/x86/kvm/vmx/vmx.c", ["kvm_make_request", "called"], places),
        callees_of(NAMES, places),
    ]


def test_it_says_what_the_dataset_says(dataset: Path) -> None:
    places = places_of(dataset)
    expected = everything(places)
    own = made_unpacked(dataset)
    with reading_unpacked(own):
        assert unpacked_at(places[0][1] / "functions.parquet") is not None
        for found, there in zip(everything(places), expected, strict=True):
            assert found == there
        assert everything(places) == expected  # what was learnt says it too
        with lookup.reading_once():
            assert everything(places) == expected
        own.release()  # what is read again is the same
        assert everything(places) == expected
    assert unpacked() is None


def test_whole_tables_are_the_same(dataset: Path) -> None:
    own = made_unpacked(dataset)
    folders = [path for _, path in places_of(dataset)] + sorted((dataset / "definitions").iterdir())
    for folder in folders:
        file = own.file(folder)
        assert file is not None
        for name in INDEXED:
            path = folder / f"{name}.parquet"
            if not path.exists():
                assert file.table(name) is None
                continue
            table = file.table(name)
            assert table is not None
            expected = pq.read_table(path)
            found = table.read(expected.column_names)
            assert found.to_pylist() == expected.to_pylist()
            coded = set(CODED.get(name, ())) - set(PLAIN.get(name, ()))
            for column in expected.column_names:
                assert pa.types.is_dictionary(found[column].type) == (column in coded)
            numbers = table.at(range(len(expected)), expected.column_names)
            assert list(numbers.values()) == [tuple(row.values()) for row in expected.to_pylist()]
            assert (
                table.read(
                    ["id"] if "id" in expected.column_names else [expected.column_names[0]], []
                ).num_rows
                == 0
            )


def test_rows_are_found_by_every_column(dataset: Path) -> None:
    own = made_unpacked(dataset)
    for folder in [path for _, path in places_of(dataset)]:
        file = own.file(folder)
        assert file is not None
        for name in INDEXED:
            path, table = folder / f"{name}.parquet", file.table(name)
            if table is None:
                continue
            columns = [column.name for column in TABLES[name].columns]
            packed = TableFile(path)
            for column in columns:
                values = {value for value in packed.read([column])[column].to_pylist() if value is not None}
                for wanted in ({*list(values)[:1]}, {*list(values)[:3]}, values):
                    if wanted and not isinstance(next(iter(wanted)), bool):
                        numbers, rows = packed.rows(column, wanted, columns)
                        found, there = table.rows(column, wanted, columns)
                        assert (list(found), there) == (list(numbers), rows)
                        whole, read = table.where(column, wanted, columns)
                        assert (whole, read.to_pylist()) == (
                            numbers,
                            packed.where(column, wanted, columns)[1].to_pylist(),
                        )


def test_calls_are_made_when_they_are_looked_at(dataset: Path) -> None:
    places = places_of(dataset)[-1:]
    (expected,) = lookup.functions_named(["called"], places, chains=True)["called"]
    with reading_unpacked(made_unpacked(dataset)):
        (found,) = lookup.functions_named(["called"], places, chains=True)["called"]
    sites = found.call_sites
    assert isinstance(sites, CallSites)
    assert len(sites) == len(expected.call_sites) == 9
    assert sites == expected.call_sites
    assert sites != expected.call_sites[1:]
    assert sites[2] == expected.call_sites[2]
    assert tuple(sites[1:3]) == expected.call_sites[1:3]
    assert sites[0].chain is not None
    assert [frame.function for frame in sites[0].chain] == [f"level_{depth}" for depth in range(4)]
    assert sites.picked(range(9)) is sites
    assert tuple(sites.picked([1, 4])) == (sites[1], sites[4])


def test_kernels_that_are_not_unpacked_answer_as_ever(dataset: Path) -> None:
    places = places_of(dataset)
    expected = everything(places)
    own = Unpacked(dataset, dataset.parent / "cache")
    own.make(places[0][1])
    with reading_unpacked(own):
        assert everything(places) == expected
    assert not own.missing([])
    assert places[0][1] not in own.missing(path for _, path in places)


def test_a_kernel_that_is_replaced_is_unpacked_again(dataset: Path) -> None:
    own = made_unpacked(dataset)
    (identity, directory), *_ = places_of(dataset)
    with reading_unpacked(own):
        assert lookup.functions_named(["kvm_vcpu_kick"], [(identity, directory)])["kvm_vcpu_kick"][
            0
        ].functions
        Store(dataset).remove(identity.id)
        offering_kernel(3).write(dataset, identity)
        places = places_of(dataset)
        assert directory in own.missing(path for _, path in places)
        (rows,) = lookup.functions_named(["kvm_vcpu_kick"], [(identity, directory)])["kvm_vcpu_kick"]
        assert not rows.functions
        before = set(own.folder.glob("*.tables"))
        own.make(directory)
        own.sweep(path for _, path in places)
        after = set(own.folder.glob("*.tables"))
        assert before - after
        assert directory not in own.missing(path for _, path in places)
        (options,) = lookup.config_named(["NUMBER"], [(identity, directory)])["NUMBER"]
        assert [option.value for option in options] == ["3"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grown(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def of_another_layout(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(b"ksurf-u0" + content[8:])


def listed_wrongly(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"}}")


def with_another_schema(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[64:72] = b"\xff" * 8
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [cut, grown, emptied, zeroed, of_another_layout, listed_wrongly, with_another_schema]
)
def test_a_damaged_file_is_not_used_and_made_again(dataset: Path, damage: Callable[[Path], None]) -> None:
    places = places_of(dataset)[:1]
    directory = places[0][1]
    own = made_unpacked(dataset)
    (path,) = own.folder.glob("kernel=*6.1.1*.tables")
    expected = lookup.functions_named(NAMES, places)
    damage(path)
    with pytest.raises(DamagedFileError):
        UnpackedFile(path)
    later = Unpacked(dataset, dataset.parent / "cache")
    with reading_unpacked(later):
        assert unpacked_at(directory / "functions.parquet") is None
        assert lookup.functions_named(NAMES, places) == expected
        assert later.missing([directory]) == [directory]
        later.make(directory)
        assert unpacked_at(directory / "functions.parquet") is not None
        assert lookup.functions_named(NAMES, places) == expected


def test_tables_that_cannot_be_read_are_not_unpacked(dataset: Path) -> None:
    own = Unpacked(dataset, dataset.parent / "cache")
    directory = places_of(dataset)[0][1]
    (directory / "symbols.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DatasetError, match="symbols"):
        own.make(directory)
    assert not list(own.folder.glob("*.tables"))
    assert not list((own.folder / "tmp").iterdir())


def test_several_processes_make_the_same_file(dataset: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from ksurf.dataset.unpacked.cache import Unpacked
own = Unpacked(Path({str(dataset)!r}), Path({str(dataset.parent / "cache")!r}))
for path in sys.argv[1:]:
    own.make(Path(path))
"""
    places = places_of(dataset)
    expected = everything(places)
    own = Unpacked(dataset, dataset.parent / "cache")
    folders = list(map(str, own.missing(path for _, path in places)))
    running = [subprocess.Popen([sys.executable, "-c", code, *folders]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert not own.missing(path for _, path in places)
    with reading_unpacked(own):
        assert everything(places) == expected


VALUES = st.one_of(
    st.tuples(st.just(pa.string()), st.lists(st.none() | st.text(max_size=3), max_size=30)),
    st.tuples(st.just(pa.int32()), st.lists(st.none() | st.integers(-3, 9), max_size=30)),
    st.tuples(st.just(pa.uint64()), st.lists(st.none() | st.integers(0, 2**64 - 1), max_size=30)),
    st.tuples(st.just(pa.bool_()), st.lists(st.none() | st.booleans(), max_size=30)),
)


@given(VALUES, st.booleans())
def test_a_column_is_read_from_memory(values: tuple[pa.DataType, list[object]], coded: bool) -> None:
    kind, expected = values
    array = pa.array(expected, kind)
    if coded and kind == pa.string():
        array = array.dictionary_encode()
    column = column_of(array)
    assert [column[at] for at in range(len(array))] == expected
    assert column.values(range(len(array))) == expected
    assert column.values(list(range(len(array)))[::-1]) == expected[::-1]


@given(st.lists(st.text(max_size=2), max_size=30), st.text(max_size=2))
def test_rows_of_a_text_are_found_in_an_order(texts: list[str], wanted: str) -> None:
    ordered = sorted(texts, key=lambda text: text.encode())
    batch = pa.record_batch({"name": pa.array(ordered, pa.string())})
    table = UnpackedTable(batch, {"name": None}, "types")
    assert list(table.numbers("name", [wanted])) == [at for at, text in enumerate(ordered) if text == wanted]
