"""The kernel's types and prototypes that a module was compiled with, from its debug information."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ksurf.dataset.rows import Definition, Member
from ksurf.surface.types import prototype_text

if TYPE_CHECKING:
    from ksurf._core import ArrowStream

__all__ = ["ModuleTypes", "module_types"]

_ANCHORS = {
    ("struct", "module"): "include/linux/module.h",
    ("struct", "list_head"): "include/linux/types.h",
    ("struct", "task_struct"): "include/linux/sched.h",
    ("struct", "file"): "include/linux/fs.h",
}
"""Types that the kernel's headers alone declare, and where: they tell where these headers lie."""
_HEADERS = re.compile(r"(?:include|arch/[^/]+/include)/")
_GENERATED = re.compile(r"(?:.*/)?(?:include|arch/[^/]+/include)/generated/")
"""Headers of the folder that a kernel was built in, which may be another than its sources'."""
_NAMES = re.compile(r"(?:(struct|union|enum) )?([A-Za-z_]\w*)")
_KINDS = ("struct", "union", "enum")


@dataclass(frozen=True, slots=True)
class ModuleTypes:
    """What a module was compiled with."""

    layouts: tuple[tuple[Definition, ...], ...] = ()
    """The kernel's types whose layout its code knows, by name; each followed by those that it holds."""
    prototypes: Mapping[str, str] = field(default_factory=dict)
    """Of the functions that it calls, as C text; the parameters have no names."""
    incomplete: str | None = None
    """What could not be read, and why."""


def module_types(path: str) -> ModuleTypes | None:
    """What the module at ``path`` was compiled with; ``None`` if it has no DWARF.

    Of the kernel's types only those are taken that variables, parameters and results in the module's code
    (functions of headers that were inlined into it are in it) are or point to, and those that the module's
    own types hold or point to. Each type that a header mentions is in the DWARF, too, and says nothing of
    what the module does.
    """
    from ksurf import _core

    found = _core.module_types(path)
    if found is None:
        return None
    tables, incomplete = found
    rows = {name: _rows(stream) for name, stream in tables.items()}
    read = _Read(_definitions(rows), rows)
    if not read.roots and incomplete is None:
        incomplete = "which of its types are the kernel's cannot be told: it has no struct module"
    layouts = sorted(read.layouts(), key=lambda one: (one[0].name, one[0].kind))
    prototypes = {one.name: prototype_text(one) for one in read.definitions if one.kind == "func"}
    return ModuleTypes(tuple(layouts), prototypes, incomplete)


def _rows(stream: ArrowStream) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows: list[dict[str, Any]] = pa.RecordBatchReader.from_stream(stream).read_all().to_pylist()
    return rows


def _definitions(rows: Mapping[str, list[dict[str, Any]]]) -> list[Definition]:
    members = defaultdict(list)
    for row in rows["members"]:
        del row["position"]
        members[row.pop("definition")].append(Member(**row))
    return [Definition(**row, members=tuple(members[row["key"]])) for row in rows["definitions"]]


class _Read:
    """The definitions of a module, told apart."""

    def __init__(self, definitions: list[Definition], rows: Mapping[str, list[dict[str, Any]]]) -> None:
        self.definitions = definitions
        self._named = [(row["kind"], row["name"]) for row in rows["named"]]
        self._files: dict[int, list[str]] = defaultdict(list)
        for row in rows["files"]:
            self._files[row["key"]].append(row["file"])
        self._by_name: dict[tuple[str, str], list[Definition]] = defaultdict(list)
        for one in definitions:
            self._by_name[one.kind, one.name].append(one)
        self.roots = {
            file.removesuffix(header)
            for name, header in _ANCHORS.items()
            for one in self._by_name.get(name, ())
            for file in self._files[one.key]
            if file == header or file.endswith(f"/{header}")
        }

    def layouts(self) -> Iterator[tuple[Definition, ...]]:
        """The kernel's types whose layout the code knows, each with those that it holds."""
        for one in self._reached(self._named, stop=self._is_layout):
            if self._is_layout(one):
                inside = self._reached(_inside(one, pointers=False), stop=lambda _: False)
                yield (one, *sorted((d for d in inside if d.members and d != one), key=lambda d: d.name))

    def _reached(
        self, names: Iterable[tuple[str, str]], stop: Callable[[Definition], bool]
    ) -> Iterator[Definition]:
        """What is defined under some names, and in it, and so on, but for what is in those of ``stop``."""
        waiting = list(dict.fromkeys(names))
        seen = set(waiting)
        while waiting:
            for one in self._by_name.get(waiting.pop(), ()):
                yield one
                inside = [] if stop(one) else _inside(one, pointers=not self._is_kernels(one))
                for name in inside:
                    if name not in seen:
                        seen.add(name)
                        waiting.append(name)

    def _is_layout(self, definition: Definition) -> bool:
        """Whether it is a type of the kernel, and no other name of one."""
        is_type = definition.kind in _KINDS or (definition.kind == "typedef" and definition.members)
        return bool(is_type) and self._is_kernels(definition)

    def _is_kernels(self, definition: Definition) -> bool:
        return any(
            _GENERATED.match(file)
            or any(file.startswith(root) and _HEADERS.match(file, len(root)) for root in self.roots)
            for file in self._files[definition.key]
        )


def _inside(definition: Definition, *, pointers: bool) -> Iterator[tuple[str, str]]:
    """Kinds and names of the types that a type holds, and of those that it points to, if these are wanted."""
    for text in (definition.type, *(member.type for member in definition.members)):
        # What a function would be called with is not touched by who holds its address.
        if text is None or "(" in text.replace("(anon)", "") or ("*" in text and not pointers):
            continue
        for keyword, name in _NAMES.findall(text):
            yield keyword or "typedef", name
