"""Makes what quick answers need, beside the server: ``python -m ksurf.web.prepare SETTINGS``.

It ends when all is there. Until then, and for what cannot be made, the dataset itself answers, more slowly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.errors import DatasetError, KsurfError, is_full
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, counted
from ksurf.report.catalog import Catalog
from ksurf.web.child import end_with_parent, told

__all__ = ["main", "prepare"]


def prepare(dataset: Path, cache: Path | None, reporter: Reporter) -> None:
    """Make what is missing, and remove what is of no use any more.

    A kernel that cannot be read is left out with a warning; raises ``OSError`` if nothing can be written.
    """
    store = Store(dataset)
    places = [(one.kernel, store.directory(one.kernel.id)) for one in store.kernels()]
    kernels = [directory for _, directory in places]
    unpacked = Unpacked(dataset, cache)
    _make_catalog(unpacked, places, reporter)
    missing = unpacked.missing(kernels)
    for directory in counted(reporter, "unpacking tables for quick answers", missing, "folders"):
        try:
            unpacked.make(directory)
        except KsurfError as error:
            reporter.warn(error.message)
    unpacked.sweep(kernels)


def _make_catalog(unpacked: Unpacked, places: Sequence[tuple[Kernel, Path]], reporter: Reporter) -> None:
    """Make the list of names first: it is what the first page is used for."""
    if not places:
        return
    with reporter.task("listing the names of symbols"):
        try:
            Catalog.open_or_make(unpacked, places)
        except DatasetError as error:
            reporter.warn(error.message)


def main(text: str) -> int:
    """Make what is missing for the settings that a server was given; the exit status."""
    from ksurf.cli import print_error
    from ksurf.cli.reporter import TerminalReporter

    settings, parent = told(text)
    end_with_parent(parent)
    try:
        prepare(settings.dataset, settings.cache, TerminalReporter())
    except KsurfError as error:
        print_error(error.message, error.hint)
        return 1
    except OSError as error:
        reason = "no room left" if is_full(error) else error.strerror or str(error)
        print_error(f"{error.filename or settings.cache}: {reason}", "answers stay slow; --cache FOLDER")
        return 1
    return 0


if __name__ == "__main__":
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]  # as in ksurf.cli
    sys.exit(main(sys.argv[1]))
