"""What the semantic layer says of one file, seen through one unit.

Lines and columns count from 1, columns in bytes. Symbols stand once in :attr:`SemanticFile.symbols`; whatever
mentions one has its index there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ksurf.source.place import Place

__all__ = [
    "Call",
    "Definition",
    "Diagnostic",
    "Expansion",
    "Hint",
    "Include",
    "LineRange",
    "Registration",
    "Role",
    "SemanticFile",
    "Symbol",
    "SymbolKind",
    "Token",
    "Tokens",
    "Unparsed",
]


class SymbolKind(StrEnum):
    """What a name stands for."""

    FUNCTION = "function"
    VARIABLE = "variable"
    PARAMETER = "parameter"
    FIELD = "field"
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    TYPEDEF = "typedef"
    ENUMERATOR = "enumerator"
    MACRO = "macro"
    LABEL = "label"


class Role(StrEnum):
    """What a token does with its symbol."""

    DEFINITION = "definition"
    DECLARATION = "declaration"
    REFERENCE = "reference"


class Symbol(NamedTuple):
    """What a name refers to, as this unit sees it."""

    kind: SymbolKind
    name: str
    usr: str
    """Clang's own name of it: the same in all units for what they share, another one for what is local to a
    file. Labels have none."""
    type: str
    """As the compiler prints it: ``struct kvm *``, ``int (int, void *)``; empty for macros and labels."""
    definition: Place | None
    """Where it is defined, if this unit sees that, and it is in the tree or in the prepared folder."""
    declaration: Place | None
    """Where it is first declared, on the same terms; ``None`` for what is its own declaration."""
    owner: str | None
    """The struct, union or enum that a field or enumerator belongs to: ``kvm``, ``struct`` unnamed:
    ``None``."""
    is_local: bool
    """Nobody outside the function, or the file, can name it: locals, parameters, labels and ``static``."""

    @property
    def place(self) -> Place | None:
        """The place to go to."""
        return self.definition or self.declaration


class Token(NamedTuple):
    """One identifier in the file."""

    line: int
    column: int
    byte_length: int
    symbol: int
    role: Role
    function: str | None
    """The function whose definition holds it."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The identifiers in the file, in its order, in columns.

    There are ten thousand in a large file. A page needs four of their columns; to make an object of each
    would take as long as to read them from disk.
    """

    lines: Sequence[int]
    columns: Sequence[int]
    byte_lengths: Sequence[int]
    symbols: Sequence[int]
    roles: Sequence[Role]
    functions: Sequence[str | None]

    @classmethod
    def of(cls, tokens: Iterable[Token]) -> Tokens:
        """Put tokens into columns."""
        columns = [[*column] for column in zip(*tokens, strict=True)]
        return cls(*(columns or ([] for _ in Token._fields)))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.lines)

    def __iter__(self) -> Iterator[Token]:
        """Go through them."""
        columns = (self.lines, self.columns, self.byte_lengths, self.symbols, self.roles, self.functions)
        return map(Token, *columns)


class Expansion(NamedTuple):
    """One use of a macro in the file; uses inside other macros' bodies are not in the file."""

    line: int
    column: int
    byte_length: int
    """Of the name alone."""
    end_line: int
    end_column: int
    """One past the last byte of its arguments, or of the name."""
    symbol: int


class Hint(NamedTuple):
    """The name of the parameter for which an argument is passed, to be shown in front of it."""

    line: int
    column: int
    name: str


class Call(NamedTuple):
    """One call. ``line`` and ``column`` are where it stands in the file, which for a call that a macro
    makes is the macro's name."""

    line: int
    column: int
    caller: str | None
    """The function that holds it; ``None`` in an initialiser outside of functions."""
    symbol: int | None
    """The function that is called; or else the field, variable or parameter that holds the pointer to it,
    and ``None`` where that is an expression without a name."""
    is_direct: bool
    macro: str | None
    """The macro, as named in the file, that makes the call; ``None`` if the call is written there."""


class Registration(NamedTuple):
    """A function that is stored in a field (``.handler = f``, ``x->handler = f``), so that calls through
    the field may reach it; or the address of an object (``x->ops = &y``) whose fields may be called
    through."""

    line: int
    column: int
    field: int
    """The symbol of the field that is set."""
    value: int
    """The symbol of the function or object."""
    holder: str | None
    """The variable that is initialised, or the function that assigns."""


class Definition(NamedTuple):
    """A function, type, variable or macro that the file defines outside of functions, in order."""

    symbol: int
    line: int
    first_line: int
    last_line: int


class LineRange(NamedTuple):
    """Lines from ``first`` to ``last``, both included."""

    first: int
    last: int


class Include(NamedTuple):
    """An ``#include`` in the file, and the file that it found; ``None`` for one outside of tree and
    prepared folder."""

    line: int
    place: Place | None


class Diagnostic(NamedTuple):
    """What the compiler's front end says against the code."""

    place: Place | None
    severity: str
    """``warning``, ``error`` or ``fatal``."""
    message: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(frozen=True, slots=True)
class SemanticFile:
    """What one file's tokens are in one unit. All in the order of the file."""

    file: str
    """Relative to the tree, or to the prepared folder if ``is_generated``."""
    is_generated: bool
    unit: str
    """The object that the unit makes: ``arch/arm64/kvm/vgic/vgic-v4.o``."""
    symbols: tuple[Symbol, ...]
    tokens: Tokens
    expansions: tuple[Expansion, ...]
    hints: tuple[Hint, ...]
    calls: tuple[Call, ...]
    registrations: tuple[Registration, ...]
    definitions: tuple[Definition, ...]
    includes: tuple[Include, ...]
    inactive: tuple[LineRange, ...]
    """Lines that the preprocessor left out."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors that did not keep the unit from being read, as flags that gcc alone knows; what they touch is
    missing."""


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A unit that could not be read, and why; the names layer stands in for it."""

    file: str
    unit: str
    reason: str
    """One line."""
    diagnostics: tuple[Diagnostic, ...] = ()
