"""What the pages ask: the dataset as it is now, and what is kept open between two requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TypeVar

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.store import RefusedKernel, Store
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.errors import InputError, NoSuchKernelError
from ksurf.kernel import Kernel
from ksurf.paths import cache_dir
from ksurf.report.catalog import Catalog
from ksurf.selector import Selector, select
from ksurf.series import Groups, default_baseline, group
from ksurf.source.browse import Browser
from ksurf.source.files import is_plain_path
from ksurf.web.addresses import LiveAddresses, source_path
from ksurf.web.drawings import Drawings
from ksurf.web.kept import Kept
from ksurf.web.pairs import Pairs
from ksurf.web.source_code import PART_LINES

__all__ = ["Explorer", "Settings", "Snapshot", "chosen", "state_of"]

_CHECK_SECONDS = 1.0
"""How long the dataset is taken to be what it was: it may change while a server runs."""

_KEPT_BYTES = 24 << 20
"""Pages of source that were made, compressed."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told when it starts."""

    dataset: Path
    baseline: str | None = None
    cache: Path | None = None
    """Where what is made for quick answers is kept; the usual cache folder if it is not said."""
    uploads: bool = True
    """Whether files can be checked."""
    hosts: tuple[str, ...] = ()
    """The names by which the server may be asked; any if there are none."""


@dataclass(frozen=True)
class Snapshot:
    """The kernels of a dataset at one moment."""

    store: Store
    manifests: tuple[Manifest, ...]
    refused: tuple[RefusedKernel, ...]
    baseline: Kernel | None
    """``None`` only if there are no kernels."""

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """In version order."""
        return tuple(manifest.kernel for manifest in self.manifests)

    @cached_property
    def places(self) -> tuple[tuple[Kernel, Path], ...]:
        """Each with the folder of its tables."""
        return tuple((kernel, self.store.directory(kernel.id)) for kernel in self.kernels)

    @cached_property
    def by_id(self) -> dict[str, Kernel]:
        """The kernels by their ids."""
        return {kernel.id: kernel for kernel in self.kernels}

    @cached_property
    def groups(self) -> Groups:
        """The kernels around the baseline."""
        if self.baseline is None:
            raise NoSuchKernelError(f"the dataset {self.store.path} has no kernels", "ksurf pull, ksurf add")
        return group(self.kernels, self.baseline)

    @cached_property
    def labels(self) -> dict[Kernel, str]:
        """A short name for each kernel that tells it from all others: ``6.12 amd64 cloud``."""
        short = {kernel: _label(kernel) for kernel in self.kernels}
        uses = list(short.values())
        return {
            kernel: label if uses.count(label) == 1 else f"{kernel.release} {kernel.arch}"
            for kernel, label in short.items()
        }

    def kernel(self, text: str) -> Kernel:
        """The kernel that an id or a selector means; raises ``KsurfError`` if there is none."""
        if text in self.by_id:
            return self.by_id[text]
        return max(select(self.kernels, [Selector.parse(text)]))


@dataclass(slots=True)
class _Opened:
    """A browser, the state of the trees that it has seen, and how many threads ask it now."""

    browser: Browser
    state: object
    users: int = 0


def _label(kernel: Kernel) -> str:
    flavor = "" if kernel.flavor in {"generic", kernel.arch} else f" {kernel.flavor}"
    return f"{kernel.base_version} {kernel.arch}{flavor}"


class Explorer:
    """One dataset, open. It may be used by several threads at once."""

    def __init__(self, settings: Settings) -> None:
        """Name the dataset; it is read when something is asked."""
        self.settings = settings
        self.store = Store(settings.dataset)
        self.unpacked = Unpacked(settings.dataset, settings.cache)
        self.drawings = Drawings(settings.dataset, (settings.cache or cache_dir()) / "drawings")
        self._lock = Lock()
        self._snapshot: Snapshot | None = None
        self._state: object = None
        self._checked = 0.0
        self.pairs = Pairs(settings.dataset, (settings.cache or cache_dir()) / "compare")
        self._catalog: tuple[Snapshot | None, Catalog | None, float] = None, None, 0.0
        self._sources: object = None
        self._sources_checked = 0.0
        self._opened = _Opened(Browser(settings.dataset), None)
        self.kept = Kept(_KEPT_BYTES, (settings.cache or cache_dir()) / "source")

    def snapshot(self) -> Snapshot:
        """The dataset as it is now, or was a second ago."""
        with self._lock:
            now = time.monotonic()
            if self._snapshot is None or now - self._checked >= _CHECK_SECONDS:
                state = state_of(self.settings.dataset)
                if self._snapshot is None or state != self._state:
                    self._snapshot = self._load()
                    self._state = state
                self._checked = now
            return self._snapshot

    def _load(self) -> Snapshot:
        manifests, refused = self.store.load()
        kernels = [manifest.kernel for manifest in manifests]
        baseline = None
        if kernels:
            wanted = self.settings.baseline
            baseline = (
                default_baseline(kernels)
                if wanted is None
                else max(select(kernels, [Selector.parse(wanted)]))
            )
        return Snapshot(self.store, tuple(manifests), tuple(refused), baseline)

    def catalog(self) -> Catalog | None:
        """The names of all symbols; ``None`` while it is being made."""
        snapshot = self.snapshot()
        with self._lock:
            known, catalog, asked = self._catalog
            now = time.monotonic()
            if known is not snapshot or (catalog is None and now - asked >= _CHECK_SECONDS):
                catalog = Catalog.open(self.unpacked, snapshot.places) if snapshot.kernels else None
                self._catalog = snapshot, catalog, now
            return catalog

    def sources(self) -> object:
        """What changes when a tree comes or goes, is indexed, or has a kernel prepared; a second old at
        most."""
        with self._lock:
            now = time.monotonic()
            if self._sources is None or now - self._sources_checked >= _CHECK_SECONDS:
                self._sources = _sources_now(self.settings.dataset)
                self._sources_checked = now
            return self._sources

    def stamp(self) -> object:
        """What is another one after the kernels or the trees have changed."""
        self.snapshot()
        return self._state, self.sources()

    def browse(self, ask: Callable[[Browser], T]) -> T:
        """Ask the source browser, which several threads may do at once; what it has opened is kept until the
        trees are others."""
        state = self.sources()
        with self._lock:
            before = self._opened
            if before.state != state:
                self._opened = _Opened(Browser(self.settings.dataset), state)
            opened = self._opened
            opened.users += 1
        if opened is not before:
            self._left(before)
        try:
            return ask(opened.browser)
        finally:
            with self._lock:
                opened.users -= 1
            self._left(opened)

    def _left(self, opened: _Opened) -> None:
        """Close a browser that nobody uses any more."""
        with self._lock:
            is_over = opened is not self._opened and opened.users == 0
        if is_over:
            opened.browser.close()

    def source_links(self, kernel: Kernel) -> Callable[[str | None, int | None], str | None]:
        """What gives the address of a place in a kernel's source, as its debug information names it.

        There is none without a tree, and for files that are not in it.
        """
        fitting = self.browse(lambda browser: browser.trees.fitting(kernel))
        tree = None if fitting is None else fitting.tree

        def at(file: str | None, line: int | None = None) -> str | None:
            if tree is None or file is None or not is_plain_path(file) or not (tree.root / file).is_file():
                return None
            # A line far down may be in another part of the page.
            far = str(line) if line and line > PART_LINES else ""
            query = {"kernel": kernel.id, "line": far}
            return LiveAddresses().to(source_path(tree.id, file), query, f"L{line}" if line else "")

        return at

    def close(self) -> None:
        """End what runs beside this process."""
        self.pairs.close()
        self._opened.browser.close()


def _sources_now(dataset: Path) -> object:
    try:
        return tuple(
            sorted(
                (str(path), path.stat().st_mtime_ns)
                for pattern in ("*/manifest.json", "*/names", "*/units/*/kernel.json")
                for path in (dataset / "sources").glob(pattern)
            )
        )
    except OSError:
        return ()


def state_of(dataset: Path) -> object:
    """What changes when a kernel of a dataset comes, goes or is replaced."""
    kernels = dataset / "kernels"
    try:
        return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in kernels.iterdir()))
    except OSError:
        return ()


def chosen(snapshot: Snapshot, text: str | None, among: Sequence[Kernel]) -> Kernel:
    """The kernel that a query names, else the baseline if it is among these, else the newest of them."""
    if text:
        kernel = snapshot.kernel(text)
        if kernel not in among:
            raise InputError(f"{kernel.id} does not have it")
        return kernel
    baseline = snapshot.baseline
    return baseline if baseline is not None and baseline in among else max(among)
