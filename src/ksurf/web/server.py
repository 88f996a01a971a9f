"""Runs the application: one process or several, on one address."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from starlette.applications import Starlette

from ksurf.errors import InputError
from ksurf.web.explorer import Settings

__all__ = ["from_environment", "serve"]

_PREFIX = "KSURF_SERVE_"
"""Of the variables by which several processes of a server are told their settings."""


def serve(settings: Settings, host: str, port: int, workers: int) -> int:
    """Answer until the process is told to stop; the exit status."""
    import click
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"http://{shown}:{listening.getsockname()[1]}/  (Ctrl-C stops it)")

    variables = {
        "DATASET": str(settings.dataset),
        "BASELINE": settings.baseline or "",
        "CACHE": str(settings.cache or ""),
        "UPLOADS": "1" if settings.uploads else "",
    }
    os.environ.update({f"{_PREFIX}{name}": value for name, value in variables.items()})
    config = uvicorn.Config(
        "ksurf.web.server:from_environment",
        factory=True,
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        if workers == 1:
            server.run(sockets=[listening])
        else:
            Multiprocess(config, sockets=[listening]).run()
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """Take the port, before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        listening.set_inheritable(True)
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            "--port 0 takes any that is free",
        ) from error
    return listening


def from_environment() -> Starlette:
    """Make the application of what :func:`serve` left for its processes."""
    from ksurf.web.app import application

    named = {name: os.environ[f"{_PREFIX}{name}"] for name in ("DATASET", "BASELINE", "CACHE", "UPLOADS")}
    return application(
        Settings(
            Path(named["DATASET"]),
            named["BASELINE"] or None,
            Path(named["CACHE"]) if named["CACHE"] else None,
            bool(named["UPLOADS"]),
        )
    )
