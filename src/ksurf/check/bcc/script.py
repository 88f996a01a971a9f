"""A BCC tool's Python, followed without running it: the C that it puts together, and what it attaches.

This knows as much of Python as the tools need to choose and replace parts of a text: strings, lists,
dictionaries, conditions, loops over literals, functions and simple classes of their own. All else is
:class:`Unknown`. Nothing is imported or evaluated: what a name of the script stands for is looked up in what
was assigned before, never in Python.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress

from ksurf.check.bcc import strings
from ksurf.check.bcc.guard import And, Atom, Choices, Formula, Guards, Not, Or
from ksurf.check.bcc.questions import attached_to, question
from ksurf.check.bcc.source import Attach, Embedded, Script, TooMuch, Trace
from ksurf.check.bcc.text import CHOSEN, SYSCALL_PREFIX, UNKNOWN, Text, TooLong
from ksurf.check.bcc.values import ClassOf, File, Function, Instance, Scope, Unknown, Value, is_formula, shown
from ksurf.check.dependency import Guard

__all__ = ["follow"]


_DEPTH = 60
"""Calls and expressions inside each other."""
_ROUNDS = 256
"""Of a loop over a list that the script itself has."""


class _Leave(Exception):
    """Out of what is being followed, on with what comes after."""


class _Return(_Leave):
    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


class _Loop(_Leave):
    """``break`` or ``continue``."""

    def __init__(self, ends: bool) -> None:
        super().__init__()
        self.ends = ends


class _End(Exception):
    """The tool ends here on such a kernel."""


def follow(script: Script, choices: Choices) -> Trace:
    """One way through a script."""
    return _Way(script, choices).run()


class _Way:
    """One way: the state that a run would have, as far as it is known."""

    def __init__(self, script: Script, choices: Choices) -> None:
        self._script = script
        self._choices = choices
        self._trace = Trace()
        self._guards: Guards = ()
        self._decided: list[bool] = []
        """Of each ``if`` that this is in: whether the kernel decided it."""
        self._tried = 0
        """How many ``try`` this is in."""
        self._depth = 0
        self._globals = Scope({"__name__": Text.of("__main__")}, None)
        self._scope = self._globals
        self._targets: frozenset[str] = frozenset()
        self._called: set[int] = set()

    def run(self) -> Trace:
        try:
            self._block(self._script.tree.body)
            self._uncalled()
        except _End:
            self._choices.ended = True
        except _Leave:
            pass
        except (TooMuch, RecursionError):
            self._miss(1, "the script takes more steps than are followed")
        return self._trace

    def _uncalled(self) -> None:
        """Follow functions that only a library calls (``curses.wrapper(main)``), if they load a tool."""
        for value in list(self._globals.names.values()):
            if isinstance(value, Function) and id(value.node) not in self._called and _loads(value.node):
                self._apply(value, [], {})

    def _miss(self, line: int, what: str) -> None:
        self._trace.missed.append((line, what))

    # Statements

    def _block(self, body: Sequence[ast.stmt]) -> None:
        before = self._guards
        try:
            for statement in body:
                self._step()
                try:
                    self._statement(statement)
                except TooLong:
                    self._miss(statement.lineno, "a text becomes too long")
        finally:
            self._guards = before

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.If():
                self._if(node)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                self._assign(node)
            case ast.Expr():
                self._value(node.value)
            case ast.For() | ast.AsyncFor():
                self._for(node)
            case ast.While():
                self._while(node)
            case ast.Try():
                self._try(node)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    value = self._value(item.context_expr)
                    if item.optional_vars is not None:
                        self._store(item.optional_vars, value)
                self._block(node.body)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._scope.set(node.name, Function(node, self._scope))
            case ast.ClassDef():
                self._class(node)
            case ast.Return():
                raise _Return(self._value(node.value) if node.value else None)
            case ast.Raise():
                self._leave(node.lineno)
            case ast.Break():
                raise _Loop(ends=True)
            case ast.Continue():
                raise _Loop(ends=False)
            case ast.Global() | ast.Nonlocal():
                self._scope.outer.update(node.names)
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    self._scope.set((alias.asname or alias.name).partition(".")[0], Unknown())
            case ast.Match():
                self._value(node.subject)
                for one in node.cases:
                    self._attempt(one.body)

    def _if(self, node: ast.If) -> None:
        said, guards = self._test(node.test)
        taken, other = (node.body, node.orelse) if said else (node.orelse, node.body)
        before = self._guards
        self._guards = _more(before, guards)
        self._decided.append(len(self._guards) > len(before))
        try:
            self._block(taken)
        finally:
            self._decided.pop()
            self._guards = before
        if guards:
            for name in self._script.assigned(node):
                self._scope.why[name] = _more(self._scope.why.get(name, ()), guards)
            if other and _ends(other):
                # What comes after is reached only because this was not taken.
                self._guards = _more(before, guards)

    def _attempt(self, body: Sequence[ast.stmt]) -> None:
        """Something that may fail, after which it goes on."""
        self._tried += 1
        try:
            self._block(body)
        except (_Return, _Loop):
            raise
        except _Leave:
            pass
        finally:
            self._tried -= 1

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        over = self._value(node.iter)
        items = self._items(over)
        rounds: list[Value] = [_like(over)] if items is None else items[:_ROUNDS]
        if items is not None and len(items) > _ROUNDS:
            self._miss(node.lineno, "a loop has too many rounds")
        for item in rounds:
            self._store(node.target, item)
            try:
                self._block(node.body)
            except _Loop as loop:
                if loop.ends:
                    break
        self._block(node.orelse)

    def _while(self, node: ast.While) -> None:
        # Once: what is attached or put together in a loop without a known end is done in its first round.
        self._value(node.test)
        with suppress(_Loop):
            self._block(node.body)
        self._block(node.orelse)

    def _try(self, node: ast.Try) -> None:
        copes = bool(node.handlers) and not all(_ends(handler.body) for handler in node.handlers)
        before, attached = self._guards, len(self._trace.attached)
        if copes:
            self._guards = _more(before, (Guard("try"),))
        try:
            self._attempt(node.body)
        finally:
            self._guards = before
        for handler in node.handlers:
            atom = Atom(f"except {handler.lineno}", "except", guards=False)
            if self._choices.decide(atom, handler.lineno)[0]:
                if copes:
                    failed = attached_to(self._trace.attached[attached:])
                    self._guards = _more(before, (Guard("except", failed),))
                try:
                    self._block(handler.body)
                finally:
                    self._guards = before
        self._block(node.orelse)
        self._block(node.finalbody)

    def _class(self, node: ast.ClassDef) -> None:
        scope = Scope({}, self._scope)
        outside, self._scope = self._scope, scope
        try:
            self._block(node.body)
        finally:
            self._scope = outside
        self._scope.set(node.name, ClassOf(node.name, scope.names))

    def _assign(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        before, self._targets = self._targets, frozenset(self._script.written(one) for one in targets)
        try:
            if isinstance(node, ast.AugAssign):
                old = self._value(node.target)
                value = self._binary(old, node.op, self._value(node.value))
            elif node.value is None:
                return
            else:
                value = self._value(node.value)
        finally:
            self._targets = before
        for target in targets:
            self._store(target, value)

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
                    self._store(one, items[position] if items is not None and known else _like(value))
            case ast.Starred():
                self._store(target.value, Unknown())

    def _leave(self, line: int) -> None:
        """``exit()`` or ``raise``: to the next ``except``, or the end.

        A tool that ends where a kernel lacks something needs it: the last alternative that it asks for.
        """
        if self._decided and self._decided[-1] and not self._tried:
            *before, last = self._guards
            for lacking in last.conditions:
                if not lacking.holds:
                    self._trace.needs.append((lacking, line, tuple(before)))
        raise _Leave if self._tried else _End

    # Questions

    def _test(self, node: ast.expr) -> tuple[bool, Guards]:
        """Whether a condition holds on this way, and what it guards."""
        formula = self._formula(node)
        said, guards = self._choices.decide(formula, (node.lineno, node.col_offset))
        for name in self._script.names(node):
            if why := self._scope.reason(name):
                self._choices.depends(why, (node.lineno, node.col_offset))
                guards = _more(why, guards)
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
            if self._depth > _DEPTH:
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
                before, self._guards = self._guards, _more(self._guards, guards)
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
        return _like(value)

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
            return _like(over)
        found: list[Value] = []
        for item in items[: 1 << 14]:
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
        name = _called(node.func)
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

    def _apply(self, called: Value, arguments: list[Value], named: dict[str, Value]) -> Value:
        """Call a function or class of the script itself."""
        if isinstance(called, ClassOf):
            made = Instance(called, {})
            start = called.find("__init__")
            if isinstance(start, Function):
                self._apply(start.bound(made), arguments, named)
            return made
        if not isinstance(called, Function):
            chosen = isinstance(called, Unknown) and called.chosen
            return Unknown(chosen or any(isinstance(one, Unknown) and one.chosen for one in arguments))
        self._called.add(id(called.node))
        scope = Scope(called.parameters(arguments, named), called.scope)
        for one, default in called.defaults():
            if one not in scope.names:
                scope.set(one, self._value(default))
        outside, self._scope = self._scope, scope
        try:
            self._depth += 1
            if self._depth > _DEPTH:
                raise TooMuch
            if isinstance(called.node, ast.Lambda):
                return self._value(called.node.body)
            self._block(called.node.body)
        except _Return as returned:
            return returned.value
        except _Loop:
            return Unknown()
        finally:
            self._scope = outside
            self._depth -= 1
        return None

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
                guards = _more(self._guards, event.guards)
                self._trace.attached.append(Attach(how, event, function, regex, guards, node.lineno))
        return Unknown()


_PARAMETERS: dict[str, tuple[str, ...]] = {
    "kprobe": ("event", "event_off", "fn_name", "event_re"),
    "kretprobe": ("event", "fn_name", "event_re"),
    "tracepoint": ("tp", "tp_re", "fn_name"),
    "raw_tracepoint": ("tp", "fn_name"),
}
"""Those that name something of the kernel; ``attach_kfunc`` and the like only repeat the function's name."""


def _more(guards: Guards, further: Guards) -> Guards:
    return tuple(dict.fromkeys(guards + further))


def _like(value: Value) -> Unknown:
    """Something that comes out of a value: chosen by the user if that is."""
    if isinstance(value, Atom):
        return Unknown(CHOSEN in value.key)
    return Unknown(isinstance(value, Unknown) and value.chosen)


def _key(value: Value) -> str | int | None:
    if isinstance(value, Text):
        return value.plain
    return value if isinstance(value, int) else None


def _called(node: ast.expr) -> str | None:
    match node:
        case ast.Name():
            return node.id
        case ast.Attribute():
            return node.attr
    return None


def _loads(node: ast.AST) -> bool:
    names = (_called(one.func) for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(name is not None and (name == "BPF" or name.startswith("attach_")) for name in names)


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a block goes nowhere: what follows it is not reached from it."""
    match body[-1] if body else None:
        case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
            return True
        case ast.Expr(value=ast.Call() as call):
            return _called(call.func) in {"exit", "quit", "_exit"}
    return False
