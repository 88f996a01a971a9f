"""A process of the server that answers: ``python -m ksurf.web.worker SOCKET SETTINGS``."""

from __future__ import annotations

import socket
import sys

from ksurf.web.child import end_with_parent, told

__all__ = ["main"]


def main(descriptor: int, text: str) -> None:
    """Answer on the socket that the server left, until told to stop or the server is gone."""
    import uvicorn

    from ksurf.web.app import application

    settings, parent = told(text)
    end_with_parent(parent)
    config = uvicorn.Config(
        application(settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    # As in ksurf.cli: pyarrow would load numpy, of which only pictures have a use.
    sys.modules.setdefault("numpy", None)  # type: ignore[arg-type]
    main(int(sys.argv[1]), sys.argv[2])
