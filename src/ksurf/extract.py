"""One acquired kernel into the dataset: the Rust part makes its tables, in a thread that can be stopped."""

import hashlib
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ksurf.acquire.config import Config, Options, embedded_config, read_config
from ksurf.acquire.local import control_identity
from ksurf.acquire.source import UNKNOWN, FilesSource, HostSource, Identity, PackageSource, Source
from ksurf.errors import DatasetError, InputError, KsurfError
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, Task, watched

if TYPE_CHECKING:
    import pyarrow as pa

    from ksurf._core import Extraction
    from ksurf.dataset.manifest import Manifest
    from ksurf.dataset.store import Store

__all__ = ["Built", "build", "config_table", "identify", "is_present"]


@dataclass(frozen=True)
class Built:
    """A kernel that is in the dataset now; ``manifest`` is ``None`` if it was there before."""

    kernel: Kernel
    manifest: "Manifest | None"
    seconds: float


def build(
    source: Source,
    store: "Store",
    *,
    reporter: Reporter,
    named: Identity = UNKNOWN,
    threads: int = 0,
) -> Built:
    """Read a kernel and put it into the dataset, unless it is there.

    ``named`` wins over what the source tells of itself. Interrupted, it stops the reading, leaves the dataset
    as it was and raises ``KeyboardInterrupt``.
    """
    started = time.monotonic()
    identity = named.over(identify(source))
    with ExitStack() as locks:
        expected = _kernel(identity)
        if expected is not None:
            if is_present(store, expected):
                return Built(expected, None, 0.0)
            locks.enter_context(_locked(store, expected, reporter))
            if is_present(store, expected):  # thanks to the process that was waited for
                return Built(expected, None, time.monotonic() - started)
        config = _config(source, identity, reporter)
        extraction = _extract(source, threads, reporter)
        config = config or _embedded(extraction, source, reporter)
        kernel = _found(source, named, identity, extraction, reporter).kernel()
        if expected is None or kernel.id != expected.id:
            # Never two locks at once: another process might want them the other way round.
            locks.close()
            locks.enter_context(_locked(store, kernel, reporter))
            if is_present(store, kernel):
                return Built(kernel, None, time.monotonic() - started)
        manifest = store.write(
            kernel,
            {**extraction.tables, "config": config_table(config.options if config else [])},
            source={**_facts(source), "config": config.facts if config else None},
            unreadable=extraction.unreadable,
            incomplete=extraction.incomplete,
            banner=extraction.banner,
        )
    return Built(kernel, manifest, time.monotonic() - started)


def is_present(store: "Store", kernel: Kernel) -> bool:
    """Tell if a kernel is in the dataset; one that is there but cannot be used is an error.

    One that an older version made counts as missing, since writing it again takes its place.
    """
    if not store.has(kernel.id):
        return False
    for refused in store.refused():
        if refused.id == kernel.id:
            if refused.outdated:
                return False
            raise DatasetError(f"{kernel.id}: {refused.reason}", f"ksurf rm {kernel.id} removes it")
    return True


def _locked(store: "Store", kernel: Kernel, reporter: Reporter) -> AbstractContextManager[None]:
    return store.locked(
        kernel.id, on_wait=lambda: reporter.warn(f"waiting for another ksurf that is at {kernel.id}")
    )


def identify(source: Source) -> Identity:
    """Return what a source tells of its kernel before it is read."""
    if not isinstance(source, PackageSource) or source.identity.release:
        return source.identity
    from ksurf import _core

    try:
        control = _core.deb_control(str(source.path))
    except _core.ReadError as error:
        raise InputError(str(error)) from error
    return control_identity(control, source.name)


def config_table(options: Options) -> "pa.Table":
    """Return the dataset's table of a kernel's configuration."""
    import pyarrow as pa

    names, values = zip(*sorted(options), strict=True) if options else ((), ())
    fields = [pa.field("name", pa.string(), nullable=False), pa.field("value", pa.string(), nullable=False)]
    return pa.table([pa.array(names, pa.string()), pa.array(values, pa.string())], schema=pa.schema(fields))


def _config(source: Source, identity: Identity, reporter: Reporter) -> Config | None:
    if source.config is None:
        return None
    try:
        return read_config(source.config, identity.release)
    except InputError as error:
        if source.config.is_named:
            raise
        reporter.warn(f"{source.name}: its configuration is left out: {error.message}")
        return None


def _embedded(extraction: "Extraction", source: Source, reporter: Reporter) -> Config | None:
    if extraction.config is None:
        return None
    try:
        return embedded_config(extraction.config, source.name)
    except InputError as error:
        reporter.warn(f"it is left out: {error.message}")
        return None


def _kernel(identity: Identity) -> Kernel | None:
    try:
        return identity.kernel()
    except InputError:
        return None


def _found(
    source: Source, named: Identity, identity: Identity, extraction: "Extraction", reporter: Reporter
) -> Identity:
    """What the kernel is, now that it has been read: of loose files, they themselves know best."""
    inside = Identity(release=extraction.release, arch=extraction.machine)
    if isinstance(source, FilesSource):
        return named.over(inside).over(identity)
    if named.release is None and inside.release not in {None, identity.release}:
        reporter.warn(f"{source.name}: its name says {identity.release}, the kernel in it {inside.release}")
    return identity.over(inside)


def _extract(source: Source, threads: int, reporter: Reporter) -> "Extraction":
    from ksurf import _core

    progress = _core.Progress()

    def read() -> "Extraction":
        match source:
            case PackageSource():
                return _core.extract_package(str(source.path), threads=threads, progress=progress)
            case FilesSource():
                modules = [str(path) for path in source.modules]
                return _core.extract_files(str(source.vmlinux), modules, threads=threads, progress=progress)
            case HostSource():
                return _core.extract_host()

    def show(task: Task) -> None:
        stage = progress.stage
        label = f"{stage} ({progress.images_done} images)" if progress.images_done else stage
        task.update(progress.bytes_done, progress.bytes_total or None, label)

    try:
        return watched(f"Reading {source.name}", read, reporter, show=show, cancel=progress.cancel)
    except _core.ReadError as error:
        damaged = "the file is damaged or incomplete: fetch it again"
        raise InputError(str(error), damaged if isinstance(source, PackageSource) else None) from error
    except OSError as error:
        raise KsurfError(f"{error.filename or source.name}: {error.strerror or error}") from error


def _facts(source: Source) -> dict[str, object]:
    match source:
        case PackageSource():
            sha256 = source.sha256
            if sha256 is None:
                with source.path.open("rb") as file:
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            facts: dict[str, object] = {
                "kind": "package",
                "file": source.name,
                "byte_size": source.path.stat().st_size,
                "sha256": sha256,
            }
            return {**facts, "url": source.url} if source.url else facts
        case FilesSource():
            return {"kind": "files", "file": str(source.vmlinux.resolve()), "modules": len(source.modules)}
        case HostSource():
            return {"kind": "host"}
