"""Symbols of all kinds by a part of their name, over all kernels."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from ksurf.dataset.lookup import MEMBER_KINDS, btf_ids, members_like, read_tables, types_named
from ksurf.kernel import Kernel
from ksurf.report.json import SCHEMA_VERSION
from ksurf.surface.kfunc import is_kfunc
from ksurf.surface.lsm import HOOKS_UNION, hooks

__all__ = ["SEARCH_KINDS", "Hit", "search", "search_json", "search_text"]

_TYPES = ("struct", "union", "enum", "typedef")
SEARCH_KINDS = (
    "function",
    *_TYPES,
    "tracepoint",
    "syscall",
    "lsm",
    "kfunc",
    "export",
    "config",
    *MEMBER_KINDS,
)
"""The kinds that are searched, in the order in which equals are listed."""

_COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "function": {"functions": ("id", "name"), "instances": ("function",), "symbols": ("function",)},
    **{kind: {"types": ("name", "kind")} for kind in _TYPES},
    "tracepoint": {"tracepoints": ("system", "name")},
    "syscall": {"syscalls": ("name",)},
    "export": {"exports": ("name",)},
    "config": {"config": ("name",)},
}
_EXACT, _PREFIX, _WORD, _PART = range(4)


@dataclass(frozen=True, slots=True)
class Hit:
    """A symbol that was found."""

    kind: str
    name: str
    kernels: int
    """How many kernels have it."""
    rank: int
    """How well it fits: 0 the text itself, 1 begins with it, 2 has it as a word, 3 somewhere."""
    bits: int | None = field(default=None, compare=False, repr=False)
    """Which kernels have it: a bit for each, the first is the lowest; where that is known."""


def search(
    text: str, kernels: Sequence[tuple[Kernel, Path]], kinds: Collection[str] = SEARCH_KINDS
) -> list[Hit]:
    """The symbols whose names have the text in them, in whatever case; those that fit best first.

    Of those that fit equally, fields and enumerators, of which there are very many, come after all others.
    """
    columns: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        columns.update(_COLUMNS.get(kind, {}))
    counts: Counter[tuple[str, str]] = Counter()
    for tables in read_tables([directory for _, directory in kernels], columns):
        for kind in kinds:
            counts.update((kind, name) for name in _names(kind, text, tables))
    counts.update(_hooks_and_kfuncs(text, kernels, kinds))
    if members := set(MEMBER_KINDS).intersection(kinds):
        counts += members_like(text, kernels, members)
    hits = [Hit(kind, name, count, _rank(text, name)) for (kind, name), count in counts.items()]
    order = {kind: place for place, kind in enumerate(SEARCH_KINDS)}
    return sorted(hits, key=lambda hit: (hit.rank, *_place(hit, order[hit.kind])))


def _place(hit: Hit, kind: int) -> tuple[bool, int, str, int]:
    """Where it is among those that fit equally, ``kind`` being the place of its kind."""
    return hit.kind in MEMBER_KINDS, len(hit.name), hit.name, kind


def _rank(text: str, name: str) -> int:
    folded, wanted = name.casefold(), text.casefold()
    plain = folded.removeprefix("config_").rpartition(":")[2]
    # An event without its system, a field without its struct, and without those around it in that.
    names = (folded, plain, plain.rpartition(".")[2])
    if wanted in names:
        return _EXACT
    if any(one.startswith(wanted) for one in names):
        return _PREFIX
    return _WORD if re.search(rf"(?<![^\W_]){re.escape(wanted)}(?![^\W_])", folded) else _PART


def _names(kind: str, text: str, tables: dict[str, Any]) -> set[str]:
    """The names of one kernel, each once."""
    import pyarrow.compute as pc

    match kind:
        case "function":
            found = _matching(tables["functions"], text)
            ids = found["id"].combine_chunks()
            # Functions that are only declared are not there.
            left = {
                number
                for table in ("instances", "symbols")
                for number in _among(tables[table]["function"], ids)
            }
            pairs = zip(found["id"].to_pylist(), found["name"].to_pylist(), strict=True)
            return {name for number, name in pairs if number in left}
        case "struct" | "union" | "enum" | "typedef":
            types = tables["types"]
            return set(_matching(types.filter(pc.equal(types["kind"], kind)), text)["name"].to_pylist())
        case "tracepoint":
            table = tables["tracepoints"]
            pairs = zip(table["system"].to_pylist(), table["name"].to_pylist(), strict=True)
            full = {name if system is None else f"{system}:{name}" for system, name in pairs}
            return {name for name in full if text.casefold() in name.casefold()}
        case "syscall" | "export" | "config":
            table = tables[{"syscall": "syscalls", "export": "exports", "config": "config"}[kind]]
            return set(_matching(table, text)["name"].to_pylist())
        case _:
            return set()


def _matching(table: Any, text: str) -> Any:
    import pyarrow.compute as pc

    return table.filter(pc.match_substring(table["name"], text, ignore_case=True))


def _among(column: Any, values: Any) -> list[int]:
    import pyarrow.compute as pc

    found: list[int] = column.filter(pc.is_in(column, value_set=values)).unique().to_pylist()
    return found


def _hooks_and_kfuncs(
    text: str, kernels: Sequence[tuple[Kernel, Path]], kinds: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The hooks and kfuncs of each kernel."""
    wanted = text.casefold()
    names: list[tuple[str, Iterable[str]]] = []
    if "lsm" in kinds:
        unions = types_named([HOOKS_UNION], kernels, kinds=("union",))[HOOKS_UNION]
        names += [("lsm", hooks(rows.types[0].definition, ())) for rows in unions if rows.types]
    if "kfunc" in kinds:
        names += [("kfunc", {row.name for row in rows if is_kfunc(row)}) for rows in btf_ids(kernels)]
    for kind, own in names:
        yield from ((kind, name) for name in own if wanted in name.casefold())


def search_text(hits: Sequence[Hit], kernels: int, *, limit: int | None) -> str:
    """One line per symbol: its kind, its name, and on how many of the kernels it is."""
    shown = hits if limit is None else hits[:limit]
    lines = [
        f"{click.style(hit.kind.ljust(10), dim=True)}  {hit.name}{_on(hit.kernels, kernels)}" for hit in shown
    ]
    if len(hits) > len(shown):
        more = len(hits) - len(shown)
        lines.append(click.style(f"and {more} more; --limit shows more, 0 all", dim=True))
    return "".join(f"{line}\n" for line in lines)


def _on(count: int, kernels: int) -> str:
    return "" if count == kernels else click.style(f"  on {count} of {kernels} kernels", dim=True)


def search_json(text: str, hits: Sequence[Hit], kernels: int, *, limit: int | None) -> str:
    """The same as one JSON document with a newline at its end."""
    shown = hits if limit is None else hits[:limit]
    document = {
        "schema": "ksurf.search",
        "version": SCHEMA_VERSION,
        "text": text,
        "kernels": kernels,
        "total": len(hits),
        "symbols": [{"kind": hit.kind, "name": hit.name, "kernels": hit.kernels} for hit in shown],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
