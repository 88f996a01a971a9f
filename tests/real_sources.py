"""Real source for the tests: pulled with the command, kept while the code that makes it is unchanged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ksurf
from ksurf.kernel import Kernel
from ksurf.selector import Selector, select
from ksurf.source.tree import SourceTree, Trees
from real_kernels import DAY, KSURF

CLOUD_ARM64 = "debian:7.3-cloud-arm64"
CLOUD_AMD64 = "debian:7.3-cloud-amd64"
# What decides what a tree is, and what is known of its kernels.
_MAKERS = ("source/unpack.py", "source/tree.py", "source/prepare.py", "source/flags.py", "source/units.py")


class PulledSource(NamedTuple):
    """A tree with a kernel whose units are known."""

    tree: SourceTree
    kernel: Kernel


class RealSources:
    """A dataset of trees, and packages, below ``folder``; about 2 GB for each version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = folder / f"sources-{_makers()}"
        for stale in folder.glob("sources-*"):
            # A younger one may be in use: another checkout's tests share this folder.
            if stale != self.dataset and time.time() - stale.stat().st_mtime > DAY:
                shutil.rmtree(stale, ignore_errors=True)

    @cache  # noqa: B019  # there is one object per session
    def pull(self, selector: str = CLOUD_ARM64) -> PulledSource:
        """The source of the newest kernel that the selector matches, with that kernel prepared."""
        self.ksurf("source", "pull", selector)
        tree = Trees(self.dataset).named(selector)
        kernels = [one.kernel for one in tree.prepared()]
        return PulledSource(tree, select(kernels, [Selector.parse(selector).with_defaults("amd64")])[-1])

    def ksurf(self, *arguments: str) -> str:
        """What a command prints; it must end well."""
        done = subprocess.run(
            [KSURF, *arguments],
            env={**os.environ, "KSURF_CACHE": str(self.folder), "KSURF_DATASET": str(self.dataset)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"ksurf {' '.join(arguments)}: {done.stderr}"
        return done.stdout


def _makers() -> str:
    """A short hash of the code that decides what is in such a dataset."""
    package = Path(ksurf.__file__).parent
    digest = hashlib.sha256()
    for name in _MAKERS:
        digest.update((package / name).read_bytes())
    return digest.hexdigest()[:12]
