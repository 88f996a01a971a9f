"""What expressions of a tool's Python are worth, as far as it is known, and what calls in them do.

This knows as much of Python as the tools need to choose and replace parts of a text: strings, lists,
dictionaries and comprehensions over literals. All else is :class:`Unknown`. Nothing is evaluated: what a name
of the script stands for is looked up in what was assigned before, never in Python.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod

from ksurf.check.bcc import strings
from ksurf.check.bcc.guard import And, Atom, Choices, Formula, Guards, Not, Or, within
from ksurf.check.bcc.questions import question
from ksurf.check.bcc.source import Attach, Embedded, Script, TooMuch, Trace
from ksurf.check.bcc.text import CHOSEN, SYSCALL_PREFIX, UNKNOWN, Text
from ksurf.check.bcc.values import (
    ClassOf,
    File,
    Function,
    Instance,
    Scope,
    Unknown,
    Value,
    is_formula,
    like,
    shown,
)

__all__ = ["DEPTH", "Expressions", "called_name"]

DEPTH = 60
"""Calls and expressions inside each other."""
_FOUND = 1 << 14
"""Items of a comprehension."""


class Expressions(ABC):
    """What is known at a place of one way through a script; who follows its statements completes it."""

    def __init__(self, script: Script, choices: Choices) -> None:
        """The start of a way."""
        self._script = script
        self._choices = choices
        self._trace = Trace()
        self._guards: Guards = ()
        self._depth = 0
        self._globals = Scope({"__name__": Text.of("__main__")}, None)
        self._scope = self._globals
        self._targets: frozenset[str] = frozenset()
        """What the value of the expression is stored in."""

    @abstractmethod
    def _apply(self, called: Value, arguments: list[Value], named: dict[str, Value]) -> Value:
        """Call a function or class of the script itself."""

    @abstractmethod
    def _leave(self, line: int) -> None:
        """``exit()`` or ``raise``: to the next ``except``, or the end."""

    def _miss(self, line: int, what: str) -> None:
        self._trace.missed.append((line, what))

    def _store(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name():
                self._scope.set(target.id, value)
                self._scope.why[target.id] = self._guards
            case ast.Attribute():
                holder = self._value(target.value)
                if isinstance(holder, Instance | ClassOf):
                    holder.attributes[target.attr] = value
            case ast.Subscript():
                holder, key = self._value(target.value), self._value(target.slice)
                if isinstance(holder, dict) and (name := _key(key)) is not None:
                    holder[name] = value
                elif isinstance(holder, list) and isinstance(key, int) and -len(holder) <= key < len(holder):
                    holder[key] = value
            case ast.Tuple() | ast.List():
                items = self._items(value)
                for position, one in enumerate(target.elts):
                    known = items is not None and position < len(items)
                    self._store(one, items[position] if items is not None and known else like(value))
            case ast.Starred():
                self._store(target.value, Unknown())

    # Questions

    def _test(self, node: ast.expr) -> tuple[bool, Guards]:
        """Whether a condition holds on this way, and what it guards."""
        formula = self._formula(node)
        said, guards = self._choices.decide(formula, (node.lineno, node.col_offset))
        for name in self._script.names(node):
            if why := self._scope.reason(name):
                self._choices.depends(why, (node.lineno, node.col_offset))
                guards = within(why, guards)
        return said, guards

    def _formula(self, node: ast.expr) -> Formula | bool:
        match node:
            case ast.BoolOp():
                # Python goes on only as long as it matters; so does the formula, by being asked in order.
                parts = tuple(self._formula(one) for one in node.values)
                return And(parts) if isinstance(node.op, ast.And) else Or(parts)
            case ast.UnaryOp(op=ast.Not()):
                inner = self._formula(node.operand)
                return (not inner) if isinstance(inner, bool) else Not(inner)
        return self._truth(self._value(node), node)

    def _truth(self, value: Value, node: ast.expr) -> Formula | bool:
        if is_formula(value):
            return value
        if isinstance(value, Text):
            unsure = CHOSEN in value.plain or UNKNOWN in value.plain
            return bool(value.plain) if not unsure or len(value.plain) > len(CHOSEN) else self._option(node)
        if value is None or isinstance(value, bool | int | float | list | tuple | dict):
            return bool(value)
        if isinstance(value, Unknown):
            return self._option(node)
        return True

    def _option(self, node: ast.expr) -> Atom:
        written = self._script.written(node)
        # What a tool sets itself when an attempt has failed is its way to cope.
        return Atom(f"option {written}", written, guards=written in self._script.set_on_failure)

    # Expressions

    def _step(self) -> None:
        self._script.spend(1)

    def _value(self, node: ast.expr | None) -> Value:
        if node is None:
            return None
        self._step()
        self._depth += 1
        try:
            if self._depth > DEPTH:
                raise TooMuch
            return self._evaluated(node)
        finally:
            self._depth -= 1

    def _evaluated(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant():
                if isinstance(node.value, str | bytes):
                    return self._script.literal(node).guarded(self._guards)
                if isinstance(node.value, int) and abs(node.value) >= 1 << 64:
                    return Unknown()
                return node.value if node.value is None or isinstance(node.value, int | float) else Unknown()
            case ast.Name():
                return self._loaded(self._scope.get(node.id), node.id)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Call():
                return self._call(node)
            case ast.BinOp():
                return self._binary(self._value(node.left), node.op, self._value(node.right))
            case ast.BoolOp():
                return self._choice(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                said, guards = self._test(node.test)
                before, self._guards = self._guards, within(self._guards, guards)
                try:
                    return self._value(node.body if said else node.orelse)
                finally:
                    self._guards = before
            case ast.JoinedStr():
                return Text.joined(shown(self._value(one)) for one in node.values)
            case ast.FormattedValue():
                return self._value(node.value)
            case ast.List() | ast.Set():
                return [self._value(one) for one in node.elts]
            case ast.Tuple():
                return tuple(self._value(one) for one in node.elts)
            case ast.Dict():
                return self._dictionary(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.ListComp() | ast.GeneratorExp() | ast.SetComp():
                return self._comprehension(node)
            case ast.Lambda():
                return Function(node, self._scope)
            case ast.NamedExpr():
                value = self._value(node.value)
                self._store(node.target, value)
                return value
        return Unknown()

    def _loaded(self, value: Value, name: str) -> Value:
        """A variable's value; a text that is used behind a guard stands behind it, unless it is added to."""
        if isinstance(value, Text) and name not in self._targets and self._guards:
            self._script.spend(len(value.pieces) >> 4)
            return value.guarded(self._guards)
        return value

    def _attribute(self, node: ast.Attribute) -> Value:
        holder = self._value(node.value)
        if isinstance(holder, Instance | ClassOf):
            found = holder.find(node.attr)
            if isinstance(found, Function) and isinstance(holder, Instance):
                return found.bound(holder)
            return self._loaded(found, self._script.written(node))
        chosen = isinstance(holder, Unknown) and (holder.chosen or node.attr == "argv")
        return Unknown(chosen)

    def _choice(self, node: ast.BoolOp) -> Value:
        values = [self._value(one) for one in node.values]
        if any(is_formula(value) for value in values):
            parts = tuple(self._truth(value, one) for value, one in zip(values, node.values, strict=True))
            return And(parts) if isinstance(node.op, ast.And) else Or(parts)
        wanted = isinstance(node.op, ast.Or)
        for value, one in zip(values, node.values, strict=True):
            if self._choices.decide(self._truth(value, one), (one.lineno, one.col_offset))[0] == wanted:
                return value
        return values[-1]

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            inner = self._formula(node.operand)
            return (not inner) if isinstance(inner, bool) else Not(inner)
        value = self._value(node.operand)
        if isinstance(value, int | float) and isinstance(node.op, ast.USub):
            return -value
        return like(value)

    def _compare(self, node: ast.Compare) -> Value:
        symbols = len(self._trace.symbols)
        left = self._value(node.left)
        if is_formula(left):
            # Asking whether an address is there needs none.
            del self._trace.symbols[symbols:]
        if len(node.ops) != 1:
            return self._option(node)
        right = self._value(node.comparators[0])
        return strings.compared(left, node.ops[0], right) or self._unsure(left, node, right)

    def _unsure(self, left: Value, node: ast.Compare, right: Value) -> Value:
        known = strings.same(left, node.ops[0], right)
        return self._option(node) if known is None else known

    def _binary(self, left: Value, op: ast.operator, right: Value) -> Value:
        if isinstance(left, Text):
            self._script.spend(len(left.pieces) >> 2)
        return strings.binary(left, op, right)

    def _dictionary(self, node: ast.Dict) -> Value:
        found: dict[str | int, Value] = {}
        for key, one in zip(node.keys, node.values, strict=True):
            value = self._value(one)
            name = _key(self._value(key)) if key is not None else None
            if name is not None:
                found[name] = value
        return found

    def _subscript(self, node: ast.Subscript) -> Value:
        holder = self._value(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = [self._value(one) for one in (node.slice.lower, node.slice.upper, node.slice.step)]
            return strings.sliced(holder, bounds)
        key = self._value(node.slice)
        return strings.item(holder, _key(key), isinstance(key, Unknown) and key.chosen)

    def _comprehension(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp) -> Value:
        if len(node.generators) != 1:
            return Unknown()
        generator = node.generators[0]
        over = self._value(generator.iter)
        items = self._items(over)
        if items is None:
            return like(over)
        found: list[Value] = []
        for item in items[:_FOUND]:
            self._store(generator.target, item)
            if all(self._test(condition)[0] for condition in generator.ifs):
                found.append(self._value(node.elt))
        return found

    def _items(self, value: Value) -> list[Value] | None:
        match value:
            case list() | tuple():
                return list(value)
            case dict():
                return [Text.of(key) if isinstance(key, str) else key for key in value]
        return None

    # Calls

    def _call(self, node: ast.Call) -> Value:
        name = called_name(node.func)
        if name is not None and name.startswith("attach_"):
            return self._attach(node, name.removeprefix("attach_"))
        if name in {"get_syscall_prefix", "get_syscall_fnname"}:
            given = [shown(self._value(one)) for one in node.args]
            prefix = Text.of(SYSCALL_PREFIX, node.lineno, self._guards)
            return Text.joined([prefix, *given])
        if name is not None and (asked := self._question(node, name)) is not None:
            return asked
        arguments = [self._value(one) for one in node.args if not isinstance(one, ast.Starred)]
        named = {one.arg: self._value(one.value) for one in node.keywords if one.arg is not None}
        if name == "BPF":
            return self._bpf(node, arguments, named)
        if isinstance(node.func, ast.Name):
            return self._plain_call(node, node.func.id, arguments, named)
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func, arguments, named)
        return self._apply(self._value(node.func), arguments, named)

    def _question(self, node: ast.Call, name: str) -> Value:
        if question(name, [], "") is None:
            return None
        values = [*node.args, *(one.value for one in node.keywords)]
        given = [shown(self._value(one)) for one in values]
        if name == "ksymname" and given and CHOSEN not in given[0].plain and UNKNOWN not in given[0].plain:
            self._trace.symbols.append((given[0].plain, node.lineno, self._guards))
        return question(name, [one.plain for one in given], self._script.written(node))

    def _plain_call(
        self, node: ast.Call, name: str, arguments: list[Value], named: dict[str, Value]
    ) -> Value:
        known = self._scope.get(name)
        if isinstance(known, Function | ClassOf):
            return self._apply(known, arguments, named)
        if name in {"exit", "quit", "_exit"}:
            self._leave(node.lineno)
        if name == "open" and arguments and isinstance(arguments[0], Text):
            path = arguments[0].plain
            return Unknown(chosen=True) if CHOSEN in path else File(path)
        if name == "filter_by_containers":
            return strings.containers(node.lineno, self._choices).guarded(self._guards)
        return strings.builtin(name, arguments)

    def _method(
        self, node: ast.Call, function: ast.Attribute, arguments: list[Value], named: dict[str, Value]
    ) -> Value:
        if function.attr in {"exit", "_exit"}:
            self._leave(node.lineno)
        if function.attr in {"parse_args", "parse_known_args"}:
            return Unknown(chosen=True)
        if isinstance(function.value, ast.Name) and function.value.id in {"str", "bytes"} and arguments:
            return strings.method(arguments[0], function.attr, arguments[1:], named)
        holder = self._value(function.value)
        if isinstance(holder, Instance | ClassOf):
            return self._apply(self._attribute(function), arguments, named)
        if function.attr == "filter_by_containers":
            return strings.containers(node.lineno, self._choices).guarded(self._guards)
        if isinstance(holder, File) and function.attr == "read":
            text = self._script.file(holder.path)
            return Unknown(path=holder.path) if text is None else text.guarded(self._guards)
        if isinstance(holder, Text):
            self._script.spend(len(holder.pieces) + (len(holder.plain) >> 6))
            if function.attr == "replace" and arguments and isinstance(arguments[0], Text):
                self._script.spend(8 * holder.plain.count(arguments[0].plain))
        return strings.method(holder, function.attr, arguments, named)

    def _bpf(self, node: ast.Call, arguments: list[Value], named: dict[str, Value]) -> Value:
        text = named.get("text")
        source = named.get("src_file") or (arguments[0] if arguments else None)
        if isinstance(source, Text) and CHOSEN not in source.plain:
            text = self._script.file(source.plain) or Unknown(path=source.plain)
        if isinstance(text, Text):
            flags = self._items(named.get("cflags")) or []
            plain = [shown(one).plain for one in flags]
            macros = tuple(one.removeprefix("-D") for one in plain if one.startswith("-D"))
            self._trace.programs.append(Embedded(text.guarded(self._guards), macros, node.lineno))
        elif isinstance(text, Unknown) and text.path is not None:
            self._miss(node.lineno, f"the C is in {text.path}")
        elif text is not None and not (isinstance(text, Unknown) and text.chosen):
            self._miss(node.lineno, "the C is put together in a way that is not followed")
        return Unknown()

    def _attach(self, node: ast.Call, how: str) -> Value:
        given = {one.arg: self._value(one.value) for one in node.keywords if one.arg is not None}
        names = _PARAMETERS.get(how)
        if names is None:
            return Unknown()
        for one, name in zip(node.args, names, strict=False):
            given[name] = self._value(one)
        function = shown(given.get("fn_name", Text(()))).plain
        for name, regex in (("event", False), ("event_re", True), ("tp", False), ("tp_re", True)):
            value = given.get(name)
            if value is None:
                continue
            event = shown(value)
            if UNKNOWN in event.plain:
                self._miss(node.lineno, f"what {self._script.written(node.func)} attaches to is not known")
                continue
            if event.plain:
                guards = within(self._guards, event.guards)
                self._trace.attached.append(Attach(how, event, function, regex, guards, node.lineno))
        return Unknown()


_PARAMETERS: dict[str, tuple[str, ...]] = {
    "kprobe": ("event", "event_off", "fn_name", "event_re"),
    "kretprobe": ("event", "fn_name", "event_re"),
    "tracepoint": ("tp", "tp_re", "fn_name"),
    "raw_tracepoint": ("tp", "fn_name"),
}
"""Those that name something of the kernel; ``attach_kfunc`` and the like only repeat the function's name."""


def _key(value: Value) -> str | int | None:
    if isinstance(value, Text):
        return value.plain
    return value if isinstance(value, int) else None


def called_name(node: ast.expr) -> str | None:
    """The last part of what a call calls: ``attach_kprobe`` of ``b.attach_kprobe(...)``."""
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
    return None
