"""A small kernel compiled by gcc on the spot and read by the real core, where no fake will do."""

from __future__ import annotations

import atexit
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ksurf.kernel import Kernel

SOURCES = Path(__file__).parent.parent / "crates" / "ksurf-read" / "tests" / "data"
FLAGS = ("-g", "-O2", "-ffreestanding", "-fno-ipa-icf", "-nostdlib", "-static", "-no-pie")


def identity(version: str = "6.1", *, arch: str = "amd64", flavor: str = "generic") -> Kernel:
    return Kernel(
        distro="test",
        release=f"{version}.0-test-{flavor}-{arch}",
        version=f"{version}.0-1",
        base_version=version,
        flavor=flavor,
        arch=arch,
    )


@cache
def vmlinux() -> Path:
    folder = mkdtemp(prefix="ksurf-small-kernel-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    image = Path(folder) / "vmlinux"
    subprocess.run(["gcc", *FLAGS, "core.c", "driver.c", "-o", str(image)], cwd=SOURCES, check=True)
    return image


@cache
def module() -> Path:
    image = vmlinux().with_name("my-module.ko")
    flags = ("-g", "-O2", "-ffreestanding", "-c")
    subprocess.run(["gcc", *flags, "module.c", "-o", str(image)], cwd=SOURCES, check=True)
    return image


def tables() -> dict[str, Any]:
    """The tables of the small kernel and its module, as streams that can be taken once."""
    import pyarrow as pa

    from ksurf import _core
    from ksurf.dataset.schema import arrow_schema
    from ksurf.dataset.schema.btf import BTF
    from ksurf.extract import config_table

    extraction = _core.extract_files(str(vmlinux()), [str(module())])
    btf = pa.table({"image": [0], "bytes": [b"BTF"]}, schema=arrow_schema(BTF))
    return {**extraction.tables, "btf": btf, "config": config_table([("CONFIG_BPF_SYSCALL", "y")])}


def tables_with_offers(number: int = 0) -> dict[str, Any]:
    """The same with a made kernel's types and offers, some of which are other ones with another number."""
    from made_kernel import bpf_kernel

    made = bpf_kernel(number).tables()
    functions = {"images", "units", "functions", "instances", "call_sites", "symbols", "btf", "config"}
    return {name: table if name in functions else made[name] for name, table in tables().items()}
