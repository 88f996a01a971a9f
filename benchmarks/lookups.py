"""What a server asks a dataset, in a process of its own: ``python -m benchmarks.lookups DATASET CACHE``.

Prints the processor time of reports and searches, warm; before, it unpacks kernels and makes the catalog.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ksurf.dataset.store import Store
from ksurf.dataset.unpacked.cache import Unpacked, reading_unpacked
from ksurf.report.catalog import Catalog
from ksurf.report.found import function_reports, symbol_reports
from ksurf.report.kinds import KINDS
from ksurf.report.search import SEARCH_KINDS
from ksurf.series import default_baseline, group

COUNT = 300
"""Names of each kind that are asked for, at random."""
LARGEST = ("kfree", "memcpy", "list_add")
"""Functions with very many calls, or copies."""
SEED = 6


def main() -> None:
    """Measure the dataset that is named."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    dataset, cache = map(Path, sys.argv[1:])
    store = Store(dataset)
    kernels = [manifest.kernel for manifest in store.kernels()]
    places = [(kernel, store.directory(kernel.id)) for kernel in kernels]
    groups = group(kernels, default_baseline(kernels))
    unpacked = Unpacked(dataset, cache)
    start = time.perf_counter()
    for directory in unpacked.missing(path for _, path in places):
        unpacked.make(directory)
    print(
        f"  unpacked in {time.perf_counter() - start:.1f} s, {_megabytes(unpacked.folder, 'tables'):.0f} MB"
    )
    start = time.perf_counter()
    catalog = Catalog.open_or_make(unpacked, places)
    print(
        f"  catalog in {time.perf_counter() - start:.1f} s, {_megabytes(unpacked.folder, 'catalog'):.0f} MB"
    )
    chosen = random.Random(SEED)
    names = {kind: catalog.names([kind]).to_pylist() for kind in SEARCH_KINDS}
    own = {kind: chosen.sample(held, min(COUNT, len(held))) for kind, held in names.items()}

    def function(name: str) -> object:
        return function_reports([name], places, groups)

    def symbol(kind: str, name: str) -> object:
        return symbol_reports(kind, [name], places, groups)

    with reading_unpacked(unpacked):
        _time("report on a function", function, own["function"], 8)
        for name in LARGEST:
            _time(f"report on {name}", function, [name] * 5, 150)
        for kind in KINDS:
            _time(f"report on a {kind}", partial(symbol, kind), own[kind], 8)
    every = [name for held in own.values() for name in held]
    _time("search for the start of a name", catalog.find, (_start(chosen, name) for name in every), 5)
    _time("search for a part of a name", catalog.find, (_part(chosen, name) for name in every), 5)
    letters = "abcdefghijklmnopqrstuvwxyz_0"
    _time("search for two letters", catalog.find, [a + b for a in letters for b in letters], 5)


def _start(chosen: random.Random, name: str) -> str:
    return name[: chosen.randint(1, 40)]


def _part(chosen: random.Random, name: str) -> str:
    start = chosen.randrange(len(name))
    return name[start : start + chosen.randint(1, 40)]


def _megabytes(folder: Path, suffix: str) -> float:
    return sum(file.stat().st_size for file in folder.glob(f"*.{suffix}")) / 1e6


def _time(what: str, ask: Callable[[str], object], names: Iterable[str], limit: float) -> None:
    """Print the median and the 95th percentile; each name is asked for once, and then measured."""
    seconds = []
    for name in names:
        ask(name)
        start = time.process_time()
        ask(name)
        seconds.append(time.process_time() - start)
    if not seconds:
        return
    median, late = statistics.median(seconds), sorted(seconds)[int(0.95 * (len(seconds) - 1))]
    promised = f"median at most {limit:g}: {'yes' if 1000 * median <= limit else 'NO'}"
    print(f"  {what:<40} {1000 * median:8.2f} ms   p95 {1000 * late:8.2f} ms   {promised}", flush=True)


if __name__ == "__main__":
    main()
