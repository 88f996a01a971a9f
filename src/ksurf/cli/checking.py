"""What the commands that check programs share: their options, and the way from paths to a page."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ksurf.errors import InputError, KsurfError
from ksurf.progress import Reporter, Silent

if TYPE_CHECKING:
    from ksurf.check.consumer import Found, Kernels
    from ksurf.report.check_layout import Page

__all__ = [
    "COULD_NOT",
    "checked",
    "consumers_of",
    "could_not_check",
    "judging_options",
    "paths_argument",
    "reporter_for",
]

COULD_NOT = 2
"""The exit status where something could not be checked."""

_LONG = 32 << 20
"""Bytes to read from which on a bar is worth the time that it takes to be made."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def paths_argument(command: _Command) -> _Command:
    """Give a command its paths, as ``paths``."""
    return click.argument("paths", metavar="PATH...", nargs=-1, required=True)(command)


def judging_options(command: _Command) -> _Command:
    """Give a command ``--policy`` and ``--baseline``, passed as ``policy`` and ``baseline``."""
    for option in (
        click.option(
            "--policy",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Supported kernels and accepted findings (docs/policy.md); by default ksurf.toml in the "
            "current folder, if there is one.",
        ),
        click.option(
            "--baseline",
            metavar="SELECTOR",
            help="The kernel that the programs were made for; by default each dependency is compared with "
            "the oldest kernel of a series that has it.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def could_not_check() -> Iterator[None]:
    """Make every error inside end the process with the status that says so."""
    try:
        yield
    except KsurfError as error:
        error.exit_status = COULD_NOT
        raise
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        failure = InputError(reason)
        failure.exit_status = COULD_NOT
        raise failure from error


def consumers_of(paths: Sequence[str], kernels: Kernels, reporter: Reporter) -> Found:
    """Read what is to be checked; where there is nothing, and nothing tells why, that is an error.

    ``kernels`` tell the types that scripts go through, the first that has one.
    """
    from ksurf.check.consumer import find

    found = find(paths, reporter, kernels)
    if not found.consumers and not found.unreadable:
        raise InputError(
            f"{', '.join(paths)}: nothing that ksurf checks in {found.skipped} "
            f"file{'s' if found.skipped != 1 else ''}",
            "eBPF objects, programs that carry them, modules, bpftrace scripts, BCC tools, lists of names",
        )
    return found


def checked(
    paths: Sequence[str],
    *,
    selectors: Sequence[str],
    baseline: str | None,
    policy: Path | None,
    fail_on: str | None,
    dataset: Path,
    suggest: bool = True,
) -> Page:
    """Read some programs and judge them on the kernels that the options, or else the policy, name.

    Without ``suggest`` it is quicker, and less is said of what to do.
    """
    from ksurf.check.judge import judge
    from ksurf.check.policy import apply, load
    from ksurf.check.reached import Walks
    from ksurf.check.verdict import Outcome
    from ksurf.cli.choose import baseline_of, manifests
    from ksurf.dataset.lookup import reading_ahead, reading_once
    from ksurf.dataset.store import Store
    from ksurf.report.check_layout import Page
    from ksurf.selector import Selector, select
    from ksurf.series import group

    # Arrow's own allocator touches half as much memory again as the system's, and takes more time for it.
    # It looks at this when it is loaded, which nothing has done yet.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    rules = load(policy)
    store = Store(dataset)
    everything = [manifest.kernel for manifest in manifests(store, ())]
    with rules.asking("check.kernels", own=not selectors):
        kernels = select(everything, [Selector.parse(text) for text in selectors or rules.kernels])
    named = baseline or rules.baseline
    # What a program was made for need not be among the kernels that it is to run on.
    with rules.asking("check.baseline", own=not baseline):
        compared = baseline_of(everything, named) if named else None
    groups = group(kernels, compared or baseline_of(kernels, None))
    series = [member.kernel for member in reversed(groups.regular)]
    reporter = reporter_for(paths)
    with reading_once():
        with reading_ahead([(kernel, store.directory(kernel.id)) for kernel in kernels]):
            found = consumers_of(paths, [(kernel, store.directory(kernel.id)) for kernel in series], reporter)
        report = judge(
            found.consumers,
            kernels,
            compared,
            store,
            Walks(found.consumers, store, reporter),
            suggest=suggest,
            reporter=reporter,
            stored=everything,
        )
    return Page(
        report=report,
        groups=groups,
        applied=apply(rules, report, date.today()),
        fail_on=Outcome(fail_on) if fail_on else rules.fail_on or Outcome.BROKEN,
        skipped=found.skipped,
        unreadable=found.unreadable,
    )


def reporter_for(paths: Sequence[str]) -> Reporter:
    """One that shows something only if there is somebody to see it and reading takes a while."""
    if not sys.stderr.isatty() or not any(map(_is_long, paths)):
        return Silent()
    from ksurf.cli.reporter import TerminalReporter

    return TerminalReporter()


def _is_long(path: str) -> bool:
    try:
        return os.path.isdir(path) or os.stat(path).st_size > _LONG  # noqa: PTH112, PTH116
    except (OSError, ValueError):
        return False
