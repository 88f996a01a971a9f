"""Which kernels of the dataset a command is about."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.store import Store
from ksurf.errors import DatasetError, NoSuchKernelError
from ksurf.kernel import Kernel
from ksurf.selector import Selector, select
from ksurf.series import default_baseline

__all__ = ["baseline_of", "manifests"]


def manifests(store: Store, selectors: Sequence[str]) -> list[Manifest]:
    """The kernels that the selectors match, or all, in version order; a warning names those of no use.

    Raises :class:`~ksurf.errors.NoSuchKernelError` if there are none.
    """
    found, refused = store.load()
    if not found:
        if refused:
            first = refused[0]
            raise DatasetError(
                f"{first.path}: {first.reason}", "ksurf rm removes it, then it can be made anew"
            )
        raise NoSuchKernelError(
            f"the dataset {store.path} has no kernels",
            "ksurf pull debian:6.12-cloud-amd64 fetches one; ksurf add reads a local one",
        )
    for kernel in refused:
        click.echo(f"ksurf: warning: left out: {kernel.path}: {kernel.reason}", err=True)
    if not selectors:
        return found
    chosen = set(select([m.kernel for m in found], [Selector.parse(text) for text in selectors]))
    return [m for m in found if m.kernel in chosen]


def baseline_of(kernels: Sequence[Kernel], selector: str | None) -> Kernel:
    """The kernel that a report is laid out around: the newest that the selector matches, or the usual one."""
    if selector is None:
        return default_baseline(kernels)
    return max(select(kernels, [Selector.parse(selector)]))
