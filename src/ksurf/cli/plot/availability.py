"""``ksurf plot availability``: what programs need, and which kernels have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.checking import judging_options, paths_argument
from ksurf.cli.options import on_option
from ksurf.cli.plot.shared import output_options

if TYPE_CHECKING:
    from ksurf.cli.plot.shared import Output

__all__ = ["command"]

_MOST = 400

_EXAMPLES = """\b
Examples:
  ksurf plot availability biotop.bpf.o --output biotop.svg
  ksurf plot availability /usr/sbin/biosnoop.bt --on cloud --output biosnoop.png --width 1920
  ksurf plot availability tools/ --limit 60 --baseline 6.1-cloud-amd64 --output tools.svg
"""


@click.command(epilog=_EXAMPLES)
@paths_argument
@on_option
@judging_options
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    default=30,
    show_default=True,
    metavar="N",
    help="Up to so many dependencies, the worst of each program first.",
)
@output_options
def command(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    baseline: str | None,
    policy: Path | None,
    limit: int,
    output: Output,
    dataset: Path,
) -> int:
    """Draw what becomes of each dependency of a program on each kernel, as a map.

    Each PATH is what ksurf check takes; that says why, and what to do. The exit status is 2 if something
    could not be checked.
    """
    from ksurf.cli import print_error
    from ksurf.cli.checking import COULD_NOT, checked, could_not_check
    from ksurf.cli.garbage import none_looked_for
    from ksurf.cli.plot.shared import put

    with could_not_check():
        with none_looked_for():
            page = checked(
                paths,
                selectors=selectors,
                baseline=baseline,
                policy=policy,
                fail_on=None,
                dataset=dataset,
                suggest=False,
            )
        from ksurf.plot import availability

        if page.report.consumers:
            put(availability(page, limit), output)
    for one in page.unreadable:
        print_error(f"not checked: {one.path}: {one.reason}")
    return COULD_NOT if page.unreadable else 0
