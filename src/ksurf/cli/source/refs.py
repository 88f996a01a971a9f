"""``ksurf source refs``: where a name is mentioned."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option
from ksurf.cli.source.shared import browser, index_of, kernel_option, limit_option, seen_as

__all__ = ["command"]

_LIMIT = 200
_EXAMPLES = """\b
Examples:
  ksurf source refs kvm_vcpu_kick
  ksurf source refs vgic_v4_init --kernel 7.3-cloud-arm64
  ksurf source refs GFP_KERNEL --limit 20 --format json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="NAME")
@kernel_option
@limit_option(_LIMIT)
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@dataset_option
def command(name: str, kernel: str | None, limit: int, form: str, dataset: Path) -> int:
    """Show the lines that mention a name, outside of comments and strings.

    They are those of all files of the tree, definitions among them, and of everything that has this name.
    The exit status is 1 if there are none.
    """
    from ksurf.cli import print_error
    from ksurf.cli.printed import printed
    from ksurf.report.source_names import lines_json, lines_text
    from ksurf.source.names_found import found_references

    with browser(dataset) as opened:
        view = opened.view(kernel)
        found = found_references(view, index_of(opened, view), name, limit)
    if form == "json":
        printed(lines_json("ksurf.source-refs", {"name": name}, view, found))
    elif found.lines:
        printed(lines_text(found))
    if not found.lines:
        print_error(f"nothing in {seen_as(view)} mentions {name}", f"ksurf source search {name}")
    return 0 if found.lines else 1
