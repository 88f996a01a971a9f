"""The growth of structs: their size in bytes from version to version, and how much of it are holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ksurf.dataset.rows import Definition, Member
from ksurf.dataset.store import Store
from ksurf.errors import InputError
from ksurf.plot.model.figure import Figure, Value, command_line, kernels_text, regular_of
from ksurf.report.find import statuses_of
from ksurf.series import Groups

__all__ = ["LIMIT", "Growth", "Size", "StructGrowth", "hole_bytes", "struct_growth"]

LIMIT = 24
"""Structs on one figure."""


@dataclass(frozen=True, slots=True)
class Size:
    """A struct on one kernel."""

    byte_size: int
    hole_bytes: int | None
    """``None`` where the place of a field is not known."""
    definitions: int
    """How many different ones the name has; the size is that of the first, vmlinux's if it has one."""
    image: str
    """An image that has this one."""


@dataclass(frozen=True, slots=True)
class Growth:
    """A struct over the versions."""

    name: str
    sizes: tuple[Size | None, ...]
    """For each kernel; ``None`` where there is no such struct, or only a declaration of it."""


@dataclass(frozen=True)
class StructGrowth(Figure):
    """Some structs along one series."""

    name: ClassVar[str] = "struct-growth"

    structs: tuple[Growth, ...]
    missing: tuple[str, ...] = ()
    """Names of no struct on any of these kernels."""

    @property
    def title(self) -> str:
        """What it shows."""
        if len(self.structs) == 1:
            return f"How struct {self.structs[0].name} grows"
        return "How structs grow"

    @property
    def facts(self) -> str:
        """Of which kernels."""
        return f"Size in bytes per version: {kernels_text(self.columns)}"

    @property
    def notes(self) -> tuple[str, ...]:
        """How it was counted."""
        several = [one.name for one in self.structs if any(s and s.definitions > 1 for s in one.sizes)]
        notes = ("Holes: bytes that no field covers, at the end too. Each struct has its own scale.",)
        if not several:
            return notes
        words = "One of several definitions is shown, vmlinux's if it has one: "
        return (*notes, f"{words}{', '.join(several)}.")

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields of a row."""
        return ("struct", "label", "kernel", "byte_size", "hole_bytes", "definitions", "image", "source")

    def rows(self) -> Iterator[dict[str, Value]]:
        """One for each struct and kernel."""
        for one in self.structs:
            for column, size in zip(self.columns, one.sizes, strict=True):
                kernel = column.kernel.id
                yield {
                    "struct": one.name,
                    "label": column.label,
                    "kernel": kernel,
                    "byte_size": size.byte_size if size else None,
                    "hole_bytes": size.hole_bytes if size else None,
                    "definitions": size.definitions if size else None,
                    "image": size.image if size else None,
                    "source": command_line("show", "struct", one.name, "--on", kernel, "--format", "json"),
                }


def struct_growth(store: Store, groups: Groups, names: Sequence[str]) -> StructGrowth:
    """The sizes of structs on the versions of the baseline's architecture and flavor.

    Raises :class:`~ksurf.errors.InputError` if there are too many names for one figure.
    """
    names = tuple(dict.fromkeys(names))
    if len(names) > LIMIT:
        raise InputError(f"{len(names)} structs are too many for one figure, which takes {LIMIT}")
    columns = regular_of(groups)
    found = statuses_of("struct", names, [(one.kernel, store.directory(one.kernel.id)) for one in columns])
    structs = []
    for name in names:
        sizes = []
        for status in found[name]:
            # A forward declaration has no size, and is no struct of which one could say how large it is.
            defined = [variant for variant in status.variants if variant.content.byte_size is not None]
            sizes.append(_size(defined[0].content, len(defined), defined[0].images) if defined else None)
        structs.append(Growth(name, tuple(sizes)))
    present = [one for one in structs if any(one.sizes)]
    missing = tuple(one.name for one in structs if not any(one.sizes))
    return StructGrowth(columns, tuple(present), missing)


def _size(definition: Definition, definitions: int, images: Sequence[str]) -> Size:
    return Size(definition.byte_size or 0, hole_bytes(definition), definitions, images[0] if images else "")


def hole_bytes(definition: Definition) -> int | None:
    """How many whole bytes of a struct no field covers: between fields and at the end.

    The members of a struct that is written inside it, named or not, count one by one; a struct that has a
    name of its own is a field that is full.
    """
    if definition.byte_size is None:
        return None
    covered: list[tuple[int, int]] = []
    members = definition.members
    for index, member in enumerate(members):
        following = members[index + 1] if index + 1 < len(members) else None
        if following is not None and following.depth > member.depth:
            continue  # its own members tell
        bits = _bits(member)
        if bits is None:
            return None
        covered.append(bits)
    end = holes = 0
    for first, last in sorted(covered):
        # A bit field's bytes are begun: what is left of them is no byte that another field could have.
        holes += max(0, first // 8 - end)
        end = max(end, -(-last // 8))
    return holes + max(0, definition.byte_size - end)


def _bits(member: Member) -> tuple[int, int] | None:
    """The first bit of a field, and the one after its last."""
    if member.bit_offset is None:
        return None
    if member.bit_size is not None:
        return member.bit_offset, member.bit_offset + member.bit_size
    return None if member.byte_size is None else (member.bit_offset, member.bit_offset + member.byte_size * 8)
