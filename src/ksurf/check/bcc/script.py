"""A BCC tool's Python, followed without running it: the C that it puts together, and what it attaches.

Here are the statements, functions and simple classes; ``expression.py`` has what they hold. This knows as
much of Python as the tools need to choose and replace parts of a text. Nothing is imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress

from ksurf.check.bcc.expression import DEPTH, Expressions, called_name
from ksurf.check.bcc.guard import Atom, Choices, within
from ksurf.check.bcc.questions import attached_to
from ksurf.check.bcc.source import Script, TooMuch, Trace
from ksurf.check.bcc.text import TooLong
from ksurf.check.bcc.values import ClassOf, Function, Instance, Scope, Unknown, Value, like
from ksurf.check.dependency import Guard

__all__ = ["follow"]

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


class _Way(Expressions):
    """One way: the state that a run would have, as far as it is known."""

    def __init__(self, script: Script, choices: Choices) -> None:
        super().__init__(script, choices)
        self._decided: list[bool] = []
        """Of each ``if`` that this is in: whether the kernel decided it."""
        self._tried = 0
        """How many ``try`` this is in."""
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
        self._guards = within(before, guards)
        self._decided.append(len(self._guards) > len(before))
        try:
            self._block(taken)
        finally:
            self._decided.pop()
            self._guards = before
        if guards:
            for name in self._script.assigned(node):
                self._scope.why[name] = within(self._scope.why.get(name, ()), guards)
            if other and _ends(other):
                # What comes after is reached only because this was not taken.
                self._guards = within(before, guards)

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
        rounds: list[Value] = [like(over)] if items is None else items[:_ROUNDS]
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
            self._guards = within(before, (Guard("try"),))
        try:
            self._attempt(node.body)
        finally:
            self._guards = before
        for handler in node.handlers:
            atom = Atom(f"except {handler.lineno}", "except", guards=False)
            if self._choices.decide(atom, handler.lineno)[0]:
                if copes:
                    failed = attached_to(self._trace.attached[attached:])
                    self._guards = within(before, (Guard("except", failed),))
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
            if self._depth > DEPTH:
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


def _loads(node: ast.AST) -> bool:
    names = (called_name(one.func) for one in ast.walk(node) if isinstance(one, ast.Call))
    return any(name is not None and (name == "BPF" or name.startswith("attach_")) for name in names)


def _ends(body: Sequence[ast.stmt]) -> bool:
    """Whether a block goes nowhere: what follows it is not reached from it."""
    match body[-1] if body else None:
        case ast.Return() | ast.Raise() | ast.Break() | ast.Continue():
            return True
        case ast.Expr(value=ast.Call() as call):
            return called_name(call.func) in {"exit", "quit", "_exit"}
    return False
