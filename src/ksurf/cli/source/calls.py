"""What the commands for callers and callees have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ksurf.errors import InputError, NoSuchKernelError

if TYPE_CHECKING:
    from ksurf.kernel import Kernel
    from ksurf.source.browse import Browser, View
    from ksurf.source.join.dispatch import Dispatch
    from ksurf.source.join.edges import Edge

__all__ = ["printed_calls"]


def printed_calls(
    name: str,
    direction: str,
    selectors: Sequence[str],
    kernel: str | None,
    limit: int,
    form: str,
    dataset: Path,
) -> int:
    """Print who calls a function, or whom it calls; the exit status is 1 if there is nobody."""
    from ksurf.cli import print_error
    from ksurf.cli.printed import printed
    from ksurf.cli.source.shared import browser
    from ksurf.report.source_calls import CallsPage, calls_json, calls_text

    kernels = _kernels(dataset, selectors)
    having, edges = _from_kernels(name, direction, kernels)
    notes: list[str] = []
    with browser(dataset) as opened:
        view, dispatch = _dispatch(opened, kernel, notes)
        if not having and view is not None:
            edges = _from_text(name, direction, opened, view, notes)
    if dispatch is not None and view is not None and view.kernel is not None:
        if direction == "callers":
            notes += [f"stored in {one.field} at {one.place}" for one in dispatch.stores_of(name)]
        edges += _possible(name, direction, dispatch, [one for one, _ in kernels if one == view.kernel])
    page = CallsPage(
        name,
        direction,
        tuple(having),
        edges,
        None if dispatch is None else dispatch.coverage,
        tuple(notes),
    )
    cut = limit or None
    if form == "json":
        printed(calls_json(page, limit=cut))
    elif edges or having:
        printed(calls_text(page, limit=cut))
    if edges:
        return 0
    if not having:
        print_error(f"no kernel of the dataset has a function {name}", f"ksurf search {name} --kind function")
    return 1


def _kernels(dataset: Path, selectors: Sequence[str]) -> list[tuple[Kernel, Path]]:
    from ksurf.cli.choose import manifests
    from ksurf.dataset.store import Store

    store = Store(dataset)
    try:
        return [(one.kernel, store.directory(one.kernel.id)) for one in manifests(store, selectors)]
    except NoSuchKernelError:
        if selectors:
            raise
        return []  # the text may still tell


def _from_kernels(
    name: str, direction: str, kernels: Sequence[tuple[Kernel, Path]]
) -> tuple[list[Kernel], tuple[Edge, ...]]:
    """The kernels that have the function, and what their code says."""
    from ksurf.dataset.lookup import functions_named
    from ksurf.dataset.lookup.written import callees_of
    from ksurf.source.join.edges import callees, callers

    if not kernels:
        return [], ()
    if direction == "callers":
        called = functions_named([name], kernels, chains=True)[name]
        return [rows.kernel for rows in called if rows.functions], callers(called)
    calling = callees_of([name], kernels)
    return [rows.kernel for rows in calling if rows.instances], callees(calling)


def _dispatch(opened: Browser, kernel: str | None, notes: list[str]) -> tuple[View | None, Dispatch | None]:
    """The tree, and what was read of it so far."""
    try:
        view = opened.view(kernel)
    except InputError as error:
        if kernel is not None:
            raise
        notes.append(f"calls through fields are not known: {error.message}")
        return None, None
    if view.kernel is None:
        notes.append(f"calls through fields are not known: {view.missing}")
        return view, None
    return view, opened.dispatch(view)


def _from_text(name: str, direction: str, opened: Browser, view: View, notes: list[str]) -> tuple[Edge, ...]:
    index = opened.names(view.tree)
    if index is None:
        notes.append(f"the names of {view.tree.id} are not indexed: ksurf source index {view.tree.id}")
        return ()
    from ksurf.source.join.written_edges import written_callees, written_callers

    notes.append(f"from the text of {view.tree.id}, macros and all branches of #if included")
    find = written_callers if direction == "callers" else written_callees
    return find(name, index, view.tree.root)


def _possible(name: str, direction: str, dispatch: Dispatch, kernels: Sequence[Kernel]) -> tuple[Edge, ...]:
    from ksurf.source.join.edges import possible_callees, possible_callers

    find = possible_callers if direction == "callers" else possible_callees
    return find(name, dispatch, kernels)
