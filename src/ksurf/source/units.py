"""The units of one kernel: which files its build compiled, and with which arguments.

The table lies beside the prepared folder as ``units.json``. Paths in it count from the tree and from that
folder,
so that a dataset can be moved. A unit is named by its object: one file may be compiled several times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from ksurf import atomic
from ksurf.errors import DatasetError, DiskFullError, InputError, is_full
from ksurf.source.flags import BUILD, COMPILER, TARGETS, TREE, Command, is_own

__all__ = [
    "BUILD_FOLDER",
    "COMPILER_HEADERS",
    "Group",
    "Unit",
    "Units",
    "group_commands",
    "write_whole",
]

_FORMAT = 1
_MARK = re.compile("|".join(map(re.escape, (TREE, BUILD, COMPILER))))
_TABLE = "units.json"
BUILD_FOLDER = "build"
"""The prepared folder, beside the table."""
COMPILER_HEADERS = Path(__file__).with_name("compiler-include")
"""The headers that a compiler brings."""


@dataclass(frozen=True, slots=True)
class Group:
    """Units that are compiled alike but for their own names share precompiled headers."""

    digest: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unit:
    """One compiled file."""

    file: str
    """Relative to the tree, or to the prepared folder if ``is_generated``."""
    is_generated: bool
    object: str
    """What it is compiled to, relative to the prepared folder: ``arch/arm64/kvm/vgic/vgic-v4.o``."""
    group: Group
    own_arguments: tuple[str, ...]

    @property
    def directory(self) -> str:
        """The folder of its file; empty for the tree's root."""
        return self.file.rpartition("/")[0]


class Units:
    """The units of one kernel, and where what they include lies.

    ``tree`` is the source, ``folder`` holds the table and, unless the table says otherwise, the prepared
    folder.
    """

    def __init__(self, tree: Path, folder: Path, arch: str, units: Iterable[Unit], build: Path) -> None:
        """Name the parts; nothing is read."""
        self.tree = tree
        self.folder = folder
        self.arch = arch
        self.build = build
        self._units = tuple(units)

    def __iter__(self) -> Iterator[Unit]:
        """Go through the units, in the order of the build."""
        return iter(self._units)

    def __len__(self) -> int:
        """Return how many units there are."""
        return len(self._units)

    @cached_property
    def _by_file(self) -> dict[str, list[Unit]]:
        by_file: dict[str, list[Unit]] = {}
        for unit in self._units:
            by_file.setdefault(unit.file, []).append(unit)
        return by_file

    def of_file(self, file: str) -> list[Unit]:
        """Return the units that compile the file; one that is part of the kernel proper comes first.

        Files such as ``lib/fdt.c`` are compiled again for boot code; their own folder's object is the usual
        one.
        """
        units = self._by_file.get(file, [])
        return sorted(units, key=lambda unit: unit.object.rpartition("/")[0] != unit.directory)

    def of_object(self, name: str) -> Unit | None:
        """Return the unit that makes an object."""
        return self._by_object.get(name)

    @cached_property
    def _by_object(self) -> dict[str, Unit]:
        return {unit.object: unit for unit in self._units}

    def below(self, folders: Iterable[str]) -> list[Unit]:
        """Return the units whose files lie in or below any of the folders, or are one of them."""
        names = [folder.strip("/") for folder in folders]
        return [
            unit
            for unit in self._units
            if any(not name or unit.file == name or unit.file.startswith(name + "/") for name in names)
        ]

    @property
    def target(self) -> str:
        """Clang's name of the architecture."""
        return TARGETS[self.arch]

    def expanded(self, arguments: Iterable[str]) -> list[str]:
        """Put the real folders into arguments."""
        roots = {TREE: str(self.tree), BUILD: str(self.build), COMPILER: str(COMPILER_HEADERS)}
        return [_MARK.sub(lambda mark: roots[mark[0]], argument) for argument in arguments]

    def path(self, unit: Unit) -> Path:
        """Return where the unit's file lies."""
        return (self.build if unit.is_generated else self.tree) / unit.file

    @classmethod
    def load(cls, tree: Path, folder: Path) -> Units:
        """Read the table in ``folder``; raises ``InputError`` if there is none."""
        path = folder / _TABLE
        try:
            table = json.loads(path.read_bytes())
        except FileNotFoundError:
            hint = "prepare it first: ksurf source prepare"
            raise InputError(f"{path}: no units of this kernel are known", hint) from None
        except (OSError, ValueError) as error:
            raise DatasetError(f"{path}: {error}", "remove the file, and prepare the kernel again") from error
        try:
            if table["format"] != _FORMAT:
                raise DatasetError(
                    f"{path}: format {table['format']}, not {_FORMAT}", "prepare the kernel again"
                )
            groups = [Group(digest, tuple(arguments)) for digest, arguments in table["groups"]]
            units = [
                Unit(file, generated, target, groups[group], tuple(own))
                for file, generated, target, group, own in table["units"]
            ]
            build = Path(table["build"]) if table["build"] is not None else folder / BUILD_FOLDER
            return cls(tree, folder, str(table["arch"]), units, build)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise DatasetError(
                f"{path}: not a table of units: {error}", "prepare the kernel again"
            ) from error

    def save(self) -> None:
        """Write the table, whole or not at all."""
        groups: dict[Group, int] = {}
        rows = [
            (
                unit.file,
                unit.is_generated,
                unit.object,
                groups.setdefault(unit.group, len(groups)),
                unit.own_arguments,
            )
            for unit in self._units
        ]
        own = self.build == self.folder / BUILD_FOLDER
        table = {
            "format": _FORMAT,
            "arch": self.arch,
            "build": None if own else str(self.build),
            "groups": [(group.digest, group.arguments) for group in groups],
            "units": rows,
        }
        write_whole(self.folder / _TABLE, json.dumps(table, separators=(",", ":")).encode())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is made of source, so that a reader sees all of it or none."""
    try:
        atomic.write_whole(path, content)
    except OSError as error:
        if is_full(error):
            raise DiskFullError(f"{path.parent}: no room left on the file system") from error
        raise DatasetError(f"{path}: {error.strerror}") from error


def group_commands(commands: Iterable[Command], arch: str) -> list[Unit]:
    """Make units of commands: what is compiled with the same arguments is a group."""
    groups: dict[tuple[str, ...], Group] = {}
    units: dict[str, Unit] = {}
    for command in commands:
        root, _, file = command.source.partition("/")
        if root not in {TREE, BUILD}:
            # Nothing outside of the tree is ever shown.
            continue
        own_folders = _own_folders(command.object)
        own: list[str] = []
        shared: list[str] = []
        for argument in command.arguments:
            (own if is_own(argument) or argument in own_folders else shared).append(argument)
        key = tuple(shared)
        if key not in groups:
            digest = sha256("\0".join((arch, *key)).encode()).hexdigest()[:16]
            groups[key] = Group(digest, key)
        units[command.object] = Unit(file, root == BUILD, command.object, groups[key], tuple(own))
    return list(units.values())


def _own_folders(name: str) -> set[str]:
    """Return the arguments by which kbuild adds an object's folders, and those above it, to the search for
    headers.

    They stand last, and tell apart groups of units that are otherwise alike.
    """
    folder = name.rpartition("/")[0]
    found = set()
    while folder:
        found |= {f"-I{TREE}/{folder}", f"-I{BUILD}/{folder}"}
        folder = folder.rpartition("/")[0]
    return found
