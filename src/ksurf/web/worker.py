"""A process of the server: ``python -m ksurf.web.worker SETTINGS``, with the socket that it was left."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
"""``prctl`` (include/uapi/linux/prctl.h): a signal to this process when its parent dies."""


def main(text: str) -> None:
    """Answer until told to stop, or until the process that started this one is gone."""
    import uvicorn

    from ksurf.web.app import application
    from ksurf.web.explorer import Settings

    told = json.loads(text)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != told["parent"]:  # it died before that was said
        return
    settings = Settings(
        Path(told["dataset"]),
        told["baseline"],
        None if told["cache"] is None else Path(told["cache"]),
        told["uploads"],
    )
    config = uvicorn.Config(
        application(settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=told["socket"])])


if __name__ == "__main__":
    main(sys.argv[1])
