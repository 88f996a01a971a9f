"""Kernels as a table: versions across, architectures and flavors down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ksurf.kernel import Kernel, version_key

__all__ = ["KernelTable", "table_of"]


@dataclass(frozen=True, slots=True)
class KernelTable:
    """Each kernel at one place."""

    versions: tuple[str, ...]
    """Base versions, the oldest first."""
    rows: tuple[tuple[str, tuple[tuple[Kernel, ...], ...]], ...]
    """By architecture and flavor: the kernels of each version, of which there may be none or several."""


def table_of(kernels: Iterable[Kernel]) -> KernelTable:
    """Lay kernels out, amd64 and arm64 first."""
    return _table_of(tuple(kernels))


@lru_cache(maxsize=16)  # those of the dataset, on every page
def _table_of(kernels: tuple[Kernel, ...]) -> KernelTable:
    versions = sorted({kernel.base_version for kernel in kernels}, key=version_key)
    held: dict[tuple[str, str, str], dict[str, list[Kernel]]] = {}
    distros = {kernel.distro for kernel in kernels}
    for kernel in sorted(kernels):
        row = held.setdefault((kernel.arch, kernel.flavor, kernel.distro), {})
        row.setdefault(kernel.base_version, []).append(kernel)
    order = {"amd64": 0, "arm64": 1}
    rows = []
    for arch, flavor, distro in sorted(held, key=lambda key: (order.get(key[0], 2), *key)):
        named = " ".join(
            [
                arch,
                *([] if flavor in {"generic", arch} else [flavor]),
                *([distro] if len(distros) > 1 else []),
            ]
        )
        row = held[arch, flavor, distro]
        rows.append((named, tuple(tuple(row.get(version, ())) for version in versions)))
    return KernelTable(tuple(versions), tuple(rows))
