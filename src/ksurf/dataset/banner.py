"""What a kernel's banner tells: who compiled it, with what.

Source: ``linux_banner`` (init/version.c): ``Linux version RELEASE (USER@HOST) (COMPILER, LINKER) #BUILD``, in
which the makefiles put the first line that compiler and linker print of themselves (scripts/mkcompile_h).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Banner", "parse_banner"]

_BUILDER = re.compile(r"Linux version \S+ \([^()\s]*@[^()\s]*\) ")
_LINKER = re.compile(r", (?=(?:GNU (?:ld|gold)|(?:[^,()]+ )?LLD) )")


@dataclass(frozen=True, slots=True)
class Banner:
    """Compiler and linker as they call themselves; ``None`` where the banner does not tell."""

    compiler: str | None
    linker: str | None


def parse_banner(text: str) -> Banner:
    """Read a banner, whose last part, the tools, is in parentheses, and may hold further ones."""
    builder = _BUILDER.match(text)
    tools = _in_parentheses(text[builder.end() :]) if builder else None
    if tools is None:
        return Banner(None, None)
    compiler, *linker = _LINKER.split(tools, maxsplit=1)
    # Before 5.8 the banner told only the compiler: "gcc version 8.3.0 (Debian 8.3.0-6)".
    return Banner(compiler.strip() or None, linker[0].strip() if linker else None)


def _in_parentheses(text: str) -> str | None:
    """What the parentheses hold that the text begins with."""
    depth = 0
    for end, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:end] if end else None
    return None
