"""Every type and function prototype of real kernels' BTF, against what bpftool prints of the same bytes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from elftools.elf.elffile import ELFFile

from btf_dump import Definition, Dump, Member, normal
from ksurf import _core
from oracle.package import images, is_vmlinux
from real_kernels import RealKernels

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not shutil.which("bpftool"), reason="bpftool is not there to compare with"),
]

MODULES = ("xfs", "nf_tables")
"""Large ones that all these kernels have; those of 5.10 have no BTF."""
SELECTORS = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.12-cloud-arm64",
    "debian:6.12-ppc64el",
)


@pytest.fixture(params=SELECTORS, scope="module")
def files(request: pytest.FixtureRequest, real_kernels: RealKernels) -> dict[str, Path]:
    """The ``.BTF`` of a kernel's vmlinux and modules, as files that are kept."""
    package = Path(real_kernels.ksurf("pull", request.param, "--download-only").splitlines()[0])
    folder = real_kernels.folder / "btf" / package.stem
    if not folder.exists():
        unfinished = folder.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        take(package, unfinished)
        unfinished.rename(folder)
    return {file.stem: file for file in folder.iterdir()}


def take(package: Path, folder: Path) -> None:
    """Write the ``.BTF`` of vmlinux and of the chosen modules into a folder."""
    left = {"vmlinux", *MODULES}
    for file, source in images(package):
        name = "vmlinux" if is_vmlinux(file) else file.removesuffix(".ko")
        if name in left:
            left.remove(name)
            image = folder / "image"
            with image.open("wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            with image.open("rb") as whole:
                section = ELFFile(whole).get_section_by_name(".BTF")
                if section is not None:
                    folder.joinpath(f"{name}.btf").write_bytes(section.data())
            image.unlink()
        if not left:
            return
    raise AssertionError(f"{package}: no {', '.join(left)}")


def read(path: Path, base: Path | None = None) -> tuple[list[Definition], int]:
    """ksurf's definitions in the order of the names, and how many rows of ``types`` there are."""
    extraction = _core.extract_btf(str(path), str(base) if base else None)
    assert not extraction.incomplete
    tables = {name: pa.table(extraction.tables[name]) for name in ("types", "definitions", "members")}
    rows: dict[int, list[Member]] = {}
    for key, group in groupby(tables["members"].to_pylist(), lambda row: row["definition"]):
        members = list(group)
        assert [row["position"] for row in members] == list(range(len(members)))
        assert key not in rows
        rows[key] = [Member(**fields(row, Member._fields)) for row in members]
    definitions = [
        Definition(**fields(row, Definition._fields[:-1]), members=tuple(rows.get(row["key"], ())))
        for row in tables["definitions"].to_pylist()
    ]
    return definitions, tables["types"].num_rows


def fields(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    row["type"] = normal(row["type"]) if row["type"] else None
    return {name: row[name] for name in names}


def same(dump: Dump, found: list[Definition]) -> Counter[str]:
    """Compare as sets, show what differs, and count what was compared."""
    expected, read = set(dump.definitions()), set(found)
    assert len(read) == len(found), "a definition is there twice"
    missing, extra = sorted(expected - read, key=repr), sorted(read - expected, key=repr)
    assert not missing and not extra, (
        f"{len(missing)} missing: {missing[:3]}; {len(extra)} extra: {extra[:3]}"
    )
    return Counter(definition.kind for definition in found)


def test_every_definition(files: dict[str, Path], note: Callable[[str], None]) -> None:
    vmlinux = files["vmlinux"]
    found, rows = read(vmlinux)
    counts = same(Dump(vmlinux), found)
    assert rows == len(found)
    assert counts["struct"] > 5000 and counts["func"] > 25_000 and counts["enum"] > 800
    members = sum(len(definition.members) for definition in found)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    note(f"BTF of {vmlinux.parent.name}: {kinds}, {members} members as bpftool says")


def test_every_definition_of_modules(files: dict[str, Path]) -> None:
    modules = [path for name, path in files.items() if name != "vmlinux"]
    if not modules:
        pytest.skip("the modules of this kernel have no BTF")
    assert len(modules) == len(MODULES)
    for path in modules:
        found, _ = read(path, files["vmlinux"])
        counts = same(Dump(path, files["vmlinux"]), found)
        assert counts["struct"] > 50 and counts["func"] > 400
