"""``ksurf source search``: lines of the tree that match a pattern."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option
from ksurf.cli.source.shared import browser, index_of, kernel_option, limit_option

__all__ = ["command"]

_LIMIT = 200
_EXAMPLES = """\b
Examples:
  ksurf source search 'guard\\(mutex\\)'
  ksurf source search -i 'this should never happen' --in 'drivers/**'
  ksurf source search 'EXPORT_SYMBOL_GPL\\(kvm_' --in 'virt/kvm/*.c' --format json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("pattern", metavar="PATTERN")
@click.option(
    "--in",
    "glob",
    metavar="GLOB",
    help="Only in files whose path matches: * and ? stay within a name, ** does not.",
)
@click.option("-i", "--ignore-case", is_flag=True, help="Take upper and lower case for the same.")
@kernel_option
@limit_option(_LIMIT)
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@dataset_option
def command(
    pattern: str,
    glob: str | None,
    ignore_case: bool,
    kernel: str | None,
    limit: int,
    form: str,
    dataset: Path,
) -> int:
    """Search the text of all files of a tree.

    PATTERN is a regular expression in the syntax of Rust's regex crate, which has no back-references. The
    exit status is 1 if no line matches.
    """
    from ksurf.cli import print_error
    from ksurf.cli.printed import printed
    from ksurf.report.source_names import lines_json, lines_text
    from ksurf.source.names_found import found_matches

    with browser(dataset) as opened:
        view = opened.view(kernel)
        found = found_matches(
            index_of(opened, view), f"(?i){pattern}" if ignore_case else pattern, glob, limit
        )
    if form == "json":
        asked = {"pattern": pattern, "in": glob, "ignore_case": ignore_case}
        printed(lines_json("ksurf.source-search", asked, view, found))
    elif found.lines:
        printed(lines_text(found))
    if not found.lines:
        where = f" in files {glob}" if glob else ""
        print_error(f"no line of {view.tree.id}{where} matches {pattern}")
    return 0 if found.lines else 1
