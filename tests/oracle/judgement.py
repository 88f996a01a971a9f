"""Collision and inline kind of a function, judged from the slow reading in the issue's own words."""

from __future__ import annotations

from collections.abc import Collection

from oracle.reading import Definition, Symbol


def collision(definitions: Collection[Definition], symbols: Collection[Symbol]) -> str:
    """How many functions share a name, and what kind they are of."""
    owned = {symbol.address for symbol in symbols if symbol.name == symbol.base}
    # Of two external definitions in one image the linker gives the name to one; the other was a weak default.
    counted = [d for d in definitions if not d.external or not d.addresses or owned & {*d.addresses}]
    places = {(definition.decl_file, definition.decl_line) for definition in counted}
    kinds = {definition.external for definition in counted}
    if kinds == {True, False}:
        return "Static-Global Collision"
    if kinds == {True}:
        return "Unique Global"
    if len(places) > 1:
        return "Static-Static Collision"
    return "Static Duplication" if len(counted) > 1 else "Unique Static"


def inline(definitions: Collection[Definition], symbols: Collection[Symbol]) -> str:
    """Whether the compiler put a function's body into its callers: nowhere, here and there, or everywhere."""
    if not any(definition.inlined for definition in definitions):
        return "No"
    return "Selective" if symbols or any(definition.addresses for definition in definitions) else "Full"
