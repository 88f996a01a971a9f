"""Look-ups for attachability: what BTF and sets of BTF ids say of a function, and what a kernel can do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ksurf.dataset.lookup.offers import btf_ids
from ksurf.dataset.lookup.table import in_parallel
from ksurf.dataset.lookup.types import types_named
from ksurf.dataset.marks import marks_from_json
from ksurf.dataset.rows import AttachRows, Marks
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

__all__ = ["attach_rows", "kernel_marks"]


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


def kernel_marks(kernels: Sequence[tuple[Kernel, Path]]) -> list[Marks]:
    """What tells of each kernel's abilities, from its manifest."""
    return in_parallel(lambda kernel: _marks(kernel[0], kernel[1] / "manifest.json"), kernels)


def _marks(kernel: Kernel, manifest: Path) -> Marks:
    try:
        return marks_from_json(json.loads(manifest.read_bytes())["marks"], kernel.arch)
    except FileNotFoundError as error:
        raise DatasetError(f"{manifest}: gone while it was read", "run the command again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{manifest}: it cannot be told what the kernel can do: {error}") from error
