"""What libbpf itself makes of CO-RE relocations, from its log: the other side of tests/test_core_truth.py."""

from __future__ import annotations

import ctypes.util
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parent / "data" / "core" / "libbpf_word.c"


@dataclass
class Word:
    """One relocation of one object on one kernel, as libbpf's log tells it."""

    values: tuple[int, int] | None = None
    """What the instruction held, and what it holds now."""
    bytes: tuple[int, int] | None = None
    """Of memory that it accessed, and accesses now."""
    poisoned: bool = False
    targets: list[int] = field(default_factory=list)
    """BTF ids of the kernel's types that have it."""
    failed: bool = False


Words = dict[tuple[str, int], Word]
"""By section and number in it."""

_SECTION = re.compile(r"libbpf: sec '(.*)': found \d+ CO-RE relocations$")
_RELOCATION = re.compile(r"libbpf: prog '.*?': relo #(\d+): (.*)$")
_PATCHED = re.compile(r"patched insn #\d+ \(.*?\) (imm|off|imm64|mem_sz) (\d+) -> (\d+)$")
_MATCHING = re.compile(r"matching candidate #\d+ <\w+> \[(\d+)\]")


def library() -> str | None:
    """The libbpf of this machine."""
    return ctypes.util.find_library("bpf")


def compiled(folder: Path) -> Path:
    """The program that asks libbpf."""
    program = folder / "libbpf_word"
    subprocess.run(["gcc", "-Wall", "-rdynamic", str(SOURCE), "-o", str(program), "-ldl"], check=True)
    return program


def words(
    program: Path, libbpf: str, folder: Path, images: Mapping[str, bytes], objects: Sequence[bytes]
) -> list[Words]:
    """What becomes of each object's relocations on the kernel with that BTF; ``folder`` is for files."""
    btf = folder / "btf"
    btf.mkdir()
    for name, data in images.items():
        (btf / name).write_bytes(data)
    paths = [folder / f"{number}.bpf.o" for number in range(len(objects))]
    for path, data in zip(paths, objects, strict=True):
        path.write_bytes(data)
    done = subprocess.run([program, libbpf, btf, *paths], capture_output=True, text=True, check=True)
    return parsed(done.stdout)


def parsed(log: str) -> list[Words]:
    """The relocations in a log, object by object."""
    found: list[Words] = []
    section = ""
    for line in log.splitlines():
        if line.startswith("object "):
            found.append({})
        elif match := _SECTION.match(line):
            section = match[1]
        elif match := _RELOCATION.match(line):
            _take(found[-1].setdefault((section, int(match[1])), Word()), match[2])
    return found


def _take(word: Word, text: str) -> None:
    if match := _PATCHED.match(text):
        numbers = int(match[2]), int(match[3])
        if match[1] == "mem_sz":
            word.bytes = numbers
        else:
            word.values = numbers
    elif match := _MATCHING.match(text):
        word.targets.append(int(match[1]))
    elif text.startswith("substituting"):
        word.poisoned = True
    elif text.startswith("failed to"):
        word.failed = True
