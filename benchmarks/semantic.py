"""What the part ``semantic`` of the benchmarks times: DATASET FOLDER WHAT [FILE] say what."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from ksurf.progress import Silent
from ksurf.source.semantic.clang import arguments_of
from ksurf.source.semantic.layer import Semantics
from ksurf.source.semantic.sweep import sweep
from ksurf.source.tree import Trees
from ksurf.source.units import Units

SELECTOR = "debian:7.3-cloud-arm64"


def main() -> None:
    """Do one of them."""
    dataset, folder, what, *files = sys.argv[1:]
    tree = Trees(Path(dataset)).named(SELECTOR)
    kernel = next(one.kernel for one in tree.prepared() if one.kernel.arch == "arm64")
    units = Units.load(tree.root, tree.units_folder(kernel))
    results = Path(folder) / "results"
    if what == "sweep":
        swept = sweep(units, results, units.below(["arch/arm64/kvm", "virt/kvm"]), Silent())
        assert not swept.failed and not swept.known
    elif what == "clang":
        (unit, *_) = units.of_file(files[0])
        print(json.dumps(["clang", "-fsyntax-only", *arguments_of(units, unit), str(units.path(unit))]))
    else:
        with Semantics(units, results) as semantics:
            semantics.read(files[0])
            if what == "kept":
                print(1000 * statistics.median(_seconds(semantics, files[0]) for _ in range(20)))


def _seconds(semantics: Semantics, file: str) -> float:
    start = time.perf_counter()
    assert semantics.cached(file) is not None
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
