"""Timing whole processes: wall and processor time, and peak memory, contestants taking turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Contestant", "Result", "compete"]


@dataclass(frozen=True)
class Contestant:
    """A command to time; ``before`` is run ahead of each time, off the clock."""

    name: str
    command: Sequence[str | Path]
    before: Callable[[], None] = lambda: None
    statuses: Sequence[int] = (0,)
    """How it may end."""


@dataclass
class Result:
    """What the runs of one contestant took."""

    name: str
    seconds: list[float] = field(default_factory=list)
    processor_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """The run in the middle."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        times = f"{min(self.seconds):7.3f} {self.median:7.3f} {max(self.seconds):7.3f} s"
        processor = f"processors {statistics.median(self.processor_seconds):7.3f} s"
        return f"  {self.name:<46} {times}   {processor}   peak {self.peak_bytes / 2**20:6.0f} MiB"


def compete(title: str, contestants: Sequence[Contestant], runs: int) -> list[Result]:
    """Run the contestants in turns, so that what else the machine does meets them all; print the times."""
    results = [Result(contestant.name) for contestant in contestants]
    print(f"\n{title}\n  {'':<46} {'min':>7} {'median':>7} {'max':>7}", flush=True)
    for _ in range(runs):
        for contestant, result in zip(contestants, results, strict=True):
            contestant.before()
            seconds, processor_seconds, peak = _run(contestant)
            result.seconds.append(seconds)
            result.processor_seconds.append(processor_seconds)
            result.peak_bytes = max(result.peak_bytes, peak)
    print("\n".join(map(str, results)), flush=True)
    return results


def _run(contestant: Contestant) -> tuple[float, float, int]:
    """Seconds, those of processors, and peak resident bytes of one process with all that it waited for."""
    start = time.perf_counter()
    process = subprocess.Popen(
        contestant.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in contestant.statuses:
        shown = " ".join(map(str, contestant.command))
        sys.exit(f"{shown}\nended with {process.returncode}: {said.decode(errors='replace').strip()}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
