"""The names layer, a process of its own: ``python -m benchmarks.names build TREE INDEX`` makes an index,
``python -m benchmarks.names ask INDEX`` prints how long look-ups and searches take, warm."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ksurf.progress import Silent
from ksurf.source.names import NamesIndex

NAMES = ("vgic_v4_doorbell_handler", "kvm_vcpu_kick", "task_struct", "dev", "sys_read", "no_such_name")
PATTERNS = (
    r"kvm_vcpu_kick\(",
    r"request_irq\(.*IRQF_SHARED",
    r"(?i)todo.*arm64",
    r"^static struct \w+ \*kvm_\w+\(",
    "printk",
    "no such text anywhere",
)


def main() -> None:
    """Do what the arguments say."""
    match sys.argv[1:]:
        case ["build", tree, index]:
            NamesIndex.build(Path(tree), Path(index), reporter=Silent())
        case ["ask", index]:
            _ask(NamesIndex.open(Path(index)))
        case _:
            sys.exit(__doc__)


def _ask(index: NamesIndex) -> None:
    for name in NAMES:
        _time(f"definitions of {name}", partial(index.definitions, name), 0.02)
        _time(f"references to {name}", partial(index.references, name, 1000), 0.02)
    _time("names that begin with kvm_", partial(index.complete, "kvm_"), 0.02)
    _time(
        "arch/arm64/kvm/vgic/vgic-v4.c on the spot",
        partial(index.file, "arch/arm64/kvm/vgic/vgic-v4.c"),
        None,
    )
    for pattern in PATTERNS:
        _time(f"search {pattern}", partial(index.search, pattern), 0.3)


def _time(what: str, ask: Callable[[], object], limit: float | None) -> None:
    """Print the median of some runs after a first one, and whether it is where it must be."""
    ask()
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    promised = "" if limit is None else f"   at most {1000 * limit:g}: {'yes' if median <= limit else 'NO'}"
    print(f"  {what:<58} {1000 * median:8.2f} ms{promised}", flush=True)


if __name__ == "__main__":
    main()
