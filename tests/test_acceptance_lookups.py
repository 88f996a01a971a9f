"""Unpacked tables and the catalog of eight real kernels say what the dataset says, of names of all kinds."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ksurf.dataset.lookup import attach_rows, functions_named, reading_once
from ksurf.dataset.unpacked.cache import Unpacked, reading_unpacked
from ksurf.kernel import Kernel
from ksurf.report.catalog import Catalog
from ksurf.report.find import near_names, statuses_of
from ksurf.report.kinds import KINDS
from ksurf.report.search import SEARCH_KINDS, search
from ksurf.report.verdicts import with_verdicts
from ksurf.surface.function import judge
from real_kernels import RealKernels

pytestmark = pytest.mark.network

SELECTORS = (
    *(
        "debian:5.10-cloud-amd64",
        "debian:6.1-cloud-amd64",
        "debian:6.12-cloud-amd64",
        "debian:7.3-cloud-amd64",
    ),
    *("debian:6.1-cloud-arm64", "debian:6.12-cloud-arm64", "debian:6.12-ppc64el", "debian:6.12-riscv64"),
)
COUNT = 300
"""Names of each kind."""
LARGEST = ["kfree", "memcpy", "list_add", "arch_test_bit", "no such name"]

Places = list[tuple[Kernel, Path]]


@pytest.fixture(scope="module")
def places(real_kernels: RealKernels) -> Places:
    pulled = [real_kernels.pull(selector) for selector in SELECTORS]
    return sorted((one.kernel, one.tables) for one in pulled)


@pytest.fixture(scope="module")
def unpacked(real_kernels: RealKernels, places: Places, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    own = Unpacked(real_kernels.dataset, tmp_path_factory.mktemp("cache"))
    for directory in own.missing(path for _, path in places):
        own.make(directory)
    assert not own.missing(path for _, path in places)
    return own


@pytest.fixture(scope="module")
def catalog(unpacked: Unpacked, places: Places) -> Catalog:
    return Catalog.open_or_make(unpacked, places)


def sample(catalog: Catalog, kind: str) -> list[str]:
    names = catalog.names([kind]).to_pylist()
    return random.Random(kind).sample(names, min(COUNT, len(names)))


def test_functions(catalog: Catalog, unpacked: Unpacked, places: Places) -> None:
    names = [*sample(catalog, "function"), *LARGEST]
    for start in range(0, len(names), 50):
        part = names[start : start + 50]
        expected, about = functions_named(part, places, chains=True), attach_rows(part, places)
        with reading_unpacked(unpacked):
            found, also = functions_named(part, places, chains=True), attach_rows(part, places)
        assert also == about
        for name in part:
            pairs = zip(found[name], expected[name], about[name], strict=True)
            for own, rows, kernel in pairs:
                assert own == rows
                assert judge(own, kernel) == judge(rows, kernel)


@pytest.mark.parametrize("kind", KINDS)
def test_symbols(catalog: Catalog, unpacked: Unpacked, places: Places, kind: str) -> None:
    names = [*sample(catalog, kind), "no such name"]
    with reading_once():
        expected = with_verdicts(kind, statuses_of(kind, names, places), places)
    with reading_unpacked(unpacked):
        assert with_verdicts(kind, statuses_of(kind, names, places), places) == expected


def test_searches(catalog: Catalog, places: Places) -> None:
    chosen = random.Random(6)
    names = [name for kind in SEARCH_KINDS for name in sample(catalog, kind)]
    with reading_once():
        for _ in range(25):
            name = chosen.choice(names)
            start = chosen.randrange(len(name))
            text = name[start : start + chosen.randint(2, 40)]
            expected = search(text, places)
            assert catalog.find(text) == expected[:20]
            for kinds in (("function",), ("struct", "field"), ("tracepoint", "lsm", "config", "enumerator")):
                own = [hit for hit in expected if hit.kind in kinds]
                assert catalog.find(text, kinds, 50) == own[:50]


def test_near_names(catalog: Catalog, places: Places) -> None:
    for kind, name in (("struct", "task_structt"), ("config", "CONFIG_BFP"), ("field", "kvm::mmu_lokc")):
        assert catalog.near(kind, name, places) == near_names(kind, places, name)
