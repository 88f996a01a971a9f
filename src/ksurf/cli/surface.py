"""``ksurf surface``: what a part of the source depends on outside itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import dataset_option, format_option, on_option
from ksurf.cli.source.shared import kernel_option

if TYPE_CHECKING:
    from ksurf.progress import Reporter
    from ksurf.report.outside_layout import OutsidePage

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf surface arch/arm64/kvm/vgic/vgic-v4.c --on arm64
  ksurf surface virt/kvm --changed
  ksurf surface fs/read_write.c --kernel 7.3-cloud-amd64 --format md --output surface.md
  ksurf surface net/ipv4/tcp_cong.c --format json | jq '.counts'
"""


@click.command(epilog=_EXAMPLES)
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True)
@on_option
@kernel_option
@click.option("--changed", is_flag=True, help="Only what is not the same on all kernels.")
@click.option("--explain", is_flag=True, help="Say all: each change, each place.")
@format_option("terminal", "md", "json", text="A page to read, Markdown, or JSON (docs/report-json.md).")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it there instead of to standard output.",
)
@dataset_option
def command(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    kernel: str | None,
    changed: bool,
    explain: bool,
    form: str,
    output: Path | None,
    dataset: Path,
) -> int:
    """Show what source files depend on outside themselves, and how that stands on each kernel.

    FILE|DIR are files or folders of a source tree. What they use of functions, types, fields, enumerators,
    globals and macros that are defined elsewhere is read from their units as --kernel compiled them, and
    looked up on the kernels of the dataset: what is absent first, then what is defined otherwise. Units that
    were not read yet are read now. The exit status is 1 if nothing could be read.
    """
    from ksurf.cli.choose import manifests
    from ksurf.cli.printed import printed, written
    from ksurf.cli.source.shared import browser
    from ksurf.dataset.store import Store
    from ksurf.report.outside_read import outside_page

    store = Store(dataset)
    kernels = [(one.kernel, store.directory(one.kernel.id)) for one in manifests(store, selectors)]
    with browser(dataset) as opened:
        page = outside_page(opened, kernel, paths, kernels, _reporter())
    text = _written(page, form, changed=changed, explain=explain)
    if output is None:
        printed(text)
    else:
        written(click.unstyle(text) if form == "terminal" else text, output)
    return 0 if page.seen else 1


def _reporter() -> Reporter | None:
    """What shows how far the reading is, where somebody looks."""
    if not sys.stderr.isatty():
        return None
    from ksurf.cli.reporter import TerminalReporter

    return TerminalReporter()


def _written(page: OutsidePage, form: str, *, changed: bool, explain: bool) -> str:
    """The page in a format, of which only that one is loaded."""
    if form == "json":
        from ksurf.report.outside_json import outside_json

        return outside_json(page, changed=changed)
    if form == "md":
        from ksurf.report.outside_markdown import outside_markdown

        return outside_markdown(page, changed=changed)
    from ksurf.report.outside_terminal import outside_text

    return outside_text(page, changed=changed, everything=explain)
