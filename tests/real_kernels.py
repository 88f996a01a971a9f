"""Real kernels for the tests: pulled with the command, kept while the code that makes datasets is unchanged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import ksurf
from ksurf.acquire.debian import Offer
from ksurf.cli.archive import connect
from ksurf.errors import MirrorError
from ksurf.kernel import Kernel
from ksurf.progress import Silent
from ksurf.selector import Selector, select

KSURF = Path(sys.executable).with_name("ksurf")


@cache
def offline() -> str | None:
    """Why Debian's archive cannot be asked; ``None`` if it can."""
    if os.environ.get("KSURF_OFFLINE"):
        return "KSURF_OFFLINE is set"
    try:
        connect([], [], False, Silent()).archive.offers(arches={"amd64"}, suites=["stable"])
    except MirrorError as error:
        return f"Debian's archive cannot be reached: {error.message}"
    return None


class Pulled(NamedTuple):
    """A kernel of the tests' dataset."""

    kernel: Kernel
    tables: Path


class RealKernels:
    """The tests' dataset, below ``folder``; packages stay in ksurf's own cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset = folder / f"dataset-{_readers()}"
        for stale in folder.glob("dataset-*"):
            if stale != self.dataset:
                shutil.rmtree(stale)

    @cache  # noqa: B019  # there is one object per session
    def pull(self, selector: str) -> Pulled:
        """The newest kernel that the selector matches and the mirror has."""
        self.ksurf("pull", selector, "--fallback", "--dataset", str(self.dataset))
        for offer in _matches(selector):
            tables = self.dataset / "kernels" / f"kernel={offer.kernel.id}"
            if tables.is_dir():
                return Pulled(offer.kernel, tables)
        raise AssertionError(f"ksurf pull {selector} ended well, but left no such kernel in {self.dataset}")

    def package(self, kernel: Kernel) -> Path:
        """The package that a pulled kernel came from."""
        return Path(self.ksurf("pull", kernel.id, "--download-only").strip())

    def ksurf(self, *arguments: str) -> str:
        """What a command prints; it must end well."""
        done = subprocess.run([KSURF, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"ksurf {' '.join(arguments)}: {done.stderr}"
        return done.stdout


def _matches(selector: str) -> list[Offer]:
    """What the archive offers for a selector, newest first."""
    wanted = Selector.parse(selector).with_defaults("amd64")
    offers = connect([], [], False, Silent()).archive.offers(arches={wanted.arch or "amd64"})
    by_kernel = {offer.kernel: offer for offer in offers}
    return [by_kernel[kernel] for kernel in reversed(select(by_kernel, [wanted]))]


def _readers() -> str:
    """A short hash of the code that decides what is in a dataset."""
    package = Path(ksurf.__file__).parent
    files = [*package.glob("_core*.so"), package / "extract.py", *sorted((package / "dataset").glob("*.py"))]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
