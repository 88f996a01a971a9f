"""Functions as far as it matters to those who attach to them, in a third of the time of all that is known.

What is left out is what takes most time to read: prototypes (those in BTF are found with the types),
where they stand, and calls, but for those that hold a copy of a function, with the caller's name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ksurf.dataset.lookup.table import Directory, directory_at, in_parallel, rows_of
from ksurf.dataset.rows import CallSite, Function, FunctionRows, Instance, Symbol
from ksurf.dataset.unpacked.table import UnpackedTable
from ksurf.kernel import Kernel

__all__ = [
    "CodeSymbols",
    "callers_named",
    "code_symbols",
    "functions_in_brief",
    "prototypes_named",
    "symbols_in_brief",
    "whole_matches",
]

Kernels = Sequence[tuple[Kernel, Path]]


_SYMBOL = (
    "name",
    "function",
    "instance",
    "image",
    "address",
    "byte_size",
    "bind",
    "ftrace",
    "kprobe_blacklist",
    "error_injection",
    "init",
)


def functions_in_brief(
    names: Sequence[str],
    kernels: Kernels,
    *,
    placed: Collection[str] = (),
    callers: bool = True,
    prototypes: bool = False,
) -> dict[str, list[FunctionRows]]:
    """The rows about each name on each kernel; ``None`` stands for what was not read.

    Where a function is declared is read of names that several functions share, and of those in ``placed``.
    Without ``callers`` there are no call sites at all, and with ``prototypes`` these are read too.
    """

    def read(kernel: tuple[Kernel, Path]) -> dict[str, FunctionRows]:
        tables = directory_at(kernel[1])
        return _brief(kernel[0], tables, names, placed, callers=callers, prototypes=prototypes)

    found = in_parallel(read, kernels)
    return {name: [rows[name] for rows in found] for name in names}


def _brief(
    kernel: Kernel,
    tables: Directory,
    names: Sequence[str],
    placed: Collection[str],
    *,
    callers: bool,
    prototypes: bool,
) -> dict[str, FunctionRows]:
    import pyarrow as pa
    import pyarrow.compute as pc

    table = tables.table("functions")
    # A function's id is the number of its row.
    if isinstance(table, UnpackedTable):
        all_names = None
        own_names = dict(table.rows("name", names, ["id", "name"])[1])
    else:
        # All names at once, since those of callers are anywhere.
        all_names = table.read(["name"])["name"]
        hits = pc.indices_nonzero(pc.is_in(all_names, value_set=pa.array(sorted(set(names)), pa.string())))
        own_names = dict(zip(hits.to_pylist(), all_names.take(hits).to_pylist(), strict=True))
    counts = Counter(own_names.values())
    shared = [id_ for id_, name in own_names.items() if counts[name] > 1 or name in placed]
    places = table.at(shared, ["decl_file", "decl_line"])
    functions: dict[str, list[Function]] = defaultdict(list)
    columns = ["external", "prototype"] if prototypes else ["external"]
    for id_, (external, *prototype) in table.at(own_names, columns).items():
        file, line = places.get(id_, (None, None))
        name = own_names[id_]
        text = prototype[0] if prototype else None
        functions[name].append(Function(id_, name, None, file, line, external, None, text))
    instances: dict[int, list[Instance]] = defaultdict(list)
    symbols: dict[int | None, list[Symbol]] = defaultdict(list)
    copies: dict[int, list[CallSite]] = defaultdict(list)
    for instance in _instances(tables, own_names) if own_names else ():
        instances[instance.function].append(instance)
    if own_names:
        for symbol in symbols_in_brief(tables, own_names):
            symbols[symbol.function].append(symbol)
    inlined = {function for function, own in instances.items() if any(one.inlined for one in own)}
    if inlined and callers:
        for site in _copies(tables, inlined, all_names):
            copies[site.callee].append(site)
    result = {}
    for name in names:
        ids = [function.id for function in functions[name]]
        result[name] = FunctionRows(
            kernel,
            name,
            tuple(functions[name]),
            tuple(one for id_ in ids for one in instances[id_]),
            tuple(one for id_ in ids for one in copies[id_]),
            tuple(one for id_ in ids for one in symbols[id_]),
        )
    return result


def symbols_in_brief(tables: Directory, functions: Collection[int]) -> list[Symbol]:
    """The symbols of functions, with what attaching depends on; their section and type are not read."""
    result = []
    for row in tables.table("symbols").rows("function", functions, _SYMBOL)[1]:
        held = dict(zip(_SYMBOL, row, strict=True))
        held["image"] = tables.images[held["image"]][0]
        result.append(Symbol(section=None, type="STT_FUNC", **held))
    return result


def _instances(tables: Directory, functions: Collection[int]) -> list[Instance]:
    columns = ["id", "function", "image", "unit", "inlined", "out_of_line"]
    result = []
    for number, function, image, unit, inlined, out_of_line in tables.table("instances").rows(
        "function", functions, columns
    )[1]:
        name, evidence = tables.images[image]
        result.append(
            Instance(
                number,
                function,
                name,
                evidence,
                None,
                unit,
                inlined,
                out_of_line,
                None,
                None,
                None,
                None,
            )
        )
    return result


def _copies(tables: Directory, callees: Collection[int], all_names: Any) -> list[CallSite]:
    """The inlined calls of functions, with the names of those whose code holds them.

    ``all_names`` are those of all functions, if they were read.
    """
    import pyarrow as pa

    columns = ["caller", "callee", "callee_instance", "inline"]
    _, rows = tables.table("call_sites").rows("callee", callees, columns)
    sites = [row[:3] for row in rows if row[3]]
    callers = tables.table("instances").at({caller for caller, _, _ in sites}, ["function", "image", "unit"])
    held = sorted({function for function, _, _ in callers.values()})
    if all_names is None:
        names = {number: name for number, (name,) in tables.table("functions").at(held, ["name"]).items()}
    else:
        names = dict(zip(held, all_names.take(pa.array(held, pa.int64())).to_pylist(), strict=True))
    result = []
    for caller, callee, instance in sites:
        function, image, unit = callers[caller]
        result.append(
            CallSite(
                callee,
                instance,
                names[function],
                tables.images[image][0],
                None,
                unit,
                True,
                0,
                None,
                None,
                None,
            )
        )
    return result


def callers_named(names: Collection[str], kernels: Kernels) -> list[dict[str, frozenset[str]]]:
    """The names of those who call functions of these names or hold copies of them, on each kernel."""

    def read(kernel: tuple[Kernel, Path]) -> dict[str, frozenset[str]]:
        tables = directory_at(kernel[1])
        called = dict(tables.table("functions").rows("name", names, ["id", "name"])[1])
        result: dict[str, set[str]] = {name: set() for name in names}
        if called:
            _, sites = tables.table("call_sites").rows("callee", called, ["caller", "callee"])
            callers = tables.table("instances").at({caller for caller, _ in sites}, ["function"])
            known = tables.table("functions").at({function for (function,) in callers.values()}, ["name"])
            for caller, callee in sites:
                result[called[callee]].add(known[callers[caller][0]][0])
        return {name: frozenset(held) for name, held in result.items()}

    return in_parallel(read, kernels)


def prototypes_named(names: Collection[str], kernels: Kernels) -> list[dict[str, tuple[str, ...]]]:
    """The prototypes of functions as debug information has them, by name, on each kernel."""

    def read(kernel: tuple[Kernel, Path]) -> dict[str, tuple[str, ...]]:
        _, rows = directory_at(kernel[1]).table("functions").rows("name", names, ["name", "prototype"])
        result: dict[str, dict[str, None]] = {}
        for name, prototype in rows:
            if prototype is not None:
                result.setdefault(name, {})[prototype] = None
        return {name: tuple(held) for name, held in result.items()}

    return in_parallel(read, kernels)


class CodeSymbols(NamedTuple):
    """The symbols of a kernel's code whose names match a pattern, column by column."""

    symbols: tuple[Mapping[str, Any], ...]
    """``name``, ``image``, ``ftrace``, ``kprobe_blacklist``, ``error_injection`` and ``init`` of each."""
    btf_functions: Mapping[tuple[str, str], int]
    """How many functions of a name an image's BTF has, by image and name; only of these symbols."""


def whole_matches(column: Any, expression: str) -> Any:
    """Which texts of an Arrow column a regular expression (RE2) matches whole; none if it is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.match_substring_regex(column, f"^(?:{expression})$")
    except pa.ArrowInvalid:
        return pc.equal(column, pa.scalar(None, pa.string())).fill_null(False)


def code_symbols(
    expressions: Sequence[str], kernels: Kernels, *, btf: bool = True
) -> list[dict[str, CodeSymbols]]:
    """The symbols of each regular expression (RE2) of their whole names, on each kernel; with what BTF has of
    them if that is asked for.
    """
    return in_parallel(lambda kernel: _matching(expressions, directory_at(kernel[1]), btf=btf), kernels)


def _matching(expressions: Sequence[str], tables: Directory, *, btf: bool) -> dict[str, CodeSymbols]:
    import pyarrow.compute as pc

    columns = ["name", "image", "ftrace", "kprobe_blacklist", "error_injection", "init"]
    all_symbols = tables.table("symbols").read(columns)
    groups: list[int] | None = None if btf else []
    types = tables.table("types").read(["name", "kind", "image", "evidence"], groups)
    described = pc.and_(pc.equal(types["kind"], "func"), pc.equal(types["evidence"], "btf"))
    functions = types.select(["name", "image"]).filter(described)
    result = {}
    for expression in expressions:
        held = all_symbols.filter(whole_matches(all_symbols["name"], expression))
        rows = rows_of(held)
        counts: dict[tuple[str, str], int] = {}
        for row in rows_of(
            functions.filter(pc.is_in(functions["name"], value_set=held["name"].combine_chunks()))
        ):
            key = tables.images[row["image"]][0], row["name"]
            counts[key] = counts.get(key, 0) + 1
        for row in rows:
            row["image"] = tables.images[row["image"]][0]
        result[expression] = CodeSymbols(tuple(rows), counts)
    return result
