"""``ksurf search``: symbols of all kinds by a part of their name."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, kind_option, on_option

__all__ = ["command"]

_KINDS = (
    *("function", "struct", "union", "enum", "typedef"),
    *("tracepoint", "syscall", "lsm", "kfunc", "export", "config", "field", "enumerator"),
)
_LIMIT = 40

_EXAMPLES = """\b
Examples:
  ksurf search vcpu_kick
  ksurf search sched --kind tracepoint --limit 0
  ksurf search kvm::lock --kind field
  ksurf search bpf_task --kind kfunc --kind function --on 6.12 --format json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("text", metavar="TEXT")
@kind_option(*_KINDS)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=_LIMIT,
    metavar="N",
    help=f"How many are listed, by default {_LIMIT}; 0 is all.",
)
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@on_option
@dataset_option
def command(
    text: str, kinds: tuple[str, ...], limit: int, form: str, selectors: tuple[str, ...], dataset: Path
) -> int:
    """Find symbols of all kinds by a part of their name.

    TEXT may be in any case, and is no pattern. The name itself comes first, then names that begin with it,
    have it as a word, or have it anywhere; of equals, fields and enumerators come last. STRUCT::FIELD asks
    for fields with the second part in their name, of structs with the first in theirs. The exit status is 1
    if nothing is found.
    """
    if not text.strip():
        raise click.UsageError("TEXT is empty")
    from ksurf.cli import print_error
    from ksurf.cli.choose import manifests
    from ksurf.dataset.store import Store
    from ksurf.report.search import SEARCH_KINDS, search, search_json, search_text

    store = Store(dataset)
    places = [(m.kernel, store.directory(m.kernel.id)) for m in manifests(store, selectors)]
    hits = search(text, places, kinds or SEARCH_KINDS)
    write_limit = limit or None
    if form == "json":
        click.echo(search_json(text, hits, len(places), limit=write_limit), nl=False)
    elif hits:
        click.echo(search_text(hits, len(places), limit=write_limit), nl=False)
    if not hits:
        print_error(f"no symbol has {text} in its name", "ksurf ls lists the kernels that were searched")
    return 0 if hits else 1
