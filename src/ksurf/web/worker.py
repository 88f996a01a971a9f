"""A process of the server that answers: ``python -m ksurf.web.worker SOCKET SETTINGS``."""

from __future__ import annotations

import gc
import socket
import sys
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
    Thread(target=_warm, args=(app.state.explorer,), daemon=True).start()
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


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
