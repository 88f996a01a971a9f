"""A stand-in for the Rust part: what it extracts is what a test says."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ksurf.dataset.manifest import Manifest, TableSize, UnreadableImage
from ksurf.dataset.rows import Marks
from ksurf.dataset.schema import FORMAT_VERSION, TABLES
from ksurf.dataset.store import RefusedKernel
from ksurf.kernel import Kernel


class ReadError(Exception):
    pass


@dataclass
class Extraction:
    release: str | None = None
    machine: str | None = None
    config: bytes | None = None
    banner: str | None = None
    unreadable: list[tuple[str, str, str]] = field(default_factory=list)
    incomplete: list[tuple[str, str, str]] = field(default_factory=list)
    tables: dict[str, object] = field(default_factory=dict)


class Progress:
    bytes_done = 1
    bytes_total = 2
    images_done = 3
    stage = "reading"

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()


class FakeCore(ModuleType):
    """Install with :meth:`install`; ``calls`` are those of the extracting functions."""

    def __init__(self) -> None:
        super().__init__("ksurf._core")
        self.Progress = Progress
        self.ReadError = ReadError
        self.calls: list[tuple[Any, ...]] = []
        self.control = ""
        self.members: dict[str, bytes] = {}
        self.extract: Callable[[Progress], Extraction] = lambda progress: Extraction()

    @classmethod
    def install(cls, monkeypatch: pytest.MonkeyPatch) -> "FakeCore":
        """Take the place of the real one for a test."""
        import ksurf

        core = cls()
        monkeypatch.setitem(sys.modules, "ksurf._core", core)
        monkeypatch.setattr(ksurf, "_core", core, raising=False)
        return core

    def deb_control(self, path: str) -> str:
        if not self.control:
            raise ReadError(f"{path}: not a package")
        return self.control

    def deb_member(self, path: str, names: list[str]) -> bytes | None:
        return next((self.members[name] for name in names if name in self.members), None)

    def decompress(self, data: bytes) -> bytes:
        if data.startswith(b"damaged"):
            raise ReadError("corrupt: xz stream")
        return data

    def extract_package(self, path: str, *, threads: int, progress: Progress) -> Extraction:
        self.calls.append(("package", Path(path).name, threads))
        return self.extract(progress)

    def extract_files(
        self, vmlinux: str, modules: list[str], *, threads: int, progress: Progress
    ) -> Extraction:
        self.calls.append(("files", Path(vmlinux).name, [Path(path).name for path in modules], threads))
        return self.extract(progress)

    def extract_host(self) -> Extraction:
        self.calls.append(("host",))
        return self.extract(Progress())


class FakeStore:
    """A dataset in memory; ``events`` are what was done to it, in order."""

    kernels: dict[str, dict[str, object]]

    def __init__(self, path: Path | None = None) -> None:
        self.kernels = {}
        self.configs: dict[str, dict[str, str]] = {}
        self.events: list[str] = []
        self.unusable: list[RefusedKernel] = []
        self.while_waiting: Callable[[], None] = lambda: None

    def has(self, kernel_id: str) -> bool:
        return kernel_id in self.kernels

    def refused(self) -> list[RefusedKernel]:
        return self.unusable

    @contextmanager
    def locked(self, kernel_id: str, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        self.events.append(f"lock {kernel_id}")
        self.while_waiting()
        try:
            yield
        finally:
            self.events.append(f"unlock {kernel_id}")

    def write(
        self,
        kernel: Kernel,
        tables: Mapping[str, Any],
        *,
        source: Mapping[str, object],
        unreadable: list[tuple[str, str, str]],
        incomplete: list[tuple[str, str, str]],
        banner: str | None,
    ) -> Manifest:
        from datetime import UTC, datetime

        self.events.append(f"write {kernel.id}")
        self.kernels[kernel.id] = dict(source)
        self.configs[kernel.id] = {row["name"]: row["value"] for row in tables["config"].to_pylist()}
        return Manifest(
            kernel=kernel,
            source=source,
            tables={name: TableSize(1234, 1_000_000) for name in TABLES},
            segments=(),
            images=(),
            unreadable=tuple(UnreadableImage(*image) for image in unreadable),
            incomplete=tuple(UnreadableImage(*image) for image in incomplete),
            banner=banner,
            marks=Marks({}, frozenset(), btf=False),
            created=datetime.now(UTC),
            tool_version="0",
            format_version=FORMAT_VERSION,
        )
