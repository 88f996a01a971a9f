"""Which arguments are shown with the name of their parameter: clangd's rules.

Source: clangd 18's behaviour, against which ``tests/test_source_clangd.py`` holds this.
"""

from __future__ import annotations

import re

__all__ = ["is_setter", "shown_name", "speaks_for_itself"]

_BEFORE = re.compile(rb"/\*[ =.]*([^*/]*?)[ =.]*\*/\s*\Z")
_LONGEST_COMMENT = 200


def shown_name(parameter: str) -> str:
    """Return a parameter's name as it is shown: underscores in front are for macros' sake, and say
    nothing."""
    return parameter.lstrip("_")


def is_setter(function: str, parameters: list[str]) -> bool:
    """Tell if a function's name says what its only parameter is: ``set_irq(irq)``, ``setIrq(irq)``."""
    if len(parameters) != 1 or not function.lower().startswith("set"):
        return False
    return function[3:].lstrip("_").lower() == parameters[0].lower()


def speaks_for_itself(name: str, argument: str | None, content: bytes, offset: int) -> bool:
    """Tell if an argument at ``offset`` needs no hint ``name``.

    Either it is a plain name, and the same one (``argument``), or a comment before it says it: ``/*name=*/``.
    """
    if name == argument:
        return True
    found = _BEFORE.search(content[max(0, offset - _LONGEST_COMMENT) : offset])
    return found is not None and found[1].decode("utf-8", "replace") == name.strip(" =.")
