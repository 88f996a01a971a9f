"""A small dataset for the explorer's pages of source: two versions of a tree, kernels that compiled them."""

from __future__ import annotations

from pathlib import Path

from ksurf.progress import Silent
from ksurf.source.names import NamesIndex
from made_kernel import MadeKernel
from made_source import FILES, kernel, prepare, source_dataset
from made_trees import put_tree

__all__ = ["AMD", "ARM", "NEWER", "web_source_dataset"]

ARM, AMD, NEWER = kernel("arm64"), kernel("amd64"), kernel("arm64", "7.4.1")
_DOCUMENTED = (
    b"/**\n * timer_start - let a timer run\n * @t: the timer\n * @delay: how long, in ticks\n"
    b" * @flags: what is returned\n */\n"
)


def web_source_dataset(dataset: Path) -> Path:
    """Two trees, the second one with two more lines at the beginning of ``kernel/timer.c``."""
    timer, header = "kernel/timer.c", "include/linux/timer.h"
    newer = dict(FILES)
    newer[timer] = b"int fresh;\n\n" + FILES[timer].replace(b"3 | 4", b"5 & 6")
    newer[header] = FILES[header].replace(b"int timer_st", _DOCUMENTED + b"int timer_st")
    trees = [source_dataset(dataset), put_tree(dataset, "7.4.1-1", "7.4.1", files=newer)]
    prepare(trees[1], NEWER, ["kernel/timer.c"])
    for tree in trees:
        NamesIndex.build(tree.root, tree.names, reporter=Silent())
    for one, first in ((ARM, 0), (AMD, 0), (NEWER, 2)):
        _timers(first).write(dataset, one)
    return dataset


def _timers(first: int) -> MadeKernel:
    made = MadeKernel()
    made.image()
    unit = made.unit("kernel/timer.c")
    prototype = "int timer_start(struct timer *t, int delay, int flags);"
    start = made.function("timer_start", "kernel/timer.c", 3 + first, external=True, prototype=prototype)
    test = made.function("timer_test", "kernel/timer.c", 16 + first, external=True)
    due = made.function("timer_due", "include/linux/timer.h", 3, declared_inline=True)
    code = made.instance(start, unit, address=16)
    caller = made.instance(test, unit, address=64)
    made.instance(due, unit, inlined=True)
    made.call(caller, due, inline=True, line=18 + first)
    made.call(caller, start, line=18 + first)
    made.symbol("timer_start", code, bind="STB_GLOBAL")
    made.symbol("timer_test", caller, bind="STB_GLOBAL")
    made.struct("timer", ("int", "due", 0, 4))
    return made
