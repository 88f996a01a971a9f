"""How structs lie in memory: holes, padding, cache lines; and that ``pahole`` says the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ksurf.dataset.lookup import definitions_of
from ksurf.dataset.rows import Definition
from ksurf.surface.holes import layout
from made_types import enum, member, struct, typedef

if TYPE_CHECKING:
    from real_kernels import RealKernels


def shown(definition: Definition) -> list[str]:
    """Lines with what is in front of them: ``h`` and the bits of a hole, ``c`` and a cache line."""
    return [
        " ".join(
            [
                *([f"h{line.hole}"] if line.hole else []),
                *([f"c{line.boundary}"] if line.boundary else []),
                line.text.strip(),
            ]
        )
        for line in layout(definition).lines
    ]


def test_a_hole_is_in_front_of_a_member_and_padding_behind_the_last() -> None:
    one = struct(
        "s",
        member("char a", offset=0, size=1),
        member("int b", offset=4, size=4),
        member("char c", offset=8, size=1),
        size=12,
    )
    assert shown(one) == ["struct s {", "char a;", "h24 int b;", "char c;", "h24 };"]
    found = layout(one)
    assert (found.holes, found.hole_bits, found.padding_bits, found.members, found.cache_lines) == (
        1,
        24,
        24,
        3,
        1,
    )


def test_bits_between_bit_fields_are_holes() -> None:
    one = struct(
        "s",
        member("u32 a:3", offset=0, size=4),
        member("u32 b:5", offset=0, size=4)._replace(bit_offset=3),
        member("u8 c", offset=2, size=1),
        size=4,
    )
    assert shown(one) == ["struct s {", "u32 a:3;", "u32 b:5;", "h8 u8 c;", "h8 };"]


def test_members_of_a_union_lie_beside_each_other() -> None:
    one = struct(
        "s",
        member("union", offset=8, size=16),
        member("u64 a", depth=1, offset=8, size=8),
        member("struct", depth=1, offset=8, size=16),
        member("u8 b", depth=2, offset=8, size=1),
        member("u64 c", depth=2, offset=16, size=8),
        size=24,
    )
    lines = shown(one)
    assert lines[:3] == ["struct s {", "h64 union {", "u64 a;"]
    assert "h56 u64 c;" in lines
    assert layout(one).holes == 1  # of the outermost struct


def test_cache_lines_begin_in_front_of_the_first_member_in_them() -> None:
    one = struct(
        "s",
        member("u8 a[60]", offset=0, size=60),
        member("u64 b", offset=60, size=8),
        member("u64 c", offset=68, size=8),
        member("u8 d[200]", offset=76, size=200),
        member("u8 e", offset=276, size=1),
        size=277,
    )
    boundaries = {line.path: line.boundary for line in layout(one).lines if line.boundary}
    assert boundaries == {"c": 1, "e": 4}
    assert layout(one).cache_lines == 5


@pytest.mark.parametrize(
    "one",
    [
        struct("empty", size=0),
        struct("unknown", member("int a"), member("int b")),
        struct("no_size", member("struct x a", offset=0), member("int b", offset=64, size=4)),
        enum("e", A=1),
        typedef("t", "int"),
        typedef("u", "union (anon)", member("int a", offset=0, size=4), size=4),
    ],
    ids=lambda one: one.name,
)
def test_what_is_not_known_makes_no_holes(one: Definition) -> None:
    found = layout(one)
    assert (found.hole_bits, found.padding_bits) == (0, 0)
    assert [line.text for line in found.lines]


def test_keys_tell_lines_apart() -> None:
    one = struct(
        "s",
        member("union", offset=0, size=4),
        member("int a", depth=1, offset=0, size=4),
        member("union", offset=4, size=4),
        member("int b", depth=1, offset=4, size=4),
        member("struct", offset=8, size=4)._replace(name="inner"),
        member("int a", depth=1, offset=8, size=4),
        size=12,
    )
    lines = layout(one).lines
    assert len({line.key for line in lines}) == len(lines)
    assert [line.path for line in lines if line.path] == ["a", "b", "inner", "inner.a"]


@pytest.mark.network
@pytest.mark.skipif(shutil.which("pahole") is None, reason="pahole is not installed")
def test_pahole_says_the_same_of_all_structs_of_a_kernel(real_kernels: RealKernels, tmp_path: Path) -> None:
    kernel, tables = real_kernels.pull("6.12-cloud-amd64")
    types = pq.read_table(tables / "types.parquet")
    types = types.filter(pc.and_(pc.equal(types["image"], 0), pc.equal(types["kind"], "struct")))
    held: dict[str, list[Definition]] = {}
    for one in definitions_of(set(types["definition"].to_pylist()), [(kernel, tables)]).values():
        held.setdefault(one.name, []).append(one)
    btf = tmp_path / "vmlinux.btf"
    btf.write_bytes(pq.read_table(tables / "btf.parquet")["bytes"][0].as_py())
    printed = subprocess.run(
        ["pahole", "-F", "btf", "--structs", btf], capture_output=True, text=True, check=True
    ).stdout
    compared = 0
    for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\}", printed, re.MULTILINE | re.DOTALL):
        if len(held.get(name, ())) != 1:  # of several we do not know which it is
            continue
        end = body[body.rfind("/* size:") :]

        def number(pattern: str, end: str = end) -> int:
            told = re.search(pattern, end)
            return int(told[1]) if told else 0

        found = layout(held[name][0])
        theirs = (
            number(r"size: (\d+)"),
            number(r"members: (\d+)"),
            number(r"sum holes: (\d+)") * 8 + number(r"sum bit holes: (\d+)"),
            number(r"(?<!_)padding: (\d+)") * 8 + number(r"bit_padding: (\d+)"),
        )
        assert (found.byte_size, found.members, found.hole_bits, found.padding_bits) == theirs, name
        compared += 1
    assert compared > 8000
