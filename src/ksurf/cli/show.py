"""``ksurf show``: what a symbol is, on each kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ksurf.cli.options import dataset_option, format_option, on_option

if TYPE_CHECKING:
    from ksurf.kernel import Kernel
    from ksurf.series import Groups

__all__ = ["command"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

_EXAMPLES = """\b
Examples:
  ksurf show function kvm_vcpu_kick
  ksurf show struct kvm --format md --baseline 6.12-cloud-amd64
  ksurf show field kvm::mmu_lock task_struct::se.vruntime
  ksurf show tracepoint sched:sched_switch
"""

_FUNCTION_EXAMPLES = """\b
Examples:
  ksurf show function kvm_vcpu_kick
  ksurf show function vfs_read vfs_write --on 6.12 --all
  ksurf show function kvm_make_request --format md --baseline 6.12-cloud-arm64
  ksurf show function do_sys_openat2 --format json | jq '.functions[].groups'
"""


def _show_options(command: _Command) -> _Command:
    """Give a command what all kinds of symbols have: names, format, baseline, and which kernels."""
    for option in (
        dataset_option,
        on_option,
        click.option(
            "--all",
            "everything",
            is_flag=True,
            help="On the terminal, show the details of all kernels.",
        ),
        click.option(
            "--baseline",
            metavar="SELECTOR",
            help="The kernel around which the others are laid out: its series, other architectures, other "
            "flavors.",
        ),
        format_option(
            "terminal", "md", "json", text="A page to read, Markdown, or JSON (docs/report-json.md)."
        ),
        click.argument("names", metavar="NAME...", nargs=-1, required=True),
    ):
        command = option(command)
    return command


@click.group(epilog=_EXAMPLES)
def command() -> None:
    """Show what a symbol is on each kernel of the dataset."""


@command.command(epilog=_FUNCTION_EXAMPLES)
@_show_options
def function(
    names: tuple[str, ...],
    form: str,
    baseline: str | None,
    everything: bool,
    selectors: tuple[str, ...],
    dataset: Path,
) -> int:
    """Show what became of a function, and how it changed.

    That is its status, instances, callers and symbols, and what can be attached to each of these. The exit
    status is 1 if one of the names exists on none of the kernels; near names are suggested.
    """
    from ksurf.report.found import function_reports

    groups, places = _kernels(dataset, selectors, baseline)
    # The Markdown page is of the published shape, which has neither calls' places nor attachability.
    reports = function_reports(tuple(dict.fromkeys(names)), places, groups, in_full=form != "md")
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
    return _suggest("function", "function", missing, places)


def _symbol(
    kind_name: str,
    names: tuple[str, ...],
    form: str,
    baseline: str | None,
    everything: bool,
    selectors: tuple[str, ...],
    dataset: Path,
) -> int:
    from ksurf.report.found import symbol_reports
    from ksurf.report.kinds import KINDS

    kind = KINDS[kind_name]
    groups, places = _kernels(dataset, selectors, baseline)
    # The Markdown page is of the published shape, which has no attachability.
    reports = symbol_reports(kind_name, tuple(dict.fromkeys(names)), places, groups, in_full=form != "md")
    present = [r for r in reports if r.present]
    if form == "json":
        from ksurf.report.json import symbol_json

        click.echo(symbol_json(kind, present), nl=False)
    elif form == "md":
        from ksurf.report.markdown import symbol_markdown

        click.echo("\n".join(symbol_markdown(kind, r) for r in present), nl=False)
    elif present:
        from ksurf.report.terminal_symbol import symbol_text

        click.echo("\n".join(symbol_text(kind, r, everything=everything) for r in present), nl=False)
    missing = [r.name for r in reports if not r.present]
    return _suggest(kind_name, kind.title, missing, places)


def _suggest(kind: str, title: str, missing: Sequence[str], places: Sequence[tuple[Kernel, Path]]) -> int:
    """What near names need is loaded for those that were not found, and for nothing else."""
    if not missing:
        return 0
    from ksurf.cli.suggest import suggest

    return suggest(kind, title, missing, places)


def _kernels(
    dataset: Path, selectors: Sequence[str], baseline: str | None
) -> tuple[Groups, list[tuple[Kernel, Path]]]:
    """The chosen kernels as they are laid out, and where each lies."""
    from ksurf.cli.choose import baseline_of, manifests
    from ksurf.dataset.store import Store
    from ksurf.series import group

    store = Store(dataset)
    kernels = [m.kernel for m in manifests(store, selectors)]
    groups = group(kernels, baseline_of(kernels, baseline))
    return groups, [(kernel, store.directory(kernel.id)) for kernel in kernels]


_KINDS = {
    "struct": ("task_struct", "Show a struct: its fields with offsets and sizes, and how it changed."),
    "union": ("bpf_attr", "Show a union: its members and sizes, and how it changed."),
    "enum": ("bpf_prog_type", "Show an enum: its names and values, and how it changed."),
    "typedef": ("gfn_t", "Show what a typedef stands for, and how that changed."),
    "tracepoint": (
        "sched:sched_switch",
        "Show a trace event or a bare tracepoint. An event has fields and a format, both say what raw "
        "programs are called with.",
    ),
    "syscall": ("openat2", "Show a system call: its number and entry in each table."),
    "lsm": ("file_open", "Show an LSM hook: its prototype, and if it is open to BPF."),
    "kfunc": ("bpf_task_acquire", "Show a kfunc's prototype, flags and program types."),
    "export": ("kvm_vcpu_kick", "Show an exported symbol: its license, namespace and checksum."),
    "config": ("CONFIG_BPF_LSM", "Show an option of the kernel's configuration."),
    "field": (
        "kvm::mmu_lock",
        "Show a field of a struct by its path. Nested ones too: STRUCT::FIELD.FIELD.",
    ),
}
"""Beside functions: an example, and what is shown."""


def _add(kind: str, example: str, text: str) -> None:
    def show(**parameters: Any) -> int:
        return _symbol(kind, **parameters)

    show.__doc__ = (
        f"{text}\n\nThe exit status is 1 if one of the names exists on none of the kernels; near names are "
        "suggested."
    )
    examples = (
        f"\b\nExamples:\n  ksurf show {kind} {example}\n  ksurf show {kind} {example} --on 6.12 --format md"
    )
    command.command(name=kind, epilog=examples)(_show_options(show))


for _kind, (_example, _text) in _KINDS.items():
    _add(_kind, _example, _text)
