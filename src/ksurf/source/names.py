"""The names layer: what a tree's files define, where each name is mentioned, and what their text says.

It knows no configuration and no compiler: what it says holds for the text, all branches of ``#if`` included.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from ksurf.errors import DatasetError, DiskFullError, InputError, KsurfError, is_full
from ksurf.progress import Reporter, Task, watched
from ksurf.source.place import Place

if TYPE_CHECKING:
    from ksurf._core import NamesReader, _DefinitionRow

__all__ = [
    "KINDS",
    "Completion",
    "Definition",
    "Doc",
    "FileNames",
    "Identifier",
    "Listed",
    "Match",
    "Matches",
    "NamesIndex",
    "Owner",
    "Reference",
    "References",
]

KINDS = (
    "function",
    "struct",
    "union",
    "enum",
    "typedef",
    "member",
    "enumerator",
    "macro",
    "variable",
    "syscall",
    "export",
    "module_info",
    "tracepoint",
    "label",
    "trait",
    "module",
)
"""What kind of thing a name may stand for."""

# A name that is defined in more files is no function that is documented once.
_MOST_LOOKED_AT = 16


class Owner(NamedTuple):
    """What a member or an enumerator belongs to.

    ``name`` is the tag, or that of the typedef or the variable which a type without a tag is part of.
    """

    kind: str
    name: str


class Definition(NamedTuple):
    """A definition of a name, or a declaration of what is defined elsewhere.

    A common name has thousands, and tuples are made in a fifth of the time of dataclasses.

    ``place`` is where the name stands, or the macro's argument that it is made of; ``start_line`` and
    ``end_line`` enclose all of it. ``path`` is how a member is written after its owner where that is not its
    name (``b.a``, of ``struct { int a; } b``), ``via`` the macro that makes it (``SYSCALL_DEFINE3``),
    ``parameters`` those of a function-like macro as they are written.
    """

    name: str
    kind: str
    place: Place
    start_line: int
    end_line: int
    is_static: bool
    is_declaration: bool
    owner: Owner | None = None
    path: str | None = None
    via: str | None = None
    parameters: str | None = None


@dataclass(frozen=True, slots=True)
class Doc:
    """Kernel-doc: ``place`` is where the comment begins.

    ``parameters`` are what follows an ``@``: a function's parameters, a type's members. ``sections`` are the
    paragraphs by their headings (``Return``, ``Context``); plain text is under ``Description``. Of a member
    there is its part of its owner's comment, as ``brief``.
    """

    place: Place
    end_line: int
    brief: str
    parameters: tuple[tuple[str, str], ...] = ()
    sections: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Reference:
    """A line that mentions a name, outside of comments and strings; definitions are among them."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class References:
    """The first lines that mention a name, in the order of files and lines, and how many there are."""

    listed: tuple[Reference, ...]
    total: int


class Identifier(NamedTuple):
    """A name in a file, outside of comments and strings; line and column from 1, the column in bytes."""

    name: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class FileNames:
    """What a file says: its definitions in their order, and every identifier."""

    file: str
    line_count: int
    definitions: tuple[Definition, ...]
    identifiers: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A line that a pattern matches; ``place`` is where the first match on it begins.

    ``text`` is the line, or the part of a very long one around the match.
    """

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """The first lines that match, in the order of files and lines, and whether these are all."""

    listed: tuple[Match, ...]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Completion:
    """A name that goes on from a prefix, with how often it is defined and on how many lines mentioned."""

    name: str
    definitions: int
    references: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the tree; ``line_count`` is ``None`` if it is no text."""

    file: str
    byte_size: int
    line_count: int | None


class NamesIndex:
    """The index of a tree's names and text.

    It describes the files as they were when it was made; :meth:`file` and :meth:`search` read them as they
    are.
    """

    def __init__(self, reader: "NamesReader") -> None:
        """Use :meth:`open`."""
        self._reader = reader

    @staticmethod
    def build(
        tree: Path, target: Path, *, threads: int = 0, reporter: Reporter, name: str | None = None
    ) -> None:
        """Make the index of ``tree`` in the folder ``target``, which takes the place of one that is there.

        ``threads`` 0 means one per core; ``name`` is the tree's for a person, by default its folder's.
        Interrupted, it leaves nothing and raises ``KeyboardInterrupt``.
        """
        from ksurf import _core

        progress = _core.NamesProgress()

        def run() -> None:
            _core.build_names(str(tree), str(target), threads=threads, progress=progress)

        def show(task: Task) -> None:
            label = f"{progress.stage} ({progress.files_done} files)"
            task.update(progress.bytes_done, progress.bytes_total or None, label)

        try:
            watched(f"Indexing {name or tree.name}", run, reporter, show=show, cancel=progress.cancel)
        except _core.ReadError as error:
            raise InputError(str(error)) from error
        except OSError as error:
            message = error.strerror or str(error)
            if is_full(error):
                raise DiskFullError(message) from error
            raise KsurfError(message) from error

    @classmethod
    def open(cls, folder: Path, tree: Path | None = None) -> Self:
        """Open the index in a folder; ``tree`` is where its files are now, if they were moved without it."""
        from ksurf import _core

        try:
            return cls(_core.NamesReader(str(folder), None if tree is None else str(tree)))
        except (_core.ReadError, OSError) as error:
            raise _broken(error) from error

    @property
    def tree(self) -> Path:
        """The folder of the tree."""
        return Path(self._reader.tree)

    def check(self) -> None:
        """Read all of the index, and raise ``DatasetError`` if it is not what was written."""
        from ksurf import _core

        try:
            self._reader.check()
        except _core.ReadError as error:
            raise _broken(error) from error

    def files(self) -> list[Listed]:
        """Return all files, in the order of their paths."""
        from ksurf import _core

        try:
            rows = self._reader.files()
        except _core.ReadError as error:
            raise _broken(error) from error
        return [Listed(file, size, lines if is_text else None) for file, size, lines, is_text in rows]

    def definitions(self, name: str, kinds: Collection[str] = ()) -> list[Definition]:
        """Return where a name is defined or declared, in the order of files and lines."""
        from ksurf import _core

        try:
            rows = self._reader.definitions(name)
        except _core.ReadError as error:
            raise _broken(error) from error
        return [definition for definition in map(_definition, rows) if not kinds or definition.kind in kinds]

    def references(self, name: str, limit: int = 1000) -> References:
        """Return the first lines that mention a name."""
        from ksurf import _core

        try:
            rows, total = self._reader.references(name, limit)
        except _core.ReadError as error:
            raise _broken(error) from error
        return References(tuple(Reference(file, line) for file, line in rows), total)

    def file(self, path: str) -> FileNames:
        """Read a file of the tree as it is now."""
        from ksurf import _core

        try:
            line_count, definitions, identifiers = self._reader.file(path)
        except (_core.ReadError, FileNotFoundError) as error:
            raise InputError(str(error)) from error
        except OSError as error:
            raise KsurfError(str(error)) from error
        return FileNames(
            path,
            line_count,
            tuple(map(_definition, definitions)),
            tuple(starmap(Identifier, identifiers)),
        )

    def search(self, pattern: str, *, path_glob: str | None = None, limit: int = 1000) -> Matches:
        """Return the first lines that a regular expression matches.

        The syntax is that of Rust's ``regex`` crate: no back-references, so that time is linear in the text;
        ``(?i)`` ignores case. In ``path_glob``, ``*`` and ``?`` stay within a name, ``**`` does not.
        """
        from ksurf import _core

        try:
            rows, is_complete = self._reader.search(pattern, path_glob=path_glob, limit=limit)
        except _core.ReadError as error:
            raise InputError(str(error)) from error
        return Matches(
            tuple(Match(Place(file, line, column), text) for file, line, column, text in rows), is_complete
        )

    def complete(self, prefix: str, limit: int = 50) -> list[Completion]:
        """Return defined names that begin with a prefix, those that are mentioned most first."""
        from ksurf import _core

        try:
            return [Completion(*row) for row in self._reader.complete(prefix, limit)]
        except _core.ReadError as error:
            raise _broken(error) from error

    def documentation(self, definition: Definition) -> Doc | None:
        """Return what kernel-doc says of a definition.

        It is looked for in the definition's own file first, then where else the name is defined: the comment
        of a function that a header declares is with its body.
        """
        if doc := self._documentation(definition):
            return doc
        others = self.definitions(definition.name, (definition.kind,))
        for other in sorted(others, key=lambda other: other.is_declaration)[:_MOST_LOOKED_AT]:
            same = other.owner == definition.owner and not (other.is_static or definition.is_static)
            if same and other.place.file != definition.place.file and (doc := self._documentation(other)):
                return doc
        return None

    def _documentation(self, definition: Definition) -> Doc | None:
        from ksurf import _core

        try:
            found = self._reader.documentation(
                definition.place.file,
                definition.name,
                definition.kind,
                start_line=definition.start_line,
                line=definition.place.line,
                owner=definition.owner.name if definition.owner else None,
                member_path=definition.path,
                via=definition.via,
            )
        except (_core.ReadError, OSError) as error:
            raise InputError(str(error)) from error
        if found is None:
            return None
        (line, end_line, _, brief), parameters, sections = found
        return Doc(Place(definition.place.file, line), end_line, brief, tuple(parameters), tuple(sections))


def _definition(row: "_DefinitionRow") -> Definition:
    (name, kind, file), (line, column, start_line, end_line), (is_static, is_declaration), more = row
    owner_kind, owner, path, via, parameters = more
    return Definition(
        name,
        kind,
        Place(file, line, column),
        start_line,
        end_line,
        is_static,
        is_declaration,
        None if owner_kind is None or owner is None else Owner(owner_kind, owner),
        path,
        via,
        parameters,
    )


def _broken(error: Exception) -> KsurfError:
    return DatasetError(str(error), "ksurf source index makes it anew")
