"""Look-ups for attachability: what BTF and sets of BTF ids say of a function, and what a kernel can do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ksurf.dataset.lookup.offers import btf_ids
from ksurf.dataset.lookup.table import in_parallel
from ksurf.dataset.lookup.types import types_named
from ksurf.dataset.marks import marks_from_json
from ksurf.dataset.rows import AttachRows, Marks
from ksurf.dataset.unpacked.cache import unpacked
from ksurf.dataset.unpacked.file import UnpackedFile
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

    def read(kernel: tuple[Kernel, Path]) -> Marks:
        active = unpacked()
        told = None if active is None else active.once(kernel[1], _told_marks)
        return _marks(*kernel, told or _written_marks(kernel[1]))

    return in_parallel(read, kernels)


def _told_marks(directory: Path, _: UnpackedFile) -> Any:
    return _written_marks(directory)


def _written_marks(directory: Path) -> Any:
    """The marks as the manifest has them."""
    manifest = directory / "manifest.json"
    try:
        return json.loads(manifest.read_bytes())["marks"]
    except FileNotFoundError as error:
        raise DatasetError(f"{manifest}: gone while it was read", "run the command again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _untold(directory, error) from error


def _marks(kernel: Kernel, directory: Path, written: Any) -> Marks:
    try:
        return marks_from_json(written, kernel.arch)
    except (ValueError, KeyError, TypeError) as error:
        raise _untold(directory, error) from error


def _untold(directory: Path, error: Exception) -> DatasetError:
    return DatasetError(f"{directory / 'manifest.json'}: it cannot be told what the kernel can do: {error}")
