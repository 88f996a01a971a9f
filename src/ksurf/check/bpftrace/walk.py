"""What a script needs of the kernel, found by going through its code once in its order.

``needs.py`` says what is needed at a place; this goes from place to place, and knows what variables and maps
hold there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from lark import Token, Tree

from ksurf.check.bpftrace.attach_point import AttachPoint, Provider
from ksurf.check.bpftrace.declaration import Type
from ksurf.check.bpftrace.grammar import Failure, parse
from ksurf.check.bpftrace.needs import NUMBERED, Needs
from ksurf.check.bpftrace.value import Nothing, Parts, Value, parts, pointed, sum_of
from ksurf.check.dependency import Condition, Guard, Kind

__all__ = ["Code", "Macro", "Walk"]

Node = Tree[Token] | Token
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
class Walk(Needs):
    """One way through all the code of a script."""

    macros: dict[str, Macro] = field(default_factory=dict)
    maps: dict[str, Value] = field(default_factory=dict)
    """What maps hold, by their names."""
    keys: dict[str, Value] = field(default_factory=dict)
    _variables: dict[str, Value] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)
    """Inside a macro: which map of the caller a map of the macro is."""
    _done: dict[tuple[object, ...], Value] = field(default_factory=dict)
    _within: set[str] = field(default_factory=set)
    _depth: int = 0

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
            self._argument(found[1], token, NUMBERED)
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

    def _map(self, token: Node) -> str:
        return self._names.get(str(token), str(token))


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


def _with_suffix(value: Value, suffix: Sequence[Node]) -> Value:
    if isinstance(value, Type) and suffix:
        return replace(value, suffix=value.suffix + "".join(one for one in str(suffix[0]) if one in "*["))
    return value
