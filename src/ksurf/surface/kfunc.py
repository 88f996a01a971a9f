"""Kfuncs: functions that BPF programs may call, from the sets in which the kernel lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ksurf.dataset.rows import KFUNC_FLAGS, BtfId, Definition
from ksurf.kernel import Kernel
from ksurf.surface.change import Change, PrototypeChanged
from ksurf.surface.symbol import SymbolStatus, found
from ksurf.surface.types import prototype_text

__all__ = [
    "Kfunc",
    "KfuncFlagsChanged",
    "ProgramTypesChanged",
    "Registration",
    "compare_kfuncs",
    "flag_names",
    "is_kfunc",
    "judge_kfunc",
    "program_type_names",
]

BTF_SET8_KFUNCS = 1
"""Flag of a ``struct btf_id_set8`` that lists kfuncs and nothing else (include/linux/btf_ids.h)."""

_PROGRAM_TYPE = "BPF_PROG_TYPE_"


@dataclass(frozen=True, slots=True)
class Registration:
    """One set that lists the kfunc."""

    set: str
    flags: tuple[str, ...] | None
    """Names of the flags; ``None`` where the set has none."""
    program_types: tuple[str, ...] | None
    """The program types that may call it by way of this set; ``None`` where the image does not tell."""


@dataclass(frozen=True, slots=True)
class Kfunc:
    """A kfunc of one image."""

    name: str
    prototype: str | None
    registrations: tuple[Registration, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """All flags that it has in some set."""
        return tuple(dict.fromkeys(flag for one in self.registrations for flag in one.flags or ()))

    @property
    def program_types(self) -> tuple[str, ...] | None:
        """All program types that may call it; ``None`` where no set of it tells."""
        known = [one.program_types for one in self.registrations if one.program_types is not None]
        return tuple(sorted({kind for kinds in known for kind in kinds})) if known else None


@dataclass(frozen=True, slots=True)
class KfuncFlagsChanged(Change):
    """The verifier asks for something else, or promises something else."""

    label = "Flags changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class ProgramTypesChanged(Change):
    """Other program types may call it."""

    label = "Program types changed"
    old: str
    new: str


def is_kfunc(row: BtfId) -> bool:
    """Whether an entry of a set is a kfunc.

    Kernels since 6.9 mark the sets of kfuncs; before, a set is known by its registration. A marked set may
    be registered for ``fmod_ret`` all the same (``bpf_test_modify_return_ids``), and then lists no kfuncs.
    """
    if row.kind != "func" or row.registered_as == "fmod_ret":
        return False
    if row.set_flags is not None and row.set_flags & BTF_SET8_KFUNCS:
        return True
    return row.program_types is not None


def flag_names(flags: int) -> tuple[str, ...]:
    """The names of the flags that are set; a bit from the future by its number."""
    return tuple(
        KFUNC_FLAGS[bit] if bit < len(KFUNC_FLAGS) else f"1 << {bit}"
        for bit in range(flags.bit_length())
        if flags & 1 << bit
    )


def program_type_names(values: str | None, names: Mapping[int, str]) -> tuple[str, ...] | None:
    """The column ``program_types`` in the words of the kernel's own ``enum bpf_prog_type``."""
    if values is None:
        return None
    numbers = [int(word) for word in values.replace(",", " ").split()]
    return tuple(names.get(number, str(number)).removeprefix(_PROGRAM_TYPE).lower() for number in numbers)


def judge_kfunc(
    kernel: Kernel,
    name: str,
    rows: Iterable[BtfId],
    prototypes: Mapping[str, Definition],
    program_types: Mapping[int, str],
) -> SymbolStatus[Kfunc]:
    """Judge a name on one kernel, by the sets that list it; ``program_types`` are names by value."""
    by_image: dict[str, list[Registration]] = {}
    for row in rows:
        if is_kfunc(row) and row.name == name:
            flags = None if row.flags is None else flag_names(row.flags)
            kinds = program_type_names(row.program_types, program_types)
            by_image.setdefault(row.image, []).append(Registration(row.set, flags, kinds))
    definition = prototypes.get(name)
    text = None if definition is None else prototype_text(definition)
    kfuncs = {image: Kfunc(name, text, tuple(sorted(own, key=_set))) for image, own in by_image.items()}
    return found(kernel, name, ((kfunc.registrations, kfunc, image, None) for image, kfunc in kfuncs.items()))


def _set(registration: Registration) -> str:
    return registration.set


def compare_kfuncs(old: Kfunc, new: Kfunc) -> list[Change]:
    """The changes of one kfunc."""
    changes: list[Change] = []
    if old.prototype != new.prototype and old.prototype is not None and new.prototype is not None:
        changes.append(PrototypeChanged(old.prototype, new.prototype))
    if set(old.flags) != set(new.flags):
        changes.append(KfuncFlagsChanged(_joined(old.flags), _joined(new.flags)))
    before, after = old.program_types, new.program_types
    if before != after and before is not None and after is not None:
        changes.append(ProgramTypesChanged(_joined(before), _joined(after)))
    return changes


def _joined(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
