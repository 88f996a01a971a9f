"""Types from DWARF against those from the BTF that pahole made of the same DWARF, of real kernels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from ksurf import _core
from oracle.package import images, is_vmlinux
from real_kernels import RealKernels

pytestmark = pytest.mark.network

TYPES = ("struct", "union", "enum", "typedef")
MODULE = "xfs.ko"
"""A large one that both kernels have."""


class Definitions(NamedTuple):
    """All definitions of an image."""

    names: dict[int, tuple[str, str]]
    """Kind and name by key."""
    tagged: set[int]
    incomplete: list[tuple[str, str, str]]

    def of(self, *kinds: str) -> set[int]:
        """The keys of some kinds."""
        return {key for key, (kind, _) in self.names.items() if kind in kinds}

    def named(self, keys: set[int]) -> set[str]:
        """The names of some keys."""
        return {self.names[key][1] for key in keys}


def read(extraction: _core.Extraction) -> Definitions:
    """The definitions of an extraction."""
    columns = ["key", "kind", "name", "tags"]
    table = pa.table(extraction.tables["definitions"]).select(columns).to_pydict()
    rows = list(zip(*(table[column] for column in columns), strict=True))
    names = {key: (kind, name) for key, kind, name, _ in rows}
    return Definitions(names, {key for key, *_, tags in rows if tags}, extraction.incomplete)


@pytest.fixture(params=["debian:6.12-cloud-amd64", "debian:7.3-cloud-amd64"], scope="module")
def files(
    request: pytest.FixtureRequest, real_kernels: RealKernels, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A kernel's name, and a folder with its vmlinux and a module."""
    folder = tmp_path_factory.mktemp("images")
    packages = real_kernels.ksurf("pull", request.param, "--download-only").splitlines()
    (package,) = (Path(line) for line in packages if "-dbg_" in line)
    for name, source in images(package):
        if is_vmlinux(name) or name == MODULE:
            with (folder / ("vmlinux" if is_vmlinux(name) else name)).open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
    return request.param, folder


def test_every_type_of_vmlinux_is_the_same(files: tuple[str, Path], note: Callable[[str], None]) -> None:
    """Types agree by key. Functions do as far as pahole lists those that DWARF defines."""
    selector, folder = files
    image = str(folder / "vmlinux")
    dwarf, btf = read(_core.dwarf_types(image)), read(_core.extract_btf(image))
    assert dwarf.incomplete == btf.incomplete == []
    shares = []
    for kind in TYPES:
        ours, theirs = dwarf.of(kind), btf.of(kind)
        shares.append(f"{kind} {len(ours & theirs)} of {len(theirs)}")
        assert len(theirs) > 100
        assert ours == theirs, (dwarf.named(ours - theirs), btf.named(theirs - ours))

    ours, theirs = dwarf.of("func"), btf.of("func")
    defined, missing = dwarf.named(ours), theirs - ours
    # pahole tags kfuncs from the kernel's own sets of BTF ids, of which DWARF knows nothing.
    kfuncs = missing & btf.tagged
    # Assembly has no DWARF of C, and an alias has none: pahole takes the declaration where it finds a symbol.
    declared = {key for key in missing - kfuncs if btf.names[key][1] not in defined}
    others = missing - kfuncs - declared
    share = len(ours & theirs) / len(theirs - kfuncs - declared)
    shares.append(
        f"func {share:.2%} of those that DWARF defines ({len(kfuncs)} tagged, {len(declared)} only declared)"
    )
    note(f"{selector}: definitions of DWARF that equal BTF's: {', '.join(shares)}")
    assert share >= 0.999, btf.named(others)
    assert len(declared) < 0.005 * len(theirs), sorted(btf.named(declared))
    # pahole leaves out what has no symbol of its plain name (`f.isra.0`, or nothing at all), and functions of
    # one name that differ, or whose parameters are not where their types say.
    assert len(ours - theirs) < 0.04 * len(ours), sorted(dwarf.named(ours - theirs))


def test_every_type_of_a_module_is_there(files: tuple[str, Path], note: Callable[[str], None]) -> None:
    """A module's DWARF repeats the headers; its BTF has what vmlinux's lacks. Nothing of that is missing."""
    selector, folder = files
    base, image = str(folder / "vmlinux"), str(folder / MODULE)
    dwarf, btf = read(_core.dwarf_types(image)), read(_core.extract_btf(image, base))
    vmlinux = read(_core.extract_btf(base))
    ours, theirs, known = dwarf.of(*TYPES), btf.of(*TYPES), vmlinux.of(*TYPES)
    note(f"{selector}: of the {len(theirs)} types of {MODULE}'s BTF {len(ours & theirs)} are in its DWARF")
    assert len(theirs) > 500
    assert theirs <= ours, btf.named(theirs - ours)
    assert ours <= theirs | known, dwarf.named(ours - theirs - known)
