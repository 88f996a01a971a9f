"""The BCC tools that Debian ships: all are read, and of five what they need is known by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ksurf.check.bcc import FieldTypes, read_tool
from ksurf.check.dependency import Consumer, Dependency

if TYPE_CHECKING:
    from material import Material
    from real_kernels import RealKernels

pytestmark = pytest.mark.network

GOLDEN = Path(__file__).parent / "data" / "check" / "bcc"
TYPES = {
    ("request", "q"): "struct request_queue *",
    ("request", "rq_disk"): "struct gendisk *",
    ("request_queue", "disk"): "struct gendisk *",
    ("msghdr", "msg_iter.iov"): "const struct iovec *",
    ("task_struct", "fs"): "struct fs_struct *",
    ("fs_struct", "pwd.dentry"): "struct dentry *",
    ("mnt_namespace", "ns"): "struct ns_common",
}
"""Of the fields behind which the five tools read others."""


@pytest.fixture(scope="module")
def folder(material: Material) -> Path:
    return material.unpacked("bpfcc-tools")


def tools(folder: Path) -> list[Path]:
    """The scripts of a package; what is a shell's only calls one of them."""
    files = sorted((folder / "usr/sbin").iterdir())
    return [one for one in files if b"python" in one.read_bytes().partition(b"\n")[0]]


def test_every_tool_is_read_whole(
    folder: Path, real_kernels: RealKernels, note: Callable[[str], None]
) -> None:
    pulled = real_kernels.pull("debian:6.12-cloud-arm64")
    types = FieldTypes([(pulled.kernel, pulled.tables)])

    def beside(path: str) -> bytes | None:
        file = folder / path.lstrip("/")
        return file.read_bytes() if file.is_file() else None

    read = [read_tool(one, one.name, type_of_field=types, read_file=beside) for one in tools(folder)]
    partly = [one for one in read if one.incomplete]
    note(f"BCC tools: {len(read)} read, {len(read) - len(partly)} whole")
    for one in partly:
        note(f"  {one.name}: {'; '.join(one.incomplete)}")
    assert len(read) > 100
    assert len(partly) <= 0.05 * len(read)


def test_a_tool_says_where_the_rest_of_it_is(folder: Path) -> None:
    said = {one.name: one.incomplete for one in map(_read, tools(folder)) if one.incomplete}
    assert said["deadlock-bpfcc"] == ("line 482: the C is in /usr/share/bpfcc-tools/deadlock.c",)
    assert said["netqtop-bpfcc"] == ("line 207: the C is in /usr/share/bpfcc-tools/netqtop.c",)


@pytest.mark.parametrize("name", ["biosnoop", "biotop", "opensnoop", "tcpaccept", "tcpconnect"])
def test_what_a_tool_needs(name: str, folder: Path) -> None:
    consumer = _read(folder / "usr/sbin" / f"{name}-bpfcc")
    assert consumer.incomplete == ()
    found = sorted(line for one in consumer.dependencies for line in _lines(one))
    assert found == (GOLDEN / f"{name}.txt").read_text().splitlines()


def _read(path: Path) -> Consumer:
    return read_tool(path, path.name, type_of_field=lambda struct, field: TYPES.get((struct, field)))


def _lines(one: Dependency) -> list[str]:
    """A line for each use: what, how, where, behind what."""
    mechanism = f" by {one.mechanism.value}" if one.mechanism else ""
    expected = f" as {one.expected}" if one.expected else ""
    return [
        f"{one.kind.value} {one.name}{mechanism}{expected} in {use.program or '-'}:{use.line}"
        + (f" if {use.guard.text}" if use.guard else "")
        for use in one.uses
    ]
