"""Pictures for pages: drawn by ``ksurf plot`` in a process of its own, and kept as files.

Kernels do not change, so a picture of them stays: under a key that is a hash of what it shows. The files are
shared by all processes of a server, and by those that come after it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import ksurf
from ksurf.atomic import write_whole
from ksurf.errors import KsurfError
from ksurf.web.folder import forget_oldest

__all__ = ["Drawings"]

_KEPT = 200
"""Files: those that were not asked for longest go first."""
_LONGEST_SECONDS = 120.0
_ERROR = "ksurf: error: "
_COMMAND = "from ksurf.cli import main; main()"


class Drawings:
    """The pictures of one dataset. Used by one event loop."""

    def __init__(self, dataset: Path, folder: Path) -> None:
        """Name the dataset, and the folder of the files, which need not exist."""
        self._dataset = dataset
        self._folder = folder
        self._turn: asyncio.Lock | None = None

    async def drawn(self, arguments: Sequence[str], form: str, state: str) -> bytes:
        """What ``ksurf plot`` with these arguments draws as ``svg`` or ``png``, of kernels in that state.

        Raises ``KsurfError`` with what the command says if it fails.
        """
        key = "\0".join([ksurf.__version__, state, form, *arguments])
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.{form}"
        if (known := _read(path)) is not None:
            return known
        if self._turn is None:
            self._turn = asyncio.Lock()
        # One at a time: each takes a core for seconds.
        async with self._turn:
            if (known := _read(path)) is not None:
                return known
            content = await self._draw(arguments, form)
            await asyncio.to_thread(self._keep, path, content)
            return content

    async def _draw(self, arguments: Sequence[str], form: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _COMMAND, "plot", *arguments),
            *("--dataset", str(self._dataset), "--format", form),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            content, said = await asyncio.wait_for(process.communicate(), _LONGEST_SECONDS)
        except TimeoutError:
            hint = "ksurf plot draws it without a limit"
            raise KsurfError("the picture took too long to draw", hint) from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            lines = said.decode(errors="replace").splitlines()
            errors = [line.removeprefix(_ERROR) for line in lines if line.startswith(_ERROR)]
            raise KsurfError(errors[0] if errors else "the picture could not be drawn")
        return content

    def _keep(self, path: Path, content: bytes) -> None:
        """Write a picture; where that cannot be done it is drawn again next time."""
        with suppress(OSError):
            write_whole(path, content)
            forget_oldest(self._folder, _KEPT)


def _read(path: Path) -> bytes | None:
    """A picture, which is noted as used."""
    try:
        content = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    return content
