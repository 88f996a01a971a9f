"""Reading many units ahead, on all cores: what is in the cache already is passed over, so that it can be
stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from ksurf.progress import Reporter
from ksurf.source.semantic.cache import Cache
from ksurf.source.semantic.model import Unparsed
from ksurf.source.semantic.precompiled import PrecompiledHeaders
from ksurf.source.semantic.worker import Limits, Worker
from ksurf.source.units import Unit, Units

__all__ = ["Swept", "forget_before", "precompile_common", "sweep"]

_FEWEST_UNITS = 3
_LARGE_GROUP = 100
"""A group of as many units, of which a kernel has a few, is worth precompiled headers that all share."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did."""

    known: int
    """So many units were in the cache."""
    read: int
    failed: tuple[Unparsed, ...]
    """Units that clang gave nothing back for, and why."""


def sweep(
    units: Units,
    folder: Path,
    wanted: Iterable[Unit],
    reporter: Reporter,
    *,
    processes: int | None = None,
    limits: Limits | None = None,
) -> Swept:
    """Read units that are not in the cache. Ctrl-C ends it at once; what was read is kept."""
    every = list(wanted)
    missing: list[Unit] = []
    failed: list[Unparsed] = []
    cache = Cache(units, folder)
    with reporter.task("looking for what is known", len(every), "units") as task:
        stats: dict[str, tuple[int, int] | None] = {}
        for done, unit in enumerate(every, start=1):
            is_read = cache.knows(unit, stats)
            if is_read is None:
                missing.append(unit)
            elif not is_read and isinstance(
                known := cache.load(unit, unit.file, unit.is_generated), Unparsed
            ):
                failed.append(known)
            task.update(done)
    if missing:
        count = min(processes or os.cpu_count() or 1, len(missing))
        failed += _read(units, folder, missing, reporter, count, limits or Limits())
    return Swept(len(every) - len(missing), len(missing), tuple(failed))


def forget_before(units: Units, folder: Path) -> None:
    """Remove what an earlier preparation of the kernel left and this one cannot use."""
    PrecompiledHeaders(units).forget_all()
    Cache(units, folder).forget_other_groups()


def precompile_common(units: Units, folder: Path, reporter: Reporter) -> None:
    """Precompile what all units of each large group include, so that the first page need not wait for it."""
    groups: dict[str, list[str]] = {}
    for unit in units:
        groups.setdefault(unit.group.digest, []).append(unit.object)
    large = [objects for objects in groups.values() if len(objects) >= _LARGE_GROUP]
    worker = Worker(units, folder, Limits())
    try:
        with reporter.task("precompiling headers", len(large), "groups") as task:
            for done, objects in enumerate(large, start=1):
                problem = worker.precompile(objects)
                if problem is not None:
                    reporter.warn(f"headers of {len(objects)} units are not precompiled: {problem}")
                task.update(done)
    finally:
        worker.end()


def _read(
    units: Units, folder: Path, missing: list[Unit], reporter: Reporter, count: int, limits: Limits
) -> list[Unparsed]:
    cache = Cache(units, folder)
    workers = [Worker(units, folder, limits) for _ in range(count)]
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)
    failed: list[Unparsed] = []

    def precompile(group: list[Unit]) -> None:
        worker = idle.get()
        try:
            worker.precompile([unit.object for unit in group])
        finally:
            idle.put(worker)

    def read(unit: Unit) -> Unparsed | None:
        worker = idle.get()
        try:
            problem = worker.read(unit, unit.file, unit.is_generated)
        finally:
            idle.put(worker)
        if problem is not None:
            return problem
        is_read = cache.knows(unit, {})
        if is_read:
            return None
        known = None if is_read is None else cache.load(unit, unit.file, unit.is_generated)
        if isinstance(known, Unparsed):
            return known
        return Unparsed(unit.file, unit.object, "the result could not be kept: is the disk full?")

    with ThreadPoolExecutor(count) as pool, reporter.task("reading units", len(missing), "units") as task:
        try:
            groups = _groups_without_headers(units, missing)
            if groups:
                task.update(0, label=f"precompiling headers for {len(groups)} groups")
                _finish({pool.submit(precompile, group): None for group in groups})
            task.update(0, label="reading units")
            waiting: dict[Future[Unparsed | None], Unit] = {pool.submit(read, unit): unit for unit in missing}
            done = 0
            while waiting:
                finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    unit = waiting.pop(future)
                    problem = future.result()
                    if problem is not None:
                        failed.append(problem)
                        reporter.warn(f"{unit.object}: {problem.reason}")
                    done += 1
                    task.update(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            for worker in workers:
                worker.end()
    return failed


def _finish(futures: dict[Future[None], None]) -> None:
    for future in futures:
        future.result()


def _groups_without_headers(units: Units, missing: list[Unit]) -> list[list[Unit]]:
    """Return units, by group, for which precompiled headers are worth making."""
    headers = PrecompiledHeaders(units)
    groups: dict[str, list[Unit]] = {}
    for unit in missing:
        groups.setdefault(unit.group.digest, []).append(unit)
    return [group for group in groups.values() if len(group) >= _FEWEST_UNITS and headers.is_worth(group)]
