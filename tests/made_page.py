"""Pages made by hand: a source, and what a unit would say of it."""

from __future__ import annotations

from ksurf.kernel import Kernel
from ksurf.source.compose import semantic_page
from ksurf.source.facts import PageFacts
from ksurf.source.page import Page
from ksurf.source.place import Place
from ksurf.source.semantic.model import (
    Definition,
    Diagnostic,
    Hint,
    LineRange,
    Role,
    SemanticFile,
    Symbol,
    SymbolKind,
    Token,
    Tokens,
)

FILE = "drivers/demo/demo.c"
SOURCE = b"""\
#include <linux/demo.h>
#define FLAGS (ONE | TWO)

/* Wakes \xc3\xa9veryone; at line 5
 * it is still a comment. */
static int demo_wake(struct demo *demo, unsigned long flags)
{
\treturn demo_call(demo, flags, FLAGS | 0x1f, "a /* b */");
}
#ifdef CONFIG_GONE
int gone(void) { return 1; }
#endif
int demo_table[] = { 1, 2 };
"""


def place(source: bytes, text: bytes, nth: int = 0) -> tuple[int, int]:
    """Line and column of a text in a source, where it stands for the ``nth`` time."""
    at = -1
    for _ in range(nth + 1):
        at = source.index(text, at + 1)
    return source.count(b"\n", 0, at) + 1, at - (source.rfind(b"\n", 0, at) + 1) + 1


def seen(source: bytes = SOURCE) -> SemanticFile:
    """What a unit says of :data:`SOURCE`, line by line."""

    def symbol(kind: SymbolKind, name: str, type: str = "", definition: Place | None = None) -> Symbol:
        return Symbol(kind, name, f"c:@{name}", type, definition, None, None, False)

    def token(text: bytes, number: int, role: Role = Role.REFERENCE, nth: int = 0) -> Token:
        line, column = place(source, text, nth)
        return Token(line, column, len(text), number, role, "demo_wake")

    header = Place("include/linux/demo.h", 7, 12)
    symbols = (
        symbol(SymbolKind.MACRO, "FLAGS"),
        symbol(SymbolKind.FUNCTION, "demo_wake", "int (struct demo *, unsigned long)", Place(FILE, 6, 12)),
        symbol(SymbolKind.FUNCTION, "demo_call", "int (void *, int, int, const char *)", header),
        symbol(SymbolKind.PARAMETER, "flags", "unsigned long", Place(FILE, 6, 55)),
        symbol(SymbolKind.VARIABLE, "demo_table", "int[2]", Place(FILE, 13, 5)),
    )
    call_line, _ = place(source, b"demo_call")
    hints = tuple(
        Hint(call_line, place(source, text, nth)[1], name)
        for text, nth, name in ((b"demo, flags", 0, "object"), (b"FLAGS |", 0, "how"), (b'"a /*', 0, "text"))
    )
    return SemanticFile(
        file=FILE,
        is_generated=False,
        unit="drivers/demo/demo.o",
        symbols=symbols,
        tokens=Tokens.of(
            (
                token(b"FLAGS", 0, Role.DEFINITION),
                token(b"demo_wake", 1, Role.DEFINITION),
                token(b"demo_call", 2),
                token(b"flags", 3, nth=1),
                token(b"FLAGS", 0, nth=1),
                token(b"demo_table", 4, Role.DEFINITION),
            )
        ),
        expansions=(),
        hints=hints,
        calls=(),
        registrations=(),
        definitions=(
            Definition(0, *3 * (place(source, b"FLAGS")[0],)),
            Definition(1, 6, 6, 9),
            Definition(4, 13, 13, 13),
        ),
        includes=(),
        inactive=(LineRange(11, 11),),
        diagnostics=(Diagnostic(Place(FILE, 8, 1), "error", "unknown builtin"),),
    )


def page(kernel: Kernel | None = None, facts: PageFacts | None = None) -> Page:
    """The page of :data:`SOURCE`."""
    return semantic_page(SOURCE, seen(), tree="debian_7.3.4-1", kernel=kernel, facts=facts)
