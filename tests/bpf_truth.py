"""What a kernel's source offers to BPF programs: a typed reader of lists of hooks, kfuncs and struct_ops.

``docs/truth.md`` describes the files of ``tests/data/truth``, ``scripts/truth bpf`` makes them.
"""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from truth import TRUTH

__all__ = ["KERNELS", "Parameter", "TrueHook", "TrueKfunc", "read_hooks", "read_kfuncs", "read_struct_ops"]

KERNELS = [("5.10", "amd64"), ("6.1", "amd64"), ("6.12", "amd64"), ("7.3", "amd64"), ("6.12", "arm64")]
"""Base version and architecture of the kernels whose source was read."""

_BTF_SPELLING = {
    "long": "long int",
    "short": "short int",
    "unsigned": "unsigned int",
    "unsigned long": "long unsigned int",
}
"""The compiler's names of types that C can write in several ways."""


class Parameter(NamedTuple):
    """A parameter of a hook."""

    type: str
    name: str


class TrueHook(NamedTuple):
    """An LSM hook, its types spelled as in BTF."""

    name: str
    returns: str
    parameters: tuple[Parameter, ...]


class TrueKfunc(NamedTuple):
    """An entry of a set with flags."""

    file: str
    marked: bool
    """The set's own flags say that it is one of kfuncs."""
    set: str
    registered: frozenset[str]
    """Program types without ``BPF_PROG_TYPE_``, or ``fmodret``."""
    name: str
    flags: tuple[str, ...]
    flags_value: int


def read_hooks(version: str, arch: str) -> dict[str, TrueHook]:
    """Read the LSM hooks of a kernel's source, by name."""
    return {
        row["name"]: TrueHook(row["name"], row["returns"], _parameters(row["arguments"]))
        for row in _rows("hooks", version, arch)
    }


def read_kfuncs(version: str, arch: str) -> list[TrueKfunc]:
    """Read the entries of all sets with flags that a kernel's source has."""
    return [
        TrueKfunc(
            file=row["file"],
            marked=row["macro"] == "BTF_KFUNCS_START",
            set=row["set"],
            registered=frozenset(row["registered"].split()),
            name=row["name"],
            flags=tuple(row["flags"].split()),
            flags_value=int(row["flags_value"]),
        )
        for row in _rows("kfuncs", version, arch)
    ]


def read_struct_ops(version: str, arch: str) -> dict[str, str]:
    """Read the file of each struct_ops of a kernel's source, by its name."""
    return {row["name"]: row["file"] for row in _rows("struct_ops", version, arch)}


def _rows(kind: str, version: str, arch: str) -> list[dict[str, str]]:
    with (TRUTH / f"{kind}-{version}-{arch}.tsv").open(newline="") as file:
        return list(csv.DictReader((line for line in file if not line.startswith("#")), delimiter="\t"))


def _parameters(text: str) -> tuple[Parameter, ...]:
    """Read parameters of which each has a name and none is a pointer to a function."""
    return () if text == "void" else tuple(_parameter(part) for part in text.split(","))


def _parameter(text: str) -> Parameter:
    found = re.fullmatch(r"\s*([\w\s]+?)(?:\s+|\s*(\*+)\s*)(\w+)\s*", text)
    if found is None:
        raise ValueError(f"not a parameter: {text!r}")
    base, pointer, name = found.groups()
    base = " ".join(word for word in base.split() if word != "__user")
    base = _BTF_SPELLING.get(base, base)
    return Parameter(f"{base} {pointer}" if pointer else base, name)
