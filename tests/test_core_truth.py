"""CO-RE relocations of shipped tools on real kernels, against what libbpf itself makes of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import libbpf_word
from ksurf import _core
from ksurf.check.core_relocation import (
    KernelTypes,
    RelocationOutcome,
    RelocationStatus,
    _rows,
    outcomes,
    roots_of,
)
from libbpf_word import Words
from material import Material
from real_kernels import RealKernels

pytestmark = pytest.mark.network

KERNELS = tuple(f"debian:{series}-cloud-amd64" for series in ("5.10", "6.1", "6.12", "7.3"))
REFUSED = {RelocationStatus.AMBIGUOUS, RelocationStatus.REFUSED}


@pytest.fixture(scope="module")
def objects(material: Material) -> list[bytes]:
    """Every eBPF object of the tools."""
    tools = sorted((material.unpacked("libbpf-tools") / "usr" / "sbin").iterdir())
    found = [one.data for tool in tools if tool.is_file() for one in _core.bpf_objects(str(tool))]
    assert len(found) > 45
    return found


@pytest.mark.parametrize("selector", KERNELS)
def test_every_relocation_is_what_libbpf_says(
    selector: str, objects: list[bytes], real_kernels: RealKernels, tmp_path: Path
) -> None:
    libbpf = libbpf_word.library()
    if libbpf is None:
        pytest.skip("libbpf is not installed")
    tables = real_kernels.pull(selector).tables
    types = KernelTypes(tables)
    assert types.vmlinux is not None
    modules = types.modules_with({root for data in objects for root in roots_of(data)})
    told = outcomes(objects, types.vmlinux, modules)
    program = libbpf_word.compiled(tmp_path)
    said = libbpf_word.words(program, libbpf, tmp_path, btf_of(tables), objects)
    compared: Counter[str] = Counter()
    for data, own, words in zip(objects, told, said, strict=True):
        rows = _rows(_core.core_relocations(data))
        assert len(rows) == len(own)
        numbers: Counter[str] = Counter()
        for row, outcome in zip(rows, own, strict=True):
            section = row["section"]
            assert_same(row, outcome, words, (section, numbers[section]))
            numbers[section] += 1
            compared[outcome.status.value] += 1
        assert set(words) == {(section, n) for section, count in numbers.items() for n in range(count)}
    assert compared["resolved"] > 400
    assert compared["missing"] > 5


def assert_same(
    row: dict[str, Any], outcome: RelocationOutcome, words: Words, place: tuple[str, int]
) -> None:
    """That libbpf's log says of a relocation what ksurf says."""
    word = words[place]
    what = f"{row}: {outcome}, {word}"
    assert word.failed == (outcome.status in REFUSED), what
    assert word.poisoned == outcome.poisoned, what
    assert bool(word.targets) == (outcome.image is not None), what
    if word.values is not None:
        assert word.values[1] == outcome.value, what


def btf_of(tables: Path) -> dict[str, bytes]:
    """The BTF of a kernel's images by their names."""
    names = pq.read_table(tables / "images.parquet")["name"].to_pylist()
    table = pq.read_table(tables / "btf.parquet")
    pairs = zip(table["image"].to_pylist(), table["bytes"].to_pylist(), strict=True)
    return {names[image]: data for image, data in pairs}
