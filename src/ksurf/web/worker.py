"""A process of the server that answers: ``python -m ksurf.web.worker SOCKET SETTINGS``."""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from ksurf.web.child import end_with_parent, told

if TYPE_CHECKING:
    from ksurf.web.explorer import Explorer

__all__ = ["main"]


def main(descriptor: int, text: str) -> None:
    """Answer on the socket that the server left, until told to stop or the server is gone."""
    import uvicorn

    from ksurf.web.app import application

    settings, parent = told(text)
    end_with_parent(parent)
    app = application(settings)
    for work in (_warm, _stay_small):
        Thread(target=work, args=(app.state.explorer,), daemon=True).start()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


_MAPPED_LIMIT = 160 << 20
"""Bytes of files in this process's memory. The system would take them back when it needs them; whoever looks
at what a server takes does not see that."""
_LOOK_SECONDS = 1.0


def _stay_small(explorer: Explorer) -> None:
    """Give back what is mapped of tables, again and again: it is in the system's cache, and back at once."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        time.sleep(_LOOK_SECONDS)
        shared = int(Path("/proc/self/statm").read_bytes().split()[2])
        if shared * page > _MAPPED_LIMIT:
            explorer.unpacked.release()


def _warm(explorer: Explorer) -> None:
    from ksurf.web.warm import warm

    warm(explorer)
    # What is loaded by now stays: it need not be looked at whenever garbage is looked for.
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    # As in ksurf.cli: pyarrow would load numpy, of which only pictures have a use.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
    main(int(sys.argv[1]), sys.argv[2])
