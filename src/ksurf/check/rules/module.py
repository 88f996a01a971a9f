"""What modules lean on: exported symbols; and options of the configuration, which anything may."""

from __future__ import annotations

from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind
from ksurf.check.facts import MODULE_LAYOUT
from ksurf.check.rules.case import (
    COMPILED_THERE,
    FINE,
    Case,
    Ruling,
    broken,
    changed,
    few,
    refused,
    with_module,
)
from ksurf.check.rules.layout import REBUILD, prototype_changes, told
from ksurf.check.verdict import Outcome, Suggestion
from ksurf.surface.change import Change
from ksurf.surface.config import option_text

__all__ = ["config_rule", "export_rule", "is_imported", "vermagic_rule"]


def export_rule(case: Case) -> Ruling:
    """Judge a symbol that a module links with."""
    name, crc = case.dependency.name, case.dependency.crc
    status = case.facts.exports.get(name)
    if status is None or not status.is_present:
        return _not_exported(case)
    row = status.variants[0].content
    before = None if case.baseline is None else case.baseline.exports.get(name)
    old = before.variants[0].content if before is not None and before.variants else None
    release = "" if case.baseline is None else case.baseline.kernel.release
    images = [image for variant in status.variants for image in variant.images]
    crcs = {variant.content.crc for variant in status.variants} - {None}
    if crc is not None and crcs and crc not in crcs:
        return broken(
            Cause.EXPORT_CRC,
            f"{refused(case)}: the prototype of {name}, or a type in it, is not what it was built with",
            (
                f"CRC {crc:#010x} in the module, {row.crc:#010x} here (CONFIG_MODVERSIONS)",
                *told(_prototype_changes(case) or ()),
            ),
            (REBUILD,),
        )
    imported = case.dependency.namespaces
    if row.namespace is not None and (
        (old is not None and row.namespace != old.namespace)
        if imported is None
        else not is_imported(row.namespace, imported)
    ):
        return _not_imported(case, row.namespace, None if old is None else old.namespace or "no namespace")
    if row.gpl and case.dependency.gpl is False:
        return broken(
            Cause.EXPORT_GPL_ONLY,
            f"{refused(case)}: {name} is for modules under the GPL only, and this one is not",
            () if old is None or old.gpl else (f"for any license on {release}",),
        )
    if old is not None and row.gpl and not old.gpl and case.dependency.gpl is None:
        return with_module(
            changed(
                Cause.EXPORT_GPL_ONLY,
                f"{name} is for modules under the GPL only: others are refused at load",
                (f"for any license on {release}",),
            ),
            images,
        )
    return with_module(FINE if crc is not None and crc in crcs else _by_prototype(case), images)


def _by_prototype(case: Case) -> Ruling:
    """A symbol without a CRC on both sides: by the prototype that the module was compiled with."""
    name = case.dependency.name
    if case.consumer is not ConsumerKind.MODULE:
        return FINE
    changes = _prototype_changes(case)
    if changes is None:
        who = "the module" if case.dependency.expected is None else "the kernel"
        reason = f"there is no CRC to compare, and {who} tells no prototype of it"
        return Ruling(Outcome.OK, "", (f"whether {name} is as it was built with is not known: {reason}",))
    if not changes:
        return FINE
    return changed(
        Cause.EXPORT_CHANGED,
        f"{name} has another prototype than the module was built with, and no CRC keeps it from being loaded",
        tuple(told(changes)),
        (REBUILD,),
    )


def _prototype_changes(case: Case) -> list[Change] | None:
    name, built = case.dependency.name, case.dependency.expected
    return None if built is None else prototype_changes(name, built, case.facts)


def is_imported(namespace: str, imported: tuple[str, ...]) -> bool:
    """``verify_namespaceis_imported`` of kernel/module/main.c: ``module:`` goes before names of modules."""
    prefix, is_list, names = namespace.partition("module:")
    if prefix or not is_list:
        return namespace in imported
    own = [one.removeprefix("module:") for one in imported if one.startswith("module:")]
    patterns = [name.replace("-", "_") for name in names.split(",")]
    return any(
        name.startswith(pattern.removesuffix("*")) if pattern.endswith("*") else name == pattern
        for name in own
        for pattern in patterns
    )


def _not_imported(case: Case, namespace: str, before: str | None) -> Ruling:
    name = case.dependency.name
    evidence = (
        () if before is None or case.baseline is None else (f"in {before} on {case.baseline.kernel.release}",)
    )
    if namespace.startswith("module:"):
        allowed = namespace.removeprefix("module:")
        return broken(Cause.EXPORT_NAMESPACE, f"{refused(case)}: {name} is for {allowed} only", evidence)
    return broken(
        Cause.EXPORT_NAMESPACE,
        f"{refused(case)}: {name} is in the namespace {namespace}, which has to be imported",
        evidence,
        (Suggestion("import the namespace", f'MODULE_IMPORT_NS("{namespace}");', "c"),),
    )


def _not_exported(case: Case) -> Ruling:
    name = case.dependency.name
    function = case.facts.functions.get(name)
    if function is None or not function.is_present:
        return broken(Cause.EXPORT_ABSENT, f"{refused(case)}: the kernel has no symbol {name}")
    places = [f for i in function.instances if (f := i.function.decl_file) is not None and f.endswith(".h")]
    if places and not any(symbol.bind == "STB_GLOBAL" for symbol in function.symbols):
        header = places[0].removeprefix("include/")
        return broken(
            Cause.EXPORT_INLINE,
            f"{refused(case)}: {name} is an inline function of a header, and not exported",
            (f"declared in {places[0]}",),
            (
                Suggestion(
                    "compile the header's version in: build the module against this kernel's headers",
                    f"#include <{header}>" if places[0].startswith("include/") else None,
                    "c" if places[0].startswith("include/") else None,
                ),
            ),
        )
    binds = {symbol.bind for symbol in function.symbols}
    what = "a static function" if binds == {"STB_LOCAL"} else "a function"
    return broken(
        Cause.EXPORT_ABSENT,
        f"{refused(case)}: {name} is {what} that is not exported",
        tuple(few(sorted({s.image for s in function.symbols})) for _ in function.symbols[:1]),
    )


def vermagic_rule(case: Case) -> Ruling:
    """Judge for what kernel a module says that it was built.

    With CRCs on both sides the release does not matter (``same_magic`` of kernel/module/version.c). What else
    the magic says (SMP, preempt) is not judged.
    """
    release, *options = case.dependency.name.split()
    kernel = case.facts.kernel.release
    layout = case.facts.exports.get(MODULE_LAYOUT)
    has_crcs = layout is not None and layout.is_present
    if has_crcs is not ("modversions" in options):
        sides = ("has", "without") if has_crcs else ("does not have", "with")
        evidence = f"the kernel {sides[0]} CONFIG_MODVERSIONS, and the module was built {sides[1]} it"
    elif release == kernel or (has_crcs and case.dependency.crc is not None):
        return FINE
    else:
        evidence = f"the kernel is {kernel}" + (", the module has no CRCs" if has_crcs else "")
    return broken(
        Cause.MODULE_VERMAGIC,
        f"{refused(case)}: the kernel takes no module with that version magic",
        (f"version magic {case.dependency.name!r}", evidence),
        (REBUILD,),
    )


def config_rule(case: Case) -> Ruling:
    """Judge an option of the configuration, and its value where one is expected."""
    # An object's extern has a type, and gets the kernel's value when it is loaded.
    read_there = case.consumer is ConsumerKind.BPF_OBJECT or case.consumer in COMPILED_THERE
    name, expected = case.dependency.name, None if read_there else case.dependency.expected
    if not name.startswith("CONFIG_"):
        # LINUX_KERNEL_VERSION and the like are libbpf's own.
        return FINE
    if not case.facts.has_config:
        return Ruling(Outcome.OK, "", ("the kernel's configuration is not known",))
    status = case.facts.config.get(name)
    row = status.variants[0].content if status is not None and status.variants else None
    how = "the object is refused at load" if case.consumer is ConsumerKind.BPF_OBJECT else "it is not there"
    if row is None:
        return broken(Cause.CONFIG_ABSENT, f"{how}: the kernel's configuration does not name {name}")
    # libbpf reads what is set; "is not set" is a comment to it (tools/lib/bpf/libbpf.c).
    if row.value == "n" and expected != "n":
        return broken(Cause.CONFIG_ABSENT, f"{how}: {name} is not set", (option_text(row),))
    if expected is not None and row.value != expected:
        return changed(Cause.CONFIG_CHANGED, f"{name} has another value than {expected}", (option_text(row),))
    before = None if case.baseline is None or read_there else case.baseline.config.get(name)
    if expected is None and before is not None and before.variants and case.baseline is not None:
        old = before.variants[0].content
        if {old.value, row.value} - {"y", "m"} and old.value != row.value:
            return changed(
                Cause.CONFIG_CHANGED,
                f"{name} has another value",
                (f"{option_text(old)} on {case.baseline.kernel.release}", option_text(row)),
            )
    return FINE
