"""Where a source page is: the tree, the file, whose configuration, and the addresses from there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from urllib.parse import quote

from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.source.browse import Browser, View
from ksurf.source.flags import KBUILD_ARCH
from ksurf.source.place import Place
from ksurf.source.tree import SourceTree
from ksurf.web.addresses import LiveAddresses, source_path
from ksurf.web.explorer import Explorer
from ksurf.web.pages import NotFoundError
from ksurf.web.source_code import PART_LINES, Links, Part
from ksurf.web.source_files import clean_path, list_of

__all__ = [
    "Choice",
    "address_of",
    "choices",
    "line_anchor",
    "lines_asked",
    "links_of",
    "no_file",
    "tree_named",
    "view_of",
]

_TO = LiveAddresses().to
_LINES = re.compile(r"L?(\d{1,9})(?:-L?(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Choice:
    """A tree, or a kernel of it, that a page can be shown as."""

    value: str
    """The id of the kernel or of the tree."""
    text: str
    tree: str


def address_of(tree: str, file: str = "", kernel: str | None = None, line: int | str | None = None) -> str:
    """The address of a place; ``line`` may be a range, ``10-20``.

    It is said in the query, too, which a server can read: it sends on to the part of a long file.
    """
    query = {"kernel": kernel or ""}
    first = str(line).partition("-")[0] if line else ""
    if first and int(first) > PART_LINES:
        query["line"] = str(line)
    return _TO(source_path(tree, file), query, line_anchor(line))


def line_anchor(line: int | str | None) -> str:
    """``L10``, ``L10-L20``."""
    return "-".join(f"L{one}" for one in str(line).split("-")) if line else ""


def tree_named(explorer: Explorer, name: str) -> SourceTree:
    """The tree of that id; raises ``NotFoundError`` with those that are there."""
    trees = _trees(explorer, explorer.sources())
    for tree in trees:
        if tree.id == name:
            return tree
    near = [(tree.id, source_path(tree.id)) for tree in trees]
    hint = None if trees else "ksurf source pull debian:7.3 fetches one; ksurf source add takes yours"
    raise NotFoundError(f"no source tree {name[:100]!r}", near, hint)


@lru_cache(maxsize=4)
def _trees(explorer: Explorer, _state: object) -> list[SourceTree]:
    return explorer.browse(lambda browser: browser.trees.all())


def view_of(browser: Browser, tree: SourceTree, kernel: str | None, file: str | None = None) -> View:
    """The tree as a kernel of it has it; without one as its usual kernel.

    Raises ``KsurfError`` if there is no such kernel, and ``NotFoundError`` if it is one of another tree.
    """
    if not kernel:
        return browser.view_of(tree, file)
    view = browser.view(kernel[:200], file)
    if view.tree.id != tree.id:
        there = address_of(view.tree.id, file or "", kernel)
        raise NotFoundError(
            f"the source of {kernel[:200]} is {view.tree.id}, not {tree.id}", [(view.tree.id, there)]
        )
    return view


def no_file(browser: Browser, tree: SourceTree, file: str, kernel: str | None = None) -> NotFoundError:
    """What is answered where a tree does not have a file: near names, and the nearest folder there is."""
    shown = file if len(file) <= 200 else f"{file[:200]}…"
    path = clean_path(file)
    if path is None:
        return NotFoundError(f"{shown!r} is no file of {tree.id}", [(tree.id, source_path(tree.id))])
    near = [(one, address_of(tree.id, one, kernel)) for one in list_of(browser, tree).near(path)]
    for parent in PurePosixPath(path).parents:
        folder = "" if str(parent) == "." else str(parent)
        if (tree.root / folder).is_dir():
            near.append((f"{folder or tree.id}/", address_of(tree.id, folder, kernel)))
            break
    return NotFoundError(f"{tree.id} has no file {shown}", near)


def links_of(view: View, file: str, kernel: str | None, part: Part) -> Links:
    """Where the names of a part of a file lead; ``kernel`` stays what the page was asked for as."""
    tree = view.tree
    queried: dict[str, str] = {}
    files: dict[str, str] = {}
    names = _TO(source_path(tree.id), {"kernel": kernel or "", "def": "-"})[:-1]

    def to_place(place: Place) -> str:
        if place.file == file and part.first <= place.line <= part.last:
            return f"#L{place.line}"
        if place.file == file or place.line > PART_LINES:
            return address_of(tree.id, place.file, kernel, place.line)
        if place.file not in files:
            files[place.file] = address_of(tree.id, place.file, kernel)
        return f"{files[place.file]}#L{place.line}"

    def to_name(name: str) -> str:
        return f"{names}{quote(name)}"

    def to_include(text: str) -> str | None:
        if text not in queried:
            found = _included(view, file, text)
            queried[text] = address_of(tree.id, found, kernel) if found else ""
        return queried[text] or None

    return Links(to_place, to_name, to_include)


def _included(view: View, file: str, text: str) -> str | None:
    """The file of the tree that an ``#include`` most likely means."""
    name = clean_path(text[1:-1])
    if name is None:
        return None
    own = file.rpartition("/")[0]
    arch = _arch_of(view, file)
    folders = [*([own] if text.startswith('"') else []), "include"]
    folders[-1:-1] = [f"arch/{arch}/include"] if arch else []
    folders += ["include/uapi", *([f"arch/{arch}/include/uapi"] if arch else []), own]
    return next(
        (path for folder in folders if (view.tree.root / (path := f"{folder}/{name}")).is_file()), None
    )


def _arch_of(view: View, file: str) -> str | None:
    if file.startswith("arch/"):
        return file.split("/")[1]
    return KBUILD_ARCH.get(view.kernel.arch) if view.kernel else None


def choices(explorer: Explorer) -> list[Choice]:
    """Every tree and, below it, the kernels that it is the source of: prepared ones, and the dataset's."""
    return _choices(explorer, explorer.stamp())


@lru_cache(maxsize=4)
def _choices(explorer: Explorer, _state: object) -> list[Choice]:
    snapshot = explorer.snapshot()

    def ask(browser: Browser) -> list[tuple[SourceTree, list[Kernel]]]:
        own: dict[str, tuple[SourceTree, dict[str, Kernel]]] = {}
        for tree in browser.trees.all():
            own[tree.id] = tree, {one.kernel.id: one.kernel for one in tree.prepared()}
        for kernel in snapshot.kernels:
            fitting = browser.trees.fitting(kernel)
            if fitting is not None and fitting.tree.id in own:
                own[fitting.tree.id][1].setdefault(kernel.id, kernel)
        return [(tree, sorted(kernels.values())) for tree, kernels in own.values()]

    found = []
    for tree, kernels in explorer.browse(ask):
        found.append(Choice(tree.id, f"{tree.id}, its usual kernel", tree.id))
        for kernel in kernels:
            is_prepared = tree.is_prepared(kernel)
            text = f"{kernel.release} ({kernel.arch}){'' if is_prepared else ', not prepared'}"
            found.append(Choice(kernel.id, text, tree.id))
    return found


def lines_asked(text: str) -> tuple[int, int]:
    """The first and the last line of ``10``, ``10-20`` or ``L10-L20``; raises ``InputError``."""
    found = _LINES.fullmatch(text[:40])
    if found is None or not int(found[1]):
        raise InputError(f"{text[:40]!r} is no line and no range of lines", "?line=10, ?line=10-20")
    first = int(found[1])
    return first, max(first, int(found[2] or first))
