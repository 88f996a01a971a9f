"""C declarations: a name put into the text of a type, as ``ctype.rs`` writes both."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["declaration"]

# Everything before the first pointer, array or parameter list; `(anon)` stands for a name there.
_BASE = re.compile(r"(?:\(anon\)|[^*(\[])*")
_POINTERS = re.compile(r"(?:\s*\*(?:\s*(?:const|volatile|restrict|_Atomic)\b)*)*")
_PARENTHESIS = re.compile(r"\s*\((?=\*)")
# Types of trace events' fields that tell where the value is: the name stands after all of them.
_LOCATED = ("__data_loc ", "__rel_loc ")


def declaration(type_text: str, name: str) -> str:
    """Declare ``name`` with a type whose text comes without one: ``int (*)(void)`` makes ``int (*f)(void)``.

    A declarator is read from its base type inwards: after the pointers either a parenthesis begins with a
    pointer, and the name is further inside, or the name is here. No list of parameters begins with ``*``.
    """
    before, after = _around(type_text)
    return f"{before}{name}{after}"


@lru_cache(maxsize=1 << 14)
def _around(type_text: str) -> tuple[str, str]:
    """What stands before a name that is declared with the type, and what stands after it."""
    if type_text.startswith(_LOCATED):
        return f"{type_text} ", ""
    base = _BASE.match(type_text)
    place = base.end() if base else 0
    inside = False
    while True:
        pointers = _POINTERS.match(type_text, place)
        place = pointers.end() if pointers else place
        parenthesis = _PARENTHESIS.match(type_text, place)
        if parenthesis is None:
            break
        inside, place = True, parenthesis.end()
    left, right = type_text[:place].rstrip(), type_text[place:].lstrip()
    # `struct a *b`, `struct a * b[2]`, `int (*b[2])(void)`
    glued = left.endswith("*") and (inside or not right)
    return f"{left}{'' if glued or not left else ' '}", right
