"""The names layer over the source of a real kernel, compared with Universal Ctags."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest

from ksurf.progress import Silent
from ksurf.source.names import NamesIndex
from material import Material, extract

FOLDERS = (
    "kernel",
    "mm",
    "virt",
    "arch/arm64",
    "arch/x86/kvm",
    "net/core",
    "drivers/net/ethernet/intel",
    "include",
)
FUNCTIONS = 0.98
"""How many of the functions that ctags finds must be found."""


@pytest.fixture(scope="module")
def tree(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the source of Debian 12's kernel: all of it takes minutes to unpack."""
    package = material.unpacked("linux-source-6.1")
    (archive,) = package.glob("usr/src/linux-source-6.1.tar.*")
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(archive) as tar:
        extract(tar, folder, tuple(f"linux-source-6.1/{name}/" for name in FOLDERS))
    return folder / "linux-source-6.1"


@pytest.fixture(scope="module")
def index(tree: Path) -> NamesIndex:
    NamesIndex.build(tree, tree.parent / "names", reporter=Silent())
    index = NamesIndex.open(tree.parent / "names")
    index.check()
    return index


@pytest.mark.network
def test_the_functions_that_ctags_finds_are_found(tree: Path, index: NamesIndex) -> None:
    if shutil.which("ctags") is None:
        pytest.skip("ctags is not there to compare with: apt install universal-ctags")
    files = [str(path.relative_to(tree)) for path in tree.rglob("*.c")]
    command = ["ctags", "-L", "-", "--languages=C", "--kinds-C=f", "--fields=n", "-f", "-"]
    tags = subprocess.run(
        command, cwd=tree, input="\n".join(files), capture_output=True, text=True, check=True
    )
    expected: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for tag in tags.stdout.splitlines():
        name, file, _, *fields = tag.split("\t")
        expected[file].add((name, next(int(field[5:]) for field in fields if field.startswith("line:"))))
    count = found = 0
    missed = []
    for file, functions in expected.items():
        own = [d for d in index.file(file).definitions if d.kind in {"function", "syscall"}]
        # What ctags takes for a function's name may be the macro that makes it.
        macros = {(d.via, d.place.line) for d in own if d.via}
        names = {d.name for d in own}
        for name, line in functions:
            count += 1
            if name in names or (name, line) in macros:
                found += 1
            else:
                missed.append(f"{file}:{line} {name}")
    assert count > 20_000
    assert found / count >= FUNCTIONS, missed[:50]


@pytest.mark.network
def test_what_people_look_for_is_there(index: NamesIndex) -> None:
    kinds = {
        name: {(d.kind, d.place.file) for d in index.definitions(name)}
        for name in (
            "kvm_vcpu_kick",
            "task_struct",
            "sys_bpf",
            "trace_sched_switch",
            "GFP_KERNEL",
            "runqueues",
            "pid",
        )
    }
    assert ("function", "virt/kvm/kvm_main.c") in kinds["kvm_vcpu_kick"]
    assert ("struct", "include/linux/sched.h") in kinds["task_struct"]
    assert ("syscall", "kernel/bpf/syscall.c") in kinds["sys_bpf"]
    assert ("tracepoint", "include/trace/events/sched.h") in kinds["trace_sched_switch"]
    assert ("macro", "include/linux/gfp_types.h") in kinds["GFP_KERNEL"]
    assert ("variable", "kernel/sched/core.c") in kinds["runqueues"]
    assert ("member", "include/linux/sched.h") in kinds["pid"]
    (kick,) = index.definitions("wake_up_process", ["function"])[-1:]
    doc = index.documentation(kick)
    assert doc is not None and doc.brief == "Wake up a specific process"
    found = index.search(r"^void kvm_vcpu_kick\(|^bool kvm_vcpu_wake_up\(", path_glob="virt/**")
    assert {match.place.file for match in found.listed} == {"virt/kvm/kvm_main.c"}
    assert index.references("kvm_vcpu_kick").total > 10


@pytest.mark.network
def test_references_are_what_a_scan_finds(tree: Path, index: NamesIndex) -> None:
    for name in ("kvm_vcpu_kick", "vgic_v4_doorbell_handler"):
        lines = {(place.file, place.line) for place in index.references(name).listed}
        text = {(match.place.file, match.place.line) for match in index.search(rf"\b{name}\b").listed}
        assert lines <= text
        for file, line in text - lines:
            shown = (tree / file).read_text(errors="replace").splitlines()[line - 1]
            assert any(mark in shown for mark in ("*", "//", '"')), f"{file}:{line}: {shown}"
