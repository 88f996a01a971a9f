"""``ksurf source show``: one file, as a kernel compiled it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import dataset_option, format_option
from ksurf.cli.source.shared import browser, is_colored, kernel_option, parse_lines

if TYPE_CHECKING:
    from ksurf.kernel import Kernel

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source show arch/arm64/kvm/vgic/vgic-v4.c
  ksurf source show vgic-v4.c --kernel 7.3-cloud-arm64 --lines 226-240
  ksurf source show vgic-v4.c --on 6.12-cloud-arm64 --on 7.3-cloud-arm64
  ksurf source show kernel/fork.c --format md --output fork.md
  ksurf source show mm/slub.c --format json | jq -r '.definitions[].signature'
"""


@click.command(epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@kernel_option
@click.option(
    "--lines",
    metavar="A-B",
    callback=parse_lines,
    help="Only these lines, and what is defined in them: 10-20, 10- or 10.",
)
@click.option(
    "--facts",
    is_flag=True,
    help="Say what the kernels of the dataset made of its functions and calls.",
)
@click.option(
    "--on",
    "selectors",
    multiple=True,
    metavar="SELECTOR",
    help="The same, of these kernels only; may be repeated.",
)
@format_option(
    "terminal", "md", "json", "html", text="A page to read, Markdown, JSON (docs/report-json.md), or HTML."
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there instead of to standard output.",
)
@dataset_option
def command(
    file: str,
    kernel: str | None,
    lines: tuple[int, int | None] | None,
    facts: bool,
    selectors: tuple[str, ...],
    form: str,
    output: Path | None,
    dataset: Path,
) -> None:
    """Show a source file as a kernel compiled it.

    FILE is a path in the tree, or the end of one that only one file has, or the path of a file that the
    kernel's build made (include/generated/autoconf.h). Names of parameters stand in front
    of arguments, what the configuration leaves out is marked, and what the file defines is listed. The page
    says which layer it shows: the semantic one, for which the unit is read now unless that was done before,
    or the names alone, and why.
    """
    from ksurf.cli.printed import printed, written

    with browser(dataset) as opened:
        view = opened.view(kernel, file)
        found = opened.locate(view, file)
        if found.file != file:
            view = opened.view(kernel, found.file)
        told = _kernels(dataset, selectors) if facts or selectors else ()
        page = opened.page(view, found.file, told, is_generated=found.is_generated)
    if lines is not None:
        page = page.between(*lines)
    if form == "md":
        from ksurf.report.source_markdown import page_markdown

        text = page_markdown(page)
    elif form == "json":
        from ksurf.report.source_json import page_json

        text = page_json(page)
    elif form == "html":
        from ksurf.report.source_html import page_html

        text = page_html(page)
    else:
        from ksurf.report.source_terminal import page_text

        text = page_text(page, color=output is None and is_colored())
    if output is None:
        printed(text)
    else:
        written(text, output)


def _kernels(dataset: Path, selectors: tuple[str, ...]) -> list[tuple[Kernel, Path]]:
    from ksurf.cli.choose import manifests
    from ksurf.dataset.store import Store

    store = Store(dataset)
    return [(found.kernel, store.directory(found.kernel.id)) for found in manifests(store, selectors)]
