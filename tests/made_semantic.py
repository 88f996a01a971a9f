"""What the semantic layer would say of a file, made of a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from ksurf.source.place import Place
from ksurf.source.semantic.model import (
    Call,
    Definition,
    Registration,
    Role,
    SemanticFile,
    Symbol,
    SymbolKind,
    Token,
    Tokens,
)

__all__ = ["MadeSemantic"]


@dataclass
class MadeSemantic:
    """A file whose symbols, tokens, calls and registrations are added one by one."""

    file: str = "virt/kvm/kvm_main.c"
    unit: str | None = None
    symbols: list[Symbol] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)

    def symbol(
        self,
        kind: SymbolKind,
        name: str,
        *,
        at: str | None = None,
        declared: str | None = None,
        owner: str | None = None,
        local: bool = False,
        type: str = "int",
    ) -> int:
        """``at`` and ``declared`` are ``file:line``."""
        usr = f"c:@{kind.value}@{owner or ''}@{name}"
        definition, declaration = (None if text is None else _place(text) for text in (at, declared))
        made = Symbol(kind, name, usr, type, definition, declaration, owner, local)
        if made not in self.symbols:
            self.symbols.append(made)
        return self.symbols.index(made)

    def function(self, name: str, *, at: str | None = None, declared: str | None = None) -> int:
        return self.symbol(SymbolKind.FUNCTION, name, at=at, declared=declared, type="void (void)")

    def field(self, owner: str | None, name: str, *, at: str = "include/linux/kvm_host.h:700") -> int:
        return self.symbol(SymbolKind.FIELD, name, at=at, owner=owner)

    def define(self, name: str, line: int, last: int | None = None) -> int:
        """A function that the file defines."""
        number = self.function(name, at=f"{self.file}:{line}")
        self.definitions.append(Definition(number, line, line, last or line))
        self.use(number, line, role=Role.DEFINITION)
        return number

    def use(self, symbol: int, line: int, *, inside: str | None = None, role: Role = Role.REFERENCE) -> None:
        self.tokens.append(Token(line, 1, 1, symbol, role, inside))

    def call(self, symbol: int, line: int, caller: str | None, *, macro: str | None = None) -> None:
        is_direct = self.symbols[symbol].kind is SymbolKind.FUNCTION
        self.calls.append(Call(line, 1, caller, symbol, is_direct, macro))
        if macro is None:
            self.use(symbol, line, inside=caller)

    def register(self, field: int, value: int, line: int, holder: str | None = None) -> None:
        self.registrations.append(Registration(line, 1, field, value, holder))

    def made(self) -> SemanticFile:
        return SemanticFile(
            file=self.file,
            is_generated=False,
            unit=self.unit or self.file.removesuffix(".c") + ".o",
            symbols=tuple(self.symbols),
            tokens=Tokens.of(self.tokens),
            expansions=(),
            hints=(),
            calls=tuple(self.calls),
            registrations=tuple(self.registrations),
            definitions=tuple(self.definitions),
            includes=(),
            inactive=(),
            diagnostics=(),
        )


def _place(text: str) -> Place:
    file, _, line = text.rpartition(":")
    return Place(file, int(line))
