"""``ksurf site``: pages of symbols as files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import dataset_option
from ksurf.errors import InputError

if TYPE_CHECKING:
    from ksurf.web.site import Symbol

__all__ = ["command"]

_KINDS = (
    *("function", "struct", "union", "enum", "typedef", "field"),
    *("tracepoint", "syscall", "lsm", "kfunc", "export", "config"),
)

_EXAMPLES = """\b
Examples:
  ksurf site public --symbol function:kvm_vcpu_kick --symbol struct:kvm
  ksurf site public --match vgic --limit 500
  ksurf site public --symbols watched.txt        one KIND:NAME in a line
  python3 -m http.server --directory public      any server of files will do
"""


@click.command(epilog=_EXAMPLES)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--symbol", "named", multiple=True, metavar="KIND:NAME", help="A symbol; may be repeated.")
@click.option(
    "--symbols",
    "listed",
    type=click.File("r"),
    metavar="FILE",
    help="A file with one KIND:NAME in a line, or - for standard input; # begins a remark.",
)
@click.option(
    "--match", multiple=True, metavar="TEXT", help="Symbols that ksurf search finds; may be repeated."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=500,
    show_default=True,
    help="How many symbols are taken of each --match.",
)
@click.option("--baseline", metavar="SELECTOR", help="The kernel around which the others are laid out.")
@dataset_option
def command(
    folder: Path,
    named: tuple[str, ...],
    listed: Iterable[str] | None,
    match: tuple[str, ...],
    limit: int,
    baseline: str | None,
    dataset: Path,
) -> int:
    """Write the pages of symbols, and of all kernels, as files that any server of files can give.

    FOLDER must not be there, be empty, or be a site that this command wrote, which is then replaced. Only
    pages that are there are linked. KIND is function, struct, union, enum, typedef, field, tracepoint,
    syscall, lsm, kfunc, export or config.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.web.explorer import Settings
    from ksurf.web.site import write_site

    symbols = [_symbol(text) for text in (*named, *_lines(listed or ()))]
    symbols += [found for text in match for found in _matching(text, limit, dataset)]
    count = write_site(Settings(dataset, baseline), folder, symbols, TerminalReporter())
    click.echo(f"{folder}: {count:,} files")
    return 0


def _lines(listed: Iterable[str]) -> Iterator[str]:
    for line in listed:
        if text := line.partition("#")[0].strip():
            yield text


def _symbol(text: str) -> Symbol:
    from ksurf.web.site import Symbol

    kind, _, name = text.partition(":")
    if kind not in _KINDS or not name:
        raise InputError(
            f"{text!r} is no symbol", "function:vfs_read, struct:kvm, tracepoint:sched:sched_switch"
        )
    return Symbol(kind, name)


def _matching(text: str, limit: int, dataset: Path) -> list[Symbol]:
    from ksurf.cli.choose import manifests
    from ksurf.dataset.store import Store
    from ksurf.report.search import search
    from ksurf.web.site import Symbol

    store = Store(dataset)
    places = [(one.kernel, store.directory(one.kernel.id)) for one in manifests(store, ())]
    found = search(text, places, _KINDS)
    if not found:
        raise InputError(f"nothing has {text!r} in its name")
    return [Symbol(hit.kind, hit.name) for hit in found[:limit]]
