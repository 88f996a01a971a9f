"""``ksurf deps``: what programs need of the kernel."""

from __future__ import annotations

import click

from ksurf.cli.checking import paths_argument
from ksurf.cli.options import format_option

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf deps biotop.bpf.o
  ksurf deps /usr/sbin/*.bt
  ksurf deps tools.deb --format json | jq -r '.consumers[].dependencies[] | "\\(.kind):\\(.name)"'
"""


@click.command(epilog=_EXAMPLES)
@paths_argument
@format_option("terminal", "json", text="A page to read, or JSON (docs/report-json.md).")
def command(paths: tuple[str, ...], form: str) -> int:
    """Show what programs need of the kernel: hooks, fields, types, symbols, options, and their guards.

    It asks no kernel, and needs no dataset. Each PATH is what ksurf check takes.

    The exit status is 2 if something could not be read.
    """
    from ksurf.cli.checking import COULD_NOT, consumers_of, could_not_check

    with could_not_check():
        found = consumers_of(paths)
        if form == "json":
            from ksurf.report.check_json import deps_json

            text = deps_json(found.consumers, found.skipped, found.unreadable)
        else:
            from ksurf.report.deps_terminal import deps_text

            text = deps_text(found.consumers, found.skipped, found.unreadable)
        click.echo(text, nl=False)
    return COULD_NOT if found.unreadable else 0
