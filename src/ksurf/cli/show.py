"""``ksurf show``: what a symbol is, on each kernel."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, on_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf show function kvm_vcpu_kick
  ksurf show function vfs_read vfs_write --on 6.12 --all
  ksurf show function kvm_make_request --format md --baseline 6.12-cloud-arm64
  ksurf show function do_sys_openat2 --format json | jq '.functions[].groups'
"""


@click.group(epilog="\b\nExample:\n  ksurf show function kvm_vcpu_kick")
def command() -> None:
    """Show what a symbol is on each kernel of the dataset."""


@command.command(epilog=_EXAMPLES)
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "md", "json"]),
    default="terminal",
    help="A page to read, Markdown, or JSON (docs/report-json.md).",
)
@click.option(
    "--baseline",
    metavar="SELECTOR",
    help="The kernel around which the others are laid out: its series, other architectures, other flavors.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="On the terminal, show the details of all kernels, and all callers.",
)
@on_option
@dataset_option
def function(
    names: tuple[str, ...],
    form: str,
    baseline: str | None,
    everything: bool,
    selectors: tuple[str, ...],
    dataset: Path,
) -> int:
    """Show a function's status, instances, callers and symbols, and how it changed.

    The exit status is 1 if one of the names exists on none of the kernels; near names are suggested.
    """
    from ksurf.cli import print_error
    from ksurf.cli.choose import baseline_of, manifests
    from ksurf.dataset.lookup import functions_named
    from ksurf.dataset.store import Store
    from ksurf.report.function import report
    from ksurf.series import group
    from ksurf.surface.function import judge

    store = Store(dataset)
    kernels = [m.kernel for m in manifests(store, selectors)]
    groups = group(kernels, baseline_of(kernels, baseline))
    places = [(kernel, store.directory(kernel.id)) for kernel in kernels]
    names = tuple(dict.fromkeys(names))
    found = functions_named(names, places, chains=form != "md")
    reports = [report(name, groups, {rows.kernel: judge(rows) for rows in found[name]}) for name in names]
    present = [r for r in reports if r.present]
    if form == "json":
        from ksurf.report.json import function_json

        click.echo(function_json(present), nl=False)
    elif form == "md":
        from ksurf.report.markdown import function_markdown

        click.echo("\n".join(function_markdown(r) for r in present), nl=False)
    elif present:
        from ksurf.report.terminal import function_text

        click.echo("\n".join(function_text(r, everything=everything) for r in present), nl=False)
    missing = [r.name for r in reports if not r.present]
    if missing:
        from ksurf.dataset.lookup import function_names
        from ksurf.report.near import near

        known = function_names(places)
        for name in missing:
            close = near(name, known)
            print_error(
                f"no function {name} on {len(kernels)} kernel{'s' if len(kernels) != 1 else ''}",
                f"near names: {', '.join(close)}"
                if close
                else "ksurf ls lists the kernels that were searched",
            )
    return 1 if missing else 0
