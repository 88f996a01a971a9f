"""The slow reading: pyelftools over chosen units, straight from the words of the DWARF standard.

Nothing here knows how ksurf does it, and nothing is imported from ksurf.
"""

from __future__ import annotations

import multiprocessing
import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from elftools.dwarf.ranges import BaseAddressEntry
from elftools.elf.elffile import ELFFile

INLINED = (1, 3)
"""``DW_INL_inlined`` and ``DW_INL_declared_inlined`` (DWARF 5, table 3.4)."""
UNITS_PER_PROCESS = 24
"""pyelftools keeps every DIE it has parsed; a process that ends gives the memory back."""


@dataclass(frozen=True, order=True)
class Definition:
    """A function in one unit that is not merely declared there.

    Of two functions with equal code the compiler may keep one and make the other a second symbol of it. The
    other is then ``folded``: its entry has no code, and only its symbol tells that there is some.
    """

    name: str
    unit: str
    decl_file: str | None
    decl_line: int | None
    external: bool
    inlined: bool
    addresses: tuple[int, ...]
    """Where out-of-line copies start; more than one after cloning."""
    inline_addresses: tuple[int, ...]
    """Where copies inside other functions start, or, those in several pieces, are entered."""
    folded: bool = False


@dataclass(frozen=True, order=True)
class Call:
    """One call that the code of ``caller``, in ``unit``, holds."""

    callee: str
    unit: str
    caller: str
    caller_line: int | None
    depth: int
    """Inlined functions between the caller and the call."""
    inline: bool
    file: str | None
    """For an inlined call; ``None`` where it is the file that declares the function around the call."""
    line: int | None
    """For an inlined call."""


@dataclass(frozen=True, order=True)
class Symbol:
    """One ``STT_FUNC`` of the symbol table."""

    name: str
    address: int
    byte_size: int
    bind: str

    @property
    def base(self) -> str:
        """The name before the compiler's suffixes."""
        return self.name.split(".", 1)[0]


@dataclass(frozen=True)
class UnitReading:
    """All that one unit says."""

    path: str
    definitions: list[Definition]
    calls: list[Call]


class Image:
    """A vmlinux under pyelftools."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb")
        self._elf = ELFFile(self._file)

    @cached_property
    def dwarf(self) -> Any:
        """pyelftools' view of the DWARF sections."""
        return self._elf.get_dwarf_info(relocate_dwarf_sections=False)

    @cached_property
    def units(self) -> list[Any]:
        """The compile units, in the order of ``.debug_info``."""
        return list(self.dwarf.iter_CUs())

    def section(self, name: str) -> bytes:
        """The bytes of a section."""
        data: bytes = self._section(name).data()
        return data

    def _section(self, name: str) -> Any:
        section = self._elf.get_section_by_name(name)
        assert section is not None, f"{self.path}: no {name}"
        return section

    def symbols(self) -> Iterator[Symbol]:
        """The function symbols."""
        for symbol in self._section(".symtab").iter_symbols():
            info = symbol["st_info"]
            if info["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF":
                yield Symbol(symbol.name, symbol["st_value"], symbol["st_size"], info["bind"])

    def read(self, units: Sequence[int]) -> dict[int, UnitReading]:
        """Read units by their number, in as many processes as there are cores."""
        assert self.units  # parsed before the fork, once for all
        batches = [units[i : i + UNITS_PER_PROCESS] for i in range(0, len(units), UNITS_PER_PROCESS)]
        global _image
        _image = self
        with multiprocessing.get_context("fork").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
            readings = pool.map(_read_batch, batches, chunksize=1)
        return {number: unit for batch in readings for number, unit in batch}


_image: Image
"""What a forked process reads."""


def _read_batch(numbers: Sequence[int]) -> list[tuple[int, UnitReading]]:
    return [(number, _UnitReader(_image.dwarf, _image.units[number]).read()) for number in numbers]


class _UnitReader:
    """Reads one unit of C or assembler."""

    def __init__(self, dwarf: Any, unit: Any) -> None:
        self.dwarf = dwarf
        self.unit = unit
        self.root = unit.get_top_DIE()
        self.comp_dir = self._text(self.root, "DW_AT_comp_dir") or ""
        self.path = self._from_source_root(self._text(self.root, "DW_AT_name") or "")
        self.calls: list[Call] = []
        self.addresses: dict[int, list[int]] = {}
        self.inline_addresses: dict[int, list[int]] = {}
        self.copied_into: dict[int, set[int]] = {}

    def read(self) -> UnitReading:
        subprograms = [die for die in self.root.iter_children() if die.tag == "DW_TAG_subprogram"]
        for die in subprograms:
            address = self._address(die)
            if address is not None:
                origin = self._origin(die)
                self.addresses.setdefault(origin.offset, []).append(address)
                self._walk(die, origin, origin, 0)
        definitions = [d for die in subprograms if (d := self._definition(die)) is not None]
        return UnitReading(self.path, definitions, self.calls)

    def _definition(self, die: Any) -> Definition | None:
        addresses = self.addresses.get(die.offset, [])
        # GCC may split a function and put the part back where it was: a copy that no caller holds.
        only_itself = self.copied_into.get(die.offset) == {die.offset}
        inlined = self._value(die, "DW_AT_inline") in INLINED and not only_itself
        folded = not addresses and "DW_AT_declaration" not in die.attributes
        if "DW_AT_abstract_origin" in die.attributes or not (addresses or inlined or folded):
            return None
        return Definition(
            name=self._text(die, "DW_AT_name") or "",
            unit=self.path,
            decl_file=self._decl_file(die),
            decl_line=self._value(die, "DW_AT_decl_line"),
            external=bool(self._value(die, "DW_AT_external")),
            inlined=inlined,
            addresses=tuple(sorted(addresses)),
            inline_addresses=tuple(sorted(self.inline_addresses.get(die.offset, []))),
            folded=folded,
        )

    def _walk(self, die: Any, caller: Any, enclosing: Any, depth: int) -> None:
        """Collect the calls below ``die``, code of ``caller`` written in ``enclosing``."""
        for child in die.iter_children():
            if child.tag == "DW_TAG_inlined_subroutine":
                callee = self._origin(child)
                self.copied_into.setdefault(callee.offset, set()).add(caller.offset)
                address = self._entry(child)
                if address is not None:
                    self.inline_addresses.setdefault(callee.offset, []).append(address)
                file = self._file(self._value(child, "DW_AT_call_file"))
                self._call(
                    callee,
                    caller,
                    depth,
                    inline=True,
                    file=None if file == self._decl_file(enclosing) else file,
                    line=self._value(child, "DW_AT_call_line"),
                )
                self._walk(child, caller, callee, depth + 1)
            elif child.tag in ("DW_TAG_call_site", "DW_TAG_GNU_call_site"):
                for attribute in ("DW_AT_call_origin", "DW_AT_abstract_origin"):
                    if attribute in child.attributes:
                        callee = self._origin(child.get_DIE_from_attribute(attribute))
                        self._call(callee, caller, depth, inline=False, file=None, line=None)
                        break
            elif child.tag == "DW_TAG_lexical_block":
                self._walk(child, caller, enclosing, depth)

    def _call(
        self, callee: Any, caller: Any, depth: int, *, inline: bool, file: str | None, line: int | None
    ) -> None:
        self.calls.append(
            Call(
                callee=self._called_name(callee),
                unit=self.path,
                caller=self._text(caller, "DW_AT_name") or "",
                caller_line=self._value(caller, "DW_AT_decl_line"),
                depth=depth,
                inline=inline,
                file=file,
                line=line,
            )
        )

    def _called_name(self, callee: Any) -> str:
        """What is called: a declaration may give its symbol another name (``__asm__("name")``)."""
        names = [self._text(callee, name) for name in ("DW_AT_linkage_name", "DW_AT_name")]
        return (names[0] if "DW_AT_declaration" in callee.attributes else None) or names[1] or ""

    def _origin(self, die: Any) -> Any:
        """The DIE that a copy is a copy of; itself if it is none."""
        while (attribute := "DW_AT_abstract_origin") in die.attributes:
            die = die.get_DIE_from_attribute(attribute)
        return die

    def _value(self, die: Any, name: str) -> Any:
        """An attribute's value, from the declaration that a definition completes if it does not repeat it."""
        while name not in die.attributes and "DW_AT_specification" in die.attributes:
            die = die.get_DIE_from_attribute("DW_AT_specification")
        return die.attributes[name].value if name in die.attributes else None

    def _text(self, die: Any, name: str) -> str | None:
        value = self._value(die, name)
        return None if value is None else value.decode(errors="replace")

    def _address(self, die: Any) -> int | None:
        """Where the code of a DIE starts: in the first range that is not empty, if there are several."""
        if "DW_AT_low_pc" in die.attributes:
            low_pc: int = die.attributes["DW_AT_low_pc"].value
            return low_pc
        if "DW_AT_ranges" not in die.attributes:
            return None
        base = self._value(self.root, "DW_AT_low_pc") or 0
        ranges = self.dwarf.range_lists()
        for entry in ranges.get_range_list_at_offset(die.attributes["DW_AT_ranges"].value, cu=self.unit):
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            elif entry.begin_offset != entry.end_offset:
                start: int = entry.begin_offset
                return start if entry.is_absolute else base + start
        return None

    def _entry(self, die: Any) -> int | None:
        """Where a copy in one piece starts, and where one in several is entered (DWARF 5, 2.18)."""
        start = self._address(die)
        entry = die.attributes.get("DW_AT_entry_pc")
        if entry is None or "DW_AT_low_pc" in die.attributes:
            return start
        address: int = entry.value if entry.form.startswith("DW_FORM_addr") else (start or 0) + entry.value
        return address

    def _decl_file(self, die: Any) -> str | None:
        return self._file(self._value(die, "DW_AT_decl_file"))

    def _file(self, number: int | None) -> str | None:
        """A file of the line table, relative to the source root."""
        if number is None:
            return None
        if number not in self._files:
            header = self.dwarf.line_program_for_CU(self.unit).header
            if header.version >= 5:
                entry = header.file_entry[number]
                directory = header.include_directory[entry.dir_index].decode()
            elif number == 0:
                return None
            else:
                entry = header.file_entry[number - 1]
                directory = header.include_directory[entry.dir_index - 1].decode() if entry.dir_index else ""
            name = entry.name.decode(errors="replace")
            self._files[number] = self._from_source_root(posixpath.join(directory, name))
        return self._files[number]

    @cached_property
    def _files(self) -> dict[int, str]:
        return {}

    def _from_source_root(self, path: str) -> str:
        """Debian compiles in ``debian/build/...``, below the source root that its paths start from."""
        path = posixpath.normpath(path)
        return path.removeprefix(self.comp_dir + "/")
