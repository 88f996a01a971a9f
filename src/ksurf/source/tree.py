"""Source trees of the dataset: where they lie, what they are, and which one belongs to a kernel.

A tree is ``<dataset>/sources/<id>/``, with ``manifest.json``, the files (``tree/``) unless a folder is used
in its place, the index of names (``names/``), and what was found out about each kernel
(``units/<kernel id>/``). It comes whole or not at all, as kernels do (:mod:`ksurf.dataset.store`); what is
made of it later is added to it, each thing whole or not at all.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ksurf
from ksurf.dataset.lock import FileLock
from ksurf.dataset.workspace import cannot_write, sync, workspace
from ksurf.errors import DatasetError, InputError
from ksurf.kernel import Kernel, extends, file_safe, stable_step, upstream_version, version_key
from ksurf.selector import Selector

__all__ = ["FILES", "FittingTree", "Prepared", "RefusedTree", "SourceTree", "Trees", "usual_id"]

FORMAT_VERSION = 1
FILES = "tree"
"""The folder of a tree's files, in a workspace that is to become one."""
_MANIFEST = "manifest.json"
_PREPARED = "kernel.json"
_UNITS = "units.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel whose units are known, and whose configuration they were found with."""

    kernel: Kernel
    config: str
    """Where the configuration came from, for a person."""
    units: int


@dataclass(frozen=True, slots=True)
class SourceTree:
    """A kernel's source, of any configuration."""

    id: str
    distro: str
    """Whose source it is; ``custom`` if nobody ships it."""
    package: str | None
    """``linux-source-7.3``; ``None`` if it came from no package."""
    version: str | None
    """The package's version; ``None`` if it came from no package."""
    upstream: str
    """The kernel's full version, ``7.3.4``, as the tree's Makefile says."""
    base_version: str
    """``7.3``."""
    origin: Mapping[str, Any]
    """``kind``: ``package``, ``tarball`` or ``folder``; ``file``, ``sha256`` and ``url``, or ``path``."""
    files: int | None
    """How many there are; ``None`` of a folder that is used in place."""
    byte_size: int | None
    """Of all files together, in bytes."""
    created: datetime
    path: Path
    """Its folder in the dataset."""

    @property
    def root(self) -> Path:
        """The folder with the plain files."""
        return Path(self.origin["path"]) if self.in_place else self.path / FILES

    @property
    def in_place(self) -> bool:
        """The files are the user's own folder, which may change."""
        return bool(self.origin.get("in_place"))

    @property
    def is_trusted(self) -> bool:
        """Its Makefiles may be run: it was verified from an archive's signature down to the file."""
        return bool(self.origin.get("verified"))

    @property
    def names(self) -> Path:
        """The folder of the index of names, whether or not it is there."""
        return self.path / "names"

    @property
    def semantic(self) -> Path:
        """The folder of what the semantic layer keeps, whether or not it is there."""
        return self.path / "semantic"

    def units_folder(self, kernel: Kernel | str) -> Path:
        """The folder of what is known of a kernel's units, whether or not it is there."""
        return self.path / "units" / (kernel if isinstance(kernel, str) else kernel.id)

    def is_prepared(self, kernel: Kernel | str) -> bool:
        """Tell if the kernel's units are known."""
        return (self.units_folder(kernel) / _UNITS).is_file()

    def prepared(self) -> list[Prepared]:
        """The kernels whose units are known, in version order."""
        found = []
        for path in self.path.glob(f"units/*/{_PREPARED}"):
            if (path.parent / _UNITS).is_file():
                try:
                    found.append(_prepared(json.loads(path.read_bytes())))
                except (OSError, ValueError, KeyError, TypeError):
                    continue  # another version wrote it; it is prepared anew where it is asked for
        return sorted(found, key=lambda one: one.kernel)

    def note_prepared(self, prepared: Prepared) -> None:
        """Write down whose the units in a kernel's folder are, after they are there."""
        document = {**asdict(prepared), "tool_version": ksurf.__version__}
        self._write(self.units_folder(prepared.kernel) / _PREPARED, document)

    @contextmanager
    def locked(self, part: str, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep other processes from making the same part of it: ``names``, or a kernel's id."""
        name = f"source.{self.id}.{part}.lock"
        with _locked(self.path.parent.parent, name, on_wait):
            yield

    def _write(self, path: Path, document: Mapping[str, Any]) -> None:
        try:
            with workspace(self.path.parent.parent, f"source.{self.id}") as folder:
                whole = folder / path.name
                whole.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
                sync(whole)
                whole.replace(path)
                sync(path.parent)
        except OSError as error:
            raise cannot_write(self.path, error, "it") from error


@dataclass(frozen=True, slots=True)
class FittingTree:
    """The tree for a kernel; ``note`` says what differs, if it is not the source that the kernel was made
    of."""

    tree: SourceTree
    note: str | None


@dataclass(frozen=True, slots=True)
class RefusedTree:
    """A tree on disk that this version of ksurf does not use."""

    id: str
    path: Path
    reason: str


class Trees:
    """The source trees of a dataset. Opening it touches nothing."""

    def __init__(self, dataset: Path) -> None:
        """Name the dataset."""
        self.dataset = dataset

    def directory(self, tree_id: str) -> Path:
        """Where the tree of that id lies, or would lie."""
        return self.dataset / "sources" / tree_id

    def all(self) -> list[SourceTree]:
        """The trees that can be used, in version order."""
        return self.load()[0]

    def load(self) -> tuple[list[SourceTree], list[RefusedTree]]:
        """The trees that can be used, and those that cannot, with the reason."""
        try:
            folders = sorted((self.dataset / "sources").iterdir())
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise DatasetError(f"{error.filename}: {error.strerror}") from error
        found = [_load(folder) for folder in folders]
        trees = [tree for tree in found if isinstance(tree, SourceTree)]
        trees.sort(key=_order)
        return trees, [tree for tree in found if isinstance(tree, RefusedTree)]

    def find(self, tree_id: str) -> SourceTree | None:
        """The tree of that id, if it is there; one that cannot be used is an error."""
        match _load(self.directory(tree_id)):
            case RefusedTree(reason=reason):
                hint = f"ksurf source rm {tree_id} removes it; then it can be made anew"
                raise DatasetError(f"{tree_id}: {reason}", hint)
            case tree:
                return tree

    def matching(self, text: str) -> list[SourceTree]:
        """The trees that a text means, in version order: an id, or a selector, of which the version and the
        distribution count.

        Raises ``InputError`` if there is none.
        """
        trees = self.all()
        if exact := [tree for tree in trees if tree.id == text]:
            return exact
        selector = Selector.parse(text)
        if found := [tree for tree in trees if _is_meant(tree, selector)]:
            return found
        there = ", ".join(tree.id for tree in trees)
        if there:
            raise InputError(f"no source tree matches {text!r}", f"there are: {there}")
        raise _none(self.dataset)

    def named(self, text: str) -> SourceTree:
        """The tree of that id, or the newest that a selector means."""
        return self.matching(text)[-1]

    def fitting(self, kernel: Kernel) -> FittingTree | None:
        """The tree of the source that a kernel was made of, else the nearest of its base version."""
        of_base = [tree for tree in self.all() if tree.base_version == kernel.base_version]
        if not of_base:
            return None
        own = [tree for tree in of_base if (tree.distro, tree.version) == (kernel.distro, kernel.version)]
        if own and kernel.version is not None:
            return FittingTree(own[-1], None)
        near = min(reversed(of_base), key=lambda tree: _distance(tree, kernel))
        ours, theirs = near.version or near.upstream, kernel.version or kernel.upstream
        note = f"the source is {ours} of {near.distro}, the kernel {kernel.release} is {theirs}"
        return FittingTree(near, note)

    def for_kernel(self, kernel: Kernel) -> FittingTree:
        """The same, and ``InputError`` with what to do where there is none."""
        found = self.fitting(kernel)
        if found is None:
            hint = f"ksurf source pull debian:{kernel.base_version} fetches one; ksurf source add takes yours"
            raise InputError(f"there is no source tree of {kernel.base_version} in {self.dataset}", hint)
        return found

    @contextmanager
    def locked(self, tree_id: str, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Keep other processes from making or removing the tree; wait for one that does."""
        with _locked(self.dataset, f"source.{tree_id}.lock", on_wait):
            yield

    @contextmanager
    def workspace(self, name: str) -> Iterator[Path]:
        """A folder in which a tree can be made, in its folder :data:`FILES`."""
        try:
            with workspace(self.dataset, f"source.{name}") as folder:
                yield folder
        except OSError as error:
            raise cannot_write(self.dataset, error, "the source") from error

    def publish(
        self,
        folder: Path,
        tree_id: str,
        *,
        distro: str,
        package: str | None = None,
        version: str | None = None,
        upstream: str,
        origin: Mapping[str, Any],
        files: int | None,
        byte_size: int | None,
    ) -> SourceTree:
        """Make a workspace with a tree's files the tree of that id.

        Raises ``DatasetError`` if there is one.
        """
        directory = self.directory(tree_id)
        base_version = ".".join(upstream.split("-")[0].split(".")[:2])
        tree = SourceTree(
            id=tree_id,
            distro=distro,
            package=package,
            version=version,
            upstream=upstream,
            base_version=base_version,
            origin=origin,
            files=files,
            byte_size=byte_size,
            created=datetime.now(UTC).replace(microsecond=0),
            path=directory,
        )
        document = {"format_version": FORMAT_VERSION, "tool_version": ksurf.__version__, **asdict(tree)}
        del document["path"]
        document["created"] = tree.created.isoformat()
        try:
            text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
            (folder / _MANIFEST).write_text(text, encoding="utf-8")
            # One by one, a hundred thousand files would take minutes.
            os.sync()
            directory.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(directory)
            sync(directory.parent)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                hint = f"ksurf source rm {tree_id} removes it; --name gives this one another name"
                raise DatasetError(f"{tree_id} is in the dataset {self.dataset} already", hint) from error
            raise cannot_write(self.dataset, error, "the source") from error
        return tree

    def remove(self, tree_id: str) -> None:
        """Take a tree out of the dataset, with all that was made of it; a folder used in place stays."""
        directory = self.directory(tree_id)
        if not directory.is_dir():
            raise DatasetError(f"{self.dataset}: there is no source tree {tree_id}")
        with self.locked(tree_id), self.workspace(tree_id) as folder:
            # Renamed first: a half-removed tree must not be seen.
            directory.rename(folder / "removed")
            sync(directory.parent)


def usual_id(distro: str, version: str) -> str:
    """Return a tree's id, where it is not named otherwise."""
    return f"{file_safe(distro)}_{file_safe(version)}"


@contextmanager
def _locked(dataset: Path, name: str, on_wait: Callable[[], None] | None) -> Iterator[None]:
    lock = FileLock(dataset / "locks" / name)
    try:
        lock.acquire(on_wait=on_wait)
    except OSError as error:
        raise cannot_write(dataset, error, "a lock") from error
    with lock:
        yield


def _load(folder: Path) -> SourceTree | RefusedTree | None:
    try:
        document = json.loads((folder / _MANIFEST).read_bytes())
        version = document.pop("format_version")
        tool = document.pop("tool_version")
        if version != FORMAT_VERSION:
            maker = "a newer ksurf" if version > FORMAT_VERSION else "an older ksurf"
            reason = f"made by {maker} ({tool}), in format {version}; this one reads {FORMAT_VERSION}"
            return RefusedTree(folder.name, folder, reason)
        document["created"] = datetime.fromisoformat(document["created"])
        tree = SourceTree(**document, path=folder)
        if tree.id != folder.name:
            return RefusedTree(folder.name, folder, f"{_MANIFEST} is damaged: it describes {tree.id}")
    except FileNotFoundError:
        return RefusedTree(folder.name, folder, f"it has no {_MANIFEST}") if folder.exists() else None
    except OSError as error:
        return RefusedTree(folder.name, folder, f"{_MANIFEST}: {error.strerror}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return RefusedTree(folder.name, folder, f"{_MANIFEST} is damaged: {error}")
    if tree.in_place and not tree.root.is_dir():
        return RefusedTree(tree.id, folder, f"the folder {tree.root} is gone")
    return tree


def _prepared(document: dict[str, Any]) -> Prepared:
    return Prepared(Kernel(**document["kernel"]), str(document["config"]), int(document["units"]))


def _order(tree: SourceTree) -> tuple[object, ...]:
    return version_key(tree.base_version), version_key(tree.version or tree.upstream), tree.distro, tree.id


def _is_meant(tree: SourceTree, selector: Selector) -> bool:
    if selector.distro not in {None, tree.distro}:
        return False
    asked = selector.version
    if asked is None or not selector.words:
        # A package's version, an exact release or a kernel's id, whose parts are joined by "_".
        parts = selector.name.split("_")
        if tree.version in parts:
            return True
        versions = [version for part in parts if (version := upstream_version(part))]
        if not versions:
            return selector.distro is not None
        asked = versions[-1]
    return any(extends(own, asked) for own in (tree.base_version, tree.upstream))


def _distance(tree: SourceTree, kernel: Kernel) -> tuple[int, bool]:
    """How far a tree of a kernel's base version is from it, in steps of the stable series."""
    ours, theirs = stable_step(tree.upstream), stable_step(kernel.upstream)
    return abs(ours - theirs), tree.distro != kernel.distro


def _none(dataset: Path) -> InputError:
    hint = "ksurf source pull debian:7.3 fetches one; ksurf source add takes yours"
    return InputError(f"there are no source trees in {dataset}", hint)
