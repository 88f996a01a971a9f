"""A field by its path: ``kvm::mmu_lock``, ``kvm::irqfds.lock``, ``task_struct::se.vruntime``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ksurf.dataset.rows import Definition, TypeRows
from ksurf.kernel import Kernel
from ksurf.surface.change import Change
from ksurf.surface.symbol import SymbolStatus, found
from ksurf.surface.type_change import compare_fields
from ksurf.surface.types import Field, fields

__all__ = ["OwnedField", "compare_owned", "judge_field", "owner_and_path", "types_on_the_way"]

_NAMED = re.compile(r"(?:(?:const|volatile) )*(?:(struct|union) )?([A-Za-z_]\w*)(?: ?(?:\[\d*\])*)?$")
_KINDS = ("struct", "union", "typedef")
_STEPS_LIMIT = 16
"""Structs by value are nested less deeply than this; a typedef of itself, in damaged input, has no end."""

Types = Mapping[str, Iterable[tuple[str, Definition]]]
"""Definitions by name, each with its image."""


@dataclass(frozen=True, slots=True)
class OwnedField:
    """A field, and what it is a part of."""

    owner: Definition
    field: Field


def owner_and_path(name: str) -> tuple[str, str] | None:
    """The two parts of ``kvm::irqfds.lock``; ``None`` if the text does not have them."""
    owner, separator, path = name.partition("::")
    owner = owner.removeprefix("struct ").removeprefix("union ").strip()
    return (owner, path.strip(".")) if separator and owner and path.strip(".") else None


def types_on_the_way(name: str, types: Types) -> set[str]:
    """The types that have to be looked up next to follow the path: those that it leads to and that are not
    among ``types`` yet.
    """
    parts = owner_and_path(name)
    if parts is None:
        return set()
    missing: set[str] = set()
    _resolve(parts[0], parts[1], types, missing)
    return missing


def judge_field(kernel: Kernel, name: str, types: Types) -> SymbolStatus[OwnedField]:
    """Judge a field on one kernel, given the types on its way.

    If its struct has several definitions, those that have the field are told apart by what the field is.
    """
    parts = owner_and_path(name)
    resolved = _resolve(parts[0], parts[1], types, set()) if parts else []
    return found(kernel, name, ((own.field, own, image, None) for image, own in resolved))


def _resolve(owner: str, path: str, types: Types, missing: set[str]) -> list[tuple[str, OwnedField]]:
    if owner not in types:
        missing.add(owner)
        return []
    result = []
    for image, definition in types[owner]:
        if definition.kind in _KINDS:
            field = _follow(definition, path, image, types, missing)
            if field is not None:
                result.append((image, OwnedField(definition, field)))
    return result


def _follow(
    definition: Definition, path: str, image: str, types: Types, missing: set[str], step: int = 0
) -> Field | None:
    """The field at the path, through structs of other names where the path leads into them."""
    if step > _STEPS_LIMIT:
        return None
    own = _fields(definition)
    if path in own:
        return own[path]
    if not definition.members and definition.kind == "typedef":
        return _into(definition.type, None, path, image, types, missing, step)
    words = path.split(".")
    for count in range(len(words) - 1, 0, -1):
        around = own.get(".".join(words[:count]))
        if around is not None:
            return _into(around.type, around, ".".join(words[count:]), image, types, missing, step)
    return None


# Paths lead into few structs: each is asked for many fields, on kernels that have it alike.
_fields = lru_cache(maxsize=512)(fields)


def _into(
    type_text: str | None,
    around: Field | None,
    path: str,
    image: str,
    types: Types,
    missing: set[str],
    step: int,
) -> Field | None:
    named = _NAMED.match(type_text or "")
    if named is None:
        return None
    kind, name = named[1] or "typedef", named[2]
    if name not in types:
        missing.add(name)
        return None
    candidates = [(at, inner) for at, inner in types[name] if inner.kind == kind]
    # The image's own definition goes before vmlinux's, and that before any other.
    candidates.sort(key=lambda held: (held[0] != image, held[0] != "vmlinux"))
    if not candidates:
        return None
    at, definition = candidates[0]
    field = _follow(definition, path, at, types, missing, step + 1)
    if field is None or around is None:
        return field
    known = around.bit_offset is not None and field.bit_offset is not None
    offset = (around.bit_offset or 0) + (field.bit_offset or 0) if known else None
    return field._replace(path=f"{around.path}.{field.path}", bit_offset=offset)


def by_name(rows: Iterable[TypeRows]) -> dict[str, list[tuple[str, Definition]]]:
    """What :data:`Types` are, from rows of one kernel."""
    return {one.name: [(row.image, row.definition) for row in one.types] for one in rows}


def compare_owned(old: OwnedField, new: OwnedField) -> list[Change]:
    """The changes of one field."""
    return compare_fields({old.field.path: old.field}, {new.field.path: new.field})
