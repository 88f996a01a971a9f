"""The index of a tree's names, as a step that is done once."""

from __future__ import annotations

import time

from ksurf.errors import DatasetError
from ksurf.progress import Reporter
from ksurf.source.names import NamesIndex
from ksurf.source.tree import SourceTree
from ksurf.source.unpack import check_room

__all__ = ["byte_size", "index_tree"]

_SHARE = 0.75
"""How large an index may become, as a share of the tree."""


def index_tree(
    tree: SourceTree, reporter: Reporter, *, threads: int = 0, again: bool = False
) -> float | None:
    """Make the index unless it is there; return how many seconds that took, ``None`` if it was there.

    One that another version of ksurf wrote, or that is damaged, is made anew.
    """
    started = time.monotonic()
    wait = f"waiting for another ksurf that indexes {tree.id}"
    with tree.locked("names", on_wait=lambda: reporter.warn(wait)):
        if not again and _is_usable(tree):
            return None
        check_room(tree.path, int((tree.byte_size or 0) * _SHARE), f"the index of {tree.id}")
        NamesIndex.build(tree.root, tree.names, threads=threads, reporter=reporter, name=tree.id)
    return time.monotonic() - started


def _is_usable(tree: SourceTree) -> bool:
    if not tree.names.is_dir():
        return False
    try:
        NamesIndex.open(tree.names, tree.root)
    except DatasetError:
        return False
    return True


def byte_size(tree: SourceTree) -> int:
    """How large the index is."""
    return sum(path.stat().st_size for path in tree.names.rglob("*") if path.is_file())
