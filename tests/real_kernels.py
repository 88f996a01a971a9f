"""Real kernels for the tests: pulled with the command, kept while the code that makes them is unchanged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ksurf
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.selector import Selector, select

KSURF = Path(sys.executable).with_name("ksurf")
DAY = 86_400


class Pulled(NamedTuple):
    """A kernel of the tests' dataset."""

    kernel: Kernel
    tables: Path


class RealKernels:
    """The tests' dataset and packages, below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = folder / f"dataset-{_readers()}"
        for stale in folder.glob("dataset-*"):
            # A younger one may be in use: another checkout's tests share this folder.
            if stale != self.dataset and time.time() - stale.stat().st_mtime > DAY:
                shutil.rmtree(stale, ignore_errors=True)

    @cache  # noqa: B019  # there is one object per session
    def pull(self, selector: str) -> Pulled:
        """The newest kernel that the selector matches and the mirror has."""
        self.ksurf("pull", selector)
        store = Store(self.dataset)
        kernels = [manifest.kernel for manifest in store.kernels()]
        newest = select(kernels, [Selector.parse(selector).with_defaults("amd64")])[-1]
        return Pulled(newest, store.directory(newest.id))

    def package(self, kernel: Kernel) -> Path:
        """The package that a pulled kernel came from."""
        return Path(self.ksurf("pull", kernel.id, "--download-only").splitlines()[0])

    def ksurf(self, *arguments: str) -> str:
        """What a command prints; it must end well."""
        folders = {"KSURF_CACHE": str(self.folder), "KSURF_DATASET": str(self.dataset)}
        done = subprocess.run(
            [KSURF, *arguments],
            env={**os.environ, **folders},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"ksurf {' '.join(arguments)}: {done.stderr}"
        return done.stdout


def _readers() -> str:
    """A short hash of the code that decides what is in a dataset."""
    package = Path(ksurf.__file__).parent
    python = ["extract.py", "acquire/config.py", "dataset/**/*.py"]
    files = [path for pattern in ("_core*.so", *python) for path in sorted(package.glob(pattern))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
