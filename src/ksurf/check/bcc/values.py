"""What a variable of a script can hold, as far as it is followed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeGuard, Union

from ksurf.check.bcc.guard import And, Atom, Formula, Guards, Not, Or
from ksurf.check.bcc.text import CHOSEN, UNKNOWN, Text

__all__ = [
    "ClassOf",
    "File",
    "Function",
    "Instance",
    "Scope",
    "Unknown",
    "Value",
    "is_formula",
    "like",
    "shown",
]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that is not followed."""

    chosen: bool = False
    """It comes from what the user gives: no need of the tool itself is hidden in it."""
    path: str | None = None
    """It comes from this file, which is not at hand."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that the script opens."""

    path: str


@dataclass(slots=True)
class Scope:
    """The variables of the script, or of one call."""

    names: dict[str, Value]
    parent: Scope | None
    outer: set[str] = field(default_factory=set)
    """Declared ``global`` or ``nonlocal``."""
    why: dict[str, Guards] = field(default_factory=dict)
    """What decided which value a variable has."""

    def get(self, name: str) -> Value:
        """The value of a variable; unknown if it has none here."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return Unknown(name == "argv")

    def set(self, name: str, value: Value) -> None:
        """Give a variable a value."""
        scope = self
        if name in self.outer:
            while scope.parent is not None:
                scope = scope.parent
        scope.names[name] = value

    def reason(self, name: str) -> Guards:
        """What decided the value of a variable."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.why.get(name, ())
            scope = scope.parent
        return ()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the script."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scope: Scope
    this: Instance | None = None

    def bound(self, this: Instance) -> Function:
        """As a method of an object."""
        decorators = [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list
        static = any(isinstance(one, ast.Name) and one.id == "staticmethod" for one in decorators)
        return self if static else Function(self.node, self.scope, this)

    def parameters(self, arguments: list[Value], named: dict[str, Value]) -> dict[str, Value]:
        """The variables that a call starts with; without those that have only a default."""
        spec = self.node.args
        given = arguments if self.this is None else [self.this, *arguments]
        names = [one.arg for one in (*spec.posonlyargs, *spec.args)]
        found: dict[str, Value] = dict(zip(names, given, strict=False))
        found.update({name: value for name, value in named.items() if name not in found})
        defaults = {name for name, _ in self.defaults()}
        for name in (*names, *(one.arg for one in spec.kwonlyargs)):
            if name not in found and name not in defaults:
                found[name] = Unknown()
        if spec.vararg:
            found[spec.vararg.arg] = tuple(given[len(names) :])
        if spec.kwarg:
            found[spec.kwarg.arg] = Unknown()
        return found

    def defaults(self) -> Iterator[tuple[str, ast.expr]]:
        """The parameters that have a default, and it."""
        spec = self.node.args
        positional = [one.arg for one in (*spec.posonlyargs, *spec.args)]
        if spec.defaults:
            yield from zip(positional[-len(spec.defaults) :], spec.defaults, strict=False)
        for one, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
            if default is not None:
                yield one.arg, default


@dataclass(slots=True)
class ClassOf:
    """A class of the script. What it inherits from is not followed."""

    name: str
    attributes: dict[str, Value]

    def find(self, name: str) -> Value:
        """An attribute."""
        return self.attributes.get(name, Unknown())


@dataclass(slots=True)
class Instance:
    """An object of a class of the script."""

    kind: ClassOf
    attributes: dict[str, Value]

    def find(self, name: str) -> Value:
        """An attribute, its own or the class's."""
        return self.attributes[name] if name in self.attributes else self.kind.find(name)


Value: TypeAlias = Union[  # names that come later must be quoted
    "Text",
    "Formula",
    "Unknown",
    "File",
    "Function",
    "ClassOf",
    "Instance",
    "list[Value]",
    "tuple[Value, ...]",
    "dict[str | int, Value]",
    bool,
    int,
    float,
    None,
]


def is_formula(value: Value) -> TypeGuard[Formula]:
    """Whether a value is the answer to a question."""
    return isinstance(value, Atom | Not | And | Or)


def like(value: Value) -> Unknown:
    """Something that comes out of a value: chosen by the user if that is."""
    if isinstance(value, Atom):
        return Unknown(CHOSEN in value.key)
    return Unknown(isinstance(value, Unknown) and value.chosen)


def shown(value: Value) -> Text:
    """A value as ``str`` gives it."""
    match value:
        case Text():
            return value
        case bool() | int() | float() | None:
            return Text.of(str(value))
        case Unknown(chosen=True):
            return Text.of(CHOSEN)
    return Text.of(UNKNOWN)
