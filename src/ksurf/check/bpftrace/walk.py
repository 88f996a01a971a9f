"""What a script needs of the kernel, found by going through its code once in its order.

Types are followed as far as the script tells them (casts, variables, maps, tuples, macros), and beyond that
as the caller tells the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lark import Token, Tree

from ksurf.check.bpftrace.attach_point import AttachPoint, Provider
from ksurf.check.bpftrace.declaration import Type, type_from_c
from ksurf.check.bpftrace.grammar import Failure, parse
from ksurf.check.bpftrace.preamble import Preamble
from ksurf.check.bpftrace.script import Script
from ksurf.check.bpftrace.value import Nothing, Parts, Unread, Value, parts, pointed, sum_of
from ksurf.check.dependency import Condition, Dependency, Guard, Kind, Use
from ksurf.surface.attach import Mechanism

__all__ = ["Code", "Full", "Macro", "TypeOf", "Walk"]

Node = Tree[Token] | Token
TypeOf = Callable[[Kind, str], str | None]
"""The C text of the type of a field, parameter or field of an event, by the name of its dependency:
``type_of(Kind.FIELD, "task_struct::parent")`` is ``struct task_struct *``. ``None`` if it is not known."""

USES_LIMIT = 50_000
"""How many places of a script are kept. The largest tools have some hundred."""
STEPS_LIMIT = 200_000
"""How many pieces of code are looked at, those of a macro for each probe that uses it. The largest tools
have some thousand."""
DEPTH_LIMIT = 100
"""How deeply code may be nested, macros included. What people write is nested some ten times."""
_MACRO_DEPTH = 2
"""How much deeper the code of a macro counts than its place."""
_HELPERS = {
    "cgroup": "bpf_get_current_cgroup_id",
    "jiffies": "bpf_jiffies64",
    "override": "bpf_override_return",
    "path": "bpf_d_path",
    "signal": "bpf_send_signal",
    "signal_thread": "bpf_send_signal_thread",
    "skboutput": "bpf_skb_output",
    "socket_cookie": "bpf_get_socket_cookie",
}
"""Builtins of which docs/stdlib.md says which helper they are, where not all kernels with BPF have it."""
_VALUES = ("cgroup", "jiffies")
"""Those of them that are written without parentheses too."""
_MAP_TYPES = {
    "lruhash": "BPF_MAP_TYPE_LRU_HASH",
    "percpuhash": "BPF_MAP_TYPE_PERCPU_HASH",
    "percpulruhash": "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    "hash": "BPF_MAP_TYPE_HASH",
}
"""Source: docs/language.md, "Map Declarations"."""
_SYMBOL_CALLS = ("kaddr", "percpu_kaddr")
"""Calls whose first argument is the name of a symbol of the kernel."""
_KFUNC_CALLS = ("kfunc_exist", "kfunc_allowed")
_SAME_TYPE = ("kptr", "uptr")
_ARGUMENT = re.compile(r"arg(\d+)")
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+")
_KINDS = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}


class Full(Exception):
    """A script is too large to be gone through; the message says in what way."""


@dataclass(frozen=True, slots=True)
class Code:
    """A tree, and where the text that it was made from starts in the script."""

    tree: Node
    start: int


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro of the script: names of its parameters (``$x``, ``@x``, ``x``) and its block."""

    parameters: tuple[str, ...]
    body: Code


@dataclass(slots=True)
class Walk:
    """One way through all the code of a script."""

    script: Script
    file: str
    preamble: Preamble
    macros: dict[str, Macro]
    type_of: TypeOf | None
    maps: dict[str, Value] = field(default_factory=dict)
    """What maps hold, by their names."""
    keys: dict[str, Value] = field(default_factory=dict)
    found: dict[Dependency, None] = field(default_factory=dict)
    """Each with one use, once for a line."""
    unread: dict[str, None] = field(default_factory=dict)
    """What could not be followed, each with its place."""
    _types: dict[tuple[Kind, str], str | None] = field(default_factory=dict)
    _points: Sequence[AttachPoint] = ()
    _program: str | None = None
    _start: int = 0
    _variables: dict[str, Value] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    """Inside a macro: which map of the caller a map of the macro is."""
    _guard: Guard | None = None
    _done: dict[tuple[object, ...], Value] = field(default_factory=dict)
    _within: set[str] = field(default_factory=set)
    _here: int | None = None
    """While what a directive defines is read: where it is used."""
    _depth: int = 0
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

    def probe(self, points: Sequence[AttachPoint], program: str, codes: Sequence[Code]) -> None:
        """Go through a probe's predicate and block."""
        self._points, self._program, self._variables = points, program, {}
        self._done.clear()
        for code in codes:
            self._start = code.start
            self._value(code.tree)
        self._points, self._program = (), None

    def function(self, name: str, arguments: dict[str, Value], body: Code) -> None:
        """Go through a function of the script."""
        self._program, self._variables, self._start = f"fn {name}", arguments, body.start
        self._value(body.tree)
        self._program = None

    def declared_map(self, name: str, kind: str, position: int) -> None:
        """Take over the declaration of a map."""
        if kind in _MAP_TYPES:
            self.need(Kind.MAP_TYPE, _MAP_TYPES[kind], position)

    # Each piece of a tree, by its name in the grammar. What one is worth is returned.

    def _value(self, node: Node) -> Value:
        self._step()
        if not isinstance(node, Tree):
            return self._token(node)
        if self._depth >= DEPTH_LIMIT:
            self._too_deep(node)
            return None
        self._depth += 1
        try:
            value: Value = getattr(self, f"_on_{node.data}", self._each)(node)
        finally:
            self._depth -= 1
        return value

    def _step(self) -> None:
        self._steps += 1
        if self._steps > STEPS_LIMIT:
            raise Full(f"it takes more than {STEPS_LIMIT} steps to go through it")

    def _too_deep(self, node: Tree[Token]) -> None:
        first: Node = node
        while isinstance(first, Tree) and first.children:
            first = first.children[0]
        if isinstance(first, Token):
            place = "{}:{}:{}".format(self.file, *self.script.place(self._position(first)))
            self.unread.setdefault(f"{place}: what is nested more than {DEPTH_LIMIT} deep is not read")

    def _each(self, node: Tree[Token]) -> Value:
        value: Value = None
        for child in node.children:
            value = self._value(child)
        return value

    def _token(self, token: Token) -> Value:
        match token.type:
            case "VARIABLE":
                return self._variables.get(token)
            case "MAP":
                return self.maps.get(self._map(token))
            case "NAME":
                return self._name(token)
            case "RECORD_TYPE" | "SIZEOF_TYPE":
                text = (
                    token.partition("(")[2].strip().removesuffix(")")
                    if token.type == "SIZEOF_TYPE"
                    else token
                )
                return self._type(text, token)
            case _:
                return None

    def _on_block(self, node: Tree[Token]) -> Value:
        return self._each(node)

    def _on_assign(self, node: Tree[Token]) -> Value:
        target, operator, source = node.children
        value = self._value(source)
        if operator != "=" and isinstance(value, Type) and not value.suffix:
            value = None
        self._value(target)
        self._store(target, value)
        return value

    def _store(self, target: Node, value: Value) -> None:
        if value is None:
            return
        if isinstance(target, Token):
            if target.type == "VARIABLE":
                self._variables[target] = value
            elif target.type == "MAP":
                self.maps.setdefault(self._map(target), value)
        elif (
            target.data == "postfix"
            and _type(first := target.children[0]) == "MAP"
            and len(target.children) == 2
        ):
            self.maps.setdefault(self._map(first), value)

    def _on_declare(self, node: Tree[Token]) -> Value:
        variable, *rest = node.children
        for child in rest:
            value = self._value(child)
            if value is not None:
                self._variables[str(variable)] = value
        return None

    def _on_type(self, node: Tree[Token]) -> Value:
        first, *suffix = node.children
        if isinstance(first, Token) and first.type == "TYPE":
            return self._type(first, first)
        return _with_suffix(self._value(first), suffix)

    def _on_typeof_cast(self, node: Tree[Token]) -> Value:
        first, *suffix = node.children
        return _with_suffix(self._value(first), suffix)

    def _on_for_(self, node: Tree[Token]) -> Value:
        variable, *over, block = node.children
        values = [self._value(one) for one in over]
        self._variables.pop(str(variable), None)
        if len(over) == 1 and _type(over[0]) == "MAP":
            key = self.keys.get(self._map(over[0]))
            self._variables[str(variable)] = parts([key, values[0]])
        self._value(block)
        return None

    def _on_if_(self, node: Tree[Token]) -> Value:
        value: Value = None
        before: list[Guard] = []
        pending: Guard | None = None
        for child in node.children:
            if isinstance(child, Tree) and child.data == "condition":
                self._value(child)
                pending = self._comptime(child)
            elif _data(child) == "block":
                passed = [_opposite(one) for one in before]
                with self._guarded([*passed, *([pending] if pending else [])]):
                    value = self._value(child) or value
                before += [pending] if pending else []
                pending = None
        return value

    _on_if_expression = _on_if_

    def _comptime(self, condition: Tree[Token]) -> Guard | None:
        """The guard that a condition is, if it is decided when the script is compiled."""
        tokens = list(condition.scan_values(lambda one: isinstance(one, Token)))
        words = [str(one) for one in tokens]
        text = self.script.line(self.script.place(self._position(tokens[0]))[0])
        names = [one for one in words if one not in {"comptime", "!"}]
        if len(names) == 2 and names[0].removeprefix("__builtin_") in _KFUNC_CALLS:
            return Guard(text, (Condition(Kind.KFUNC, names[1].strip('"'), words.count("!") % 2 == 0),))
        return Guard(text) if "comptime" in words[:1] else None

    @contextmanager
    def _guarded(self, guards: list[Guard]) -> Iterator[None]:
        held = self._guard
        for one in guards:
            outer = self._guard
            self._guard = one if outer is None else replace(one, conditions=outer.conditions + one.conditions)
        try:
            yield
        finally:
            self._guard = held

    def _on_ternary(self, node: Tree[Token]) -> Value:
        values = [self._value(child) for child in node.children]
        return next((one for one in values[1:] if one is not None), values[0] if len(values) == 2 else None)

    def _on_binary(self, node: Tree[Token]) -> Value:
        values = [self._value(one) for one in node.children[::2]]
        return sum_of(values, [str(one) for one in node.children[1::2]])

    def _on_unary(self, node: Tree[Token]) -> Value:
        *prefixes, operand = node.children
        value = self._value(operand)
        for prefix in reversed(prefixes):
            if hasattr(prefix, "data"):
                value = self._value(prefix)
            elif prefix.type == "CAST":
                value = self._cast(prefix.strip()[1:-1], prefix, value)
            elif prefix == "*":
                value = pointed(value)
            elif prefix == "&":
                value = value.pointer() if isinstance(value, Type) else value
            elif prefix.type != "COMPTIME" and prefix not in {"++", "--"}:
                value = None
        return value

    def _on_tuple(self, node: Tree[Token]) -> Value:
        values = [self._value(one) for one in node.children]
        if len(values) == 1:
            return values[0]
        return parts(values)

    def _on_record(self, node: Tree[Token]) -> Value:
        names, values = [], []
        for one in map(_tree, node.children):
            names.append(str(one.children[0]))
            values.append(self._value(one.children[1]))
        return parts(values, names)

    def _on_postfix(self, node: Tree[Token]) -> Value:
        first, *suffixes = node.children
        if _type(first) == "MAP" and _data(suffixes[0]) == "index":
            name = self._map(first)
            keys = [self._value(one) for one in _tree(suffixes[0]).children]
            key = keys[0] if len(keys) == 1 else parts(keys)
            if key is not None:
                self.keys.setdefault(name, key)
            value = self.maps.get(name)
            suffixes = suffixes[1:]
        else:
            value = self._value(first)
        read: tuple[str, Token] | None = None
        for suffix in (one for one in suffixes if isinstance(one, Tree)):
            if suffix.data == "field":
                name_token = _token(suffix.children[0])
                before, (value, read_now) = read, self._member(value, name_token)
                if before and not (read_now and read_now.startswith(before[0] + ".")):
                    self._need_field(before)
                read = (read_now, name_token) if read_now else None
            else:
                for child in suffix.children:
                    self._value(child)
                value = value.get(str(suffix.children[0])) if isinstance(value, Parts) else pointed(value)
        if read:
            self._need_field(read)
        return value

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

    def _name(self, token: Token) -> Value:
        name = token.removeprefix("__builtin_")
        if name in self._variables:
            return self._variables[name]
        if token in self.macros:
            return self._call_macro(token, [])
        if token in self.preamble.macros:
            return self._expand(token)
        if name in _VALUES:
            self.need(Kind.HELPER, _HELPERS[name], self._position(token))
        providers = {point.provider for point in self._points}
        if found := _ARGUMENT.fullmatch(name):
            self._argument(found[1], token, _NUMBERED)
            return None
        match name:
            case "args":
                return Nothing.ARGUMENTS
            case "retval" if Provider.FEXIT in providers:
                return self._argument("return", token)
            case "curtask":
                return Type("struct task_struct", "*")
            case "ctx":
                names = [one.name for one in self._points if one.provider is Provider.ITER]
                return Type(f"struct bpf_iter__{names[0]}", "*") if names else Nothing.FOREIGN
            case "config" | "retval":
                return Nothing.FOREIGN if Provider.USER in providers or name == "config" else None
            case _:
                self._constant(token)
                return None

    def _constant(self, token: Token) -> None:
        """An enumerator: what looks like one, where neither the script nor a header defines it."""
        if not self.preamble.headers and token not in self.preamble.names and _CONSTANT.fullmatch(token):
            self.need(Kind.ENUMERATOR, str(token), self._position(token))

    def _expand(self, token: Token) -> Value:
        """A macro of the preprocessor: its text is read as an expression, here."""
        text = self.preamble.macros[token]
        key = ("#define", str(token))
        if not text or key in self._done or token in self._within:
            return self._done.get(key)
        try:
            tree = parse(text, "expression")
        except Failure:
            return None
        held = self._here
        self._here = self._position(token)
        self._within.add(token)
        self._depth += _MACRO_DEPTH
        try:
            value = self._value(tree)
        finally:
            self._depth -= _MACRO_DEPTH
            self._within.discard(token)
            self._here = held
        self._done[key] = value
        return value

    def _position(self, token: Token) -> int:
        """Where a token is in the script; inside what a directive defines, where that is used."""
        return self._start + (token.start_pos or 0) if self._here is None else self._here

    def _on_call(self, node: Tree[Token]) -> Value:
        token, arguments = _token(node.children[0]), node.children[1:]
        if token in self.macros:
            return self._call_macro(token, arguments)
        values = [self._value(one) for one in arguments]
        name = token.removeprefix("__builtin_")
        text = str(arguments[0]).strip('"') if arguments and _type(arguments[0]) == "STRING" else None
        if name in _HELPERS:
            self.need(Kind.HELPER, _HELPERS[name], self._position(token))
        if name == "override":
            self.need(Kind.CONFIG, "CONFIG_BPF_KPROBE_OVERRIDE", self._position(token))
        if name in _SYMBOL_CALLS and text:
            self.need(Kind.KSYM, text, self._position(token))
        return values[0] if name in _SAME_TYPE and values else None

    def _call_macro(self, token: Token, arguments: Sequence[Node]) -> Value:
        """Go through a macro's block with what it is called with, once for each set of types."""
        macro = self.macros[token]
        values = [self._value(one) for one in arguments]
        if len(values) != len(macro.parameters) or token in self._within:
            return None
        maps = [self._map(one) if _type(one) == "MAP" else None for one in arguments]
        key = (str(token), *values, *maps)
        if key in self._done:
            return self._done[key]
        self._done[key] = None
        held = self._variables, self._names, self._start, self._here
        self._variables = {
            one: value for one, value in zip(macro.parameters, values, strict=True) if not one.startswith("@")
        }
        self._names = {one: own for one, own in zip(macro.parameters, maps, strict=True) if own is not None}
        self._start, self._here = macro.body.start, None
        self._within.add(token)
        self._depth += _MACRO_DEPTH
        try:
            value = self._done[key] = self._value(macro.body.tree)
        finally:
            self._depth -= _MACRO_DEPTH
            self._within.discard(token)
            self._variables, self._names, self._start, self._here = held
        return value

    def _on_offsetof(self, node: Tree[Token]) -> Value:
        owner, path = node.children[0], _token(node.children[1])
        value = self._value(owner)
        whole = value.pointed() or value if isinstance(value, Type) else None
        if whole is not None and self.preamble.own(whole.name) is None:
            name = f"{whole.name}::{'.'.join(path.replace('.', ' ').split())}"
            self.need(Kind.FIELD, name, self._position(path))
        return None

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

    def _map(self, token: Node) -> str:
        return self._names.get(str(token), str(token))


_ARGUMENTS = {
    Provider.KPROBE: Kind.PARAMETER,
    Provider.FENTRY: Kind.PARAMETER,
    Provider.FEXIT: Kind.PARAMETER,
    Provider.TRACEPOINT: Kind.TRACEPOINT_FIELD,
    Provider.RAWTRACEPOINT: Kind.TRACEPOINT_FIELD,
}
_NUMBERED = {Provider.KPROBE, Provider.RAWTRACEPOINT}
_UNTYPED = {Provider.KPROBE}
_MECHANISMS = {
    Provider.KPROBE: Mechanism.KPROBE,
    Provider.KRETPROBE: Mechanism.KRETPROBE,
    Provider.FENTRY: Mechanism.FENTRY,
    Provider.FEXIT: Mechanism.FEXIT,
    Provider.TRACEPOINT: Mechanism.TRACEPOINT,
    Provider.RAWTRACEPOINT: Mechanism.RAW_TP,
}


def _type(node: Node) -> str | None:
    return getattr(node, "type", None)


def _tree(node: Node) -> Tree[Token]:
    assert isinstance(node, Tree)
    return node


def _token(node: Node) -> Token:
    assert isinstance(node, Token)
    return node


def _data(node: Node) -> str | None:
    return getattr(node, "data", None)


def _opposite(guard: Guard) -> Guard:
    opposite = tuple(replace(one, holds=not one.holds) for one in guard.conditions)
    return Guard(f"not {guard.text}", opposite if len(opposite) == 1 else ())


def _name(text: str) -> str:
    found = type_from_c(text)
    return found.name if found is not None else ""


def _with_suffix(value: Value, suffix: Sequence[Node]) -> Value:
    if isinstance(value, Type) and suffix:
        return replace(value, suffix=value.suffix + "".join(one for one in str(suffix[0]) if one in "*["))
    return value
