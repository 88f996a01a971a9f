"""What modules need: of one that gcc makes on the spot, and of all those of real kernels."""

from __future__ import annotations

import gzip
import lzma
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ksurf import _core
from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Guard, Kind, Use
from ksurf.check.facts import MODULE_LAYOUT
from ksurf.check.module import is_gpl_compatible, read_module
from ksurf.kernel import Kernel
from material import Material
from real_kernels import RealKernels

MODINFO = ("license=GPL v2", "import_ns=NET", "import_ns=USB", "depends=usbcore,hid", "name=my_module")

SOURCE = r"""
struct request;
extern int wanted(struct request *request, int number);
extern int maybe(void) __attribute__((weak));
int own(struct request *request) { return wanted(request, 1) + (maybe ? maybe() : 0); }
"""

VERSIONS = r"""
struct modversion_info { unsigned long crc; char name[64 - sizeof(unsigned long)]; };
static const struct modversion_info versions[] __attribute__((section("__versions"), used)) = {
    {0x12345678, "wanted"}, {0x9abcdef0, "module_layout"},
};
"""

LONG_VERSIONS = r"""
static const unsigned crcs[] __attribute__((section("__version_ext_crcs"), used)) = {7, 0xfffffff0};
static const char names[] __attribute__((section("__version_ext_names"), used)) = "maybe\0wanted";
"""


def module(folder: Path, *, more: str = "", modinfo: tuple[str, ...] = MODINFO) -> Path:
    lines = [
        f'static const char info{n}[] __attribute__((section(".modinfo"), used)) = "{text}";'
        for n, text in enumerate(modinfo)
    ]
    source, image = folder / "m.c", folder / "my-module.ko"
    source.write_text("\n".join([SOURCE, more, *lines]))
    flags = ("-O2", "-ffreestanding", "-fno-pic", "-fno-toplevel-reorder")
    subprocess.run(["gcc", *flags, "-c", str(source), "-o", str(image)], check=True)
    return image


def exports(consumer: Consumer) -> dict[str, Dependency]:
    assert {one.kind for one in consumer.dependencies} == {Kind.EXPORT}
    return {one.name: one for one in consumer.dependencies}


@pytest.mark.parametrize(
    ("versions", "wanted", "maybe"),
    [("", None, None), (VERSIONS, 0x12345678, None), (LONG_VERSIONS, 0xFFFFFFF0, 7)],
)
def test_imports_and_checksums(tmp_path: Path, versions: str, wanted: int | None, maybe: int | None) -> None:
    consumer = read_module(str(module(tmp_path, more=versions)))
    assert (consumer.kind, consumer.name, consumer.incomplete) == (ConsumerKind.MODULE, "my_module", ())
    found = exports(consumer)
    assert set(found) == {"wanted", "maybe"}
    assert (found["wanted"].crc, found["maybe"].crc) == (wanted, maybe)
    assert found["wanted"].uses == (Use(),)
    assert found["maybe"].uses == (Use(guard=Guard("__weak")),)
    assert found["wanted"].gpl is True
    assert found["wanted"].namespaces == ("NET", "USB", "module:my_module")


def test_compressed_modules_and_licenses(tmp_path: Path) -> None:
    plain = module(tmp_path, modinfo=("license=Proprietary",))
    for suffix, pack in ((".xz", lzma.compress), (".gz", gzip.compress)):
        packed = tmp_path / f"my-module.ko{suffix}"
        packed.write_bytes(pack(plain.read_bytes()))
        consumer = read_module(str(packed))
        assert consumer.name == "my_module"
        assert exports(consumer)["wanted"].gpl is False
    assert [is_gpl_compatible(text) for text in ("Dual MIT/GPL", "BSD", None)] == [True, False, False]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    plain = module(tmp_path, modinfo=())
    consumer = read_module(str(plain))
    assert exports(consumer)["wanted"].gpl is None
    assert "no .modinfo" in consumer.incomplete[0]
    damaged = tmp_path / "short.ko"
    damaged.write_bytes(plain.read_bytes()[:200])
    for path, reason in (
        (damaged, "truncated"),
        (tmp_path / "none.ko", "No such file"),
        (tmp_path / "m.c", "magic"),
    ):
        consumer = read_module(str(path))
        assert consumer.dependencies == ()
        assert reason in consumer.incomplete[0]


def modules_of(package: Path, folder: Path) -> list[Consumer]:
    found = []
    archive = _core.Archive(str(package))
    while file := archive.next_file(64 << 20):
        path, content, _ = file
        name = path.rsplit("/", 1)[-1]
        if content is None or not name.endswith((".ko", ".ko.xz", ".ko.zst")):
            continue
        spooled = folder / name
        spooled.write_bytes(content)
        found.append(read_module(str(spooled)))
        spooled.unlink()
    return found


SELECTORS = {
    "debian:5.10-cloud-amd64": ("linux-image", ("bullseye", "bullseye-security")),
    "debian:6.1-cloud-amd64": ("linux-image", ("bookworm", "bookworm-security")),
    "debian:6.12-cloud-arm64": ("linux-image", ("trixie", "trixie-security")),
    "debian:7.3-cloud-amd64": ("linux-modules", ("trixie-backports",)),
}
"""Which package has the modules, and which suites have it."""


def package_of(kernel: Kernel, folder: Path, material: Material, kind: str, suites: tuple[str, ...]) -> Path:
    """The package with the modules of a kernel, which may be there already."""
    name = f"{kind}-{kernel.release}"
    file = f"{name}_{str(kernel.version).replace(':', '%3a')}_{kernel.arch}.deb"
    if (held := folder / "packages" / file).exists():
        return held
    for suite in suites:
        try:
            found = material.package(name, suite, kernel.arch)
        except AssertionError:
            continue
        if found.name == file:
            return found
    pytest.skip(f"no suite has {file}")


def lacking(tables: Path, consumers: list[Consumer]) -> list[tuple[str, str, str]]:
    """Imports that no export satisfies, and why, by the rules of the kernel."""
    from ksurf.check.rules.module import is_imported

    offered: dict[str, list[dict[str, Any]]] = {}
    for row in pq.read_table(tables / "exports.parquet").to_pylist():
        offered.setdefault(row["name"], []).append(row)
    found = []
    for one in consumers:
        for need in one.dependencies:
            if need.kind is not Kind.EXPORT or all(use.guard is not None for use in need.uses):
                continue
            given = offered.get(need.name, [])
            if not given:
                found.append((one.name, need.name, "not exported"))
            elif not any(need.crc == row["crc"] for row in given):
                found.append((one.name, need.name, "another checksum"))
            elif any(row["gpl"] for row in given) and not need.gpl:
                found.append((one.name, need.name, "for the GPL only"))
            elif not all(
                row["namespace"] is None or is_imported(row["namespace"], need.namespaces or ())
                for row in given
            ):
                found.append((one.name, need.name, "its namespace is not imported"))
    return found


@pytest.mark.network
@pytest.mark.parametrize("selector", SELECTORS)
def test_every_module_finds_its_imports(
    real_kernels: RealKernels, material: Material, tmp_path: Path, selector: str
) -> None:
    """All imports of a kernel's own modules are its exports, with the same checksums, and allowed to them."""
    pulled = real_kernels.pull(selector)
    package = package_of(pulled.kernel, real_kernels.folder, material, *SELECTORS[selector])
    consumers = modules_of(package, tmp_path)
    assert len(consumers) > 300
    assert [one.incomplete for one in consumers if one.incomplete] == []
    assert lacking(pulled.tables, consumers) == []
    magics = {need for one in consumers for need in one.dependencies if need.kind is Kind.VERMAGIC}
    assert {magic.name.split()[0] for magic in magics} == {pulled.kernel.release}
    # What tells kernels with CRCs.
    names = pq.read_table(pulled.tables / "exports.parquet", columns=["name"])["name"].to_pylist()
    assert {"modversions" in magic.name.split() for magic in magics} == {MODULE_LAYOUT in names}
