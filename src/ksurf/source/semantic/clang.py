"""One unit, read by clang's front end: the parse itself, files and places, and what it says against the
code."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import byref, c_char_p, c_uint, c_void_p
from pathlib import Path

from ksurf.atomic import replacing
from ksurf.errors import KsurfError
from ksurf.source.place import Place
from ksurf.source.semantic.kinds import CXDiagnostic_Error, CXDiagnostic_Fatal
from ksurf.source.semantic.libclang import CXSourceLocation, InclusionVisitor, library, text
from ksurf.source.semantic.model import Diagnostic
from ksurf.source.units import COMPILER_HEADERS, Unit, Units, write_whole

__all__ = ["NOT_INCLUDED", "PRECOMPILED", "ParseError", "Parsed", "arguments_of", "confine", "parse", "save"]

# What clang would otherwise do for a person: warnings, a limit on errors, colours.
_ALWAYS = ("-w", "-ferror-limit=0", "-fno-color-diagnostics", "-fno-spell-checking")
# Words of newer compilers that this one does not know, and what stands for them: types stay what they are.
_UNKNOWN_WORDS = ("-D__typeof_unqual__=__typeof__",)

CXTranslationUnit_DetailedPreprocessingRecord = 0x01
CXTranslationUnit_Incomplete = 0x02
CXTranslationUnit_ForSerialization = 0x10
CXTranslationUnit_KeepGoing = 0x200
_ERRORS = {1: "clang failed", 2: "clang crashed", 3: "clang does not take the arguments", 4: "clang failed"}
# Assembly is for the machine that gcc compiles for; what is wrong with it changes no name and no type.
_ABOUT_ASSEMBLY = re.compile(r"(?:constraint .* in asm|register name .* in asm|in inline asm)")
_MAX_DIAGNOSTICS = 50
NOT_INCLUDED = "the unit does not include the file"
PRECOMPILED = "precompiled"
"""The folder of precompiled headers, beside the table of units."""


class ParseError(KsurfError):
    """Clang gave nothing back for a unit."""


def arguments_of(
    units: Units, unit: Unit, precompiled: Path | None = None, *, forced: bool = True
) -> list[str]:
    """Return what clang is told of a unit. A precompiled header has what all units of a group force in."""
    shared = list(unit.group.arguments)
    if precompiled is not None or not forced:
        shared = without_forced(shared)
    arguments = [f"--target={units.target}", *_ALWAYS, *_UNKNOWN_WORDS, *units.expanded(shared)]
    arguments += units.expanded(unit.own_arguments)
    return arguments if precompiled is None else [*arguments, "-include-pch", str(precompiled)]


def without_forced(arguments: Sequence[str]) -> list[str]:
    """Leave out ``-include FILE``."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "-include":
            next(words, None)
        else:
            kept.append(word)
    return kept


def confine(units: Units) -> list[str]:
    """Return the arguments by which clang sees tree, prepared folder and the compiler's headers, and
    nothing else.

    A source that includes ``/etc/passwd`` or ``/dev/zero`` then finds no such file.
    """
    folders = (units.tree, units.build, COMPILER_HEADERS, units.folder / PRECOMPILED)
    roots = [
        {"name": str(folder), "type": "directory-remap", "external-contents": str(folder)}
        for folder in folders
    ]
    overlay = {"version": 0, "case-sensitive": True, "redirecting-with": "redirect-only", "roots": roots}
    content = json.dumps(overlay, indent=1).encode()
    path = units.folder / "overlay.json"
    if not path.is_file() or path.read_bytes() != content:
        write_whole(path, content)
    return ["-ivfsoverlay", str(path)]


@contextmanager
def parse(units: Units, path: Path, arguments: Sequence[str], *, to_save: bool = False) -> Iterator[Parsed]:
    """Read one unit. Raises ``ParseError`` where clang gives nothing back."""
    clang = library()
    options = CXTranslationUnit_DetailedPreprocessingRecord | CXTranslationUnit_KeepGoing
    if to_save:
        options |= CXTranslationUnit_Incomplete | CXTranslationUnit_ForSerialization
    arguments = [*confine(units), *arguments]
    words = [b"clang", *(os.fsencode(argument) for argument in arguments)]
    index = clang.clang_createIndex(1, 0)
    unit = c_void_p()
    try:
        status = clang.clang_parseTranslationUnit2FullArgv(
            index,
            os.fsencode(path),
            (c_char_p * len(words))(*words),
            len(words),
            None,
            0,
            options,
            byref(unit),
        )
        if status or not unit:
            raise ParseError(_ERRORS.get(status, f"clang failed ({status})"))
        yield Parsed(unit, units)
    finally:
        if unit:
            clang.clang_disposeTranslationUnit(unit)
        clang.clang_disposeIndex(index)


def save(parsed: Parsed, path: Path) -> None:
    """Write a precompiled header, whole or not at all; raises ``ParseError`` where that fails."""
    with replacing(path) as beside:
        if library().clang_saveTranslationUnit(parsed.handle, os.fsencode(beside), 0):
            raise ParseError("the precompiled header cannot be written")


class Parsed:
    """A parsed unit. What lies outside of tree and prepared folder has no place."""

    def __init__(self, handle: c_void_p, units: Units) -> None:
        """Take over a unit of libclang."""
        self.handle = handle
        self._clang = library()
        self._roots = [
            (os.path.realpath(root), generated)
            for root, generated in ((units.tree, False), (units.build, True))
        ]
        self._roots.sort(key=lambda pair: -len(pair[0]))
        self._spelled = [(str(units.tree), False), (str(units.build), True)]
        self._spelled.sort(key=lambda pair: -len(pair[0]))
        self._files: dict[int | None, tuple[str, bool] | None] = {}
        self._names: dict[int, str] = {}

    def file_handle(self, path: Path) -> int | None:
        """Return clang's handle of a file that the unit read; ``None`` if it did not."""
        handle: int | None = self._clang.clang_getFile(self.handle, os.fsencode(path))
        return handle

    def file(self, handle: int | None) -> tuple[str, bool] | None:
        """Return a file's name and whether it is generated; ``None`` for one outside."""
        if handle not in self._files:
            self._files[handle] = None if handle is None else self._located(handle)
        return self._files[handle]

    def _located(self, handle: int) -> tuple[str, bool] | None:
        name = os.path.normpath(text(self._clang.clang_getFileName(handle)))
        # A link may lead out of the tree, whatever the name says.
        real = os.path.realpath(name)
        if not any(real.startswith(root + "/") for root, _ in self._roots):
            return None
        for root, generated in self._spelled:
            if name.startswith(root + "/"):
                return name[len(root) + 1 :], generated
        return None

    def position(self, location: CXSourceLocation) -> tuple[int | None, int, int, int]:
        """Return file, line, column and offset of a location; where a macro wrote it, of the macro's name."""
        file, line, column, offset = c_void_p(), c_uint(), c_uint(), c_uint()
        self._clang.clang_getFileLocation(location, byref(file), byref(line), byref(column), byref(offset))
        return file.value, line.value, column.value, offset.value

    def place(self, location: CXSourceLocation) -> Place | None:
        """Return the place of a location."""
        handle, line, column, _ = self.position(location)
        file = self.file(handle)
        return None if file is None else Place(file[0], line, column, file[1])

    def inputs(self) -> list[str]:
        """Return the names of all files that were read, the unit's own first."""
        found: dict[int, None] = {}

        def add(file: int, _stack: object, _depth: int, _data: object) -> None:
            found.setdefault(file)

        visitor = InclusionVisitor(add)
        self._clang.clang_getInclusions(self.handle, visitor, None)
        return [os.path.normpath(text(self._clang.clang_getFileName(file))) for file in found]

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return the errors, the first of them."""
        clang = self._clang
        found: list[Diagnostic] = []
        for at in range(clang.clang_getNumDiagnostics(self.handle)):
            handle = clang.clang_getDiagnostic(self.handle, at)
            try:
                severity = clang.clang_getDiagnosticSeverity(handle)
                if severity < CXDiagnostic_Error:
                    continue
                location = clang.clang_getDiagnosticLocation(handle)
                message = text(clang.clang_getDiagnosticSpelling(handle))
                if _ABOUT_ASSEMBLY.search(message):
                    continue
                place = self.place(location)
                if place is None and self.position(location)[0] is not None:
                    # What stands in foreign files is nobody's business.
                    message = "an error in a file that is neither in the tree nor in the prepared folder"
                name = "fatal" if severity == CXDiagnostic_Fatal else "error"
                found.append(Diagnostic(place, name, message))
            finally:
                clang.clang_disposeDiagnostic(handle)
            if len(found) == _MAX_DIAGNOSTICS:
                break
        return tuple(found)
