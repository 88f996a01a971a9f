"""Exported symbols are exactly those that the kernel's own build wrote down."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from ksurf import _core
from real_kernels import Pulled, RealKernels
from test_acceptance import SELECTORS

pytestmark = pytest.mark.network

Export = tuple[str, str, bool, str | None, int | None]
"""Name, image, whether for the GPL only, namespace, checksum."""


@pytest.fixture(params=SELECTORS)
def kernel(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Pulled:
    return real_kernels.pull(request.param)


def exports(kernel: Pulled) -> list[Export]:
    """What the dataset has."""
    images = pq.read_table(kernel.tables / "images.parquet", columns=["name"])["name"].to_pylist()
    rows = pq.read_table(kernel.tables / "exports.parquet").to_pylist()
    return sorted(
        ((row["name"], images[row["image"]], row["gpl"], row["namespace"], row["crc"]) for row in rows),
        key=repr,
    )


def symvers(real_kernels: RealKernels, kernel: Pulled) -> list[Export]:
    """What `Module.symvers` of the headers package has: a checksum of 0 stands for none."""
    manifest = json.loads((kernel.tables / "manifest.json").read_text())
    package = real_kernels.folder / "packages" / manifest["source"]["config"]["file"]
    member = f"usr/src/linux-headers-{kernel.kernel.release}/Module.symvers"
    content = _core.deb_member(str(package), [member])
    assert content is not None, f"{package} has no {member}"
    found: list[Export] = []
    for line in content.decode().splitlines():
        crc, name, path, kind, namespace = line.split("\t")
        image = path.rsplit("/", 1)[-1].replace("-", "_")
        found.append((name, image, kind == "EXPORT_SYMBOL_GPL", namespace or None, int(crc, 16) or None))
    return sorted(found, key=repr)


def test_exports_are_those_of_the_build(real_kernels: RealKernels, kernel: Pulled) -> None:
    found, expected = exports(kernel), symvers(real_kernels, kernel)
    assert len(expected) > 10_000
    assert sorted(set(found) - set(expected)) == []
    assert sorted(set(expected) - set(found)) == []
    assert len(found) == len(expected)
