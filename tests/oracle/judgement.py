"""Collision and inline kind of a function, judged from the slow reading in the issue's own words."""

from __future__ import annotations

from collections.abc import Collection

from oracle.reading import Definition


def collision(definitions: Collection[Definition]) -> str:
    """How many functions share a name, and what kind they are of."""
    places = {(definition.decl_file, definition.decl_line) for definition in definitions}
    kinds = {definition.external for definition in definitions}
    if kinds == {True, False}:
        return "Static-Global Collision"
    if kinds == {True}:
        return "Unique Global"
    if len(places) > 1:
        return "Static-Static Collision"
    return "Static Duplication" if len(definitions) > 1 else "Unique Static"


def inline(definitions: Collection[Definition]) -> str:
    """Whether the compiler put a function's body into its callers: nowhere, here and there, or everywhere."""
    if not any(definition.inlined for definition in definitions):
        return "No"
    return "Selective" if any(definition.addresses for definition in definitions) else "Full"
