"""``ksurf diff``: everything that differs between two kernels."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, kind_option

__all__ = ["command"]

_KINDS = (
    *("function", "struct", "union", "enum", "typedef", "var"),
    *("tracepoint", "syscall", "lsm", "kfunc", "export", "config", "attachability"),
)

_EXAMPLES = """\b
Examples:
  ksurf diff 6.1-cloud-amd64 6.12-cloud-amd64
  ksurf diff 6.1-amd64 6.12-amd64 --kind attachability
  ksurf diff 6.12-amd64 6.12-arm64 --kind struct --kind syscall --all
  ksurf diff 6.12 7.3 --format json | jq '.kinds[] | {kind, added: .added | length}'
"""


@click.command(epilog=_EXAMPLES)
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@kind_option(*_KINDS)
@format_option("terminal", "md", "json", text="Text to read, Markdown, or JSON (docs/report-json.md).")
@click.option(
    "--all", "everything", is_flag=True, help="On the terminal, list all names and changes, not the first."
)
@dataset_option
def command(old: str, new: str, kinds: tuple[str, ...], form: str, everything: bool, dataset: Path) -> None:
    """Show what was added, removed and changed between two kernels.

    Attachability is about names that both have, where one of them can be attached to or called on one only.

    A and B are selectors, of which each means the newest kernel of the dataset that it matches. Where there
    is a choice, kernels of one distribution, architecture and flavor are taken.
    """
    from ksurf.beside import beside
    from ksurf.cli.choose import manifests
    from ksurf.cli.garbage import none_looked_for
    from ksurf.dataset.store import Store
    from ksurf.report.attachability import ATTACHABILITY, attachability_diff
    from ksurf.report.diff import FORMS, Written
    from ksurf.report.everything import DIFF_KINDS, POOLED_KINDS, differences
    from ksurf.selector import two_of

    store = Store(dataset)
    before, after = two_of([m.kernel for m in manifests(store, ())], old, new)
    places = [(kernel, store.directory(kernel.id)) for kernel in (before, after)]
    chosen = set(kinds or _KINDS)

    def written(some: Set[str]) -> list[Written]:
        compared = [kind for kind in DIFF_KINDS if kind in some]
        found = differences(places[0], places[1], compared) if compared else []
        if ATTACHABILITY in some:
            found.append(attachability_diff(*places))
        return [FORMS[form].write(diff, everything=everything) for diff in found]

    with none_looked_for(), beside(lambda: written(chosen - POOLED_KINDS)) as others:
        found = written(chosen & POOLED_KINDS) + others()
        found.sort(key=lambda one: _KINDS.index(one.kind))
        text = FORMS[form].page(before, after, found)
    click.echo(text, nl=False)
