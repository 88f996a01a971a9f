"""Debian's own source, pulled, unpacked and prepared with the headers of its kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ksurf.source.units import Units
from real_sources import CLOUD_ARM64

if TYPE_CHECKING:
    from real_sources import RealSources

pytestmark = pytest.mark.network


def test_the_source_of_a_kernel_and_its_units(real_sources: RealSources) -> None:
    tree, kernel = real_sources.pull(CLOUD_ARM64)
    assert (tree.base_version, tree.version, tree.is_trusted) == ("7.3", kernel.version, True)
    assert tree.upstream == kernel.upstream
    assert tree.files is not None and tree.byte_size is not None
    assert 80_000 < (tree.files or 0) < 150_000
    assert 1.4e9 < (tree.byte_size or 0) < 2.5e9
    text = (tree.root / "arch/arm64/kvm/vgic/vgic-v4.c").read_text()
    assert "vgic_v4_doorbell_handler" in text
    # A link in the archive.
    assert (tree.root / "arch/arm64/tools/syscall_64.tbl").read_bytes() == (
        tree.root / "scripts/syscall.tbl"
    ).read_bytes()
    assert not any(path.is_symlink() for path in (tree.root / "scripts").rglob("*"))
    units = Units.load(tree.root, tree.units_folder(kernel))
    assert len(units) > 5000
    assert [unit.object for unit in units.of_file("arch/arm64/kvm/vgic/vgic-v4.c")] == [
        "arch/arm64/kvm/vgic/vgic-v4.o"
    ]
    (prepared,) = (one for one in tree.prepared() if one.kernel == kernel)
    assert (prepared.units, prepared.config) == (len(units), f".config of linux-headers-{kernel.release}")
    assert "already in the dataset" in real_sources.ksurf("source", "pull", CLOUD_ARM64)
    assert tree.id in real_sources.ksurf("source", "list")
