"""CO-RE: what an eBPF object asks of the kernel's types, and what becomes of that on a kernel.

libbpf puts the kernel's offsets, sizes and values into an object's instructions before it loads it. What it
does not find makes an instruction that must not be reached, and what is ambiguous makes it refuse the object.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ksurf.check.dependency import Dependency, Guard, Kind, Use, joined

__all__ = ["KernelTypes", "RelocationOutcome", "RelocationStatus", "dependencies", "outcomes", "roots_of"]

_ROOTS = {
    "struct": Kind.STRUCT,
    "union": Kind.UNION,
    "enum": Kind.ENUM,
    "typedef": Kind.TYPEDEF,
}
_QUESTIONS = {
    "BPF_CORE_FIELD_EXISTS": "bpf_core_field_exists",
    "BPF_CORE_TYPE_EXISTS": "bpf_core_type_exists",
    "BPF_CORE_TYPE_MATCHES": "bpf_core_type_matches",
    "BPF_CORE_ENUMVAL_EXISTS": "bpf_core_enum_value_exists",
}
"""Relocations that ask whether something is there, by kind: the macro of bpf_core_read.h."""
_LOCAL = "BPF_CORE_TYPE_ID_LOCAL"
_INDEX = re.compile(r"\[\d+\]")


class RelocationStatus(Enum):
    """How a relocation ends on a kernel."""

    RESOLVED = "resolved"
    """The instruction gets a number; of what only is asked for, 0 says that it is not there."""
    MISSING = "missing"
    """The kernel does not have it: the program is refused if the instruction can be reached."""
    UNSUITABLE = "unsuitable"
    """It has another size, which the instruction cannot take: refused if it can be reached."""
    AMBIGUOUS = "ambiguous"
    """Several types of the kernel may be meant, and differ: the object is refused."""
    REFUSED = "refused"
    """It makes no sense to libbpf: the object is refused."""


@dataclass(frozen=True, slots=True)
class RelocationOutcome:
    """What becomes of one relocation on one kernel."""

    status: RelocationStatus
    poisoned: bool
    """The instruction is one that the verifier refuses if it can be reached."""
    value: int | None
    """What the instruction is to hold on that kernel."""
    original: int | None
    """The same in the object's own types."""
    instruction: bytes | None
    """As it is loaded, 8 bytes or 16; ``None`` where the object is refused."""
    image: str | None
    """The image that has the type which was found."""
    type: str | None
    """Its name."""
    reason: str | None
    """Why it is not resolved, or why the answer is no."""


def dependencies(data: bytes) -> list[Dependency]:
    """What the relocations of an object need, each thing once.

    :class:`ksurf._core.ReadError` if they cannot be read. A relocation that makes no sense needs nothing of a
    kernel: :func:`outcomes` tells what libbpf says to it.
    """
    from ksurf import _core

    found = []
    for row in _rows(_core.core_relocations(data)):
        dependency = _dependency(row)
        if dependency is not None:
            found.append(dependency)
    return list(joined(found))


def outcomes(
    objects: Sequence[bytes], vmlinux: memoryview, modules: Sequence[tuple[str, memoryview]]
) -> list[list[RelocationOutcome]]:
    """What becomes of the relocations of each object on the kernel whose images have this BTF.

    Their order is that of :attr:`~ksurf.check.dependency.Use.relocation`.
    """
    from ksurf import _core

    found: list[list[RelocationOutcome]] = [[] for _ in objects]
    for row in _rows(_core.core_resolve(objects, vmlinux, modules)):
        found[row["object"]].append(
            RelocationOutcome(
                status=RelocationStatus(row["status"]),
                **{name: row[name] for name in RelocationOutcome.__slots__ if name != "status"},
            )
        )
    return found


class KernelTypes:
    """The BTF of a kernel whose tables are in a directory."""

    def __init__(self, directory: Path) -> None:
        """Read that of vmlinux."""
        from ksurf.dataset.lookup.table import directory_at

        self._tables = directory_at(directory)
        # vmlinux is a row group of its own; a kernel without BTF has none.
        first = self._read([0]) if self._tables.table("btf").groups else {}
        self.vmlinux: memoryview | None = first.get("vmlinux")
        """``None`` if it ships none; libbpf then looks for one elsewhere."""

    def modules_with(self, names: Collection[str]) -> list[tuple[str, memoryview]]:
        """The BTF of the modules that have a type of one of these names, where vmlinux has none."""
        _, rows = self._tables.table("types").where("name", names, ["name", "image", "evidence"])
        images: dict[str, set[str]] = {}
        for row in rows.to_pylist():
            if row["evidence"] == "btf":
                images.setdefault(row["name"], set()).add(self._tables.images[row["image"]][0])
        wanted = {image for own in images.values() if "vmlinux" not in own for image in own}
        if not wanted:
            return []
        groups = range(1, len(self._tables.table("btf").groups))
        return [(image, btf) for image, btf in self._read(groups).items() if image in wanted]

    def _read(self, groups: Sequence[int]) -> dict[str, memoryview]:
        rows = self._tables.table("btf").read(["image", "bytes"], groups)
        values = [value for chunk in rows["bytes"].chunks for value in chunk]
        return {
            # Arrow's bytes are signed ones to Python.
            self._tables.images[image][0]: memoryview(value.as_buffer()).cast("B")
            for image, value in zip(rows["image"].to_pylist(), values, strict=True)
        }


def roots_of(data: bytes) -> set[str]:
    """The names of the types that an object's relocations begin with."""
    from ksurf import _core

    return {row["root"] for row in _rows(_core.core_relocations(data)) if row["root"] is not None}


def _rows(stream: object) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows: list[dict[str, Any]] = pa.table(stream).to_pylist()
    return rows


def _dependency(row: dict[str, Any]) -> Dependency | None:
    root, path = row["root"], row["path"]
    if root is None or row["kind"] == _LOCAL:
        return None
    kind = _ROOTS.get(row["root_kind"])
    expected: str | None
    if row["value"] is not None:
        kind, name, expected = Kind.ENUMERATOR, f"{root}::{path}", str(row["value"])
    elif (field := _INDEX.sub("", path or "").strip(".")) and kind is not None:
        kind, name, expected = Kind.FIELD, f"{root}::{field}", row["type"] if field == path else None
    else:
        name, expected = root, None
    if kind is None:  # an integer, which every kernel has
        return None
    question = _QUESTIONS.get(row["kind"])
    use = Use(
        program=row["function"],
        file=row["file"],
        line=row["line"],
        text=row["text"],
        instruction=row["instruction"],
        relocation=row["number"],
        guard=None if question is None else Guard(f"{question}({name})"),
    )
    return Dependency(kind, name, uses=(use,), expected=expected)
