"""A process that reads units, one after another, and its other end.

It is told what to read by lines of JSON, and answers each by one. It puts results into the cache itself. If
it dies,
or takes too long and is killed, that costs the one unit that it was at.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ksurf.errors import KsurfError
from ksurf.source.semantic.model import Unparsed
from ksurf.source.units import Unit, Units

__all__ = ["Limits", "Worker"]

_NEW_AFTER = 200
"""Jobs after which a process is replaced: clang gives memory back late."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one unit may take."""

    time_s: float = 120.0
    memory_bytes: int = 4 << 30
    """Of address space; the largest units of the kernel take a quarter of it."""


class Worker:
    """The end that asks. The process is started when it is first needed, and again when it has died.

    Threads may share it, and take turns.
    """

    def __init__(self, units: Units, folder: Path, limits: Limits) -> None:
        """Name the kernel's units, and the folder of results."""
        self._units = units
        self._folder = folder
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs = 0
        self._ended = False
        self._turn = Lock()

    def read(self, unit: Unit, file: str, is_generated: bool) -> Unparsed | None:
        """Have a file read through a unit. Its result is in the cache then, unless a reason is returned."""
        job = {"do": "read", "unit": unit.object, "file": file, "is_generated": is_generated}
        problem = self._ask(job)
        return None if problem is None else Unparsed(file, unit.object, problem)

    def precompile(self, objects: list[str]) -> str | None:
        """Have a precompiled header made for units of one group; return what kept it from that."""
        return self._ask({"do": "precompile", "units": objects})

    def end(self) -> None:
        """End the process for good: whoever still asks gets an error."""
        self._ended = True
        self.close()

    def close(self) -> None:
        """End the process; the next question starts another one."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()

    def _ask(self, job: dict[str, Any]) -> str | None:
        with self._turn:
            return self._asked(job)

    def _asked(self, job: dict[str, Any]) -> str | None:
        if self._jobs >= _NEW_AFTER:
            self.close()
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        self._jobs += 1
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
            answer = self._answer(process)
        except (BrokenPipeError, EOFError):
            code = process.wait()
            self.close()
            return _death(code, self._limits)
        except TimeoutError:
            self.close()
            return f"clang took longer than {self._limits.time_s:g} s"
        except BaseException:
            # Ctrl-C: what it is at is of no use any more.
            self.close()
            raise
        problem: str | None = answer["problem"]
        return problem

    def _answer(self, process: subprocess.Popen[bytes]) -> Any:
        assert process.stdout is not None
        end = time.monotonic() + self._limits.time_s
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                raise EOFError
            line += piece
        return json.loads(line)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._ended:
            raise RuntimeError("the worker was ended")
        if self._process is None:
            start = {
                "tree": str(self._units.tree),
                "units": str(self._units.folder),
                "folder": str(self._folder),
                "memory": self._limits.memory_bytes,
            }
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, json.dumps(start)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            )
            self._jobs = 0
        return self._process


def _death(code: int, limits: Limits) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"clang died of {name}; it had {limits.memory_bytes >> 20} MiB of memory"
    return "clang ended without a result"


# ---- the process itself


def _main(start: dict[str, Any]) -> None:
    # The terminal sends Ctrl-C to all its processes; this one ends when the other end closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (start["memory"], start["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    from ksurf.source.semantic.cache import Cache
    from ksurf.source.semantic.layer import read_unit
    from ksurf.source.semantic.precompiled import PrecompiledHeaders

    units = Units.load(Path(start["tree"]), Path(start["units"]))
    cache = Cache(units, Path(start["folder"]))
    headers = PrecompiledHeaders(units)
    for line in sys.stdin.buffer:
        job = json.loads(line)
        problem = None
        try:
            if job["do"] == "precompile":
                wanted = [unit for name in job["units"] if (unit := units.of_object(name)) is not None]
                headers.make(wanted[0].group, wanted)
            else:
                unit, file, generated = units.of_object(job["unit"]), job["file"], job["is_generated"]
                assert unit is not None
                result, inputs = read_unit(units, unit, file, generated, headers)
                cache.store(unit, file, generated, result, inputs)
        except KsurfError as error:
            problem = error.message
        except MemoryError:
            problem = f"there is more in it than fits into {start['memory'] >> 20} MiB"
        except (OSError, RecursionError) as error:
            problem = str(error)
        answers.write(json.dumps({"problem": problem}).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
