"""One page: a source file as all formats print it.

What stands in a line counts in characters of its text, from 0, so that no printer has to know how the file
was encoded; :class:`~ksurf.source.place.Place` counts in bytes of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from ksurf.errors import InputError
from ksurf.kernel import Kernel
from ksurf.source.facts import PageFacts
from ksurf.source.semantic.model import Role, Symbol

__all__ = ["Hint", "Layer", "Line", "Page", "PageDefinition", "PageLayer", "Span", "SpanKind"]


class Layer(StrEnum):
    """How much is known of the tokens of a page."""

    SEMANTIC = "semantic"
    """What the compiler's front end sees in one compiled unit."""
    NAMES = "names"
    """Names and definitions, without what they refer to."""
    TEXT = "text"
    """Nothing but how C looks."""


@dataclass(frozen=True, slots=True)
class PageLayer:
    """Which layer a page shows."""

    layer: Layer
    unit: str | None = None
    """Of the semantic layer: the object that the unit makes."""
    reason: str | None = None
    """Of the others: why it is not the semantic one, in one line."""
    remedy: str | None = None
    """What to do about that."""
    problems: tuple[str, ...] = ()
    """What the front end said against the code; what it touches may be missing."""


class SpanKind(StrEnum):
    """What a piece of a line is, where that shows without knowing what names stand for."""

    COMMENT = "comment"
    STRING = "string"
    NUMBER = "number"
    KEYWORD = "keyword"
    DIRECTIVE = "directive"
    """``#`` and the word after it."""
    INCLUDE = "include"
    """The name of an included file, with its quotes."""
    IDENTIFIER = "identifier"
    """A name of which it is not known what it stands for."""


class Span(NamedTuple):
    """A piece of a line that is more than plain text. Spans of a line do not overlap, and are in order.

    There are thousands on a page, and tuples are made in a fifth of the time of dataclasses.
    """

    start: int
    end: int
    kind: str
    """A :class:`SpanKind`, or what a name stands for: a
    :class:`~ksurf.source.semantic.model.SymbolKind`, in the names layer one of its kinds."""
    role: Role | None = None
    """Of a name: what it does here."""
    symbol: int | None = None
    """Of a name: its index in :attr:`Page.symbols`; ``None`` in the names layer."""


class Hint(NamedTuple):
    """The name of the parameter for which the argument at ``start`` is passed."""

    start: int
    name: str


class Line(NamedTuple):
    """One line of the file, without its end. Bytes that are no UTF-8 are U+FFFD."""

    number: int
    text: str
    spans: tuple[Span, ...] = ()
    hints: tuple[Hint, ...] = ()
    is_inactive: bool = False
    """The preprocessor leaves it out in this configuration."""


@dataclass(frozen=True, slots=True)
class PageDefinition:
    """What the file defines outside of functions."""

    name: str
    kind: str
    """As the layer calls it."""
    line: int
    """Where its name stands."""
    first_line: int
    last_line: int
    signature: str
    """The source up to its body or value, in one line without comments:
    ``int vgic_v4_init(struct kvm *kvm)``."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file of a tree, as one kernel compiled it."""

    file: str
    """Relative to the root of the tree."""
    tree: str
    """The tree's id."""
    kernel: Kernel | None
    """The kernel whose configuration is shown; ``None`` if the tree belongs to none, or none is prepared."""
    layer: PageLayer
    line_count: int
    """Of the whole file; ``lines`` may be some of them."""
    lines: tuple[Line, ...]
    definitions: tuple[PageDefinition, ...]
    """In the order of the file."""
    symbols: tuple[Symbol, ...] = ()
    """What names stand for; spans have indexes into it."""
    notes: tuple[str, ...] = ()
    """What is to be said of the whole file, as that only some architectures compile it."""
    facts: PageFacts = field(default_factory=PageFacts)
    """What kernels made of it."""

    @property
    def is_semantic(self) -> bool:
        """The page shows the semantic layer."""
        return self.layer.layer is Layer.SEMANTIC

    def between(self, first: int, last: int | None) -> Page:
        """Return the page of some of the lines, both included, and what is defined in them.

        ``last`` may lie behind the end of the file, or be left out. Raises ``InputError`` if there is no such
        line.
        """
        if first < 1 or (last is not None and last < first):
            raise InputError(f"the lines {first}-{last} are none", "--lines 10-20, --lines 10- or --lines 10")
        if first > self.line_count:
            raise InputError(f"{self.file} has {self.line_count} lines, and none with the number {first}")
        end = self.line_count if last is None else last
        return replace(
            self,
            lines=tuple(line for line in self.lines if first <= line.number <= end),
            definitions=tuple(d for d in self.definitions if d.first_line <= end and d.last_line >= first),
        )
