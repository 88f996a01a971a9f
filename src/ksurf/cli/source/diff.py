"""``ksurf source diff``: one file in two trees, or as two kernels compiled it."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option
from ksurf.cli.source.shared import browser

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source diff arch/arm64/kvm/vgic/vgic-v4.c 6.12 7.3
  ksurf source diff kernel/fork.c 7.3-cloud-amd64 7.3-cloud-arm64
  ksurf source diff kvm_main.c 6.12 7.3 --format json | jq '.definitions[] | {change, name}'
"""


@click.command(epilog=_EXAMPLES)
@click.argument("file", metavar="FILE")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@format_option("terminal", "json", text="Text to read, or JSON (docs/report-json.md).")
@dataset_option
def command(file: str, old: str, new: str, form: str, dataset: Path) -> None:
    """Show what differs in a file between two source trees, or two kernels.

    A and B are selectors as --kernel of ksurf source show takes them. First comes what became of each
    definition: changed, added, removed, moved, or left out by one of the configurations; then a unified
    diff. FILE may be missing on one side.
    """
    from ksurf.cli.printed import printed
    from ksurf.errors import InputError
    from ksurf.source.compare import compare, with_other_files
    from ksurf.source.page import Page

    with browser(dataset) as opened:
        views = [opened.view(selector, file) for selector in (old, new)]
        names: list[str | None] = []
        refused: list[InputError] = []
        for view in views:
            try:
                names.append(opened.find(view.tree, file))
            except InputError as error:
                names.append(None)
                refused.append(error)
        found = next((name for name in reversed(names) if name is not None), None)
        if found is None:
            raise refused[-1]
        pages: list[Page | None] = []
        for selector, view in zip((old, new), views, strict=True):
            # The end of a path may be another file's on the other side.
            is_there = (view.tree.root / found).exists()
            pages.append(opened.page(opened.view(selector, found), found) if is_there else None)
        before, after = views
        comparison = compare(*pages)
        if before.tree.id != after.tree.id:
            comparison = with_other_files(
                comparison, found, opened.names(before.tree), opened.names(after.tree)
            )
    if form == "json":
        from ksurf.report.source_diff import comparison_json

        printed(comparison_json(found, comparison))
    else:
        from ksurf.report.source_diff import comparison_text

        printed(comparison_text(found, comparison))
