"""What a kernel says about dependencies: all that the rules need, in a few look-ups for all at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ksurf.check.c_type import alias_names
from ksurf.check.dependency import Condition, Dependency, Kind
from ksurf.check.hook import base_name, is_pattern, pattern_expression, split_hook
from ksurf.check.version import asked_version
from ksurf.dataset import lookup
from ksurf.dataset.lookup.brief import (
    CodeSymbols,
    code_symbols,
    functions_in_brief,
    prototypes_named,
    whole_matches,
)
from ksurf.dataset.rows import AttachRows, ConfigOption, Export, Marks, Syscall, TypeRow
from ksurf.kernel import Kernel
from ksurf.surface.attach import (
    CodeFacts,
    Features,
    Mechanism,
    Verdict,
    attach_code,
    features_of,
)
from ksurf.surface.attach_rows import hook_verdicts, kfunc_verdicts, tracepoint_verdicts
from ksurf.surface.config import judge_option
from ksurf.surface.export import judge_export
from ksurf.surface.field import OwnedField, judge_field, owner_and_path, types_on_the_way
from ksurf.surface.function import SPLIT_SUFFIX, FunctionStatus, judge, suffixes
from ksurf.surface.kfunc import Kfunc, judge_kfunc
from ksurf.surface.lsm import HOOKS_UNION, Hook, hooks, judge_hook
from ksurf.surface.prototype import parse_prototype
from ksurf.surface.symbol import SymbolStatus
from ksurf.surface.syscall import native_abi
from ksurf.surface.tracepoint import TraceEvent, judge_tracepoint, prototype_names
from ksurf.surface.types import enumerators, prototype_text

__all__ = ["ENUMS", "MODULE_LAYOUT", "Facts", "Matches", "Syscalls", "called_by", "gather"]

ENUMS = {
    Kind.HELPER: "bpf_func_id",
    Kind.PROGRAM_TYPE: "bpf_prog_type",
    Kind.ATTACH_TYPE: "bpf_attach_type",
    Kind.MAP_TYPE: "bpf_map_type",
}
"""The enums of the kernel that list these."""

MODULE_LAYOUT = "module_layout"
"""Exported where the configuration has ``CONFIG_MODVERSIONS`` (kernel/module/version.c)."""

Kernels = Sequence[tuple[Kernel, Path]]

_TYPES = {Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF}
_TYPE_KINDS = ("struct", "union", "enum", "typedef", "func", "var")
_ALIASES_LIMIT = 4
"""Typedefs of typedefs that are followed; dev_t has two."""
_BY_BTF = {Mechanism.FENTRY, Mechanism.FEXIT, Mechanism.FMOD_RET}
_CALLED = re.compile(r"(?:__[a-z0-9]+_)?(?:compat_)?(?:sys|SyS)_(\w+)$")
"""Names of the entries of system calls: ``sys_open``, ``__x64_sys_open``, ``__arm64_compat_sys_openat``."""


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The system calls of a kernel."""

    rows: tuple[Syscall, ...] = ()

    @property
    def native(self) -> tuple[Syscall, ...]:
        """Those of programs whose pointers are as wide as the kernel's."""
        own = native_abi(row.abi for row in self.rows)
        return tuple(row for row in self.rows if row.abi == own)

    def named(self, name: str) -> Syscall | None:
        """The one that users know by that name."""
        return next((row for row in self.native if row.name == name), None)

    def entered_by(self, name: str) -> Syscall | None:
        """The one whose entry ends so, which is how libbpf looks for it: ``newstat``, ``openat``."""
        return next((row for row in self.native if row.entry.partition("sys_")[2] == name), None)

    def of_symbol(self, symbol: str) -> Syscall | None:
        """The one that a symbol enters by its name, here or on another architecture."""
        called = called_by(symbol)
        return None if called is None else self.entered_by(called) or self.named(called)


def called_by(symbol: str) -> str | None:
    """The system call that a symbol would enter, by its name alone: ``openat`` of ``__arm64_sys_openat``."""
    called = _CALLED.fullmatch(symbol)
    return None if called is None else called[1]


@dataclass(frozen=True, slots=True)
class Matches:
    """What a pattern of names meets."""

    names: tuple[str, ...]
    images: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Those that cannot be attached to, and why not."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one kernel says about the dependencies for which it was asked."""

    kernel: Kernel
    features: Features
    functions: Mapping[str, FunctionStatus] = field(default_factory=dict)
    """By name without suffix, offset and module; with what can be attached to each symbol."""
    prototypes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of functions, each different one once."""
    matches: Mapping[tuple[Kind, str, Mechanism | None], Matches] = field(default_factory=dict)
    """Of patterns over functions and tracepoints."""
    types: Mapping[str, tuple[TypeRow, ...]] = field(default_factory=dict)
    """Structs, unions, enums, typedefs, functions in BTF and variables, by name, vmlinux's first."""
    fields: Mapping[str, SymbolStatus[OwnedField]] = field(default_factory=dict)
    tracepoints: Mapping[str, SymbolStatus[TraceEvent]] = field(default_factory=dict)
    tracepoint_verdicts: Mapping[str, Mapping[Mechanism, Verdict]] = field(default_factory=dict)
    hooks: Mapping[str, SymbolStatus[Hook]] = field(default_factory=dict)
    hook_verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    kfuncs: Mapping[str, SymbolStatus[Kfunc]] = field(default_factory=dict)
    kfunc_verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    exports: Mapping[str, SymbolStatus[Export]] = field(default_factory=dict)
    config: Mapping[str, SymbolStatus[ConfigOption]] = field(default_factory=dict)
    has_config: bool = True
    """Its configuration is known."""
    syscalls: Syscalls = field(default_factory=Syscalls)

    def definitions(self, name: str, *kinds: str) -> tuple[TypeRow, ...]:
        """What is defined under a name, of these kinds."""
        return tuple(row for row in self.types.get(name, ()) if row.definition.kind in kinds)

    def aliases(self) -> Mapping[str, str]:
        """What the typedefs that were looked up stand for."""
        return {
            name: row.definition.type
            for name, rows in self.types.items()
            for row in rows
            if row.definition.kind == "typedef" and row.definition.type
        }

    def enumerators(self, enum: str) -> Mapping[str, int] | None:
        """The names and values of an enum; ``None`` if there is none of that name."""
        found: dict[str, int] = {}
        rows = [
            row
            for row in self.types.get(enum, ())
            if any(m.value is not None for m in row.definition.members)
        ]
        for row in rows:
            for name, value in enumerators(row.definition).items():
                found.setdefault(name, value)
        return found if rows else None


class _Asked:
    """The names that have to be looked up, by where."""

    def __init__(self, wanted: Iterable[Dependency | Condition]) -> None:
        self.by_kind: dict[Kind, set[str]] = {kind: set() for kind in Kind}
        self.prototypes: dict[str, set[str]] = {}
        """Those that exports were compiled against, by name."""
        self.inside: set[str] = set()
        """Types that others hold which were compiled in."""
        self.patterns: set[tuple[Kind, str, Mechanism | None]] = set()
        for one in wanted:
            if one.kind is Kind.CONFIG and asked_version(one.name) is not None:
                continue
            if one.kind is Kind.EXPORT and isinstance(one, Dependency) and one.expected is not None:
                self.prototypes.setdefault(one.name, set()).add(one.expected)
            if isinstance(one, Dependency):
                self.inside.update(definition.name for definition in one.layout)
            if one.kind is Kind.VERMAGIC:
                self.by_kind[Kind.EXPORT].add(MODULE_LAYOUT)
            if one.kind in {Kind.FUNCTION, Kind.TRACEPOINT} and is_pattern(one.name):
                self.patterns.add((one.kind, one.name, one.mechanism))
            else:
                self.by_kind[one.kind].add(one.name)

    def names(self, *kinds: Kind) -> set[str]:
        return {name for kind in kinds for name in self.by_kind[kind]}

    def owners(self, kind: Kind) -> set[str]:
        """What stands before ``::``."""
        return {name.partition("::")[0] for name in self.by_kind[kind] if "::" in name}

    @property
    def functions(self) -> set[str]:
        hooks = {base_name(name) for name in self.names(Kind.FUNCTION)} | self.owners(Kind.PARAMETER)
        return hooks | self.names(Kind.KSYM, Kind.KFUNC)

    @property
    def tracepoints(self) -> set[str]:
        return self.names(Kind.TRACEPOINT) | self.owners(Kind.TRACEPOINT_FIELD)

    @property
    def fields(self) -> set[str]:
        members = {name for name in self.names(Kind.STRUCT_OPS) if "::" in name}
        return self.names(Kind.FIELD) | members

    @property
    def types(self) -> set[str]:
        found = (
            self.functions
            | self.prototypes.keys()
            | self.names(*_TYPES, Kind.KSYM, Kind.KFUNC)
            | self.owners(Kind.ENUMERATOR)
        )
        found |= {enum for kind, enum in ENUMS.items() if self.by_kind[kind]}
        found |= {f"bpf_iter_{name}" for name in self.names(Kind.ITER)}
        for name in self.names(Kind.STRUCT_OPS):
            owner = name.partition("::")[0]
            found |= {owner, f"bpf_struct_ops_{owner}"}
        if self.by_kind[Kind.LSM]:
            found |= {HOOKS_UNION, *(f"bpf_lsm_{name}" for name in self.names(Kind.LSM))}
        if self.by_kind[Kind.KFUNC]:
            found.add("bpf_prog_type")
        found |= {parts[0] for name in self.fields if (parts := owner_and_path(name))}
        return found


def gather(
    wanted: Iterable[Dependency | Condition], kernels: Kernels, *, callers: bool = True
) -> list[Facts]:
    """What the kernels say about dependencies, and about the conditions of their guards.

    Without ``callers`` it is not told into whom a function is inlined, which saves half of the time for it.
    """
    asked = _Asked(wanted)
    marks = lookup.kernel_marks(kernels)
    features = [features_of(mark) for mark in marks]
    syscalls = _syscalls(asked, kernels)
    exports = (
        lookup.exports_named(sorted(asked.names(Kind.EXPORT)), kernels) if asked.by_kind[Kind.EXPORT] else {}
    )
    functions = asked.functions | {
        row.entry for name in asked.names(Kind.SYSCALL) for held in syscalls for row in _entries(held, name)
    }
    # What is not exported any more may be a function that is not, or has become an inline one.
    functions |= {name for name, held in exports.items() if not all(held)}
    rows = (
        functions_in_brief(sorted(functions), kernels, placed=set(exports), callers=callers)
        if functions
        else {}
    )
    events = lookup.tracepoints_named(sorted(asked.tracepoints), kernels) if asked.tracepoints else {}
    behind = {
        row.tracepoint or row.name for held in events.values() for found in held for row in found if row.name
    }
    shipped = _shipped(events, marks, kernels)
    names = asked.types | functions | {one for name in behind for one in prototype_names(name)}
    types = _types(names, asked.fields, kernels)
    fields = [_fields(kernel, asked.fields, own) for (kernel, _), own in zip(kernels, types, strict=True)]
    ids = _ids(asked, functions, kernels)
    prototypes = _prototypes(asked, types, kernels)
    _add_aliases(_field_types(fields) | _prototype_types(asked.prototypes, prototypes), types, kernels)
    options = (
        lookup.config_named(sorted(asked.names(Kind.CONFIG)), kernels) if asked.by_kind[Kind.CONFIG] else {}
    )
    known = _known_configs(kernels) if options else [True] * len(kernels)
    matches = _matches(asked, features, kernels)
    result = []
    for at, (kernel, _) in enumerate(kernels):
        own = types[at]
        result.append(
            Facts(
                kernel,
                features[at],
                functions={
                    name: judge(held[at], _about(marks[at], name, own, ids[at]))
                    for name, held in rows.items()
                },
                prototypes=prototypes[at],
                matches=matches[at],
                types=own,
                fields=fields[at],
                **_tracepoints(kernel, {name: held[at] for name, held in events.items()}, own, shipped[at]),
                **_hooks(kernel, asked.names(Kind.LSM), own, ids[at], features[at]),
                **_kfuncs(kernel, asked.names(Kind.KFUNC), own, ids[at]),
                exports={name: judge_export(kernel, name, held[at]) for name, held in exports.items()},
                config={name: judge_option(kernel, name, held[at]) for name, held in options.items()},
                has_config=known[at],
                syscalls=syscalls[at],
            )
        )
    return result


def _shipped(
    events: Mapping[str, Sequence[Iterable[Any]]], marks: Sequence[Marks], kernels: Kernels
) -> list[set[str]]:
    """The images with BTF, as far as it matters for these tracepoints: modules take a look at every type."""
    if any(row.image != "vmlinux" for held in events.values() for found in held for row in found):
        return lookup.images_with_btf(kernels)
    return [{"vmlinux"} if mark.btf else set() for mark in marks]


def _entries(syscalls: Syscalls, name: str) -> list[Syscall]:
    return [row for row in (syscalls.named(name), syscalls.entered_by(name)) if row is not None]


def _syscalls(asked: _Asked, kernels: Kernels) -> list[Syscalls]:
    named = asked.names(Kind.FUNCTION) | asked.owners(Kind.PARAMETER)
    if not asked.by_kind[Kind.SYSCALL] and not any(called_by(name) for name in named):
        return [Syscalls()] * len(kernels)
    columns = {"syscalls": ("abi", "number", "name", "entry")}
    read = lookup.read_tables([directory for _, directory in kernels], columns)
    return [Syscalls(tuple(Syscall(**row) for row in held["syscalls"].to_pylist())) for held in read]


def _types(names: set[str], fields: set[str], kernels: Kernels) -> list[dict[str, tuple[TypeRow, ...]]]:
    """Types by name on each kernel, and those on the way of paths, which are looked up until these end."""
    known: list[dict[str, tuple[TypeRow, ...]]] = [{} for _ in kernels]
    missing = sorted(names)
    while missing:
        found = lookup.types_named(missing, kernels, kinds=_TYPE_KINDS, uses=False)
        for at, own in enumerate(known):
            for name in missing:
                rows = found[name][at].types
                own[name] = tuple(sorted(rows, key=lambda row: row.image != "vmlinux"))
        missing = sorted(
            {one for own in known for name in fields for one in types_on_the_way(name, _Pairs(own))}
        )
    return known


class _Pairs(Mapping[str, Iterable[tuple[str, Any]]]):
    """Types as :mod:`ksurf.surface.field` takes them: images and definitions, made when asked for."""

    def __init__(self, types: Mapping[str, tuple[TypeRow, ...]]) -> None:
        self._types = types

    def __getitem__(self, name: str) -> Iterable[tuple[str, Any]]:
        return [(row.image, row.definition) for row in self._types[name]]

    def __iter__(self) -> Any:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, name: object) -> bool:
        return name in self._types


def _fields(
    kernel: Kernel, names: Collection[str], types: Mapping[str, tuple[TypeRow, ...]]
) -> dict[str, SymbolStatus[OwnedField]]:
    pairs = _Pairs(types)
    return {name: judge_field(kernel, name, pairs) for name in names}


def _field_types(fields: Sequence[Mapping[str, SymbolStatus[OwnedField]]]) -> set[str]:
    """The types of fields that differ between kernels."""
    texts: dict[str, set[str]] = {}
    for statuses in fields:
        for name, status in statuses.items():
            texts.setdefault(name, set()).update(v.content.field.type for v in status.variants)
    return {text for held in texts.values() if len(held) > 1 for text in held}


def _prototype_types(
    built: Mapping[str, set[str]], here: Sequence[Mapping[str, tuple[str, ...]]]
) -> set[str]:
    """The types of parameters and results that are not the same in all prototypes of a function."""
    found: set[str] = set()
    for name, texts in built.items():
        sets: list[set[str]] = []
        for text in texts.union(*(held.get(name, ()) for held in here)):
            with suppress(ValueError):
                prototype = parse_prototype(text, name)
                sets.append({prototype.return_type, *(param.type for param in prototype.params)})
        if sets:
            found |= set().union(*sets) - sets[0].intersection(*sets)
    return found


def _add_aliases(
    texts: Iterable[str], types: Sequence[dict[str, tuple[TypeRow, ...]]], kernels: Kernels
) -> None:
    """Look up the typedefs in types that differ: they may only be other names."""
    missing = {name for text in texts for name in alias_names(text)}
    for _ in range(_ALIASES_LIMIT):
        missing = {name for name in missing if any(name not in own for own in types)}
        if not missing:
            return
        found = lookup.types_named(sorted(missing), kernels, kinds=_TYPE_KINDS, uses=False)
        for at, own in enumerate(types):
            for name in missing:
                own.setdefault(name, found[name][at].types)
        missing = {
            one
            for name in missing
            for own in types
            for row in own[name]
            if row.definition.kind == "typedef"
            for one in alias_names(row.definition.type or "")
        }


def _ids(asked: _Asked, functions: set[str], kernels: Kernels) -> list[tuple[Any, ...]]:
    names = functions | {f"bpf_lsm_{name}" for name in asked.names(Kind.LSM)}
    return lookup.btf_ids(kernels, names=names) if names else [()] * len(kernels)


def _about(
    mark: Marks, name: str, types: Mapping[str, tuple[TypeRow, ...]], ids: Iterable[Any]
) -> AttachRows:
    prototypes = (r for r in types.get(name, ()) if r.definition.kind == "func" and r.evidence == "btf")
    return AttachRows(mark, name, tuple(prototypes), tuple(row for row in ids if row.name == name))


def _prototypes(
    asked: _Asked, types: Sequence[Mapping[str, tuple[TypeRow, ...]]], kernels: Kernels
) -> list[dict[str, tuple[str, ...]]]:
    """Prototypes of the functions whose parameters matter: of BTF, or of DWARF where BTF has none."""
    wanted = asked.owners(Kind.PARAMETER) | asked.names(Kind.KFUNC) | asked.prototypes.keys()
    result: list[dict[str, tuple[str, ...]]] = []
    missing: set[str] = set()
    for own in types:
        held: dict[str, tuple[str, ...]] = {}
        for name in wanted:
            texts = [prototype_text(r.definition) for r in own.get(name, ()) if r.definition.kind == "func"]
            held[name] = tuple(dict.fromkeys(texts))
            if not texts:
                missing.add(name)
        result.append(held)
    if missing:
        for held, more in zip(result, prototypes_named(missing, kernels), strict=True):
            for name, found in more.items():
                held[name] = held[name] or found
    return result


def _tracepoints(
    kernel: Kernel,
    events: Mapping[str, tuple[Any, ...]],
    types: Mapping[str, tuple[TypeRow, ...]],
    shipped: Collection[str],
) -> dict[str, Any]:
    prototypes = {name: rows[0].definition for name, rows in types.items() if rows}
    statuses, verdicts = {}, {}
    for name, rows in events.items():
        statuses[name] = judge_tracepoint(kernel, name, rows, prototypes)
        verdicts[name] = tracepoint_verdicts(rows, types, shipped)
    return {"tracepoints": statuses, "tracepoint_verdicts": verdicts}


def _hooks(
    kernel: Kernel,
    names: Collection[str],
    types: Mapping[str, tuple[TypeRow, ...]],
    ids: Sequence[Any],
    features: Features,
) -> dict[str, Any]:
    unions = [row.definition for row in types.get(HOOKS_UNION, ()) if row.definition.kind == "union"]
    found = hooks(unions[0] if unions else None, ids)
    verdicts = {name: hook_verdicts(name, types, ids, features)[Mechanism.LSM] for name in names}
    return {
        "hooks": {name: judge_hook(kernel, name, found) for name in names},
        "hook_verdicts": verdicts,
    }


def _kfuncs(
    kernel: Kernel, names: Collection[str], types: Mapping[str, tuple[TypeRow, ...]], ids: Sequence[Any]
) -> dict[str, Any]:
    if not names:
        return {}
    prototypes = {
        name: row.definition
        for name in names
        for row in types.get(name, ())[:1]
        if row.definition.kind == "func"
    }
    kinds = types.get("bpf_prog_type", ())
    known = {value: key for key, value in enumerators(kinds[0].definition).items()} if kinds else {}
    statuses = {name: judge_kfunc(kernel, name, ids, prototypes, known) for name in names}
    verdicts = {
        name: kfunc_verdicts(status, types)[Mechanism.KFUNC_CALL]
        for name, status in statuses.items()
        if status.is_present
    }
    return {"kfuncs": statuses, "kfunc_verdicts": verdicts}


def _known_configs(kernels: Kernels) -> list[bool]:
    read = lookup.read_tables([directory for _, directory in kernels], {"config": ("name",)})
    return [held["config"].num_rows > 0 for held in read]


def _matches(
    asked: _Asked, features: Sequence[Features], kernels: Kernels
) -> list[dict[tuple[Kind, str, Mechanism | None], Matches]]:
    result: list[dict[tuple[Kind, str, Mechanism | None], Matches]] = [{} for _ in kernels]
    functions = [one for one in asked.patterns if one[0] is Kind.FUNCTION]
    if functions:
        expressions = {name: pattern_expression(split_hook(name).symbol) for _, name, _ in functions}
        btf = any(mechanism in _BY_BTF for _, _, mechanism in functions)
        found = code_symbols(sorted(set(expressions.values())), kernels, btf=btf)
        for at, held in enumerate(found):
            for kind, name, mechanism in functions:
                result[at][kind, name, mechanism] = _match(held[expressions[name]], mechanism, features[at])
    events = [one for one in asked.patterns if one[0] is Kind.TRACEPOINT]
    if events:
        import pyarrow as pa

        for at, kernel in enumerate(kernels):
            names = pa.array(sorted(lookup.tracepoint_names([kernel])), pa.string())
            for kind, name, mechanism in events:
                fits = names.filter(whole_matches(names, pattern_expression(name))).to_pylist()
                result[at][kind, name, mechanism] = Matches(tuple(fits))
    return result


def _match(found: CodeSymbols, mechanism: Mechanism | None, features: Features) -> Matches:
    """Which symbols a pattern meets, and why some cannot be attached to; each sort is judged once."""
    counts: dict[tuple[str, str], int] = {}
    for row in found.symbols:
        counts[row["image"], row["name"]] = counts.get((row["image"], row["name"]), 0) + 1
    verdicts: dict[CodeFacts, Verdict] = {}
    good: dict[str, None] = {}
    bad: dict[str, str] = {}
    for row in found.symbols:
        name, image = row["name"], row["image"]
        if SPLIT_SUFFIX in suffixes(name):
            continue
        here = counts[image, name]
        others = 0 if image == "vmlinux" else counts.get(("vmlinux", name), 0)
        facts = CodeFacts(
            row["ftrace"],
            row["kprobe_blacklist"],
            row["error_injection"],
            row["init"],
            here - 1 + others,
            found.btf_functions.get((image, name), 0),
            modify_return=name.startswith("security_"),
        )
        if facts not in verdicts:
            verdicts[facts] = Verdict(True) if mechanism is None else attach_code(facts, features)[mechanism]
        if verdicts[facts].attachable:
            good[name] = None
        else:
            bad.setdefault(name, verdicts[facts].reason or "")
    refused = {name: reason for name, reason in bad.items() if name not in good}
    images = dict.fromkeys(row["image"] for row in found.symbols if row["name"] in good)
    return Matches(tuple(sorted({**good, **refused})), tuple(images), refused)
