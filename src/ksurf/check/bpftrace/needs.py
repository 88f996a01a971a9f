"""What is needed of the kernel at a place of a script, and what the types there tell.

Types are followed as far as the script tells them (casts, variables, maps, tuples, macros), and beyond that
as the caller tells the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from lark import Token

from ksurf.check.bpftrace.attach_point import AttachPoint, Provider
from ksurf.check.bpftrace.declaration import Type, type_from_c
from ksurf.check.bpftrace.preamble import Preamble
from ksurf.check.bpftrace.script import Script
from ksurf.check.bpftrace.value import Nothing, Parts, Unread, Value
from ksurf.check.dependency import Dependency, Guard, Kind, Use
from ksurf.surface.attach import Mechanism

__all__ = ["NUMBERED", "Full", "Needs", "TypeOf"]

TypeOf = Callable[[Kind, str], str | None]
"""The C text of the type of a field, parameter or field of an event, by the name of its dependency:
``type_of(Kind.FIELD, "task_struct::parent")`` is ``struct task_struct *``. ``None`` if it is not known."""

USES_LIMIT = 50_000
"""How many places of a script are kept. The largest tools have some hundred."""
STEPS_LIMIT = 200_000
"""How many pieces of code are looked at, those of a macro for each probe that uses it. The largest tools
have some thousand."""
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
NUMBERED = {Provider.KPROBE, Provider.RAWTRACEPOINT}
"""Whose arguments may be ``arg0``, ``arg1`` and so on."""
_KINDS = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}


class Full(Exception):
    """A script is too large to be gone through; the message says in what way."""


@dataclass(slots=True)
class Needs:
    """What was found so far, and the place in the script that is looked at."""

    script: Script
    file: str
    preamble: Preamble
    type_of: TypeOf | None
    found: dict[Dependency, None] = field(default_factory=dict)
    """Each with one use, once for a line."""
    unread: dict[str, None] = field(default_factory=dict)
    """What could not be followed, each with its place."""
    _types: dict[tuple[Kind, str], str | None] = field(default_factory=dict)
    _points: Sequence[AttachPoint] = ()
    _program: str | None = None
    _start: int = 0
    _guard: Guard | None = None
    _here: int | None = None
    """While what a directive defines is read: where it is used."""
    _steps: int = 0

    def need(
        self,
        kind: Kind,
        name: str,
        position: int,
        *,
        mechanism: Mechanism | None = None,
        program: str | None = None,
        guard: Guard | None = None,
        expected: str | None = None,
    ) -> None:
        """Note that something is needed at a position of the script."""
        self._step()
        line = self.script.place(position)[0]
        text = self.script.line(line)
        use = Use(program or self._program, self.file, line, text, guard=guard or self._guard)
        self.found.setdefault(Dependency(kind, name, mechanism, (use,), expected=expected))
        if len(self.found) > USES_LIMIT:
            raise Full(f"it has more than {USES_LIMIT} places that need something of the kernel")

    def _step(self) -> None:
        self._steps += 1
        if self._steps > STEPS_LIMIT:
            raise Full(f"it takes more than {STEPS_LIMIT} steps to go through it")

    def _position(self, token: Token) -> int:
        """Where a token is in the script; inside what a directive defines, where that is used."""
        return self._start + (token.start_pos or 0) if self._here is None else self._here

    def _need_field(self, read: tuple[str, Token]) -> None:
        self.need(Kind.FIELD, read[0], self._position(read[1]))

    def _member(self, value: Value, name: Token) -> tuple[Value, str | None]:
        """A part of a value, and the name of the field of the kernel that is read for it."""
        match value:
            case Parts():
                return value.get(str(name)), None
            case Nothing.ARGUMENTS:
                return self._argument(str(name), name), None
            case Nothing.FOREIGN:
                return value, None
            case Type():
                return self._field(value, name)
            case Unread():
                self._skip(name, f"the type of {value.of} is the kernel's, and is not known here")
                return Nothing.FOREIGN, None
            case _:
                if name.isdigit():
                    return None, None
                self._skip(name, "the script does not tell the type that it is read from")
                return Nothing.FOREIGN, None

    def _skip(self, name: Token, reason: str) -> None:
        line, column = self.script.place(self._position(name))
        self.unread.setdefault(f"{self.file}:{line}:{column}: what .{name} reads cannot be told: {reason}")

    def _field(self, value: Type, name: Token) -> tuple[Value, str | None]:
        whole = value.pointed() or value
        if whole.suffix:
            return None, None
        path = f"{whole.path}.{name}" if whole.path else str(name)
        own = self.preamble.own(whole.name)
        if own is not None:
            held = own.members.get(path)
            by_value = held is not None and not held.suffix and held.base in {"struct", "union"}
            return (replace(whole, path=path) if by_value else held), None
        dependency = f"{whole.name}::{path}"
        text = self._type_of(Kind.FIELD, dependency)
        if text is None:
            return Unread(dependency), dependency
        held = type_from_c(text)
        if held is not None and held.suffix and held.base in {"struct", "union"}:
            return Unread(dependency), dependency
        if held is not None and not held.suffix:
            return replace(whole, path=path), dependency
        return held, dependency

    def _type_of(self, kind: Kind, name: str) -> str | None:
        if self.type_of is None:
            return None
        if (kind, name) not in self._types:
            self._types[kind, name] = self.type_of(kind, name)
        return self._types[kind, name]

    def _argument(self, name: str, token: Token, of: Collection[Provider] = tuple(Provider)) -> Value:
        """An argument of the probe: ``args.name``, ``argN`` as N, and ``return``."""
        values: list[Value] = []
        for point in (one for one in self._points if one.provider in of):
            kind = _ARGUMENTS.get(point.provider)
            if point.name is None or point.offset or kind is None:
                values.append(Nothing.FOREIGN)
                continue
            dependency = f"{point.name}::{name}"
            self.need(kind, dependency, self._position(token), mechanism=_MECHANISMS[point.provider])
            if point.provider not in _UNTYPED:
                text = self._type_of(kind, dependency)
                values.append(Unread(dependency) if text is None else type_from_c(text))
        known = [one for one in values if not isinstance(one, Unread)]
        return next(iter((*known, *values)), None)

    def _constant(self, token: Token) -> None:
        """An enumerator: what looks like one, where neither the script nor a header defines it."""
        if not self.preamble.headers and token not in self.preamble.names and _CONSTANT.fullmatch(token):
            self.need(Kind.ENUMERATOR, str(token), self._position(token))

    def _cast(self, text: str, token: Token, value: Value) -> Value:
        """A value as one of that type."""
        users = bool(self._points) and all(point.provider is Provider.USER for point in self._points)
        if users and not isinstance(value, Type) and self.preamble.own(_name(text)) is None:
            # What such a probe is called with is the user's program's, and so are its structs.
            return Nothing.FOREIGN
        return self._type(text, token)

    def _type(self, text: str, token: Token) -> Value:
        """A type that the script names."""
        found = type_from_c(text)
        if found is not None and found.kind and self.preamble.own(found.name) is None:
            self.need(_KINDS[found.kind], found.name, self._position(token))
        return found


_ARGUMENTS = {
    Provider.KPROBE: Kind.PARAMETER,
    Provider.FENTRY: Kind.PARAMETER,
    Provider.FEXIT: Kind.PARAMETER,
    Provider.TRACEPOINT: Kind.TRACEPOINT_FIELD,
    Provider.RAWTRACEPOINT: Kind.TRACEPOINT_FIELD,
}
_UNTYPED = {Provider.KPROBE}
_MECHANISMS = {
    Provider.KPROBE: Mechanism.KPROBE,
    Provider.KRETPROBE: Mechanism.KRETPROBE,
    Provider.FENTRY: Mechanism.FENTRY,
    Provider.FEXIT: Mechanism.FEXIT,
    Provider.TRACEPOINT: Mechanism.TRACEPOINT,
    Provider.RAWTRACEPOINT: Mechanism.RAW_TP,
}


def _name(text: str) -> str:
    found = type_from_c(text)
    return found.name if found is not None else ""
