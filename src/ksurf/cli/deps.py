"""``ksurf deps``: what programs need of the kernel."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.checking import paths_argument
from ksurf.cli.options import dataset_option, format_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf deps biotop.bpf.o
  ksurf deps /usr/sbin/*.bt
  ksurf deps tools/ --format json | jq -r '.consumers[].dependencies[] | "\\(.mechanism // .kind):\\(.name)"'
"""


@click.command(epilog=_EXAMPLES)
@paths_argument
@format_option("terminal", "json", text="A page to read, or JSON (docs/report-json.md).")
@dataset_option
def command(paths: tuple[str, ...], form: str, dataset: Path) -> int:
    """Show what programs need of the kernel: hooks, fields, types, symbols, options, and their guards.

    Kernels are not asked, only for the types that scripts go through: without a dataset less is found of
    these. Each PATH is what ksurf check takes.

    The exit status is 2 if something could not be read.
    """
    from ksurf.cli.checking import COULD_NOT, consumers_of, could_not_check, reporter_for
    from ksurf.cli.printed import printed
    from ksurf.dataset.store import Store

    with could_not_check():
        store = Store(dataset)
        held = sorted((manifest.kernel for manifest in store.kernels()), reverse=True)
        newest = [kernel for kernel in held if (kernel.arch, kernel.flavor) == (held[0].arch, held[0].flavor)]
        places = [(kernel, store.directory(kernel.id)) for kernel in newest]
        found = consumers_of(paths, places, reporter_for(paths))
        if form == "json":
            from ksurf.report.check_json import deps_json

            text = deps_json(found.consumers, found.skipped, found.unreadable)
        else:
            from ksurf.report.deps_terminal import deps_text

            text = deps_text(found.consumers, found.skipped, found.unreadable)
        printed(text)
    return COULD_NOT if found.unreadable else 0
