"""Look-ups for attachability: what BTF and sets of BTF ids say of a function, and what a kernel can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ksurf.dataset.lookup.offers import btf_ids
from ksurf.dataset.lookup.table import Directory, in_parallel, rows_of
from ksurf.dataset.lookup.types import types_named
from ksurf.dataset.rows import AttachRows, KernelMarks
from ksurf.kernel import Kernel

__all__ = ["MARKS", "attach_rows", "kernel_marks"]

MARKS = (
    "arch_prepare_bpf_trampoline",
    "bpf_lsm_file_open",
    "number_of_same_symbols",
    "register_ftrace_direct",
)
"""Functions of vmlinux whose symbols tell what the kernel can do."""

_ATTACH_TYPES = "bpf_attach_type"


def attach_rows(names: Sequence[str], kernels: Sequence[tuple[Kernel, Path]]) -> dict[str, list[AttachRows]]:
    """What the kernels say about attaching to functions of these names, without their symbols."""
    marks = kernel_marks(kernels)
    prototypes = types_named(names, kernels, kinds={"func"})
    listed = btf_ids(kernels, names=set(names))
    return {
        name: [
            AttachRows(
                mark,
                name,
                tuple(row for row in rows.types if row.evidence == "btf"),
                tuple(row for row in ids if row.name == name),
            )
            for mark, rows, ids in zip(marks, prototypes[name], listed, strict=True)
        ]
        for name in names
    }


def kernel_marks(kernels: Sequence[tuple[Kernel, Path]]) -> list[KernelMarks]:
    """What tells of each kernel's abilities."""
    enums = types_named([_ATTACH_TYPES], kernels, kinds={"enum"})[_ATTACH_TYPES]
    found = in_parallel(_binds, kernels)
    marks = []
    for (kernel, _), binds, rows in zip(kernels, found, enums, strict=True):
        own = [row for row in rows.types if row.image == "vmlinux"]
        names = frozenset(m.name for row in own for m in row.definition.members if m.name is not None)
        marks.append(KernelMarks(kernel, binds, names, any(row.evidence == "btf" for row in own)))
    return marks


def _binds(kernel: tuple[Kernel, Path]) -> dict[str, str]:
    tables = Directory(kernel[1])
    _, found = tables.table("symbols").where("name", MARKS, ["name", "image", "bind"])
    own = [row for row in rows_of(found) if tables.images[row["image"]][0] == "vmlinux"]
    binds = {row["name"]: row["bind"] for row in own}
    # A static function may be inlined everywhere; its definition tells of it all the same.
    missing = set(MARKS) - binds.keys()
    _, found = tables.table("functions").where("name", missing, ["name", "external"])
    return {**{row["name"]: "STB_LOCAL" for row in rows_of(found) if row["external"] is False}, **binds}
