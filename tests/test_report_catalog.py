"""The catalog finds what the search finds, in its order; what is damaged is told, and made again."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf._core import ReadError
from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from ksurf.report.catalog import Catalog
from ksurf.report.find import near_names
from ksurf.report.search import SEARCH_KINDS, search
from made_kernel import MadeKernel, bpf_kernel, kernel, kvm_kernel, offering_kernel

Places = list[tuple[Kernel, Path]]

WORDS = ("lock", "Lock", "a", "lock_a", "a_lock", "alock", "b__a", "x.lock", "été", "LOCKS", "lo", "ck")


def named_kernel(number: int) -> MadeKernel:
    """Names of all kinds that are made of few words, so that many fit in many ways."""
    made = MadeKernel()
    vmlinux = made.image()
    unit = made.unit("kernel/a.c", vmlinux)
    chosen = random.Random(number)
    for at in range(60):
        name = chosen.choice(WORDS) + chosen.choice(("", "_")) + chosen.choice(WORDS)
        function = made.function(name, f"kernel/{at}.c")
        if at % 3:
            made.instance(function, unit, address=64 * (at + 1))
    for at, owner in enumerate(WORDS):
        nested = {"type": "struct (anon)", "name": chosen.choice(WORDS), "bit_offset": 0, "byte_size": 8}
        inner = [
            {"type": "int", "name": chosen.choice(WORDS), "bit_offset": 0, "byte_size": 4, "depth": 1},
            {"type": "union (anon)", "bit_offset": 32, "byte_size": 4, "depth": 1},
            {"type": "int", "name": chosen.choice(WORDS), "bit_offset": 32, "byte_size": 4, "depth": 2},
        ]
        last = {"type": "int", "name": chosen.choice(WORDS), "bit_offset": 64, "byte_size": 4}
        kind = ("struct", "union", "typedef")[at % 3]
        made.type(kind, owner, [nested, *inner, last], byte_size=16)
        made.tracepoint(chosen.choice(WORDS) if at % 2 else None, owner)
        made.add("exports", name=owner, image=vmlinux, gpl=False)
        made.add("config", name=f"CONFIG_{owner.upper()}", value="y")
    made.enum("locks", {"LOCK_A": number, "A_LOCK": 1})
    return made


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog") / "dataset"
    makers = (kvm_kernel(), offering_kernel(), bpf_kernel(1), named_kernel(1), named_kernel(2))
    for number, made in enumerate(makers):
        made.write(folder, kernel(f"6.{number + 1}.1"))
    return folder


def places_of(dataset: Path) -> Places:
    store = Store(dataset)
    return [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]


@pytest.fixture(scope="module")
def places(dataset: Path) -> Places:
    return places_of(dataset)


@pytest.fixture(scope="module")
def catalog(dataset: Path, places: Places) -> Catalog:
    return Catalog.open_or_make(Unpacked(dataset, dataset.parent / "cache"), places)


TEXTS = st.one_of(
    st.text(alphabet="aelock_:.ABé", min_size=1, max_size=5),
    st.tuples(
        *[st.sampled_from(("", "::", "_", ".", "lock", "struct a", "a", "LOCK", "kvm", "Été"))] * 3
    ).map("".join),
)


@settings(deadline=None)
@given(
    TEXTS, st.sampled_from((1, 3, 20, 1000)), st.none() | st.sets(st.sampled_from(SEARCH_KINDS), min_size=1)
)
def test_it_finds_what_the_search_finds(
    catalog: Catalog, places: Places, text: str, limit: int, kinds: set[str] | None
) -> None:
    if not text:
        assert catalog.find(text) == []
        return
    expected = search(text, places, SEARCH_KINDS if kinds is None else kinds)
    assert catalog.find(text, kinds, limit) == expected[:limit]


@pytest.mark.parametrize(
    "text",
    [
        "kvm",
        "mmu_lock",
        "irqfds.lock",
        "kvm::irqfds.lock",
        "struct kvm::lock",
        "file_open",
        "CONFIG_BPF",
        "::",
    ],
)
def test_names_of_kernels(catalog: Catalog, places: Places, text: str) -> None:
    expected = search(text, places)
    assert expected
    assert catalog.find(text, limit=1000) == expected


def test_it_says_which_kernels_have_a_name(catalog: Catalog, places: Places) -> None:
    (hit,) = catalog.find("CONFIG_NUMBER")
    assert hit.bits is not None
    having = {name for at, name in enumerate(catalog.kernels) if hit.bits >> at & 1}
    assert having == {kernel.id for kernel, _ in places[1:3]}
    assert hit.kernels == 2


def test_what_is_in_no_name(catalog: Catalog) -> None:
    for text in ("", "no such name", "a\0", "\0", "\ud800", "x" * 10_000, "::" * 5_000, "%", "CONFIG_\n"):
        assert catalog.find(text) == []
    assert catalog.find("a", limit=0) == []
    assert catalog.find("a", kinds=()) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("struct", "kvmm"),
        ("tracepoint", "sched:sched_swich"),
        ("config", "CONFIG_BFP"),
        ("lsm", "file_opn"),
        ("kfunc", "bpf_task_aquire"),
        ("export", "kvm_get_kvms"),
        ("field", "kvm::mmu_lok"),
        ("field", "kvmm::mmu_lock"),
        ("function", "kvm_vcpu_kik"),
    ],
)
def test_near_names(catalog: Catalog, places: Places, kind: str, name: str) -> None:
    expected = near_names(kind, places, name)
    assert expected
    assert catalog.near(kind, name, places) == expected


def test_it_is_that_of_its_kernels(tmp_path: Path) -> None:
    for number in range(2):
        offering_kernel(number).write(tmp_path / "dataset", kernel(f"6.{number + 1}.1"))
    unpacked = Unpacked(tmp_path / "dataset", tmp_path / "cache")
    places = places_of(tmp_path / "dataset")
    assert Catalog.open(unpacked, places) is None
    made = Catalog.open_or_make(unpacked, places)
    found = Catalog.open(unpacked, places[::-1])
    assert found is not None
    assert found.path == made.path
    assert Catalog.open(unpacked, places[:1]) is None
    Store(tmp_path / "dataset").remove(places[0][0].id)
    kvm_kernel().write(tmp_path / "dataset", places[0][0])
    places = places_of(tmp_path / "dataset")
    assert Catalog.open(unpacked, places) is None
    later = Catalog.open_or_make(unpacked, places)
    assert [hit.name for hit in later.find("vcpu_kick")] == ["kvm_vcpu_kick"]
    assert made.find("vcpu_kick") == []  # it is mapped as it was
    assert list(unpacked.folder.glob("*.catalog")) == [later.path]


def cut(content: bytes) -> bytes:
    return content[:-1]


def grown(content: bytes) -> bytes:
    return content + b"\0"


def emptied(content: bytes) -> bytes:
    return b""


def beheaded(content: bytes) -> bytes:
    return content[:20]


def of_the_future(content: bytes) -> bytes:
    return content[:8] + b"\xff" + content[9:]


def pointing_outside(content: bytes) -> bytes:
    return content[:32] + b"\xff" * 16 + content[48:]


@pytest.mark.parametrize("damage", [cut, grown, emptied, beheaded, of_the_future, pointing_outside])
def test_what_is_damaged_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    offering_kernel().write(tmp_path / "dataset", kernel("6.1.1"))
    unpacked, places = Unpacked(tmp_path / "dataset", tmp_path / "cache"), places_of(tmp_path / "dataset")
    path = Catalog.open_or_make(unpacked, places).path
    content = path.read_bytes()
    path.write_bytes(damage(content))
    with pytest.raises((ReadError, OSError)):
        Catalog(path)
    assert Catalog.open(unpacked, places) is None
    assert Catalog.open_or_make(unpacked, places).find("kvm") == search("kvm", places)
    assert path.read_bytes() == content


def test_damage_within_is_an_error_or_another_name(tmp_path: Path, catalog: Catalog) -> None:
    content = catalog.path.read_bytes()
    chosen = random.Random(0)
    path = tmp_path / "damaged"
    for _ in range(400):
        damaged = bytearray(content)
        for _ in range(chosen.choice((1, 3, 30))):
            damaged[chosen.randrange(len(damaged))] = chosen.choice((0, 1, 0x7F, 0xFF, chosen.randrange(256)))
        path.unlink(missing_ok=True)
        path.write_bytes(damaged)
        try:
            opened = Catalog(path)
            for text in ("lock", "a", "kvm::", "_"):
                opened.find(text)
            opened.names(SEARCH_KINDS)
        except (ReadError, DatasetError, OSError, ValueError, KeyError, IndexError, TypeError):
            pass


def test_several_processes_make_the_same_catalog(dataset: Path, places: Places, catalog: Catalog) -> None:
    cache = dataset.parent / "shared"
    code = f"""
from pathlib import Path
from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.report.catalog import Catalog
store = Store(Path({str(dataset)!r}))
places = [(m.kernel, store.directory(m.kernel.id)) for m in store.kernels()]
print(len(Catalog.open_or_make(Unpacked(store.path, Path({str(cache)!r})), places).find("lock")))
"""
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(3)]
    assert {process.communicate()[0] for process in running} == {b"20\n"}
    found = Catalog.open(Unpacked(dataset, cache), places)
    assert found is not None
    assert found.path.read_bytes() == catalog.path.read_bytes()


def test_a_text_may_begin_at_the_end_of_a_run(tmp_path: Path) -> None:
    """Runs of 32 KiB are looked at one by one; names lie across their ends."""
    made = MadeKernel()
    unit = made.unit("a.c", made.image())
    names: Sequence[str] = [f"function_number_{number:05}_of_many" for number in range(4_000)]
    for number, name in enumerate(names):
        made.instance(made.function(name, "a.c", number), unit, address=number * 16)
    made.write(tmp_path / "dataset", kernel("6.1.1"))
    catalog = Catalog.open_or_make(
        Unpacked(tmp_path / "dataset", tmp_path / "cache"), places_of(tmp_path / "dataset")
    )
    assert all([hit.name for hit in catalog.find(name[9:])] == [name] for name in names)
    assert len(catalog.find("number", limit=5_000)) == 4_000
    assert [hit.name for hit in catalog.find("_of_many", limit=3)] == names[:3]
