"""Types, fields and enumerators: what programs that read the kernel's memory lean on."""

from __future__ import annotations

from ksurf.check.c_type import both_integers, longer_array, resolved, same_integer, same_type
from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind, Dependency, Kind
from ksurf.check.facts import ENUMS
from ksurf.check.rules.case import COMPILED_THERE, FINE, Case, Ruling, broken, changed, with_module
from ksurf.check.rules.layout import has_layout, layout_rule, told
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.surface.field import OwnedField
from ksurf.surface.type_change import compare_types
from ksurf.surface.types import Field

__all__ = ["enumerator_rule", "field_rule", "listed_rule", "type_rule", "unread"]

_KINDS = ("struct", "union", "enum", "typedef")
_TARGETS = {"amd64": "x86", "arm64": "arm64", "ppc64el": "powerpc", "riscv64": "riscv", "s390x": "s390"}
"""Architectures, as libbpf calls them."""
_PREFIXES = {Kind.HELPER: "BPF_FUNC_"}
_LISTED = {
    Kind.HELPER: Cause.HELPER_ABSENT,
    Kind.PROGRAM_TYPE: Cause.PROGRAM_TYPE_ABSENT,
    Kind.ATTACH_TYPE: Cause.ATTACH_TYPE_ABSENT,
    Kind.MAP_TYPE: Cause.MAP_TYPE_ABSENT,
}
_NUMBERS = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "int", "long", "short", "char", "bool")


def unread(case: Case) -> str:
    """How a consumer fails that reads what is not there."""
    match case.consumer:
        case ConsumerKind.BPF_OBJECT if any(use.relocation is not None for use in case.dependency.uses):
            return "its relocation fails, and the program that gets there is refused at load"
        case ConsumerKind.BPF_OBJECT:
            return "it cannot be resolved, and the program is refused at load"
        case ConsumerKind.BPFTRACE:
            return "bpftrace refuses the script"
        case ConsumerKind.BCC:
            return "the tool's C does not compile"
        case ConsumerKind.MODULE:
            return "the module was built with a layout that is not the kernel's"
        case _:
            return "it is not there"


def _without_btf(case: Case) -> Ruling | None:
    """CO-RE needs the kernel's BTF; debug information that ksurf read instead is of no use to libbpf."""
    if case.consumer is ConsumerKind.BPF_OBJECT and not case.facts.features.btf:
        return broken(
            Cause.NO_BTF,
            "the object is refused at load: the kernel ships no BTF to relocate against",
            ("no .BTF in vmlinux (CONFIG_DEBUG_INFO_BTF)",),
        )
    return None


def type_rule(case: Case) -> Ruling:
    """Judge a struct, a union, an enum or a typedef."""
    name, kind = case.dependency.name, case.dependency.kind.value
    if case.dependency.layout:
        return layout_rule(case)
    if (ruling := _without_btf(case)) is not None:
        return ruling
    rows = case.facts.definitions(name, kind)
    if not rows:
        others = case.facts.definitions(name, *_KINDS)
        evidence = (f"it is a {others[0].definition.kind} here",) if others else ()
        return broken(Cause.TYPE_ABSENT, f"{unread(case)}: the kernel has no {kind} {name}", evidence)
    ruling = FINE
    if case.consumer is ConsumerKind.MODULE and case.baseline is not None:
        before = case.baseline.definitions(name, kind)
        if before and not any(has_layout(one.definition, case.facts) for one in before):
            changes = compare_types(before[0].definition, rows[0].definition)
            ruling = changed(
                Cause.LAYOUT_CHANGED,
                f"{kind} {name} is laid out otherwise than where the module was built",
                (*told(changes), f"compared with {case.baseline.kernel.release}"),
            )
    return with_module(ruling, [row.image for row in rows])


def field_rule(case: Case) -> Ruling:
    """Judge a field, by its path."""
    name = case.dependency.name
    if (ruling := _without_btf(case)) is not None:
        return ruling
    status = case.facts.fields.get(name)
    if status is None or not status.variants:
        owner, _, path = name.partition("::")
        owner = owner.removeprefix("struct ").removeprefix("union ")
        known = case.facts.definitions(owner, "struct", "union", "typedef")
        what = f"{owner} has no field {path}" if known else f"the kernel has no type {owner}"
        built = _other_registers(case) if owner == "pt_regs" else ()
        if built:
            what += ", it was compiled for the registers of another architecture"
        if owner == "pt_regs" and known:
            cause = Cause.OTHER_ARCHITECTURE
        else:
            cause = Cause.FIELD_ABSENT if known else Cause.TYPE_ABSENT
        return broken(cause, f"{unread(case)}: {what}", (), built)
    images = [image for variant in status.variants for image in variant.images]
    before = None if case.baseline is None else case.baseline.fields.get(name)
    if before is None or not before.variants:
        return with_module(FINE, images)
    # Where several structs share the name, one that is as it was is enough: which is meant cannot be told.
    rulings = [_compare(case, old.content, new.content) for old in before.variants for new in status.variants]
    return with_module(min(rulings, key=lambda ruling: ruling.outcome), images)


def _other_registers(case: Case) -> tuple[Suggestion, ...]:
    """What an object has to be compiled with that reads registers. Source: libbpf's bpf_tracing.h."""
    target = _TARGETS.get(case.facts.kernel.arch)
    if case.consumer is not ConsumerKind.BPF_OBJECT or target is None:
        return ()
    return (Suggestion("build the object for each architecture", f"-D__TARGET_ARCH_{target}", "text"),)


def _compare(case: Case, old: OwnedField, new: OwnedField) -> Ruling:
    assert case.baseline is not None
    a, b, expected = old.field, new.field, case.dependency.expected
    release = case.baseline.kernel.release
    evidence = (f"{_shown(a)} on {release}", f"{_shown(b)} here")
    name = case.dependency.name
    is_built = expected is not None and same_type(expected, b.type)
    if (a.bit_size is None) != (b.bit_size is None):
        word = "a bit field" if b.bit_size is not None else "no bit field any more"
        return changed(Cause.FIELD_CHANGED, f"{name} is {word}: it may be read wrongly", evidence)
    as_long = a.byte_size == b.byte_size and a.byte_size is not None
    if not _same(case, a.type, b.type, as_long) and not is_built:
        return changed(Cause.FIELD_CHANGED, f"{name} has another type: it may be read wrongly", evidence)
    resized = a.byte_size != b.byte_size and None not in (a.byte_size, b.byte_size)
    if resized and _is_number(b) and not is_built and case.consumer not in COMPILED_THERE:
        return changed(Cause.FIELD_CHANGED, f"{name} has another size: it may be read wrongly", evidence)
    if (a.bit_offset != b.bit_offset or resized) and case.consumer is ConsumerKind.MODULE:
        return changed(
            Cause.LAYOUT_CHANGED,
            f"{name} lies elsewhere than where the module was built: it reads and writes other memory",
            evidence,
        )
    return FINE


def _same(case: Case, old: str, new: str, as_long: bool) -> bool:
    """Whether a field's types are the same, by what typedefs stand for on each kernel; arrays may grow."""
    assert case.baseline is not None
    if same_type(old, new) or longer_array(old, new):
        return True
    before, after = resolved(old, case.baseline.aliases()), resolved(new, case.facts.aliases())
    # These are compiled on each kernel, and know there how long it is.
    if case.consumer in COMPILED_THERE and (longer_array(new, old) or both_integers(before, after)):
        return True
    return same_type(before, after) or (as_long and same_integer(before, after))


def _is_number(field: Field) -> bool:
    """A struct by value that grew is read by its own fields; a number that grew is not."""
    return not field.type.startswith(("struct ", "union ")) and "[" not in field.type


def _shown(field: Field) -> str:
    size = "?" if field.byte_size is None else field.byte_size
    return f"{field.text}; at {field.place}, {size} bytes"


def enumerator_rule(case: Case) -> Ruling:
    """Judge one name of an enum."""
    enum, _, name = case.dependency.name.rpartition("::")
    enum = enum.removeprefix("enum ")
    if (ruling := _without_btf(case)) is not None:
        return ruling
    if not enum:
        return Ruling(Outcome.OK, "", ("which enum has it is not told, and is not looked for",))
    here = case.facts.enumerators(enum)
    if here is None:
        return broken(Cause.TYPE_ABSENT, f"{unread(case)}: the kernel has no enum {enum}")
    if name not in here:
        return broken(Cause.ENUMERATOR_ABSENT, f"{unread(case)}: enum {enum} has no {name}")
    was = _value_before(case, enum, name)
    if was is None or was == here[name] or _is_read_anew(case.consumer, case.dependency):
        return FINE
    return changed(
        Cause.ENUMERATOR_CHANGED,
        f"{name} has another value than the one that was compiled in",
        (f"{was} {_where(case)}, {here[name]} here",),
    )


def _value_before(case: Case, enum: str, name: str) -> int | None:
    if case.dependency.expected is not None:
        try:
            return int(case.dependency.expected, 0)
        except ValueError:
            pass
    before = None if case.baseline is None else case.baseline.enumerators(enum)
    return None if before is None else before.get(name)


def _where(case: Case) -> str:
    if case.dependency.expected is not None or case.baseline is None:
        return "where it was built"
    return f"on {case.baseline.kernel.release}"


def _is_read_anew(consumer: ConsumerKind, dependency: Dependency) -> bool:
    """CO-RE puts the kernel's value in at load; bpftrace and BCC compile on the spot."""
    relocated = bool(dependency.uses) and all(use.relocation is not None for use in dependency.uses)
    return relocated or consumer in {ConsumerKind.BPFTRACE, ConsumerKind.BCC}


def listed_rule(case: Case) -> Ruling:
    """Judge a helper, a type of programs, of attachments or of maps, by the enum that lists them."""
    kind, name = case.dependency.kind, case.dependency.name
    enum = ENUMS[kind]
    listed = case.facts.enumerators(enum)
    if listed is None:
        return Ruling(Outcome.OK, "", (f"the kernel's types have no enum {enum}: it cannot be told",))
    if kind is Kind.HELPER:
        name = f"BPF_FUNC_{name.removeprefix('bpf_').removeprefix('BPF_FUNC_')}"
    if name in listed:
        return FINE
    how = {
        Kind.HELPER: "the program is refused at load",
        Kind.PROGRAM_TYPE: "the program is refused at load",
        Kind.ATTACH_TYPE: "the program is refused at load or attach",
        Kind.MAP_TYPE: "the map cannot be made, and the object is refused at load",
    }[kind]
    return broken(
        _LISTED[kind],
        f"{how}: the kernel has no {kind.value} {case.dependency.name}",
        (f"enum {enum} has no {name}",),
    )
