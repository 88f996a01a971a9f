"""A parsed script, and what is met when it is followed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from ksurf.check.bcc.guard import Guards
from ksurf.check.bcc.text import Text, literal
from ksurf.check.dependency import Condition

__all__ = ["Attach", "Embedded", "ReadFile", "Script", "TooMuch", "Trace"]

ReadFile = Callable[[str], bytes | None]
"""What is in a file that comes with a tool, by the tool's path for it; ``None`` if it is not there."""

_STEPS = 2_000_000
"""Nodes visited on all ways through a script. The largest tool takes 170 thousand."""


@dataclass(frozen=True, slots=True)
class Attach:
    """One call that attaches a function of the C to something of the kernel."""

    how: str
    """The method without ``attach_``: ``kprobe``, ``kretprobe``, ``raw_tracepoint``."""
    event: Text
    function: str
    regex: bool
    guards: Guards
    line: int


@dataclass(frozen=True, slots=True)
class Embedded:
    """One ``BPF(text=...)``."""

    text: Text
    macros: tuple[str, ...]
    """As ``cflags`` define them: ``NAME`` or ``NAME=value``."""
    line: int


@dataclass(slots=True)
class Trace:
    """What was met on one way through a script."""

    programs: list[Embedded] = field(default_factory=list)
    attached: list[Attach] = field(default_factory=list)
    symbols: list[tuple[str, int, Guards]] = field(default_factory=list)
    """Addresses asked for by name, with ``BPF.ksymname``."""
    needs: list[tuple[Condition, int, Guards]] = field(default_factory=list)
    """What the tool ends without."""
    missed: list[tuple[int, str]] = field(default_factory=list)
    """What hides something, by its line."""


class TooMuch(Exception):
    """More steps or deeper than is followed."""


class Script:
    """A parsed script, which can be followed several times."""

    def __init__(self, tree: ast.Module, source: bytes, read_file: ReadFile | None = None) -> None:
        """Keep ``tree``, which is of ``source``."""
        self.tree = tree
        self._source = source.split(b"\n")
        self._literals: dict[int, Text] = {}
        self._written: dict[int, str] = {}
        self._names: dict[int, frozenset[str]] = {}
        self._files: dict[str, Text | None] = {}
        self._read_file = read_file
        self._steps = 0
        self.set_on_failure = frozenset(
            self.written(target)
            for handler in ast.walk(tree)
            if isinstance(handler, ast.ExceptHandler)
            for node in ast.walk(handler)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name | ast.Attribute)
        )
        """What is given a value where something has failed."""

    def file(self, path: str) -> Text | None:
        """What is in a file that the tool reads its C from."""
        if path not in self._files:
            data = self._read_file(path) if self._read_file is not None else None
            self._files[path] = Text.of(data.decode("utf-8", "replace")) if data is not None else None
        return self._files[path]

    def spend(self, steps: int) -> None:
        """Count steps, and stop if they were too many."""
        self._steps += steps
        if self._steps > _STEPS:
            raise TooMuch

    def literal(self, node: ast.Constant) -> Text:
        """A string of the script."""
        key = id(node)
        if key not in self._literals:
            self._literals[key] = literal(node, self._source)
        return self._literals[key]

    def names(self, node: ast.expr) -> frozenset[str]:
        """The variables in an expression."""
        return self._named(node, ast.Load)

    def assigned(self, node: ast.stmt) -> frozenset[str]:
        """The variables that a statement gives a value."""
        return self._named(node, ast.Store)

    def _named(self, node: ast.AST, context: type[ast.expr_context]) -> frozenset[str]:
        key = id(node)
        if key not in self._names:
            names = (one for one in ast.walk(node) if isinstance(one, ast.Name))
            self._names[key] = frozenset(one.id for one in names if isinstance(one.ctx, context))
        return self._names[key]

    def written(self, node: ast.AST) -> str:
        """An expression as Python writes it, on one line."""
        key = id(node)
        if key not in self._written:
            try:
                self._written[key] = " ".join(ast.unparse(node).split())
            except RecursionError:
                self._written[key] = f"line {getattr(node, 'lineno', 0)}"
        return self._written[key]
