"""What of the objects of libbpf-tools is reached, on a kernel that has just their own types."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from ksurf import _core
from material import Material

pytestmark = pytest.mark.network


def section(data: bytes, name: bytes) -> bytes:
    """A section of a 64-bit little-endian ELF file. Source: System V gABI, chapter 4."""

    def word(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    start, entry, count, names = word(40, 8), word(58, 2), word(60, 2), word(62, 2)
    headers = [start + number * entry for number in range(count)]
    texts = word(headers[names] + 24, 8)
    for header in headers:
        at = texts + word(header, 4)
        if data[at : data.index(b"\0", at)] == name:
            return data[word(header + 24, 8) :][: word(header + 32, 8)]
    raise AssertionError(f"no section {name.decode()}")


def walked(material: Material, tool: str, **facts: Any) -> list[dict[str, Any]]:
    (found,) = _core.bpf_objects(str(material.unpacked("libbpf-tools") / "usr" / "sbin" / tool))
    data = bytes(found.data)
    rows: list[dict[str, Any]] = pa.table(
        _core.core_walk([data, data], section(data, b".BTF"), [], **facts)
    ).to_pylist()
    first = [{**row, "object": 1} for row in rows if row["object"] == 0]
    assert first == [row for row in rows if row["object"] == 1]
    return first


def test_a_field_that_is_there_guards_the_other_way(material: Material) -> None:
    """``if (has_rq_disk()) request___x.rq_disk else request.q->disk``: the second is not reached."""
    rows = walked(material, "bitesize")
    skipped = [row for row in rows if not row["reached"]]
    assert {row["relocation"] is not None for row in skipped} == {True, False}
    assert len({(row["guard_function"], row["guard_instruction"]) for row in skipped}) == 1
    assert all(row["guard_relocations"] and not row["guard_externs"] for row in skipped)
    assert not any(row["refused"] for row in rows)
    assert all(row["guard_instruction"] is None for row in rows if row["reached"])


def test_an_option_guards(material: Material) -> None:
    """``if (LINUX_KERNEL_VERSION < KERNEL_VERSION(5, 11, 0))`` reads another argument in biolatency."""
    before, after, unknown = (
        walked(material, "biolatency", kconfig=kconfig)
        for kconfig in ({"LINUX_KERNEL_VERSION": str(5 << 16)}, {"LINUX_KERNEL_VERSION": str(6 << 16)}, None)
    )
    assert not any(row["guard_externs"] for row in unknown)
    assert any(row["guard_externs"] and not row["reached"] for row in [*before, *after])
    reached = [{n for n, row in enumerate(rows) if row["reached"]} for rows in (before, after, unknown)]
    assert reached[0] != reached[1]
    assert reached[0] | reached[1] <= reached[2]


def test_a_kernel_that_cannot_be_read(material: Material) -> None:
    with pytest.raises(_core.ReadError, match="vmlinux: "):
        _core.core_walk([], b"no BTF", [])


def test_of_two_arguments_that_are_loaded_one_is_used(material: Material) -> None:
    """``vfs_unlink(arg0, arg1, arg2)`` of filelife keeps both, and takes a pointer to one of them."""
    (found,) = _core.bpf_objects(str(material.unpacked("libbpf-tools") / "usr" / "sbin" / "filelife"))
    programs = pa.table(_core.bpf_object(bytes(found.data)).tables["programs"]).to_pylist()
    (unlink,) = (row["id"] for row in programs if row["name"] == "vfs_unlink")
    rows = [row for row in walked(material, "filelife") if row["function"] == unlink]
    assert [row["used"] for row in rows if row["instruction"] in {1, 2}] == [True, False]
    assert all(row["used"] for row in rows if row["reached"] and row["instruction"] > 2)
    assert not any(row["used"] for row in rows if not row["reached"])
