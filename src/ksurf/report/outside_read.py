"""From paths that a person names to the report on what these parts of the source need from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.progress import Reporter, Silent
from ksurf.report.find import Kernels
from ksurf.report.outside import depended
from ksurf.report.outside_layout import OutsidePage
from ksurf.series import group
from ksurf.source.browse import Browser, View
from ksurf.source.files import files_below
from ksurf.source.outside import needs
from ksurf.source.semantic.layer import Semantics
from ksurf.source.semantic.model import SemanticFile
from ksurf.source.semantic.sweep import sweep

__all__ = ["outside_page"]


def outside_page(
    opened: Browser,
    selector: str | None,
    paths: Sequence[str],
    kernels: Kernels,
    reporter: Reporter | None = None,
) -> OutsidePage:
    """Read the files and folders as a kernel compiled them, and ask all kernels for what they need.

    ``selector`` means the kernel whose units they are read as; units that were not read yet are read now.
    Raises ``InputError`` where there is no such path, or no kernel is prepared.
    """
    view, roots = _chosen(opened, selector, paths)
    if view.kernel is None:
        raise InputError(f"{view.tree.id}: {view.missing}", view.remedy)
    semantics = opened.semantics(view.tree, view.kernel)
    seen, unread = _read(semantics, view, roots, reporter or Silent())
    own = [kernel for kernel, _ in kernels if _is_own(opened, view, kernel)]
    own.sort(key=lambda kernel: kernel != view.kernel)
    found = depended(needs(seen, roots), kernels, own)
    identities = tuple(kernel for kernel, _ in kernels)
    baseline = view.kernel if view.kernel in identities else max(identities)
    notes = list(view.notes)
    if not own:
        notes.append(
            "no kernel here was built from this source: it is compared with the newest that has each"
        )
    return OutsidePage(
        tuple(roots),
        view.tree.id,
        view.kernel,
        len({file.unit for file in seen}),
        tuple(unread),
        group(identities, baseline),
        identities,
        found,
        tuple(notes),
    )


def _chosen(opened: Browser, selector: str | None, paths: Sequence[str]) -> tuple[View, list[str]]:
    """The tree and the kernel, one that compiles the first file if there is a choice; and the paths in it."""
    view = opened.view(selector)
    roots = [_root(opened, view, path) for path in paths]
    if roots and roots[0].endswith((".c", ".h")):
        view = opened.view(selector, roots[0])
    elif roots and len(PurePosixPath(roots[0]).parts) > 1 and roots[0].startswith("arch/"):
        view = opened.view(selector, next(_files(view, roots[0], ".c"), None))
    return view, roots


def _files(view: View, folder: str, ending: str) -> Iterator[str]:
    """The files below a folder of the tree; none if it is a file itself."""
    prefix = f"{folder}/" if folder else ""
    return (prefix + file for file in files_below(view.tree.root / folder) if file.endswith(ending))


def _root(opened: Browser, view: View, path: str) -> str:
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts:
        raise InputError(f"{path}: paths count from the root of the tree", "ksurf surface virt/kvm")
    name = "" if str(plain) == "." else str(plain)
    folder = view.tree.root / name
    if folder.is_dir() and folder.resolve().is_relative_to(view.tree.root.resolve()):
        return name
    return opened.find(view.tree, name)


def _is_own(opened: Browser, view: View, kernel: Kernel) -> bool:
    fits = opened.trees.fitting(kernel)
    return fits is not None and fits.tree == view.tree and not fits.note


def _read(
    semantics: Semantics, view: View, roots: Sequence[str], reporter: Reporter
) -> tuple[list[SemanticFile], list[str]]:
    """What the semantic layer says of the files of the units, and of the headers that some unit includes."""
    units = semantics.units
    wanted = units.below(roots)
    sweep(units, view.tree.semantic, wanted, reporter)
    files = dict.fromkeys((unit.file, unit.is_generated) for unit in wanted)
    headers = [root for root in roots if root.endswith(".h")]
    headers += [file for root in roots if root not in headers for file in _files(view, root, ".h")]
    seen: list[SemanticFile] = []
    unread: list[str] = []
    files.update(dict.fromkeys((file, False) for file in headers if semantics.candidates(file)))
    with reporter.task("reading what is known", len(files), "files") as task:
        for done, (file, is_generated) in enumerate(files, start=1):
            result = semantics.read(file, is_generated)
            if isinstance(result, SemanticFile):
                seen.append(result)
            else:
                unread.append(f"{result.file}: {result.reason}")
            task.update(done)
    if not files:
        unread.append(f"{units.arch}: this kernel compiles nothing of it")
    return seen, unread
