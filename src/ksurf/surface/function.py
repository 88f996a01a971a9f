"""What a function is on one kernel: how many share its name, where the compiler put it, what symbols it left.

Every rule is one function here, with its reason; ``judge`` puts them together. A function that is known from
BTF or a symbol table only is judged by what these tell: of inlining and of callers they tell nothing, which
is ``None`` and never "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from ksurf.dataset.rows import (
    AttachRows,
    CallSite,
    CallSites,
    CallTarget,
    Function,
    FunctionRows,
    Instance,
    Symbol,
)
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism, Verdict, attach_symbols

__all__ = [
    "Collision",
    "FunctionStatus",
    "InlineKind",
    "InstanceStatus",
    "Status",
    "inline_kind",
    "is_code",
    "judge",
    "suffixes",
    "transformations",
]

SPLIT_SUFFIX = "cold"
"""The suffix of a rarely executed part that was moved away. The function itself keeps its plain symbol, its
entry and its arguments, so this is no transformation: 77% of what others call transformed is only this."""


class Collision(Enum):
    """How many functions share the name, and whether they are static or global."""

    UNIQUE_GLOBAL = "Unique Global"
    UNIQUE_STATIC = "Unique Static"
    STATIC_DUPLICATION = "Static Duplication"
    STATIC_STATIC = "Static-Static Collision"
    STATIC_GLOBAL = "Static-Global Collision"
    GLOBAL_GLOBAL = "Global-Global Collision"


class InlineKind(Enum):
    """Where the compiler put the function's body into its callers."""

    NO = "No"
    SELECTIVE = "Selective"
    FULL = "Full"


class Status(Enum):
    """What is to be said of a function on a kernel, in the order of its saying. None of them is "OK"."""

    ABSENT = "Absent"
    DUPLICATE = "Duplicate"
    COLLISION = "Collision"
    FULL_INLINE = "Full Inline"
    SELECTIVE_INLINE = "Selective Inline"
    TRANSFORMATION = "Transformation"


class InstanceStatus(NamedTuple):
    """One compiled definition, with the calls of it. A function of a header may have thousands."""

    row: Instance
    function: Function
    overridden: bool
    """Its image's symbol of the name is another's: this is a weak default, or its symbol has a prefix."""
    inline_callers: Sequence[CallSite] | None
    """Calls that hold a copy of its body; ``None`` where the evidence does not tell."""
    direct_callers: Sequence[CallSite] | None
    """Calls of its code; ``None`` where the evidence does not tell."""


@dataclass(frozen=True, slots=True)
class FunctionStatus:
    """A function name on one kernel."""

    kernel: Kernel
    name: str
    statuses: tuple[Status, ...]
    collision: Collision | None
    """``None`` where it is absent, or the evidence does not tell static from global."""
    inline: InlineKind | None
    """``None`` where it is absent, or the evidence does not tell."""
    suffixes: tuple[str, ...]
    """What the compiler appended to its symbols for copies that differ from the source."""
    is_split: bool
    """Rarely executed parts of it were moved away (``.cold``)."""
    instances: tuple[InstanceStatus, ...]
    symbols: tuple[Symbol, ...]
    reasons: tuple[str, ...]
    """For a person: what the statuses rest on, where that is not plain from the rest."""
    attach: tuple[Mapping[Mechanism, Verdict], ...] | None = None
    """What can be attached to each of ``symbols``; ``None`` if that was not asked for."""

    @property
    def is_present(self) -> bool:
        """It exists in some form on this kernel."""
        return Status.ABSENT not in self.statuses

    @property
    def is_transformed(self) -> bool:
        """Some of its code is a copy that differs from the source."""
        return bool(self.suffixes)

    @property
    def has_code(self) -> bool:
        """It has code of its own somewhere, which can be called and, perhaps, attached to."""
        return any(i.row.out_of_line for i in self.instances) or bool(_code_symbols(self.symbols))

    @property
    def plain_symbols(self) -> tuple[Symbol, ...]:
        """The symbols of exactly this name, which is what one attaches by."""
        return tuple(symbol for symbol in self.symbols if not suffixes(symbol.name))

    @property
    def is_ambiguous(self) -> bool:
        """Attaching by name meets more than one symbol.

        Two definitions of which one symbol exists are still a duplicate or a collision in the source, and no
        matter for an attacher.
        """
        return len(self.plain_symbols) > 1

    @property
    def prototypes(self) -> tuple[str, ...]:
        """The distinct prototypes of what has code of its own; where nothing has, of all."""
        return tuple(dict.fromkeys(p for f in self.definitions if (p := f.prototype) is not None))

    @property
    def definitions(self) -> tuple[Function, ...]:
        """The functions of this name that have code of their own; where none has, all."""
        coded = [i.function for i in self.instances if i.row.out_of_line and not i.overridden]
        return tuple(dict.fromkeys(coded or [i.function for i in self.instances]))


def judge(rows: FunctionRows, about: AttachRows | None = None) -> FunctionStatus:
    """Judge one name on one kernel; with what is known ``about`` attaching to it, that too."""
    functions = {function.id: function for function in rows.functions}
    if not rows.instances and not rows.symbols:
        # Functions without both are only declared: the compiler removed all calls of them, or no image that
        # could be read defines them.
        return FunctionStatus(
            rows.kernel, rows.name, (Status.ABSENT,), None, None, (), False, (), (), _absence(rows.functions)
        )
    overridden = {i.id for i in rows.instances if _is_overridden(i, functions[i.function], rows.symbols)}
    instances = _with_callers(rows, functions, overridden)
    counted = [i for i in instances if not i.overridden] or list(instances)
    collision = _collision(counted, _symbols_without_instance(rows))
    inline = _inline_kind(instances, rows.symbols)
    transformed = tuple(dict.fromkeys(s for symbol in rows.symbols for s in transformations(symbol.name)))
    return FunctionStatus(
        kernel=rows.kernel,
        name=rows.name,
        statuses=_statuses(collision, inline, transformed),
        collision=collision,
        inline=inline,
        suffixes=transformed,
        is_split=any(SPLIT_SUFFIX in suffixes(symbol.name) for symbol in rows.symbols),
        instances=instances,
        symbols=rows.symbols,
        reasons=_reasons(collision, counted, instances, rows.symbols),
        attach=None if about is None else attach_symbols(rows.symbols, about),
    )


def suffixes(symbol: str) -> tuple[str, ...]:
    """The suffixes of a symbol by name: ``f.constprop.0.isra.0`` has ``constprop`` and ``isra``.

    Numbers after a name only count copies. A number right after the function's name is a suffix of its own.
    """
    # The dots that begin a name are none: ppc64's ELFv1 calls the code of f ".f".
    parts = symbol.lstrip(".").split(".")[1:]
    return tuple(part for index, part in enumerate(parts) if part and not (part.isdecimal() and index))


def transformations(symbol: str) -> tuple[str, ...]:
    """The suffixes of a symbol whose code is a copy that differs from the source."""
    # A part that was moved away from a copy says nothing that the copy's own symbol does not say.
    return suffixes(symbol) if is_code(symbol) else ()


def is_code(symbol: str) -> bool:
    """Tell if a symbol is the code of its function, and not a part that was moved away from it."""
    return SPLIT_SUFFIX not in suffixes(symbol)


def _code_symbols(symbols: Iterable[Symbol]) -> list[Symbol]:
    return [symbol for symbol in symbols if is_code(symbol.name)]


def _is_overridden(instance: Instance, function: Function, symbols: Iterable[Symbol]) -> bool:
    """Tell if an external definition does not own its name: the linker gave that to another of the image.

    The code of a weak default stays in the image without a symbol; code that is linked in under a prefix
    (EFI stub, KVM's part at EL2) keeps its name only in the debug information. Nobody reaches either by name.
    """
    if not function.external or not instance.out_of_line:
        return False
    here = [s for s in symbols if s.image == instance.image]
    owns = any(s.instance == instance.id or _same_place(s, instance) for s in here)
    owned = any(s.instance not in {None, instance.id} and not suffixes(s.name) for s in here)
    return owned and not owns


def _same_place(symbol: Symbol, instance: Instance) -> bool:
    return (symbol.section, symbol.address) == (instance.section, instance.address)


def _symbols_without_instance(rows: FunctionRows) -> list[Symbol]:
    """The plain symbols of code that no instance stands for: a global in assembler beside a static function.

    An instance has one address and its function may have left several copies, so that symbols and instances
    of an image are counted against each other, and only what is left over is a definition of its own.
    """
    left: list[Symbol] = []
    ids = {instance.id for instance in rows.instances}
    for image in dict.fromkeys(symbol.image for symbol in rows.symbols):
        plain = [s for s in rows.symbols if s.image == image and not suffixes(s.name)]
        matched = {s.instance for s in plain if s.instance in ids}
        open_symbols = [s for s in plain if s.instance not in ids]
        open_code = [i for i in rows.instances if i.image == image and i.out_of_line and i.id not in matched]
        # Static functions, whose names need not be kept, are those that lose track of their symbols.
        open_symbols.sort(key=lambda s: (s.bind != "STB_LOCAL", s.section or "", s.address))
        left += open_symbols[len(open_code) :]
    return left


def _collision(instances: Iterable[InstanceStatus], symbols: Iterable[Symbol]) -> Collision | None:
    """Count the definitions behind a name.

    Static definitions at one place of the source are one function compiled many times, also across images:
    duplication. At different places they are different functions. External definitions meet only where the
    linker does not: in different images.
    """
    statics: dict[object, set[object]] = {}
    externals: set[object] = set()
    any_external = False
    for instance in instances:
        row, function = instance.row, instance.function
        compiled_in: object = (row.image, row.unit_id) if row.unit_id is not None else row.id
        if function.external:
            any_external = True
            if row.out_of_line:
                externals.add(compiled_in)
        elif function.external is False:
            # Rows of one place may differ in their prototype, where units see its types differently.
            place = (function.decl_file, function.decl_line) if function.decl_file else function.id
            statics.setdefault(place, set()).add(compiled_in)
    for symbol in symbols:
        key = (symbol.image, symbol.section, symbol.address)
        if symbol.bind == "STB_LOCAL":
            statics.setdefault(key, set()).add(key)
        else:
            any_external = True
            externals.add(key)
    if statics and any_external:
        return Collision.STATIC_GLOBAL
    if any_external:
        return Collision.GLOBAL_GLOBAL if len(externals) > 1 else Collision.UNIQUE_GLOBAL
    if len(statics) > 1:
        return Collision.STATIC_STATIC
    if statics:
        (units,) = statics.values()
        return Collision.STATIC_DUPLICATION if len(units) > 1 else Collision.UNIQUE_STATIC
    return None


def _inline_kind(instances: Iterable[InstanceStatus], symbols: Iterable[Symbol]) -> InlineKind | None:
    rows = [instance.row for instance in instances]
    told = [row for row in rows if row.evidence == "dwarf"]
    return inline_kind(
        told=bool(told),
        inlined=any(row.inlined for row in told),
        has_code=any(row.out_of_line for row in rows) or bool(_code_symbols(symbols)),
    )


def inline_kind(*, told: bool, inlined: bool, has_code: bool) -> InlineKind | None:
    """Tell where the bodies of a name went; ``told`` and ``inlined`` are of the images with DWARF, since the
    others cannot tell.

    Full needs that there is no code of its own anywhere (``has_code``), neither in DWARF nor behind a symbol.
    """
    if not told:
        return None
    if not inlined:
        return InlineKind.NO
    return InlineKind.SELECTIVE if has_code else InlineKind.FULL


def _statuses(
    collision: Collision | None, inline: InlineKind | None, transformed: tuple[str, ...]
) -> tuple[Status, ...]:
    found = []
    if collision is Collision.STATIC_DUPLICATION:
        found.append(Status.DUPLICATE)
    elif collision in {Collision.STATIC_STATIC, Collision.STATIC_GLOBAL, Collision.GLOBAL_GLOBAL}:
        found.append(Status.COLLISION)
    if inline is InlineKind.FULL:
        found.append(Status.FULL_INLINE)
    elif inline is InlineKind.SELECTIVE:
        found.append(Status.SELECTIVE_INLINE)
    if transformed:
        found.append(Status.TRANSFORMATION)
    return tuple(found)


def _with_callers(
    rows: FunctionRows, functions: dict[int, Function], overridden: set[int]
) -> tuple[InstanceStatus, ...]:
    inline: dict[int, list[int]] = {instance.id: [] for instance in rows.instances}
    direct: dict[int, list[int]] = {instance.id: [] for instance in rows.instances}
    named = _owners(rows, functions, overridden)
    by_unit: dict[tuple[int, int | None], int] = {
        (i.function, i.unit_id): i.id for i in reversed(rows.instances) if i.unit_id is not None
    }
    of_function: dict[int, int] = {}
    for instance in sorted(rows.instances, key=lambda i: (not i.out_of_line, i.id)):
        of_function.setdefault(instance.function, instance.id)

    def called(site: CallTarget) -> int | None:
        # In this order: what the table says; the definition in the caller's own unit, which a call means if
        # there is one; the owner of the name in the caller's image, in vmlinux, in another module.
        target = site.callee_instance
        if target is None:
            target = by_unit.get((site.callee, site.unit_id))
        if target is None and functions[site.callee].external:
            target = named.get(site.image, named.get("vmlinux", next(iter(named.values()), None)))
        if target is None:
            target = of_function.get(site.callee)
        return target

    if len(rows.instances) == len(rows.functions) == 1:  # nearly always: all calls are of it
        (only,) = inline
        for place, is_inline in enumerate(_inline(rows.call_sites)):
            (inline if is_inline else direct)[only].append(place)
    else:
        # There are many calls, and few answers: of each the places of its calls.
        places: dict[tuple[object, ...], list[int]] = {}
        for place, site in enumerate(_targets(rows.call_sites)):
            known = places.get(site)
            if known is None:
                target = called(CallTarget._make(site))
                callers = inline if CallTarget._make(site).inline else direct
                # What is called may be none of these.
                known = places[site] = callers.get(-1 if target is None else target, [])
            known.append(place)
    for instance in rows.instances:
        if instance.inlined is False and (own := inline[instance.id]):
            # The compiler split off a part and put it back: a copy inside itself is no caller's copy.
            itself = (functions[instance.function].name, instance.unit_id)
            made = zip(own, _picked(rows.call_sites, own), strict=True)
            inline[instance.id] = [at for at, call in made if (call.caller, call.unit_id) != itself]
    return tuple(
        InstanceStatus(
            row=i,
            function=functions[i.function],
            overridden=i.id in overridden,
            inline_callers=_told(rows, i, inline[i.id]),
            direct_callers=_told(rows, i, direct[i.id]),
        )
        for i in rows.instances
    )


def _inline(sites: Sequence[CallSite]) -> Iterable[bool]:
    return sites.inline() if isinstance(sites, CallSites) else (site.inline for site in sites)


def _targets(sites: Sequence[CallSite]) -> Iterator[tuple[object, ...]]:
    """The values of a target of each."""
    if isinstance(sites, CallSites):
        return sites.targets()
    return ((s.callee_instance, s.callee, s.unit_id, s.image, s.inline) for s in sites)


def _picked(sites: Sequence[CallSite], places: Sequence[int]) -> Sequence[CallSite]:
    return sites.picked(places) if isinstance(sites, CallSites) else tuple(sites[at] for at in places)


def _told(rows: FunctionRows, instance: Instance, places: Sequence[int]) -> Sequence[CallSite] | None:
    """The calls of an instance; ``None`` if there are none and its evidence would not tell of any."""
    if not places:
        return () if instance.evidence == "dwarf" else None
    return _picked(rows.call_sites, places)


def _owners(rows: FunctionRows, functions: dict[int, Function], overridden: set[int]) -> dict[str, int]:
    """The external definition that the name means in each image."""
    owners: dict[str, int] = {}
    for instance in rows.instances:
        if functions[instance.function].external and instance.out_of_line and instance.id not in overridden:
            owners.setdefault(instance.image, instance.id)
    return owners


def _absence(functions: tuple[Function, ...]) -> tuple[str, ...]:
    return ("only declared: no image that could be read defines it",) if functions else ()


def _reasons(
    collision: Collision | None,
    counted: list[InstanceStatus],
    instances: tuple[InstanceStatus, ...],
    symbols: tuple[Symbol, ...],
) -> tuple[str, ...]:
    reasons = []
    plain = [symbol for symbol in symbols if not suffixes(symbol.name)]
    if collision not in {Collision.UNIQUE_GLOBAL, Collision.UNIQUE_STATIC, None}:
        definitions = f"{len(counted)} definitions, {len(plain)} symbol{'s' if len(plain) != 1 else ''}"
        if len(plain) > 1:
            reasons.append(f"{definitions} of this name: attaching by name alone may meet any of them")
        elif plain:
            reasons.append(f"{definitions} of this name: attaching by name is not ambiguous")
        else:
            reasons.append(f"{definitions} of this name: there is nothing to attach to by name")
    if any(SPLIT_SUFFIX in suffixes(symbol.name) for symbol in symbols):
        reasons.append("rarely executed parts were moved to .cold; the function itself is as it was")
    for instance in instances:
        if instance.overridden:
            place = instance.row.unit or instance.row.image
            reasons.append(
                f"the definition in {place} does not own the symbol (weak, or linked by another name)"
            )
    blind = sorted({(i.row.evidence, i.row.image) for i in instances if i.row.evidence != "dwarf"})
    for evidence, image in blind[:3]:
        source = "BTF and the symbol table" if evidence == "btf" else "the symbol table"
        reasons.append(f"{image} tells by {source} only: inlining and callers in it are unknown")
    if len(blind) > 3:
        reasons.append(f"and {len(blind) - 3} more images without DWARF")
    return tuple(reasons)
