"""What a command says of a kernel that it has put into the dataset."""

from typing import TYPE_CHECKING

import click

from ksurf.acquire.files import megabytes

if TYPE_CHECKING:
    from ksurf.extract import Built

__all__ = ["print_summary"]

_COUNTED = ("images", "functions", "instances", "call_sites", "symbols")
_UNREADABLE_SHOWN = 10


def print_summary(built: "Built") -> None:
    """Say what is in the dataset now, how large it is, how long it took, and what could not be read."""
    manifest = built.manifest
    if manifest is None:
        click.echo(f"{built.kernel.id}: already in the dataset")
        return
    counts = [f"{manifest.tables[name].rows:,} {name.replace('_', ' ')}" for name in _COUNTED]
    click.echo(f"{built.kernel.id}: {', '.join(counts)}")
    click.echo(f"  {megabytes(manifest.byte_size)} in {built.seconds:.1f} s")
    if unreadable := manifest.unreadable:
        click.echo(f"  {len(unreadable)} images could not be read:")
        for image in unreadable[:_UNREADABLE_SHOWN]:
            click.echo(f"    {image.image}: {image.reason} ({image.path})")
        if len(unreadable) > _UNREADABLE_SHOWN:
            click.echo(f"    and {len(unreadable) - _UNREADABLE_SHOWN} more, in the kernel's manifest.json")
