"""``ksurf source def``: where a name is defined."""

from __future__ import annotations

from pathlib import Path

import click

from ksurf.cli.options import dataset_option, format_option, kind_option
from ksurf.cli.source.shared import browser, index_of, kernel_option, seen_as

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source def kvm_vcpu_kick
  ksurf source def kvm --kind struct
  ksurf source def list_head --kernel 6.12 --all
  ksurf source def request_irq --format json | jq -r '.definitions[] | "\\(.file):\\(.line)"'
"""

_KINDS = (
    *("function", "struct", "union", "enum", "typedef", "member", "enumerator", "macro", "variable"),
    *("syscall", "export", "tracepoint", "label"),
)


@click.command(epilog=_EXAMPLES)
@click.argument("name", metavar="NAME")
@kind_option(*_KINDS)
@click.option("--all", "everything", is_flag=True, help="List declarations beside definitions, too.")
@kernel_option
@format_option("terminal", "json", text="Lines to read, or JSON (docs/report-json.md).")
@dataset_option
def command(
    name: str, kinds: tuple[str, ...], everything: bool, kernel: str | None, form: str, dataset: Path
) -> int:
    """Show where a name is defined, in all branches of all files of the tree.

    It is said which of the files the kernel compiles, if one is prepared. Declarations are listed where there
    is no definition. The exit status is 1 if there is neither; near names are suggested.
    """
    from ksurf.cli import print_error
    from ksurf.cli.printed import printed
    from ksurf.report.source_names import definitions_json, definitions_text
    from ksurf.source.names_found import found_definitions

    with browser(dataset) as opened:
        view = opened.view(kernel)
        index = index_of(opened, view)
        found = found_definitions(opened, view, index, name, kinds)
    listed = [one for one in found if everything or not one.definition.is_declaration] or found
    if form == "json":
        printed(definitions_json(name, view, listed, len(found)))
    elif listed:
        printed(definitions_text(view, listed, len(found)))
    if not found:
        near = ", ".join(one.name for one in index.complete(name[: max(3, len(name) * 2 // 3)], 5))
        what = f"{' or '.join(kinds)} {name}" if kinds else name
        hint = f"names that begin alike: {near}" if near else None
        print_error(f"nothing in {seen_as(view)} defines {what}", hint)
    return 0 if found else 1
