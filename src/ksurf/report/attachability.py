"""What can be attached to on one of two kernels only, among all that both have.

Symbols are many, and the combinations of facts about them a few hundred. Arrow puts the number of its
combination beside each symbol, each combination is judged once, and Python objects are made for the names
that differ. What is no code is a few thousand things, and Python's alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from pathlib import Path
from typing import Any

from ksurf.dataset.lookup import kernel_marks, read_tables
from ksurf.dataset.lookup.table import stored_columns, values_of
from ksurf.dataset.lookup.whole import fields_of, parameters_of
from ksurf.dataset.rows import Definition, Member
from ksurf.kernel import Kernel
from ksurf.report.code_facts import (
    ASKS,
    ATTRIBUTES,
    BITS,
    VMLINUX,
    Side,
    Symbols,
    array,
    number_names,
    parameters,
    repeated,
    rows_where,
)
from ksurf.surface.attach import (
    HookFacts,
    KfuncFacts,
    Mechanism,
    TracepointFacts,
    Verdict,
    attach_any,
    attach_hook,
    attach_kfunc,
    attach_tracepoint,
)
from ksurf.surface.attach_change import by_name, compare_attachability
from ksurf.surface.change import Change
from ksurf.surface.diff import KindDiff, diff_kind
from ksurf.surface.kfunc import is_kfunc
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED, HOOKS_UNION
from ksurf.surface.syscall import native_abi
from ksurf.surface.tracepoint import BTF_TRACE
from ksurf.surface.types import fields

__all__ = ["ATTACHABILITY", "EVERY_FUNCTION", "attachability_diff"]

ATTACHABILITY = "attachability"
"""The kind."""
EVERY_FUNCTION = "(every function)"
"""Stands for a name where a kernel as a whole has lost or won something; it comes before all names."""

_Verdicts = Mapping[Mechanism, Verdict]

_COLUMNS: dict[str, tuple[str, ...]] = {
    "images": ("name",),
    "symbols": ("name", "image", *ATTRIBUTES),
    "types": ("name", "kind", "image", "definition", "evidence"),
    "btf_ids": tuple(stored_columns("btf_ids")),
    "tracepoints": ("image", "system", "name", "tracepoint"),
    "syscalls": ("abi", "name", "entry"),
}
_BPF_LSM = "bpf_lsm_"


def attachability_diff(old: tuple[Kernel, Path], new: tuple[Kernel, Path]) -> KindDiff:
    """What can be attached to on one of two kernels only, each with its directory."""
    directories = [old[1], new[1]]
    marks = kernel_marks([old, new])
    sides = [Side(*held) for held in zip(read_tables(directories, _COLUMNS), marks, strict=True)]
    names = number_names(sides)
    # What one of the kernels cannot do at all is said once, not of each function.
    whole = tuple(compare_attachability(*(attach_any(side.features) for side in sides)))
    # Code comes first, so that the mechanisms of one name stand in their order.
    changes = dict(_compare_code(sides, directories, names, {change.mechanism for change in whole}))
    if whole:
        changes[EVERY_FUNCTION] = whole
    unions = fields_of(HOOKS_UNION, [key for side in sides for key in _unions(side)], directories)
    others = [(_tracepoints(side), _hooks(side, unions), _syscalls(side), _kfuncs(side)) for side in sides]
    for before, after in zip(*others, strict=True):
        for name in before.keys() & after.keys():
            if own := tuple(compare_attachability(by_name(before[name]), by_name(after[name]))):
                changes[name] = changes.get(name, ()) + own
    return diff_kind(ATTACHABILITY, (), (), changes.items())


# Code


def _compare_code(
    sides: Sequence[Side], directories: Sequence[Path], words: Any, besides: Set[Mechanism]
) -> Iterator[tuple[str, tuple[Change, ...]]]:
    """The changes of each name of a symbol that differs, in other mechanisms than those ``besides``.

    Parameters are in the pool, which takes long to read. They are asked for where all else differs, and where
    all else lets them matter and a prototype differs, or what the kernels take.
    """
    import pyarrow.compute as pc

    every = [side.symbols for side in sides]
    compared = sum(BITS[mechanism] for mechanism in Mechanism if mechanism not in besides)
    names, masks = _aligned(sides, every)
    asks = pc.greater_equal(pc.bit_wise_or(*masks), ASKS)
    if len({side.features.trampoline_args for side in sides}) == 1:
        asks = pc.and_(asks, pc.is_in(names, value_set=_redeclared(sides)))
    doubtful = names.filter(pc.or_(_differ(masks, compared), asks))
    near = [own.filter(pc.is_in(own.names, value_set=doubtful)) for own in every]
    prototypes = [side.prototypes_at(own.places) for side, own in zip(sides, near, strict=True)]
    takes = parameters_of({key for own in prototypes for _, key in own}, directories)
    near = [
        own._replace(facts=own.facts & parameters(own.places, at, takes))
        for own, at in zip(near, prototypes, strict=True)
    ]
    names, masks = _aligned(sides, near)
    wanted = names.filter(_differ(masks, compared))
    combinations = [_combinations(own.filter(pc.is_in(own.names, value_set=wanted))) for own in near]
    verdicts = [side.judged(own.facts) for side, own in zip(sides, near, strict=True)]

    @cache
    def changes(*numbers: tuple[int, ...]) -> tuple[Change, ...]:
        old, new = (
            by_name(judged[number] for number in own) for judged, own in zip(verdicts, numbers, strict=True)
        )
        return tuple(c for c in compare_attachability(old, new) if c.mechanism not in besides)

    for name, word in zip(wanted.to_pylist(), words.take(wanted).to_pylist(), strict=True):
        yield word, changes(*(own[name] for own in combinations))


def _combinations(symbols: Symbols) -> dict[int, tuple[int, ...]]:
    """The combinations of facts that the symbols of each name have, each once."""
    found: dict[int, tuple[int, ...]] = {}
    for name, number in zip(symbols.names.to_pylist(), symbols.facts.numbers.to_pylist(), strict=True):
        own = found.get(name, ())
        if number not in own:
            found[name] = (*own, number)
    return found


def _aligned(sides: Sequence[Side], symbols: Sequence[Symbols]) -> tuple[Any, tuple[Any, Any]]:
    """The names that both sides have, and of each side their masks."""
    import pyarrow.compute as pc

    (old_names, old_masks), (new_names, new_masks) = (
        _by_name(own.names, side.masks(own.facts)) for side, own in zip(sides, symbols, strict=True)
    )
    places = pc.index_in(new_names, value_set=old_names)
    common = places.is_valid()
    return new_names.filter(common), (old_masks.take(places.filter(common)), new_masks.filter(common))


def _by_name(names: Any, masks: Any) -> tuple[Any, Any]:
    """Each name once, and what any symbol of it has in its mask; those of one name stand together."""
    import pyarrow as pa
    import pyarrow.compute as pc

    several = pc.is_in(names, value_set=repeated(names))
    rows = names.filter(several).to_pylist()
    together: dict[int, int] = {}
    for name, mask in zip(rows, masks.filter(several).to_pylist(), strict=True):
        together[name] = together.get(name, 0) | mask
    masks = pc.replace_with_mask(masks, several, array((together[name] for name in rows), "int64"))
    other = pc.not_equal(names[1:], names[:-1])
    first = pa.concat_arrays([array([True], "bool"), other]).slice(0, len(names))
    return names.filter(first), masks.filter(first)


def _differ(masks: tuple[Any, Any], compared: int) -> Any:
    """Where one of the compared mechanisms can be attached on one side only."""
    import pyarrow.compute as pc

    return pc.not_equal(*(pc.bit_wise_and(mask, compared) for mask in masks))


def _redeclared(sides: Sequence[Side]) -> Any:
    """The names of functions in BTF whose parameters may differ: of a definition that one side has not, or
    of several definitions, which symbols may share otherwise.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    names = []
    for side, other in zip(sides, reversed(sides), strict=True):
        own, keys = side.names["prototypes"], side.prototypes["definition"].combine_chunks()
        names.append(own.filter(pc.invert(pc.is_in(keys, value_set=other.prototypes["definition"]))))
        again = pc.and_(pc.equal(own[1:], own[:-1]), pc.not_equal(keys[1:], keys[:-1]))
        names.append(own[1:].filter(again))
    return pa.concat_arrays(names)


# What is no code: everything by name, as several images may have it.


def _tracepoints(side: Side) -> Mapping[str, Sequence[_Verdicts]]:
    import pyarrow.compute as pc

    types = side.tables["types"]
    shipped = set(_images(side, types["image"].filter(pc.equal(types["evidence"], "btf")).unique()))
    typedefs = rows_where(types, ["name", "image"], kind="typedef", evidence="btf")
    typedefs = typedefs.filter(pc.starts_with(typedefs["name"], BTF_TRACE))
    known = set(zip(_images(side, typedefs["image"]), typedefs["name"].to_pylist(), strict=True))

    @cache
    def judged(event: bool, tracepoint: bool, btf_typedef: bool | None) -> _Verdicts:
        return attach_tracepoint(TracepointFacts(event, tracepoint, btf_typedef))

    found: defaultdict[str, list[_Verdicts]] = defaultdict(list)
    table = side.tables["tracepoints"]
    columns = (values_of(table[column]) for column in ("system", "name", "tracepoint"))
    for image, system, name, tracepoint in zip(_images(side, table["image"]), *columns, strict=True):
        called = f"{BTF_TRACE}{name if tracepoint is None else tracepoint}"
        typedef = (image, called) in known if image in shipped else None
        verdicts = judged(system is not None, tracepoint is not None or system is None, typedef)
        found[name if system is None else f"{system}:{name}"].append(verdicts)
    return found


def _unions(side: Side) -> Iterator[int]:
    """The definitions of the union whose members are the hooks."""
    rows = rows_where(side.tables["types"], ["definition", "image"], kind="union", name=HOOKS_UNION)
    for key, image in zip(values_of(rows["definition"]), _images(side, rows["image"]), strict=True):
        if image == VMLINUX:
            yield key


def _union(key: int, members: Sequence[Member]) -> Definition:
    return Definition(key, "union", HOOKS_UNION, None, None, None, None, tuple(members))


def _hooks(side: Side, unions: Mapping[int, Sequence[Member]]) -> Mapping[str, Sequence[_Verdicts]]:
    import pyarrow.compute as pc

    hooks = {
        path
        for key in _unions(side)
        for path, field in fields(_union(key, unions.get(key, ()))).items()
        if field.bit_offset is not None and "(*)(" in field.type
    }
    functions = side.prototypes.filter(pc.starts_with(side.prototypes["name"], _BPF_LSM))
    known = {
        name
        for name, image in zip(values_of(functions["name"]), _images(side, functions["image"]), strict=True)
        if image == VMLINUX
    }
    listed, disabled = (
        {row.name for row in side.btf_ids if row.set == name} for name in (BPF_HOOKS, BPF_HOOKS_DISABLED)
    )
    found = {}
    for hook in hooks:
        name = f"{_BPF_LSM}{hook}"
        facts = HookFacts(name in known, name in listed, name in disabled)
        found[hook] = [{Mechanism.LSM: attach_hook(facts, side.features)}]
    return found


def _syscalls(side: Side) -> Mapping[str, Sequence[_Verdicts]]:
    """A program attaches a kprobe to the entry of the kernel's own table; the others are for other sizes."""
    import pyarrow.compute as pc

    calls = side.tables["syscalls"]
    abis, names = (values_of(calls[column]) for column in ("abi", "name"))
    own = native_abi(abis)
    entries = pc.is_in(side.names["symbols"], value_set=side.names["entries"])
    entries = pc.and_(entries, side.in_vmlinux)
    judged = [
        {Mechanism.KSYSCALL: verdicts[Mechanism.KPROBE]} for verdicts in side.judged(side.symbols.facts)
    ]
    code: defaultdict[int, list[_Verdicts]] = defaultdict(list)
    numbers = (
        column.filter(entries).to_pylist() for column in (side.names["symbols"], side.symbols.facts.numbers)
    )
    for entry, number in zip(*numbers, strict=True):
        code[entry].append(judged[number])
    found: dict[str, list[_Verdicts]] = {}
    for abi, name, entry in zip(abis, names, side.names["entries"].to_pylist(), strict=True):
        if abi == own and entry in code:
            found.setdefault(name, []).extend(code[entry])
    return found


def _kfuncs(side: Side) -> Mapping[str, Sequence[_Verdicts]]:
    """From which programs one may be called is no matter of yes and no."""
    import pyarrow.compute as pc

    numbers = side.names["btf_ids"]
    functions = pc.is_in(side.names["prototypes"], value_set=numbers)
    names, images = (
        column.filter(functions) for column in (side.names["prototypes"], side.prototypes["image"])
    )
    known = set(zip(_images(side, images), names.to_pylist(), strict=True))
    found: defaultdict[str, list[_Verdicts]] = defaultdict(list)
    for number, row in zip(numbers.to_pylist(), side.btf_ids, strict=True):
        if is_kfunc(row):
            verdict = attach_kfunc(KfuncFacts((row.image, number) in known, None))
            found[row.name].append({Mechanism.KFUNC_CALL: verdict})
    return found


def _images(side: Side, column: Any) -> Iterator[str]:
    """The names of a column of images."""
    return map(side.images.__getitem__, column.to_pylist())
