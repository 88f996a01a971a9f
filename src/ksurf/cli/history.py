"""``ksurf history``: one line per change of a symbol, along its series."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, on_option

__all__ = ["command"]

_KINDS = (
    *("function", "struct", "union", "enum", "typedef", "field"),
    *("tracepoint", "syscall", "lsm", "kfunc", "export", "config"),
)

_EXAMPLES = """\b
Examples:
  ksurf history struct kvm
  ksurf history function vfs_read --on cloud-amd64
  ksurf history field task_struct::__state --format json
"""


@click.command(epilog=_EXAMPLES)
@click.argument("kind", type=click.Choice(_KINDS), metavar="KIND")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@on_option
@dataset_option
def command(kind: str, names: tuple[str, ...], form: str, selectors: tuple[str, ...], dataset: Path) -> int:
    """Show how a symbol changed from version to version.

    There is a list for each distribution, architecture and flavor, one line per change. KIND is function,
    struct, union, enum, typedef, field, tracepoint, syscall, lsm, kfunc, export or config. The exit status is
    1 if one of the names exists on none of the kernels; near names are suggested.
    """
    from ksurf.cli.choose import manifests
    from ksurf.cli.suggest import suggest
    from ksurf.dataset.store import Store
    from ksurf.report.find import statuses_of
    from ksurf.report.history import history_json, history_text
    from ksurf.report.kinds import KINDS, comparison
    from ksurf.report.verdicts import with_verdicts
    from ksurf.surface.history import histories

    store = Store(dataset)
    places = [(m.kernel, store.directory(m.kernel.id)) for m in manifests(store, selectors)]
    names = tuple(dict.fromkeys(names))
    if kind == "function":
        from ksurf.dataset.lookup import attach_rows, functions_named
        from ksurf.surface.function import judge
        from ksurf.surface.function_change import compare_functions

        rows, about = functions_named(names, places), attach_rows(names, places)
        judged = {
            name: {own.kernel: judge(own, also) for own, also in zip(rows[name], about[name], strict=True)}
            for name in names
        }
        found = {name: histories(name, judged[name], compare_functions) for name in names}
    else:
        statuses = with_verdicts(kind, statuses_of(kind, names, places), places)
        found = {
            name: histories(name, {s.kernel: s for s in statuses[name]}, comparison(KINDS[kind]))
            for name in names
        }
    present = {name: series for name, series in found.items() if any(one.present for one in series)}
    if form == "json":
        click.echo(history_json(kind, present), nl=False)
    elif present:
        click.echo("\n".join(history_text(kind, name, series) for name, series in present.items()), nl=False)
    title = KINDS[kind].title if kind in KINDS else kind
    missing = [name for name in names if name not in present]
    return suggest(kind, title, missing, places)
