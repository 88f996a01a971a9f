"""``ksurf summary``: many programs in one table, and what they are affected by."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.checking import judging_options, paths_argument
from ksurf.cli.options import dataset_option, format_option, on_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf summary libbpf-tools_0.26_amd64.deb
  ksurf summary tools/ --on cloud --baseline 6.1-cloud-amd64
  ksurf summary tools/ --format json | jq '.causes'
"""


@click.command(epilog=_EXAMPLES)
@paths_argument
@on_option
@judging_options
@format_option("terminal", "json", "md", text="A table to read, JSON (docs/report-json.md), or Markdown.")
@dataset_option
def command(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    baseline: str | None,
    policy: Path | None,
    form: str,
    dataset: Path,
) -> int:
    """Show which of many programs are affected on which kernel of the dataset, and by what.

    Each PATH is what ksurf check takes; that says why, and what to do. What the policy accepts does not
    count. The exit status is 2 if something could not be checked.
    """
    from ksurf.cli.checking import COULD_NOT, checked, could_not_check
    from ksurf.cli.garbage import none_looked_for
    from ksurf.cli.printed import printed

    with could_not_check(), none_looked_for():
        page = checked(
            paths,
            selectors=selectors,
            baseline=baseline,
            policy=policy,
            fail_on=None,
            dataset=dataset,
            suggest=False,
        )
        from ksurf.report.check_summary import summary_json, summary_markdown, summary_text

        write = {"json": summary_json, "md": summary_markdown}.get(form, summary_text)
        printed(write(page))
    return COULD_NOT if page.unreadable else 0
