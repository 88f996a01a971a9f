"""``ksurf check``: what of a program breaks, on which kernel, why, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.checking import judging_options, paths_argument
from ksurf.cli.options import dataset_option, format_option, on_option

if TYPE_CHECKING:
    from ksurf.report.check_layout import Page

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf check biotop.bpf.o
  ksurf check /usr/sbin/biotop /usr/sbin/runqlat --on 6.12 --on 7.3
  ksurf check libbpf-tools_0.26_amd64.deb --baseline 6.1-cloud-amd64
  ksurf check tools/ --fail-on changed --format sarif --output ksurf.sarif
  echo kprobe:blk_account_io_start | ksurf check -
"""


@click.command(epilog=_EXAMPLES)
@paths_argument
@on_option
@judging_options
@click.option(
    "--fail-on",
    type=click.Choice(["broken", "changed", "partial"]),
    help="End with status 1 if something is as bad as this, or worse; by default broken.",
)
@click.option("--explain", is_flag=True, help="Say all: also what is ok or guarded, and why.")
@format_option(
    *("terminal", "json", "md", "sarif", "junit"),
    text="A page to read, JSON (docs/report-json.md), Markdown, SARIF 2.1.0, or JUnit's XML.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report there, and print only the sums.",
)
@dataset_option
def command(
    paths: tuple[str, ...],
    selectors: tuple[str, ...],
    baseline: str | None,
    policy: Path | None,
    fail_on: str | None,
    explain: bool,
    form: str,
    output: Path | None,
    dataset: Path,
) -> int:
    """Check what depends on the kernel against the kernels of the dataset.

    Each PATH is an eBPF object, a program that carries one, a kernel module, a bpftrace script, a BCC tool, a
    list of names (kprobe:vfs_read, struct:task_struct::pid), a folder or an archive with such files, or - for
    standard input. What they are is told by their content, and nothing of them is run.

    The exit status is 0 if all is well, 1 if something is broken (or what --fail-on says), and 2 if
    something could not be checked.
    """
    from ksurf.cli.checking import checked, could_not_check
    from ksurf.cli.garbage import none_looked_for
    from ksurf.cli.printed import printed, written

    with could_not_check(), none_looked_for():
        page = checked(
            paths, selectors=selectors, baseline=baseline, policy=policy, fail_on=fail_on, dataset=dataset
        )
        text = _written(page, form, explain)
        if output is None:
            printed(text)
        else:
            from ksurf.report.check_terminal import tail_text

            written(click.unstyle(text) if form == "terminal" else text, output)
            printed(tail_text(page))
    return page.exit_status


def _written(page: Page, form: str, explain: bool) -> str:
    """The page in a format, of which only that one is loaded."""
    if form == "json":
        from ksurf.report.check_json import check_json

        return check_json(page)
    if form == "md":
        from ksurf.report.check_markdown import check_markdown

        return check_markdown(page, everything=explain)
    if form == "sarif":
        from ksurf.report.check_sarif import check_sarif

        return check_sarif(page, everything=explain)
    if form == "junit":
        from ksurf.report.check_junit import check_junit

        return check_junit(page, everything=explain)
    from ksurf.report.check_terminal import check_text

    return check_text(page, everything=explain)
