"""What a process does before anybody asks: it loads what pages need, and looks at each kernel once.

Otherwise the first to ask for a page would wait for that, as long as for a hundred pages.
"""

from __future__ import annotations

from contextlib import suppress

from ksurf.dataset.unpacked.cache import reading_unpacked
from ksurf.errors import KsurfError
from ksurf.report.found import function_reports, symbol_reports
from ksurf.report.kinds import KINDS
from ksurf.web.explorer import Explorer

__all__ = ["warm"]

_FUNCTION = "vfs_read"


def warm(explorer: Explorer) -> None:
    """Ask for a symbol of each kind, if the tables are unpacked: else that is as long as the answers.

    What goes wrong is left to those who ask.
    """
    with suppress(KsurfError, OSError), reading_unpacked(explorer.unpacked):
        snapshot = explorer.snapshot()
        explorer.catalog()
        explorer.browse(lambda browser: browser.trees.all())
        if not snapshot.kernels or explorer.unpacked.missing([path for _, path in snapshot.places]):
            return
        function_reports([_FUNCTION], snapshot.places, snapshot.groups)
        for kind in KINDS.values():
            symbol_reports(kind.name, [kind.example], snapshot.places, snapshot.groups)
