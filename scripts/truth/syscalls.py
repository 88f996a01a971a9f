"""The tables of system calls in the kernel's source, as its own build reads them.

Sources: the heads of arch/x86/entry/syscalls/*.tbl and scripts/syscall.tbl; scripts/Makefile.asm-headers and
arch/arm64/kernel/Makefile.syscalls (which lines of a table are an architecture's); until 6.10, when arm64 had
no tables yet, arch/arm64/kernel/sys.c and sys32.c, which make them by including headers.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ksurf.errors import KsurfError
from preprocess import preprocessed
from tsv import tab_separated

__all__ = ["Line", "as_text", "tables", "wanted_sources"]

_X86 = "arch/x86/entry/syscalls"
_ARM64 = "arch/arm64/include"
_ARM64_ABIS = "arch/arm64/kernel/Makefile.syscalls"
_GENERIC = "scripts/syscall.tbl"
_UAPI = "include/uapi/asm-generic"

_WANTED = frozenset(
    {
        f"{_X86}/syscall_64.tbl",
        f"{_X86}/syscall_32.tbl",
        _GENERIC,
        _ARM64_ABIS,
        "arch/arm64/tools/syscall_32.tbl",
        "arch/arm64/tools/syscall_64.tbl",  # as yet a link to the generic one
        f"{_ARM64}/asm/unistd.h",
        f"{_ARM64}/asm/unistd32.h",
        f"{_ARM64}/uapi/asm/unistd.h",
        f"{_ARM64}/uapi/asm/bitsperlong.h",
        f"{_UAPI}/unistd.h",
        f"{_UAPI}/bitsperlong.h",
    }
)


class Line(NamedTuple):
    """A line of a table; what is empty is not said there."""

    table: str
    """``native``, or ``compat`` for 32-bit programs."""
    number: int
    abi: str
    name: str
    entry: str
    compat_entry: str


def wanted_sources(files: Iterable[tuple[str, bytes]]) -> dict[str, str]:
    """Return what matters of the files of the kernel's source, by path."""
    return {path: content.decode() for path, content in files if path in _WANTED}


def tables(sources: Mapping[str, str]) -> dict[str, list[Line]]:
    """Return the lines of each architecture, sorted."""
    x86 = [
        *_table("native", sources[f"{_X86}/syscall_64.tbl"], {"common", "64", "x32"}),
        *_table("compat", sources[f"{_X86}/syscall_32.tbl"], {"i386"}),
    ]
    arm64 = _arm64_tables(sources) if _ARM64_ABIS in sources else _arm64_headers(sources)
    return {"amd64": sorted(x86, key=_order), "arm64": sorted(arm64, key=_order)}


def _order(line: Line) -> tuple[bool, int]:
    return line.table != "native", line.number


def _table(table: str, text: str, abis: set[str]) -> Iterator[Line]:
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            # number, abi, name, entry, compat entry, "noreturn"; the last three are often missing.
            words = [*line.split(), "", ""]
            number, abi, name, entry, compat_entry = ("" if word == "-" else word for word in words[:5])
            if abi in abis and entry:
                yield Line(table, int(number), abi, name, entry, compat_entry)


def _arm64_tables(sources: Mapping[str, str]) -> Iterator[Line]:
    abis = {
        bits: {"common", bits, *words.split()}
        for bits, words in re.findall(r"(?m)^syscall_abis_(\d+) *\+=(.*)$", sources[_ARM64_ABIS])
    }
    native = sources.get("arch/arm64/tools/syscall_64.tbl", sources.get(_GENERIC, ""))
    yield from _table("native", native, abis["64"])
    yield from _table("compat", sources["arch/arm64/tools/syscall_32.tbl"], abis["32"])


def _arm64_headers(sources: Mapping[str, str]) -> Iterator[Line]:
    yield from _header("native", "asm/unistd.h", sources)
    yield from _header("compat", "asm/unistd32.h", sources)


def _header(table: str, header: str, sources: Mapping[str, str]) -> Iterator[Line]:
    """Let the C preprocessor tell which calls a header has: it is full of conditions."""
    text = _preprocessed(header, sources)
    defines: dict[str, str] = dict(re.findall(r"(?m)^#define __NR(\w+) +(\w+)$", text))
    names: dict[int, str] = {}
    for key, value in defines.items():
        # __NR3264_mmap has the number, and __NR_mmap is said to be that.
        number, name = defines.get(value.removeprefix("__NR"), value), key.removeprefix("_")
        if name == key or name in {"syscalls", "arch_specific_syscall"}:
            continue
        if names.setdefault(int(number), name) != name:
            raise KsurfError(f"{header}: {name} and {names[int(number)]} have the same number {number}")
    for number, entry in re.findall(r"(?m)@ *(\d+) *, *(\w+) *@", text):
        yield Line(table, int(number), "", names.get(int(number), ""), entry, "")


def _preprocessed(header: str, sources: Mapping[str, str]) -> str:
    with tempfile.TemporaryDirectory(prefix="ksurf-truth-") as folder:
        for name, content in sources.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        include = [f"-I{folder}/{path}" for path in (_ARM64, f"{_ARM64}/uapi", "include/uapi")]
        marker = "-D__SYSCALL(number, entry)=@ number, entry @"
        options = ["-dD", *include, "-D__aarch64__", marker]
        return preprocessed(header, f"#include <{header}>\n", options)


def as_text(source: str, lines: Iterable[Line]) -> str:
    """Return the lines as tab-separated values; ``source`` is named at the head."""
    return tab_separated(source, Line._fields, lines)
