"""Changes of types: of fields, of enumerators, of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ksurf.dataset.rows import Definition
from ksurf.surface.change import Change, PrototypeChanged
from ksurf.surface.declaration import declaration
from ksurf.surface.prototype import compare_prototypes, parse_prototype
from ksurf.surface.rename import Candidate, Whole, propose
from ksurf.surface.types import Field, enumerators, fields, prototype_text

__all__ = [
    "BitfieldChanged",
    "EnumValueAdded",
    "EnumValueChanged",
    "EnumValueRemoved",
    "FieldAdded",
    "FieldOffsetChanged",
    "FieldRemoved",
    "FieldSizeChanged",
    "FieldTypeChanged",
    "SignChanged",
    "SizeChanged",
    "TypedefTargetChanged",
    "VarTypeChanged",
    "compare_fields",
    "compare_types",
    "type_whole",
]


@dataclass(frozen=True, slots=True)
class FieldAdded(Change):
    """The new definition has a field that the old has not."""

    label = "Field added"
    new: Field

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Its path."""
        return {"field": self.new.path}


@dataclass(frozen=True, slots=True)
class FieldRemoved(Change):
    """The old definition had a field that the new has not."""

    label = "Field removed"
    old: Field

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Its path."""
        return {"field": self.old.path}


@dataclass(frozen=True, slots=True)
class _FieldChange(Change):
    """A field that both have."""

    old: Field
    new: Field

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Its path."""
        return {"field": self.new.path}


class FieldTypeChanged(_FieldChange):
    """The field has another type."""

    __slots__ = ()
    label = "Field type changed"


class BitfieldChanged(_FieldChange):
    """The field of the same type has become a bit field, is none any more, or has another width."""

    __slots__ = ()
    label = "Bit field changed"


class FieldSizeChanged(_FieldChange):
    """The type of the same name takes more or less room."""

    __slots__ = ()
    label = "Field size changed"
    incidental = True

    @property
    def before(self) -> str:
        """Its path and size."""
        return f"{self.old.path}: {self.old.byte_size} bytes"

    @property
    def after(self) -> str:
        """Its path and size."""
        return f"{self.new.path}: {self.new.byte_size} bytes"

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Its path and both sizes."""
        sizes = {"old_byte_size": self.old.byte_size, "new_byte_size": self.new.byte_size}
        return {"field": self.new.path, **sizes}


class FieldOffsetChanged(_FieldChange):
    """The field lies elsewhere."""

    __slots__ = ()
    label = "Field offset changed"
    incidental = True

    @property
    def before(self) -> str:
        """Its path and place."""
        return f"{self.old.path}: {self.old.place}"

    @property
    def after(self) -> str:
        """Its path and place."""
        return f"{self.new.path}: {self.new.place}"

    def details(self) -> Mapping[str, str | int | float | list[str] | None]:
        """Its path and both offsets."""
        offsets = {"old_bit_offset": self.old.bit_offset, "new_bit_offset": self.new.bit_offset}
        return {"field": self.new.path, **offsets}


@dataclass(frozen=True, slots=True)
class SizeChanged(Change):
    """The whole takes more or less room."""

    label = "Size changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class SignChanged(Change):
    """The values of an enum, or of a trace event's field, have a sign on one side only."""

    label = "Sign changed"
    incidental = True
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class EnumValueAdded(Change):
    """The new enum has a further name."""

    label = "Enum value added"
    new: str


@dataclass(frozen=True, slots=True)
class EnumValueRemoved(Change):
    """The old enum had a name that the new has not."""

    label = "Enum value removed"
    old: str


@dataclass(frozen=True, slots=True)
class EnumValueChanged(Change):
    """A name of the enum has another value."""

    label = "Enum value changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class TypedefTargetChanged(Change):
    """A typedef stands for something else."""

    label = "Typedef target changed"
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class VarTypeChanged(Change):
    """A variable has another type."""

    label = "Variable type changed"
    old: str
    new: str


def compare_types(old: Definition, new: Definition) -> list[Change]:
    """The changes from one definition to another of the same kind."""
    if old.kind == "func":
        return _compare_functions(old, new)
    changes: list[Change] = []
    if old.type != new.type and old.kind in {"typedef", "var"}:
        texts = declaration(old.type or "void", old.name), declaration(new.type or "void", new.name)
        changes.append(TypedefTargetChanged(*texts) if old.kind == "typedef" else VarTypeChanged(*texts))
    changes += compare_fields(fields(old), fields(new))
    changes += _compare_enumerators(enumerators(old), enumerators(new))
    if old.byte_size != new.byte_size and None not in (old.byte_size, new.byte_size):
        changes.append(SizeChanged(f"{old.byte_size} bytes", f"{new.byte_size} bytes"))
    if old.signed != new.signed and None not in (old.signed, new.signed):
        changes.append(SignChanged(_sign(old.signed), _sign(new.signed)))
    return changes


def _sign(signed: bool | None) -> str:
    return "signed" if signed else "unsigned"


def _compare_functions(old: Definition, new: Definition) -> list[Change]:
    texts = prototype_text(old), prototype_text(new)
    try:
        before, after = (parse_prototype(text, old.name) for text in texts)
    except ValueError:
        # A name that no declaration in C can have, as Rust's.
        return [] if texts[0] == texts[1] else [PrototypeChanged(*texts)]
    return compare_prototypes(before, after)


def compare_fields(old: Mapping[str, Field], new: Mapping[str, Field]) -> list[Change]:
    """The changes of fields: added, removed, renamed perhaps; of type, width, size; and moved ones last."""
    both = [(field, new[path]) for path, field in old.items() if path in new]
    added = [field for path, field in new.items() if path not in old]
    removed = [field for path, field in old.items() if path not in new]
    changes: list[Change] = [FieldAdded(field) for field in _outermost(added)]
    changes += [FieldRemoved(field) for field in _outermost(removed)]
    if added and removed:
        changes += propose(_candidates(old), _candidates(new))
    changes += [FieldTypeChanged(a, b) for a, b in both if a.type != b.type]
    same = [(a, b) for a, b in both if a.type == b.type]
    changes += [BitfieldChanged(a, b) for a, b in same if a.bit_size != b.bit_size]
    changes += [FieldSizeChanged(a, b) for a, b in same if a.byte_size != b.byte_size]
    changes += [FieldOffsetChanged(a, b) for a, b in both if a.bit_offset != b.bit_offset]
    return changes


def _outermost(among: Sequence[Field]) -> list[Field]:
    """Those that did not come or go with an anonymous struct around them."""
    paths = {field.path for field in among}
    return [field for field in among if not any(path in paths for path in _around(field.path))]


def _around(path: str) -> Iterator[str]:
    names = path.split(".")
    return (".".join(names[:count]) for count in range(1, len(names)))


def _candidates(among: Mapping[str, Field]) -> list[Candidate]:
    return [Candidate(f.path, f, f.type, f.bit_offset) for f in among.values()]


def _compare_enumerators(old: Mapping[str, int], new: Mapping[str, int]) -> list[Change]:
    if old == new:
        return []
    changes: list[Change] = [EnumValueAdded(f"{n} = {v}") for n, v in new.items() if n not in old]
    changes += [EnumValueRemoved(f"{n} = {v}") for n, v in old.items() if n not in new]
    if changes:
        sides = ([Candidate(n, f"{n} = {v}", "", v) for n, v in side.items()] for side in (old, new))
        changes += propose(*sides)
    changes += [
        EnumValueChanged(f"{n} = {v}", f"{n} = {new[n]}") for n, v in old.items() if n in new and new[n] != v
    ]
    return changes


def type_whole(definition: Definition) -> Whole:
    """What a type is recognized by under another name: its fields, its enumerators, what it stands for.

    Of enumerators the names: the values of nearly all enums are 0, 1, 2.
    """
    shape = [field.text for field in fields(definition).values()]
    shape += enumerators(definition)
    if definition.type is not None:
        shape.append(definition.type)
    return Whole(definition.name, definition.name, shape=frozenset(shape))
