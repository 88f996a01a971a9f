"""The dataset on disk: kernels come whole or not at all, whatever happens to the process that makes them.

A kernel is written below ``tmp/``, forced to disk, and renamed to ``kernels/kernel=<id>/``. A reader sees
only the latter. What a killed writer left below ``tmp/`` goes with the next one, which knows it by its lock.
Definitions that no other kernel has go the same way into the pool (:mod:`ksurf.dataset.pool`), before the
kernel itself and under one lock, so that a kernel that can be seen has all of its definitions.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import ksurf
from ksurf.dataset.lock import FileLock
from ksurf.dataset.manifest import ImageCounts, Manifest, Segment, TableSize, UnreadableImage
from ksurf.dataset.marks import marks_of
from ksurf.dataset.pool import SEGMENTS, look_up, needed_segments, write_segment
from ksurf.dataset.schema import FORMAT_VERSION, POOLED, TABLES
from ksurf.dataset.workspace import cannot_write, sync, workspace
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel

__all__ = ["MANIFEST", "RefusedKernel", "Store"]

MANIFEST = "manifest.json"
_PREFIX = "kernel="


@dataclass(frozen=True, slots=True)
class RefusedKernel:
    """A kernel on disk that this version of ksurf does not use."""

    id: str
    path: Path
    reason: str
    outdated: bool = False
    """An older version made it: writing it again takes its place."""


class Store:
    """The dataset at one path. Opening it touches nothing; the folder is made by the first write."""

    def __init__(self, path: Path) -> None:
        """Name the dataset."""
        self.path = path

    def directory(self, kernel_id: str) -> Path:
        """Where the kernel of that id lies, or would lie."""
        return self.path / "kernels" / f"{_PREFIX}{kernel_id}"

    def has(self, kernel_id: str) -> bool:
        """Tell if the kernel is there, whether or not this version can use it."""
        return (self.directory(kernel_id) / MANIFEST).is_file()

    @contextmanager
    def locked(self, kernel_id: str, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep other processes from making or removing the kernel; wait for one that does.

        ``on_wait`` is called before waiting. The lock falls with the process, however it ends.
        """
        lock = FileLock(self.path / "locks" / f"{kernel_id}.lock")
        try:
            lock.acquire(on_wait=on_wait)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        with lock:
            yield

    def kernels(self) -> list[Manifest]:
        """The kernels that can be used, in version order."""
        return self.load()[0]

    def refused(self) -> list[RefusedKernel]:
        """The kernels that cannot be used, and why: made by another version of ksurf, or damaged."""
        return self.load()[1]

    def load(self) -> tuple[list[Manifest], list[RefusedKernel]]:
        """Both of these, from one look at the folder."""
        found = [self._load(directory) for directory in self._directories()]
        usable = [kernel for kernel in found if isinstance(kernel, Manifest)]
        usable.sort(key=lambda manifest: manifest.kernel)
        return _counted_once(usable), [kernel for kernel in found if isinstance(kernel, RefusedKernel)]

    def write(
        self,
        kernel: Kernel,
        tables: Mapping[str, Any],
        *,
        source: Mapping[str, Any],
        unreadable: Iterable[tuple[str, str, str]] = (),
        incomplete: Iterable[tuple[str, str, str]] = (),
        banner: str | None = None,
    ) -> Manifest:
        """Put a kernel into the dataset, whole or not at all.

        ``tables`` maps the names of :data:`~ksurf.dataset.schema.TABLES` to objects with
        ``__arrow_c_stream__``; ``unreadable`` and ``incomplete`` list image, path and reason. Raises
        :class:`~ksurf.errors.DatasetError` if the kernel is there already or cannot be written.
        """
        from ksurf.dataset.parquet import read_streams

        try:
            data = read_streams(tables)
            with workspace(self.path, kernel.id) as folder:
                sizes = _write_tables(data, folder)
                for file in folder.iterdir():
                    sync(file)
                with self._pool_locked(), self._pooled(kernel.id, data) as segments:
                    manifest = Manifest(
                        kernel=kernel,
                        source=source,
                        tables=sizes,
                        segments=segments,
                        images=_count_images(data),
                        unreadable=tuple(UnreadableImage(*image) for image in unreadable),
                        incomplete=tuple(UnreadableImage(*image) for image in incomplete),
                        banner=banner,
                        marks=marks_of(data, kernel.arch),
                        created=datetime.now(UTC).replace(microsecond=0),
                        tool_version=ksurf.__version__,
                        format_version=FORMAT_VERSION,
                    )
                    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
                    sync(folder / MANIFEST)
                    sync(folder)
                    self._set_aside_outdated(kernel.id)
                    self._publish(folder, self.directory(kernel.id))
        except OSError as error:
            raise cannot_write(self.path, error) from error
        return manifest

    def remove(self, kernel_id: str) -> None:
        """Take a kernel out of the dataset, and the segments of the pool that only it needed.

        Raises :class:`~ksurf.errors.DatasetError` if it is not there.
        """
        directory = self.directory(kernel_id)
        if not directory.is_dir():
            raise DatasetError(f"{self.path}: there is no kernel {kernel_id}")
        try:
            with self.locked(kernel_id), workspace(self.path, kernel_id) as folder:
                # Renamed first: a half-removed kernel must not be seen.
                directory.rename(folder / "removed")
                sync(directory.parent)
            self._drop_segments()
        except OSError as error:
            raise cannot_write(self.path, error) from error

    @contextmanager
    def _pooled(self, kernel_id: str, data: Mapping[str, Any]) -> Iterator[tuple[Segment, ...]]:
        """Bring a kernel's definitions into the pool, and take them back if the rest of it fails."""
        pool = self.path / SEGMENTS
        known = look_up(pool, data["definitions"]["key"])
        segments = [Segment(name, _byte_size(pool / name), own=False) for name in known.segments]
        if not len(known.new):
            yield tuple(segments)
            return
        with workspace(self.path, f"{kernel_id}.{SEGMENTS}") as folder:
            size = write_segment(data["definitions"], data["members"], known.new, folder)
            for file in folder.iterdir():
                sync(file)
            sync(folder)
            place = next(path for path in _places(pool / kernel_id) if not path.exists())
            self._publish(folder, place)
            try:
                yield (*segments, Segment(place.name, size, own=True))
            except BaseException:
                place.rename(folder)
                raise

    def _drop_segments(self) -> None:
        """Remove the segments that no kernel needs, unless a kernel is there of which that cannot be told."""
        pool = self.path / SEGMENTS
        with self._pool_locked(), workspace(self.path, SEGMENTS) as folder:
            needed = set()
            for directory in self._directories():
                try:
                    needed.update(needed_segments((directory / MANIFEST).read_bytes()))
                except FileNotFoundError:
                    if directory.exists():
                        return
                except ValueError:
                    return
            for segment in sorted(pool.iterdir()) if pool.is_dir() else ():
                if segment.name not in needed:
                    segment.rename(folder / segment.name)
                    sync(pool)

    @contextmanager
    def _pool_locked(self) -> Iterator[None]:
        """Keep others from publishing kernels and from removing segments; taken after a kernel's lock."""
        with FileLock(self.path / "locks" / f"{SEGMENTS}.lock"):
            yield

    def _directories(self) -> list[Path]:
        try:
            return sorted(p for p in (self.path / "kernels").iterdir() if p.name.startswith(_PREFIX))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DatasetError(f"{error.filename}: {error.strerror}") from error

    def _load(self, directory: Path) -> Manifest | RefusedKernel | None:
        path = directory / MANIFEST
        kernel_id = directory.name.removeprefix(_PREFIX)
        try:
            document = json.loads(path.read_bytes())
            version = document["format_version"]
            if version != FORMAT_VERSION:
                maker = "a newer ksurf" if version > FORMAT_VERSION else "an older ksurf"
                reason = f"made by {maker} ({document.get('tool_version')}), in format {version}"
                reason = f"{reason}; this one reads {FORMAT_VERSION}"
                return RefusedKernel(kernel_id, directory, reason, outdated=version < FORMAT_VERSION)
            manifest = Manifest.from_json(document)
            if manifest.kernel.id != kernel_id:
                raise ValueError(f"it describes {manifest.kernel.id}")
        except FileNotFoundError:
            if not directory.exists():  # removed meanwhile
                return None
            return RefusedKernel(kernel_id, directory, f"it has no {MANIFEST}")
        except OSError as error:
            return RefusedKernel(kernel_id, directory, f"{MANIFEST}: {error.strerror}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return RefusedKernel(kernel_id, directory, f"{MANIFEST} is damaged: {error}")
        return manifest

    def _set_aside_outdated(self, kernel_id: str) -> None:
        """Make room for a kernel that an older version of ksurf made, and that none can read any more."""
        directory = self.directory(kernel_id)
        found = self._load(directory) if directory.exists() else None
        if isinstance(found, RefusedKernel) and found.outdated:
            with workspace(self.path, kernel_id) as folder:
                directory.rename(folder / "outdated")

    def _publish(self, workspace: Path, directory: Path) -> None:
        directory.parent.mkdir(exist_ok=True)
        try:
            workspace.rename(directory)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                kernel_id = directory.name.removeprefix(_PREFIX)
                hint = f"ksurf rm {kernel_id} removes it"
                raise DatasetError(f"{kernel_id} is in the dataset {self.path} already", hint) from error
            raise
        sync(directory.parent)


def _places(path: Path) -> Iterator[Path]:
    """Names for a segment: the kernel that brings it may have been here before."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.name}.{number}")


def _byte_size(segment: Path) -> int:
    return sum((segment / f"{table}.parquet").stat().st_size for table in POOLED)


def _counted_once(manifests: list[Manifest]) -> list[Manifest]:
    """Let each segment count for one kernel, also when the one that brought it is gone."""
    counted = {segment.name for m in manifests for segment in m.segments if segment.own}
    result = []
    for manifest in manifests:
        orphans = {segment.name for segment in manifest.segments} - counted
        if orphans:
            counted |= orphans
            segments = tuple(replace(s, own=s.own or s.name in orphans) for s in manifest.segments)
            manifest = replace(manifest, segments=segments)
        result.append(manifest)
    return result


def _write_tables(data: Mapping[str, Any], directory: Path) -> dict[str, TableSize]:
    """Write all tables that are the kernel's own at once, the largest first."""
    from concurrent.futures import ThreadPoolExecutor

    from ksurf.dataset.parquet import write_table

    own = [table for table in TABLES.values() if table.name not in POOLED]
    largest_first = sorted(own, key=lambda table: -data[table.name].nbytes)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        files = {table.name: directory / f"{table.name}.parquet" for table in largest_first}
        for written in [pool.submit(write_table, data[t.name], t, files[t.name]) for t in largest_first]:
            written.result()
    return {
        name: TableSize(data[name].num_rows, files[name].stat().st_size if name in files else 0)
        for name in TABLES
    }


def _count_images(data: Mapping[str, Any]) -> tuple[ImageCounts, ...]:
    counts = {}
    for table in ("units", "instances", "symbols"):
        pairs = data[table]["image"].value_counts()
        counts[table] = dict(zip(*(column.to_pylist() for column in pairs.flatten()), strict=True))
    images = data["images"]
    return tuple(
        ImageCounts(name, evidence, *(counts[table].get(image, 0) for table in counts))
        for image, name, evidence in zip(
            *(images[column].to_pylist() for column in ("id", "name", "evidence")), strict=True
        )
    )
