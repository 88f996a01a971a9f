"""The grammar of bpftrace's code (``grammar.lark``), and trees made by it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

__all__ = ["Failure", "Start", "parse"]

_EXPECTED_LIMIT = 6
_NAMES = {
    "NAME": "a name",
    "FIELD": "a field",
    "PATH": "a field",
    "INTEGER": "a number",
    "STRING": "a string",
    "MAP": "a map",
    "VARIABLE": "a variable",
    "TYPE": "a type",
    "OPERATOR": "an operator",
    "ASSIGN": "an assignment",
    "LBRACE": "{",
    "_CONFIG_OPEN": "{",
    "RBRACE": "}",
    "LPAR": "(",
    "RPAR": ")",
    "LSQB": "[",
    "RSQB": "]",
    "SEMICOLON": ";",
    "COLON": ":",
    "COMMA": ",",
    "EQUAL": "=",
    "IF": "if",
    "_ACCESS": ".",
    "$END": "its end",
}
"""What a person calls the terminals; others are left out where several are expected."""

Start = Literal["block", "expression", "item"]


class Failure(Exception):
    """Code that could not be parsed."""

    def __init__(self, position: int, reason: str) -> None:
        """Keep where it is, counted from the start of the code, and why."""
        super().__init__(reason)
        self.position = position
        self.reason = reason


def parse(text: str, start: Start) -> Tree[Token]:
    """Return the tree of a piece of code without comments; raise :class:`Failure` if there is none."""
    try:
        tree: Tree[Token] = _parser().parse(text, start=start)
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0
        raise Failure(position, _found(repr(text[position]), error.allowed)) from None
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        position = len(text) if at_end else error.token.start_pos or 0
        raise Failure(
            position, _found("its end" if at_end else repr(str(error.token)[:40]), error.expected)
        ) from None
    except UnexpectedInput as error:
        raise Failure(error.pos_in_stream or 0, "it cannot be read") from None
    return tree


@cache
def _parser() -> Lark:
    text = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        parser="lalr",
        lexer="contextual",
        start=["block", "expression", "item"],
        maybe_placeholders=False,
    )


def _found(found: str, expected: set[str] | None) -> str:
    names = sorted({_NAMES[one] for one in expected or () if one in _NAMES})
    if not names:
        return f"{found} is not expected here"
    more = " or others" if len(names) > _EXPECTED_LIMIT else ""
    return f"expected {' or '.join(names[:_EXPECTED_LIMIT])}{more}, found {found}"
