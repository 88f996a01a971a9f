"""What a command says of a kernel that it has put into the dataset."""

from typing import TYPE_CHECKING

import click

from ksurf.acquire.files import megabytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ksurf.dataset.manifest import Manifest, UnreadableImage
    from ksurf.extract import Built

__all__ = ["print_summary"]

_COUNTED = ("images", "functions", "instances", "call_sites", "symbols")
_OFFERED = ("types", "tracepoints", "syscalls", "exports", "btf_ids", "config")
_NAMES = {"btf_ids": "BTF ids in sets", "syscalls": "system calls", "config": "options"}
_IMAGES_SHOWN = 10


def print_summary(built: "Built") -> None:
    """Say what is in the dataset now, how large it is, how long it took, and what could not be read."""
    manifest = built.manifest
    if manifest is None:
        click.echo(f"{built.kernel.id}: already in the dataset")
        return
    click.echo(f"{built.kernel.id}: {_counts(manifest, _COUNTED)}")
    click.echo(f"  {_counts(manifest, _OFFERED)}")
    click.echo(f"  {megabytes(manifest.byte_size)} in {built.seconds:.1f} s")
    _print_images("could not be read", manifest.unreadable)
    _print_images("could be read only in part", manifest.incomplete)


def _counts(manifest: "Manifest", tables: tuple[str, ...]) -> str:
    return ", ".join(
        f"{manifest.tables[name].rows:,} {_NAMES.get(name, name.replace('_', ' '))}" for name in tables
    )


def _print_images(what: str, images: "Sequence[UnreadableImage]") -> None:
    if not images:
        return
    click.echo(f"  {len(images)} image{'s' if len(images) != 1 else ''} {what}:")
    for image in images[:_IMAGES_SHOWN]:
        click.echo(f"    {image.image}: {image.reason} ({image.path})")
    if len(images) > _IMAGES_SHOWN:
        click.echo(f"    and {len(images) - _IMAGES_SHOWN} more, in the kernel's manifest.json")
