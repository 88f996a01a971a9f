"""Makes what quick answers need, beside the server: ``python -m ksurf.web.prepare SETTINGS``.

It ends when all is there. Until then, and for what cannot be made, the dataset itself answers, more slowly.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.errors import DiskFullError, KsurfError, is_full
from ksurf.progress import Reporter, counted
from ksurf.web.child import end_with_parent, told

__all__ = ["main", "prepare"]


def prepare(dataset: Path, cache: Path | None, reporter: Reporter) -> None:
    """Make what is missing, and remove what is of no use any more.

    A kernel that cannot be read is left out with a warning; raises ``DiskFullError`` if there is no room.
    """
    store = Store(dataset)
    kernels = [store.directory(manifest.kernel.id) for manifest in store.kernels()]
    unpacked = Unpacked(dataset, cache)
    missing = unpacked.missing(kernels)
    for directory in counted(reporter, "unpacking tables for quick answers", missing, "folders"):
        try:
            unpacked.make(directory)
        except KsurfError as error:
            reporter.warn(error.message)
        except OSError as error:
            if is_full(error):
                raise DiskFullError(
                    f"{unpacked.folder}: no room left to unpack tables", "answers stay slow; --cache FOLDER"
                ) from error
            raise
    unpacked.sweep(kernels)


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
    return 0


if __name__ == "__main__":
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]  # as in ksurf.cli
    sys.exit(main(sys.argv[1]))
