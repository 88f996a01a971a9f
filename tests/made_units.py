"""Tiny trees with units, for tests of the semantic layer: no kernel, no make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ksurf.progress import Silent
from ksurf.source.flags import TREE, Command
from ksurf.source.includes import write_includes
from ksurf.source.semantic.clang import arguments_of, parse
from ksurf.source.semantic.model import SemanticFile
from ksurf.source.semantic.reader import read_file
from ksurf.source.units import BUILD_FOLDER, Units, group_commands

__all__ = ["make_units", "read"]


def make_units(folder: Path, files: Mapping[str, str], arguments: Sequence[str] = ()) -> Units:
    """Write a tree in which each ``.c`` file is a unit."""
    tree, target = folder / "tree", folder / "units"
    (target / BUILD_FOLDER).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    shared = ["-nostdinc", f"-I{TREE}/include", *arguments]
    commands = [
        Command(
            f"{TREE}/{name}", name[:-1] + "o", [*shared, f'-DKBUILD_MODNAME="{Path(name).stem}"', f"-I{TREE}"]
        )
        for name in files
        if name.endswith(".c")
    ]
    units = Units(tree, target, "amd64", group_commands(commands, "amd64"), target / BUILD_FOLDER)
    write_includes(units, Silent())
    units.save()
    return units


def read(units: Units, file: str, through: str | None = None) -> SemanticFile:
    """Read a file in this process, without a cache."""
    unit = units.of_file(through or file)[0]
    with parse(units, units.path(unit), arguments_of(units, unit)) as parsed:
        return read_file(parsed, units.tree / file, unit.object)
