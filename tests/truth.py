"""What real kernels said of themselves when they were booted: a typed reader of ``tests/data/truth``.

``docs/truth.md`` describes the files, ``make truth`` makes them. Only what is wrong with a file raises: a
``ValueError`` that shows the line.
"""

from __future__ import annotations

import csv
import json
import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "TRUTH",
    "Event",
    "Field",
    "Function",
    "Injectable",
    "Syscall",
    "SyscallTable",
    "Truth",
    "captures",
    "read_syscalls",
    "read_truth",
    "syscall_tables",
]

TRUTH = Path(__file__).parent / "data" / "truth"

_UNNAMED = "__ftrace_invalid_address___"
_FUNCTION = re.compile(r"(\S+?)(?: \[([^\]\s]+)\])?")
_FIELD = re.compile(r"\tfield:(.+?)[ ]?(\w+)(\[.*\])?;\toffset:(\d+);\tsize:(\d+);\tsigned:([01]);")
_COLUMNS = ["table", "number", "abi", "name", "entry", "compat_entry"]


class Function(NamedTuple):
    """A function as kallsyms names it; ``module`` is ``None`` for those of the kernel itself."""

    name: str
    module: str | None = None


class Injectable(NamedTuple):
    """A function whose result may be replaced, and with what: ``ERRNO``, ``NULL``, ..."""

    function: Function
    kind: str


class Field(NamedTuple):
    """A field of an event's record."""

    type: str
    """Its type as the event has it, an array's length after it: ``char[16]``, ``__data_loc char[]``."""
    name: str
    byte_offset: int
    byte_size: int
    signed: bool


@dataclass(frozen=True)
class Event:
    """An event as ``events/<system>/<name>/format`` shows it, but for its id."""

    system: str
    name: str
    common_fields: tuple[Field, ...]
    """Those that each event has."""
    fields: tuple[Field, ...]
    """Its own."""
    print_fmt: str
    """Exactly as printed: a value stands for each enum's name; may have several lines."""


@dataclass(frozen=True)
class Truth:
    """What one kernel said. Lists are sorted; a name that the kernel lists twice is there twice."""

    kernel: str
    """Its id, as ksurf spells it."""
    release: str
    arch: str
    lsm: tuple[str, ...]
    """Security modules that were active."""
    modules: frozenset[str]
    """The modules that were loaded, as /proc/modules spells them. Of others nothing is said."""
    filter_functions: tuple[Function, ...]
    """``available_filter_functions``: those that ftrace can be attached to, without the unnamed ones."""
    unnamed_sites: int
    """How many of ftrace's sites belong to no symbol, so that the kernel gives them an invented name."""
    kprobes_blacklist: tuple[Function, ...]
    error_injection: tuple[Injectable, ...] | None
    """``None`` where the kernel has no such list (``CONFIG_FUNCTION_ERROR_INJECTION``)."""
    events: dict[tuple[str, str], Event]
    """By system and name."""


class Syscall(NamedTuple):
    """A line of a table of system calls."""

    number: int
    abi: str | None
    """As the table says; ``None`` where the source is a header, which does not."""
    name: str | None
    """``None`` where the number only says that there is none."""
    entry: str
    compat_entry: str | None
    """What is called instead of ``entry``, in a table for 32-bit programs."""


@dataclass(frozen=True)
class SyscallTable:
    """The tables of an architecture in a kernel's source."""

    base_version: str
    arch: str
    native: tuple[Syscall, ...]
    """For 64-bit programs; on amd64 also the lines of x32, marked by their ``abi``."""
    compat: tuple[Syscall, ...]
    """For 32-bit programs."""


def captures() -> list[Path]:
    """Return the folders of all captures, by name."""
    return sorted(path.parent for path in TRUTH.glob("*/about.json"))


def read_truth(folder: Path) -> Truth:
    """Read a capture."""
    about = json.loads((folder / "about.json").read_text())
    sites = _text(folder, "filter_functions").splitlines()
    named = [line for line in sites if not line.startswith(_UNNAMED)]
    injectable = None
    if (folder / "error_injection.txt.xz").exists():
        injectable = tuple(map(_injectable, _text(folder, "error_injection").splitlines()))
    return Truth(
        kernel=about["kernel"],
        release=about["release"],
        arch=about["arch"],
        lsm=tuple(about["lsm"]),
        modules=frozenset(about["modules"]),
        filter_functions=tuple(map(_function, named)),
        unnamed_sites=len(sites) - len(named),
        kprobes_blacklist=tuple(map(_function, _text(folder, "kprobes_blacklist").splitlines())),
        error_injection=injectable,
        events={(event.system, event.name): event for event in _events(_text(folder, "events"))},
    )


def _text(folder: Path, name: str) -> str:
    return lzma.decompress((folder / f"{name}.txt.xz").read_bytes()).decode()


def _function(line: str) -> Function:
    found = _FUNCTION.fullmatch(line)
    if found is None:
        raise ValueError(f"not a function: {line!r}")
    return Function(found[1], found[2])


def _injectable(line: str) -> Injectable:
    function, _, kind = line.rpartition(" ")
    return Injectable(_function(function), kind)


def _events(text: str) -> list[Event]:
    # The separators of the capture: no line that a kernel prints begins like this.
    blocks = re.split(r"(?m)^== (\S+)/(\S+)\n", text)
    if blocks[0]:
        raise ValueError(f"what comes before the first event: {blocks[0]!r}")
    return [_event(*blocks[start : start + 3]) for start in range(1, len(blocks), 3)]


def _event(system: str, name: str, block: str) -> Event:
    fields, found, print_fmt = block.partition("print fmt: ")
    # An empty line stands between the common fields and the others, and before the format.
    common, empty, own = fields.partition("\n\n")
    if not (found and empty):
        raise ValueError(f"not an event's format: {system}/{name}: {block!r}")
    return Event(
        system=system,
        name=name,
        common_fields=tuple(map(_field, common.splitlines())),
        fields=tuple(_field(line) for line in own.splitlines() if line),
        print_fmt=print_fmt.removesuffix("\n"),
    )


def _field(line: str) -> Field:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise ValueError(f"not a field: {line!r}")
    type_, name, length, offset, size, signed = found.groups()
    return Field(type_ + (length or ""), name, int(offset), int(size), signed == "1")


def syscall_tables() -> list[Path]:
    """Return the files of all tables of system calls, by name."""
    return sorted(TRUTH.glob("syscalls-*.tsv"))


def read_syscalls(path: Path) -> SyscallTable:
    """Read the tables of an architecture."""
    _, base_version, arch = path.stem.split("-", 2)
    with path.open(newline="") as file:
        lines = csv.reader((line for line in file if not line.startswith("#")), delimiter="\t")
        if (header := next(lines)) != _COLUMNS:
            raise ValueError(f"{path.name}: other columns than expected: {header}")
        tables: dict[str, list[Syscall]] = {"native": [], "compat": []}
        for table, number, abi, name, entry, compat_entry in lines:
            tables[table].append(Syscall(int(number), abi or None, name or None, entry, compat_entry or None))
    return SyscallTable(base_version, arch, tuple(tables["native"]), tuple(tables["compat"]))
