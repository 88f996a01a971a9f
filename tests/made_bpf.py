"""Small eBPF objects for the tests, as clang would make them, without clang."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

PROGBITS, SYMTAB, STRTAB, REL = 1, 2, 3, 9
ALLOC, CODE = 2, 6
LOCAL, GLOBAL, WEAK = 0, 1, 2
NOTYPE, OBJECT, FUNC = 0, 1, 2
EXIT = (0x95, 0, 0, 0, 0)
Instruction = tuple[int, int, int, int, int]
"""Operation, destination, source, offset, constant (include/uapi/linux/bpf.h: ``struct bpf_insn``)."""


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    data: bytes
    link: int = 0
    info: int = 0


def code(instructions: Sequence[Instruction]) -> bytes:
    """The bytes of instructions; a wide one takes sixteen."""
    out = b""
    for operation, target, source, offset, constant in instructions:
        out += struct.pack("<BBhi", operation, source << 4 | target, offset, constant)
        out += bytes(8) if operation == 0x18 else b""
    return out


class Elf:
    """An ELF file of 64 bits, least significant byte first."""

    def __init__(self, machine: int = 247) -> None:
        self.machine = machine
        self.sections = [_Section("", 0, 0, b"")]
        self.symbols = bytes(24)
        self.strings = b"\0"
        self.count = 1

    def section(self, name: str, data: bytes, flags: int = ALLOC) -> int:
        """Add a section; gives its number."""
        self.sections.append(_Section(name, PROGBITS, flags, data))
        return len(self.sections) - 1

    def symbol(
        self, name: str, kind: int = NOTYPE, section: int = 0, at: int = 0, size: int = 0, bind: int = GLOBAL
    ) -> int:
        """Add a symbol; gives its number."""
        text = len(self.strings)
        self.strings += name.encode() + b"\0"
        self.symbols += struct.pack("<IBBHQQ", text, bind << 4 | kind, 0, section, at, size)
        self.count += 1
        return self.count - 1

    def program(self, section: str, name: str, instructions: Sequence[Instruction] = (EXIT,)) -> int:
        """Add a section with one function; gives the section's number."""
        data = code(instructions)
        number = self.section(section, data, CODE)
        self.symbol(name, FUNC, number, 0, len(data))
        return number

    def relocate(self, section: int, places: Sequence[tuple[int, int, int]]) -> None:
        """Relocate a section: offset, symbol, kind."""
        data = b"".join(struct.pack("<QII", at, kind, symbol) for at, symbol, kind in places)
        self.sections.append(_Section(".rel", REL, 0, data, info=section))

    def finish(self) -> bytes:
        """The file's bytes."""
        names_at = len(self.sections) + 1
        sections = [*self.sections, _Section(".symtab", SYMTAB, 0, self.symbols, names_at, 1)]
        sections.append(_Section(".strtab", STRTAB, 0, b""))
        names, body, table = self.strings, b"", b""
        offsets = []
        for section in sections:
            offsets.append(len(names))
            names += section.name.encode() + b"\0"
        for offset, section in zip(offsets, sections, strict=True):
            data = names if section.name == ".strtab" else section.data
            entry = {SYMTAB: 24, REL: 16}.get(section.kind, 0)
            place = (section.flags, 0, 64 + len(body), len(data), section.link, section.info, 8, entry)
            table += struct.pack("<IIQQQQIIQQ", offset, section.kind, *place)
            body += data + bytes(-len(data) % 8)
        start = 64 + len(body)
        header = (1, self.machine, 1, 0, 0, start, 0, 64, 0, 0, 64, len(sections), names_at)
        return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", *header) + body + table


class Types:
    """A ``.BTF`` section (Documentation/bpf/btf.rst)."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"
        self.count = 0

    def _string(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text) - 1

    def add(self, name: str, kind: int, length: int, value: int, *rest: int) -> int:
        """Add a type; gives its id."""
        words = (self._string(name), kind << 24 | length, value, *rest)
        self.types += struct.pack(f"<{len(words)}I", *words)
        self.count += 1
        return self.count

    def integer(self, name: str, size: int) -> int:
        return self.add(name, 1, 0, size, size * 8)

    def pointer(self, to: int) -> int:
        return self.add("", 2, 0, to)

    def structure(self, name: str, size: int, *members: tuple[str, int, int]) -> int:
        """A struct; its members with their types and offsets in bytes."""
        rest = [word for name, of, at in members for word in (self._string(name), of, at * 8)]
        return self.add(name, 4, len(members), size, *rest)

    def function(self, name: str, result: int, *params: tuple[str, int], linkage: int = 1) -> int:
        rest = [word for name, of in params for word in (self._string(name), of)]
        return self.add(name, 12, linkage, self.add("", 13, len(params), result, *rest))

    def variable(self, name: str, of: int, linkage: int = 2) -> int:
        return self.add(name, 14, 0, of, linkage)

    def number(self, integer: int, number: int) -> int:
        """What ``__uint`` makes of a number."""
        return self.pointer(self.add("", 3, 0, 0, integer, integer, number))

    def section(self, name: str, *variables: int) -> int:
        return self.add(name, 15, len(variables), 0, *(word for one in variables for word in (one, 0, 8)))

    def finish(self) -> bytes:
        """The section's bytes."""
        sizes = (24, 0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("<HBB5I", 0xEB9F, 1, 0, *sizes) + self.types + self.strings
