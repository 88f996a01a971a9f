"""Inlining and transformation: what compilers made of the functions of each kernel, in shares of all.

What a name is depends on a few facts, which Arrow gathers for all names at once;
:mod:`ksurf.surface.function`, whose rules these are, is asked once for each combination that occurs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from ksurf.dataset.lookup import read_tables
from ksurf.dataset.lookup.table import in_parallel
from ksurf.dataset.store import Store
from ksurf.plot.model.figure import Figure, Value, command_line, kernels_text
from ksurf.series import Column, Groups, columns_of
from ksurf.surface.function import InlineKind, inline_kind, is_code, transformations

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TABLES", "Inlining", "Names", "Shares", "inlining", "names_of"]

TABLES = {
    "images": ("evidence",),
    "functions": ("name",),
    "instances": ("function", "image", "inlined", "out_of_line"),
    "symbols": ("name", "function"),
}
"""The tables and columns that tell."""

INLINING_QUERY = """\
SELECT told, inlined, code, count(*) AS names FROM (
 SELECT name, bool_or(told) AS told, bool_or(inlined) AS inlined, bool_or(code) AS code FROM (
  SELECT n.function AS name, i.evidence = 'dwarf' AS told,
   i.evidence = 'dwarf' AND coalesce(n.inlined, false) AS inlined, n.out_of_line AS code
  FROM instances n JOIN images i ON i.kernel = n.kernel AND i.name = n.image WHERE n.kernel = '{kernel}'
  UNION ALL
  SELECT function, false, false, NOT regexp_matches(name, '[^.][.]cold([.]|$)')
  FROM symbols WHERE kernel = '{kernel}' AND function IS NOT NULL)
 GROUP BY name) GROUP BY ALL ORDER BY ALL"""
"""The names of functions of a kernel by what inlining is judged by: SQL of the same rules."""

SUFFIX_QUERY = """\
SELECT suffix, count(DISTINCT function) AS names FROM (
 SELECT function, unnest(string_split(ltrim(name, '.'), '.')[2:]) AS suffix,
  generate_subscripts(string_split(ltrim(name, '.'), '.')[2:], 1) AS place
 FROM symbols WHERE kernel = '{kernel}' AND function IS NOT NULL
  AND NOT regexp_matches(name, '[^.][.]cold([.]|$)'))
WHERE suffix <> '' AND (place = 1 OR NOT regexp_full_match(suffix, '[0-9]+'))
GROUP BY GROUPING SETS ((suffix), ()) ORDER BY ALL"""
"""How many names have a symbol with each suffix, and, under no suffix, with any."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The functions of a kernel, by name: those that left code, a symbol or a copy of their body."""

    column: Column
    functions: int
    out_of_line: int
    """Have code, and no caller has a copy of their body."""
    selective: int
    full: int
    untold: int
    """No image with DWARF has them, so that nothing tells."""
    transformed: int
    """Some of their code is a copy that differs from the source."""
    suffixes: tuple[tuple[str, int], ...]
    """How many have code with each suffix, the most frequent first; one may have several."""

    @property
    def kinds(self) -> tuple[tuple[str, int], ...]:
        """The kinds of inlining, which make up all."""
        return (
            ("out of line only", self.out_of_line),
            ("selectively inlined", self.selective),
            ("fully inlined", self.full),
            ("not told", self.untold),
        )


@dataclass(frozen=True)
class Inlining(Figure):
    """The shares on each kernel."""

    name: ClassVar[str] = "inlining"

    shares: tuple[Shares, ...]
    """In the order of the columns."""

    @property
    def title(self) -> str:
        """What it shows."""
        return "What the compiler makes of functions"

    @property
    def facts(self) -> str:
        """Of which kernels."""
        return f"Inlining and transformation, in % of function names: {kernels_text(self.columns)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was counted."""
        return (
            "Selectively inlined: some callers hold a copy, others call it; a program attached to it misses "
            "the copies. Fully inlined: there is nothing to attach to.",
            "Transformed: code under a name with a suffix, whose arguments may differ from the source; .cold "
            "parts do not count. One function may have several suffixes.",
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of a row."""
        return ("group", "label", "kernel", "measure", "functions", "of", "percent", "source")

    def rows(self) -> Iterator[dict[str, Value]]:
        """One for each kernel and kind of inlining, and one for each suffix."""
        for shares in self.shares:
            kernel = shares.column.kernel.id
            inlined, suffixed = (
                command_line("sql", " ".join(query.format(kernel=kernel).split()))
                for query in (INLINING_QUERY, SUFFIX_QUERY)
            )
            counts = [(kind, count, inlined) for kind, count in shares.kinds]
            counts.append(("transformed", shares.transformed, suffixed))
            counts += [(f".{suffix}", count, suffixed) for suffix, count in shares.suffixes]
            for measure, count, source in counts:
                yield {
                    "group": shares.column.group,
                    "label": shares.column.label,
                    "kernel": kernel,
                    "measure": measure,
                    "functions": count,
                    "of": shares.functions,
                    "percent": round(100 * count / shares.functions, 3) if shares.functions else None,
                    "source": source,
                }


def inlining(store: Store, groups: Groups) -> Inlining:
    """Count what became of the functions of each kernel of all groups."""
    columns = columns_of(groups)
    shares = in_parallel(lambda column: _shares(column, store), columns)
    return Inlining(columns, tuple(shares))


def _shares(column: Column, store: Store) -> Shares:
    import pyarrow.compute as pc

    (tables,) = read_tables([store.directory(column.kernel.id)], TABLES)
    names = names_of(tables)
    kinds: Counter[InlineKind | None] = Counter()
    for entry in pc.value_counts(names.kinds).to_pylist():
        kinds[_kind(entry["values"])] += entry["counts"]
    suffixes = Counter(suffix for own in names.suffixes.values() for suffix in own)
    return Shares(
        column,
        len(names.names),
        kinds[InlineKind.NO],
        kinds[InlineKind.SELECTIVE],
        kinds[InlineKind.FULL],
        kinds[None],
        len(names.suffixes),
        tuple(sorted(suffixes.items(), key=lambda one: (-one[1], one[0]))),
    )


class Names(NamedTuple):
    """The names of functions that left something in a kernel's images."""

    names: pa.Array
    kinds: pa.Array
    """Of each the facts that its inlining is judged by, as bits."""
    suffixes: dict[str, set[str]]
    """Of each name with a transformed symbol the suffixes."""

    def inlined(self) -> dict[str, InlineKind | None]:
        """What each name is."""
        return {
            name: _kind(bits)
            for name, bits in zip(self.names.to_pylist(), self.kinds.to_pylist(), strict=True)
        }


_TOLD, _INLINED, _CODE = 1, 2, 4


def _kind(bits: int) -> InlineKind | None:
    return inline_kind(told=bool(bits & _TOLD), inlined=bool(bits & _INLINED), has_code=bool(bits & _CODE))


def names_of(tables: dict[str, Any]) -> Names:
    """Gather the facts about each name from a kernel's tables."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = tables["functions"]["name"].combine_chunks().dictionary_encode()
    instances, symbols = tables["instances"], tables["symbols"]
    symbols = symbols.filter(pc.is_valid(symbols["function"]))

    told = pc.equal(tables["images"]["evidence"], "dwarf").combine_chunks().take(instances["image"])
    inlined = pc.and_(told, pc.fill_null(instances["inlined"], False))
    split, suffixes = _suffixes(symbols, names)
    nothing = pa.repeat(False, symbols.num_rows)
    facts = pa.table(
        {
            "name": _chunks(
                names.indices.take(instances["function"]), names.indices.take(symbols["function"])
            ),
            "told": _chunks(told, nothing),
            "inlined": _chunks(inlined, nothing),
            "code": _chunks(instances["out_of_line"], pc.invert(split)),
        }
    )
    by_name = facts.group_by("name").aggregate([(fact, "any") for fact in ("told", "inlined", "code")])
    bits = pa.scalar(0, pa.int8())
    for fact, bit in (("told", _TOLD), ("inlined", _INLINED), ("code", _CODE)):
        bits = pc.add(bits, pc.multiply(by_name[f"{fact}_any"].cast(pa.int8()), pa.scalar(bit, pa.int8())))
    return Names(names.dictionary.take(by_name["name"].combine_chunks()), bits.combine_chunks(), suffixes)


def _suffixes(symbols: Any, names: Any) -> tuple[Any, dict[str, set[str]]]:
    """Which symbols are parts that were moved away, and the suffixes of the other ones by their function."""
    import pyarrow as pa
    import pyarrow.compute as pc

    dotted = pc.indices_nonzero(pc.match_substring(symbols["name"], "."))
    marks = bytearray(symbols.num_rows)
    suffixes: dict[str, set[str]] = {}
    some = symbols.take(dotted)
    owners = names.dictionary.take(names.indices.take(some["function"].combine_chunks()))
    for place, symbol, owner in zip(
        dotted.to_pylist(), some["name"].to_pylist(), owners.to_pylist(), strict=True
    ):
        marks[place] = not is_code(symbol)
        if found := transformations(symbol):
            suffixes.setdefault(owner, set()).update(found)
    split = pa.Array.from_buffers(pa.uint8(), len(marks), [None, pa.py_buffer(marks)]).cast(pa.bool_())
    return split, suffixes


def _chunks(*parts: Any) -> Any:
    """Several columns, one after the other."""
    import pyarrow as pa

    return pa.chunked_array(
        [chunk for part in parts for chunk in (part.chunks if isinstance(part, pa.ChunkedArray) else [part])]
    )
