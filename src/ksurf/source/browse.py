"""From what a person names to a page: the tree, the kernel whose configuration is shown, the file, the layer.

A :class:`Browser` keeps what it has opened, so that a second page costs little more than its own lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from ksurf.errors import InputError, NoSuchKernelError
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, Silent
from ksurf.recent import Recent
from ksurf.selector import Selector
from ksurf.series import default_baseline
from ksurf.source.compose import names_page, semantic_page
from ksurf.source.files import file_named, files_below, is_plain_path, read_file, shown_name
from ksurf.source.flags import KBUILD_ARCH
from ksurf.source.highlight import is_c
from ksurf.source.page import Layer, Page, PageLayer
from ksurf.source.place import Place
from ksurf.source.semantic.model import SemanticFile
from ksurf.source.tree import SourceTree, Trees
from ksurf.source.units import Units

if TYPE_CHECKING:
    from ksurf.dataset.lookup import Kept
    from ksurf.source.join.dispatch import Dispatch
    from ksurf.source.join.known_dispatch import KnownDispatch
    from ksurf.source.names import NamesIndex
    from ksurf.source.semantic.layer import Semantics

__all__ = ["Browser", "View", "arches_of"]

_LISTED = 4
_KEPT_LINES = 50_000
"""Of pages; each takes some 700 bytes."""

_KEPT_COLUMNS = {
    "call_sites": {"caller", "callee"},
    "instances": {"function", "image", "unit", "inlined", "out_of_line"},
    "units": {"path"},
}
"""Of kernels' tables: what every page goes through whole."""


@dataclass(frozen=True, slots=True)
class View:
    """A tree, as one kernel compiled it."""

    tree: SourceTree
    kernel: Kernel | None
    """The kernel whose units are known; ``None`` if there is none that fits."""
    notes: tuple[str, ...] = ()
    missing: str | None = None
    """Why there is no kernel."""
    remedy: str | None = None
    """What to do about that."""


class _Missing(NamedTuple):
    """Why a page has no semantic layer."""

    reason: str
    remedy: str | None


class Browser:
    """Opens pages of the trees of one dataset. Close it, or use it in a ``with``.

    Threads may share it; a unit that is not yet read is read for one of them at a time.
    """

    def __init__(self, dataset: Path, reporter: Reporter | None = None) -> None:
        """Name the dataset; nothing is read yet."""
        self.dataset = dataset
        self.trees = Trees(dataset)
        self._reporter = reporter or Silent()
        self._turn = RLock()
        self._semantics: dict[tuple[str, str], Semantics] = {}
        self._names: dict[str, NamesIndex] = {}
        self._tables: dict[tuple[str, str], bytes] = {}
        self._dispatch: dict[tuple[str, str], KnownDispatch] = {}
        self._kept: Kept | None = None
        self._stamps: dict[Path, tuple[int, int] | None] = {}
        self._pages: Recent[tuple[object, Page]] = Recent(_KEPT_LINES)

    def __enter__(self) -> Browser:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the processes that read units."""
        while self._semantics:
            self._semantics.popitem()[1].close()

    # ---- which tree, which kernel

    def view(self, selector: str | None = None, file: str | None = None) -> View:
        """Choose tree and kernel: what the selector means, or the newest tree.

        Of several kernels one is taken that compiles ``file``, if it is named. A selector means a kernel that
        is prepared; else one of the dataset, whose tree is then shown without the semantic layer; else a
        tree. Raises ``KsurfError`` if it means nothing.
        """
        if selector is None:
            every = self.trees.all()
            if not every:
                hint = "ksurf source pull debian:7.3 fetches one; ksurf source add takes yours"
                raise InputError(f"there are no source trees in {self.dataset}", hint)
            return self._view_of(every[-1], None, file)
        chosen = Selector.parse(selector)
        prepared = {
            one.kernel: tree
            for tree in self.trees.all()
            for one in tree.prepared()
            if chosen.matches(one.kernel)
        }
        if prepared:
            kernel = max(self._compiling(prepared, file))
            return View(prepared[kernel], kernel, self._note(kernel, prepared[kernel]))
        return self._of_dataset(chosen) or self._of_tree(chosen, file)

    def view_of(self, tree: SourceTree, file: str | None = None) -> View:
        """The tree as its usual kernel compiled it; of several, one that compiles ``file``."""
        return self._view_of(tree, None, file)

    def _view_of(self, tree: SourceTree, chosen: Selector | None, file: str | None) -> View:
        prepared = {
            one.kernel: tree for one in tree.prepared() if chosen is None or chosen.matches(one.kernel)
        }
        if prepared:
            kernel = default_baseline(self._compiling(prepared, file))
            return View(tree, kernel, self._note(kernel, tree))
        which = "" if chosen is None else f" that {chosen.text!r} means"
        asked = f"{tree.distro}:{tree.base_version}" if chosen is None else chosen.text
        remedy = f"ksurf source prepare {tree.id} {asked}"
        return View(tree, None, missing=f"no kernel{which} is prepared", remedy=remedy)

    def _of_dataset(self, chosen: Selector) -> View | None:
        from ksurf.dataset.store import Store

        kernels = [found.kernel for found in Store(self.dataset).kernels() if chosen.matches(found.kernel)]
        if not kernels:
            return None
        kernel = max(kernels)
        tree = self.trees.for_kernel(kernel).tree
        missing = f"{kernel.release} ({kernel.arch}) is not prepared"
        return View(
            tree, None, self._note(kernel, tree), missing, f"ksurf source prepare {tree.id} {kernel.id}"
        )

    def _of_tree(self, chosen: Selector, file: str | None) -> View:
        try:
            tree = self.trees.named(chosen.text)
        except InputError as error:
            there = sorted({one.kernel for tree in self.trees.all() for one in tree.prepared()})
            hint = f"prepared are {', '.join(kernel.release for kernel in there)}" if there else error.hint
            raise NoSuchKernelError(f"no kernel and no source tree matches {chosen.text!r}", hint) from None
        return self._view_of(tree, None if tree.id == chosen.text else chosen, file)

    def _note(self, kernel: Kernel, tree: SourceTree) -> tuple[str, ...]:
        fitting = self.trees.fitting(kernel)
        return (fitting.note,) if fitting and fitting.note and fitting.tree == tree else ()

    def _compiling(self, prepared: dict[Kernel, SourceTree], file: str | None) -> list[Kernel]:
        """Those of the kernels that compile a file, or at least may; all if none does."""
        kernels = list(prepared)
        if file is None or len(kernels) == 1:
            return kernels
        arches = arches_of(file)
        kernels = [kernel for kernel in kernels if kernel.arch in arches] or kernels
        return [kernel for kernel in kernels if self.compiles(prepared[kernel], kernel, file)] or kernels

    # ---- which file

    def find(self, tree: SourceTree, name: str) -> str:
        """Return the file of a tree that a person means; raises ``InputError`` with the candidates."""
        return file_named(tree.root, name, lambda: self.files(tree))

    def locate(self, view: View, name: str) -> Place:
        """Return the file that a person means: one of the tree, or, by its path, one that the build made."""
        if view.kernel is not None and not os.path.lexists(view.tree.root / name):
            build = self.units(view.tree, view.kernel).build
            if is_plain_path(name) and (build / name).is_file():
                return Place(name, 1, is_generated=True)
        return Place(self.find(view.tree, name), 1)

    def files(self, tree: SourceTree) -> Iterable[str]:
        """Go through the files of a tree."""
        index = self.names(tree)
        return files_below(tree.root) if index is None else (listed.file for listed in index.files())

    def names(self, tree: SourceTree) -> NamesIndex | None:
        """The index of a tree's names; ``None`` if it has none."""
        with self._turn:
            if tree.id not in self._names:
                if not tree.names.is_dir():
                    return None
                from ksurf.source.names import NamesIndex

                self._names[tree.id] = NamesIndex.open(tree.names, tree.root)
            return self._names[tree.id]

    def units(self, tree: SourceTree, kernel: Kernel) -> Units:
        """The units of a kernel that is prepared."""
        return self.semantics(tree, kernel).units

    def semantics(self, tree: SourceTree, kernel: Kernel) -> Semantics:
        """The semantic layer of a kernel that is prepared."""
        key = tree.id, kernel.id
        with self._turn:
            if key not in self._semantics:
                from ksurf.source.semantic.layer import Semantics

                units = Units.load(tree.root, tree.units_folder(kernel))
                self._semantics[key] = Semantics(units, tree.semantic)
            return self._semantics[key]

    def dispatch(self, view: View) -> Dispatch | None:
        """Calls through fields, as far as units of the view's kernel were read; ``None`` without a kernel."""
        if view.kernel is None:
            return None
        key = view.tree.id, view.kernel.id
        with self._turn:
            if key not in self._dispatch:
                from ksurf.source.join.known_dispatch import KnownDispatch

                self._dispatch[key] = KnownDispatch(self.units(view.tree, view.kernel), view.tree.semantic)
            known = self._dispatch[key]
        return known.current()

    def compiles(self, tree: SourceTree, kernel: Kernel, file: str) -> bool:
        """Tell if a unit of the kernel, which is prepared, is made of the file.

        The table is only searched for the name: taking it apart would take twenty times as long, and there is
        one for each kernel.
        """
        key = tree.id, kernel.id
        if key not in self._tables:
            try:
                self._tables[key] = (tree.units_folder(kernel) / "units.json").read_bytes()
            except OSError:
                self._tables[key] = b""
        return f"[{json.dumps(file)},".encode() in self._tables[key]

    # ---- the page

    def page(
        self,
        view: View,
        file: str,
        kernels: Sequence[tuple[Kernel, Path]] = (),
        *,
        is_generated: bool = False,
    ) -> Page:
        """Make the page of a file, in the best layer that there is; a unit that is not yet read is read.

        ``kernels`` of the dataset, with the folders of their tables, say what they made of it.
        ``is_generated``: the file is in the kernel's prepared folder, not in the tree.
        """
        tree = view.tree
        if is_generated and view.kernel is not None:
            content = read_file(self.units(tree, view.kernel).build, file)
            notes: tuple[str, ...] = (*view.notes, f"made by the build of {view.kernel.release}")
        else:
            content = read_file(tree.root, file)
            notes = (*view.notes, *self._compiled_by(tree, file))
        seen = self._semantic(view, file, is_generated)
        known = seen if isinstance(seen, SemanticFile) else None
        page = self._composed(view, file, content, seen, notes, is_generated)
        if kernels:
            page = self._with_facts(view, page, known, kernels)
        # The name of a file may be no UTF-8; nothing that prints it could write it.
        return page if page.file.isprintable() else replace(page, file=shown_name(page.file))

    def _composed(
        self,
        view: View,
        file: str,
        content: bytes,
        seen: SemanticFile | _Missing,
        notes: tuple[str, ...],
        is_generated: bool,
    ) -> Page:
        """The page without what kernels made of it: that of before, if all that it is made of is the same."""
        tree, kernel = view.tree, view.kernel
        index, layer = None, None
        if not isinstance(seen, SemanticFile):
            index, layer = self._layer(tree, file, seen, is_generated)
        made_of = content, notes, seen, index, layer
        key = tree.id, kernel, file, is_generated
        kept = self._pages.get(key)
        if kept is not None and kept[0] == made_of:
            return kept[1]
        if isinstance(seen, SemanticFile):
            page = semantic_page(content, seen, tree=tree.id, kernel=kernel, notes=notes)
        else:
            assert layer is not None
            names = None if index is None else index.file(file)
            page = names_page(content, file, names, layer, tree=tree.id, kernel=kernel, notes=notes)
        self._pages.put(key, (made_of, page), page.line_count)
        return page

    def _with_facts(
        self,
        view: View,
        page: Page,
        seen: SemanticFile | None,
        kernels: Sequence[tuple[Kernel, Path]],
    ) -> Page:
        """The page with what kernels made of it."""
        tree, dispatch = view.tree, self.dispatch(view) if seen is not None else None
        fitting = {kernel: self.trees.fitting(kernel) for kernel, _ in kernels}
        own = [kernel for kernel, fits in fitting.items() if fits and fits.tree == tree and not fits.note]
        tables = self._kept_tables([path for _, path in kernels])
        made_of = page, dispatch, own, tables
        key = tree.id, view.kernel, page.file, tuple(kernels)
        kept = self._pages.get(key)
        if kept is not None and kept[0] == made_of:
            return kept[1]
        from ksurf.dataset.lookup import reading_once
        from ksurf.source.join import page_facts

        functions = [found.name for found in page.definitions if found.kind in {"function", "syscall"}]
        with reading_once(tables):
            facts = page_facts(page.file, kernels, own=own, seen=seen, functions=functions, dispatch=dispatch)
        found = replace(page, facts=facts)
        self._pages.put(key, (made_of, found), page.line_count)
        return found

    def _kept_tables(self, directories: Sequence[Path]) -> Kept:
        """What was read of kernels' tables, as long as all of these kernels are what they were."""
        with self._turn:
            stamps = {path: _stamp(path) for path in directories}
            if self._kept is None or any(self._stamps.get(p, now) != now for p, now in stamps.items()):
                from ksurf.dataset.lookup import Kept

                self._kept, self._stamps = Kept(_KEPT_COLUMNS), {}
            self._stamps |= stamps
            return self._kept

    def _layer(
        self, tree: SourceTree, file: str, missing: _Missing, is_generated: bool
    ) -> tuple[NamesIndex | None, PageLayer]:
        """Which index has a file's names, and what is to be said of the layer."""
        reason, remedy = missing
        if not is_c(file) or is_generated:
            return None, PageLayer(Layer.TEXT, reason=reason, remedy=remedy)
        index = self.names(tree)
        if index is not None:
            return index, PageLayer(Layer.NAMES, reason=reason, remedy=remedy)
        index_it = f"ksurf source index {tree.id}"
        return None, PageLayer(
            Layer.TEXT,
            reason=f"{reason}; the tree's names are not indexed",
            remedy=f"{remedy}; {index_it}" if remedy else index_it,
        )

    def _compiled_by(self, tree: SourceTree, file: str) -> Iterator[str]:
        """Say which of the kernels that are prepared compile a file, if that tells them apart."""
        if not is_c(file) or file.endswith(".h"):
            return
        arches = sorted(arches_of(file))
        if arches:
            yield f"{file.rpartition('/')[2]} is for {' and '.join(arches)} only"
        kernels = [one.kernel for one in tree.prepared()]
        having = [kernel for kernel in kernels if self.compiles(tree, kernel, file)]
        others = [
            kernel for kernel in kernels if kernel not in having and (not arches or kernel.arch in arches)
        ]
        if having and others:
            yield f"compiled by {_named(having)}, not by {_named(others)}"

    def _semantic(self, view: View, file: str, is_generated: bool) -> SemanticFile | _Missing:
        suffix = PurePosixPath(file).suffix
        if not is_c(file) or suffix in _NO_C:
            return _Missing(_NO_C.get(suffix, "it is no C"), None)
        if view.kernel is None:
            return _Missing(view.missing or "no kernel is prepared", view.remedy)
        semantics = self.semantics(view.tree, view.kernel)
        found = semantics.cached(file, is_generated)
        if found is None:
            units = semantics.candidates(file, is_generated)
            if not units:
                return self._left_out(view.tree, view.kernel, semantics.units, file)
            with self._reporter.task(f"reading {units[0].object}"):
                found = semantics.read(file, is_generated)
        if isinstance(found, SemanticFile):
            return found
        from ksurf.source.semantic.clang import NOT_INCLUDED

        if found.reason == NOT_INCLUDED:
            return _Missing(f"no unit of {view.kernel.release} that was tried includes it", None)
        return _Missing(f"{found.unit} cannot be read: {found.reason}", None)

    def _left_out(self, tree: SourceTree, kernel: Kernel, units: Units, file: str) -> _Missing:
        """Say why no unit of a kernel has a file, and which kernel's has."""
        others = [
            one.kernel
            for one in tree.prepared()
            if one.kernel != kernel and self.compiles(tree, one.kernel, file)
        ]
        remedy = f"{max(others).release} does: --kernel {max(others).release}" if others else None
        arches = arches_of(file)
        if arches and kernel.arch not in arches:
            return _Missing(f"{kernel.release} is for {kernel.arch}", remedy)
        if file.endswith(".h"):
            return _Missing(f"nothing that {kernel.release} compiles includes it", remedy)
        from ksurf.source.left_out import options_set, why_left_out

        options = options_set(units.build / ".config")
        why = why_left_out(tree.root, file, options) if options is not None else None
        return _Missing(f"{kernel.release} does not compile it{f': {why}' if why else ''}", remedy)


_NO_C = {
    suffix: f"it is {what}"
    for what, suffixes in (
        ("assembly, which the front end does not read", (".S", ".s")),
        ("a device tree", (".dts", ".dtsi", ".dtso")),
        ("a linker script", (".lds",)),
        ("written for a generator", (".l", ".y")),
    )
    for suffix in suffixes
}


def arches_of(file: str) -> set[str]:
    """Return the architectures that a file below ``arch/`` is for; none for all other files."""
    parts = file.split("/")
    if len(parts) < 3 or parts[0] != "arch":
        return set()
    return {arch for arch, folder in KBUILD_ARCH.items() if folder == parts[1]}


def _stamp(directory: Path) -> tuple[int, int] | None:
    """What changes when a kernel is replaced."""
    try:
        found = directory.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _named(kernels: list[Kernel]) -> str:
    names = [kernel.release for kernel in sorted(kernels)]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
