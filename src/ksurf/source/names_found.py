"""What the names layer finds, with the text of the lines, and which of the files a kernel compiles."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache

from ksurf.errors import KsurfError
from ksurf.source.browse import Browser, View, arches_of
from ksurf.source.compose import signature, split_lines
from ksurf.source.files import read_file
from ksurf.source.names import Definition, NamesIndex

__all__ = [
    "FoundDefinition",
    "FoundLine",
    "FoundLines",
    "found_definitions",
    "found_matches",
    "found_references",
]

_ALL = 2**32 - 1
_BESIDE = ("Documentation/", "samples/", "scripts/", "tools/")
"""What is no part of a kernel."""


@dataclass(frozen=True, slots=True)
class FoundDefinition:
    """A definition, its source up to the body, and whether a unit of the kernel is made of its file."""

    definition: Definition
    signature: str
    is_compiled: bool | None
    """``None`` of headers, and where no kernel is prepared."""


@dataclass(frozen=True, slots=True)
class FoundLine:
    """One line of a file."""

    file: str
    line: int
    column: int | None
    """Of the first match, from 1 in bytes; ``None`` if it is not known."""
    text: str | None
    """``None`` if the file is not what it was when it was indexed."""


@dataclass(frozen=True, slots=True)
class FoundLines:
    """The first lines that were found; ``total`` is ``None`` if nobody counted further."""

    lines: tuple[FoundLine, ...]
    total: int | None
    is_complete: bool


def found_definitions(
    browser: Browser, view: View, index: NamesIndex, name: str, kinds: Collection[str]
) -> list[FoundDefinition]:
    """Return where a name is defined or declared.

    Definitions come first, in them those of the kernel proper, and of its architecture.
    """
    text_of = _texts(view)
    found = []
    for definition in index.definitions(name, kinds):
        place = definition.place
        lines = text_of(place.file)
        is_compiled = None
        if view.kernel is not None and not place.file.endswith(".h"):
            is_compiled = browser.compiles(view.tree, view.kernel, place.file)
        found.append(
            FoundDefinition(
                definition, signature(lines, name, definition.kind, definition.start_line), is_compiled
            )
        )

    def rank(one: FoundDefinition) -> tuple[bool, bool, bool]:
        file = one.definition.place.file
        arches = arches_of(file)
        is_foreign = bool(view.kernel and file.startswith("arch/") and view.kernel.arch not in arches)
        return one.definition.is_declaration, file.startswith(_BESIDE), is_foreign

    return sorted(found, key=rank)


def found_references(view: View, index: NamesIndex, name: str, limit: int) -> FoundLines:
    """Return the lines that mention a name; ``limit`` 0 is all."""
    text_of = _texts(view)
    found = index.references(name, limit or _ALL)
    lines = []
    for reference in found.listed:
        texts = text_of(reference.file)
        text = texts[reference.line - 1] if reference.line <= len(texts) else None
        lines.append(FoundLine(reference.file, reference.line, None, text))
    return FoundLines(tuple(lines), found.total, len(lines) == found.total)


def found_matches(index: NamesIndex, pattern: str, glob: str | None, limit: int) -> FoundLines:
    """Return the lines that a regular expression matches; ``limit`` 0 is all."""
    found = index.search(pattern, path_glob=glob, limit=limit or _ALL)
    lines = tuple(
        FoundLine(match.place.file, match.place.line, match.place.column, match.text)
        for match in found.listed
    )
    return FoundLines(lines, len(lines) if found.is_complete else None, found.is_complete)


def _texts(view: View) -> Callable[[str], list[str]]:
    """What gives the lines of a file; those in a row are mostly of the same one."""

    @lru_cache(maxsize=4)
    def lines(file: str) -> list[str]:
        try:
            content = read_file(view.tree.root, file)
        except KsurfError:
            # It went away since it was indexed; its place is still worth something.
            return []
        return [line.decode("utf-8", "replace") for line in split_lines(content)]

    return lines
