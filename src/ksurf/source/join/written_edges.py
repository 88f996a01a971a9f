"""Who calls a function, and whom it calls, as far as names in the text tell: where no kernel can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ksurf.errors import InputError
from ksurf.source.files import read_file
from ksurf.source.join.edges import Edge, EdgeKind
from ksurf.source.names import Definition, FileNames, NamesIndex
from ksurf.source.place import Place

__all__ = ["written_callees", "written_callers"]

_REFERENCES = 2000
"""Lines that are looked at; a name on more lines is no function that anybody wants all callers of."""
_WORDS = {
    *("if", "while", "for", "switch", "return", "sizeof", "typeof", "__typeof__", "alignof", "_Alignof"),
    *("defined", "__attribute__", "asm", "__asm__", "else", "do", "case"),
}


def written_callers(name: str, index: NamesIndex, root: Path) -> tuple[Edge, ...]:
    """The functions in whose text the name stands before a parenthesis."""
    by_file: dict[str, set[int]] = {}
    for reference in index.references(name, _REFERENCES).listed:
        by_file.setdefault(reference.file, set()).add(reference.line)
    found: dict[tuple[str, str], Edge] = {}
    for file, lines in by_file.items():
        for place, around in _calls(file, index, root):
            if place.name == name and place.line in lines and around.name != name:
                edge = Edge(around.name, EdgeKind.WRITTEN, (), Place(file, place.line), ())
                found.setdefault((around.name, file), edge)
    return tuple(found.values())


def written_callees(name: str, index: NamesIndex, root: Path) -> tuple[Edge, ...]:
    """The names that stand before a parenthesis in the function's text; macros are among them."""
    found: dict[str, Edge] = {}
    defined = [one for one in index.definitions(name, ("function", "syscall")) if not one.is_declaration]
    for file in dict.fromkeys(one.place.file for one in defined):
        for called, around in _calls(file, index, root):
            if around.name == name and called.name != name:
                edge = Edge(called.name, EdgeKind.WRITTEN, (), Place(file, called.line, called.column), ())
                found.setdefault(called.name, edge)
    return tuple(found.values())


class _Called:
    """A name before a parenthesis."""

    __slots__ = ("column", "line", "name")

    def __init__(self, name: str, line: int, column: int) -> None:
        self.name, self.line, self.column = name, line, column


def _calls(file: str, index: NamesIndex, root: Path) -> Iterable[tuple[_Called, Definition]]:
    """The names before a parenthesis in a file's functions, and the function around each."""
    try:
        names, content = index.file(file), read_file(root, file)
    except InputError:
        return  # gone since the index was made
    lines = content.split(b"\n")
    around = _functions(names)
    for one in names.identifiers:
        function = around.get(one.line)
        if function is None or one.name in _WORDS or one.line > len(lines):
            continue
        after = lines[one.line - 1][one.column - 1 + len(one.name.encode()) :].lstrip()
        if after.startswith(b"(") and (one.line, one.name) != (function.place.line, function.name):
            yield _Called(one.name, one.line, one.column), function


def _functions(names: FileNames) -> Mapping[int, Definition]:
    """The function around each line that has one."""
    found: dict[int, Definition] = {}
    for one in names.definitions:
        if one.kind in {"function", "syscall"} and not one.is_declaration:
            found.update(dict.fromkeys(range(one.start_line, one.end_line + 1), one))
    return found
