"""``ksurf serve``: the dataset in a browser."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ksurf.cli.options import dataset_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf serve
  ksurf serve --port 9000 --baseline 6.12-cloud-amd64
  ksurf serve --host 0.0.0.0 --no-uploads      for others in your network; nothing asks who they are
"""


@click.command(epilog=_EXAMPLES)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 takes any."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=min(os.cpu_count() or 1, 4),
    show_default="one per core, at most 4",
    help="Processes that answer.",
)
@click.option("--baseline", metavar="SELECTOR", help="The kernel around which the others are laid out.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where tables are unpacked for quick answers; by default KSURF_CACHE, else the user's cache folder.",
)
@click.option("--no-uploads", is_flag=True, help="Do not check files that are sent.")
@dataset_option
def command(
    host: str,
    port: int,
    workers: int,
    baseline: str | None,
    cache: Path | None,
    no_uploads: bool,
    dataset: Path,
) -> int:
    """Open the dataset in a browser: search, symbols, comparisons, checks, source and plots.

    It listens on this machine only, unless --host says otherwise. Stop it with Ctrl-C.
    """
    from ksurf.web.explorer import Settings
    from ksurf.web.server import serve

    return serve(Settings(dataset, baseline, cache, uploads=not no_uploads), host, port, workers)
