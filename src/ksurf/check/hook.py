"""Names of functions as consumers write them: with a module, an offset, a suffix, or wildcards."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Hook", "base_name", "is_pattern", "pattern_expression", "split_hook"]

_WILD = re.compile(r"[*?\[\]|()^$]|\.\+")
_EXPRESSION = re.compile(r"[\^$()|]|\.[*+]")
_MODULE = re.compile(r"([\w-]+):(?!:)(.+)", re.DOTALL)


class Hook(NamedTuple):
    """A function's name taken apart."""

    module: str | None
    symbol: str
    offset: int | None


def split_hook(name: str) -> Hook:
    """Take apart ``kvm:kvm_vcpu_kick+0x10``; a text after ``+`` that is no number is a part of the name."""
    found = _MODULE.fullmatch(name)
    module, symbol = (found[1], found[2]) if found is not None else (None, name)
    before, plus, offset = symbol.rpartition("+")
    if plus and before:
        try:
            return Hook(module, before, int(offset, 0))
        except ValueError:
            pass
    return Hook(module, symbol, None)


def base_name(name: str) -> str:
    """The function that a hook is in: ``do_one`` for ``do_one.isra.0+8``."""
    symbol = split_hook(name).symbol
    dots = len(symbol) - len(symbol.lstrip("."))
    return symbol[dots:].partition(".")[0] or symbol


def is_pattern(name: str) -> bool:
    """Whether it may mean several: it has wildcards of a shell, or is a regular expression."""
    return _WILD.search(name) is not None


def pattern_expression(name: str) -> str:
    """The pattern as a regular expression (RE2) for whole names.

    BCC's are regular expressions from the start of the name on, the others wildcards.
    """
    if _EXPRESSION.search(name):
        start = name.removeprefix("^")
        return start.removesuffix("$") if start.endswith("$") else f"(?:{start}).*"
    return "".join(_wildcard(part) for part in re.split(r"(\[[^\]]*\]|.)", name) if part)


def _wildcard(part: str) -> str:
    if part == "*":
        return ".*"
    if part == "?":
        return "."
    if len(part) > 2 and part.startswith("["):
        return f"[{'^' if part[1] == '!' else ''}{part[2:-1] if part[1] == '!' else part[1:-1]}]"
    return re.escape(part)
