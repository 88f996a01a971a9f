"""eBPF objects: what they need of the kernel, from their bytes, as libbpf would load them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ksurf.check import core_relocation
from ksurf.check.alternatives import with_alternatives
from ksurf.check.bpf_context import context_dependency
from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Guard, Kind, Program, Use, joined
from ksurf.check.loader import with_loader
from ksurf.surface.attach import Mechanism

if TYPE_CHECKING:
    from ksurf._core import ArrowStream, BpfObject

__all__ = ["Places", "read_object", "read_objects"]

Row = Mapping[str, Any]
"""A row of a table of :class:`ksurf._core.BpfObject`."""

_FUNCTION_MECHANISMS = {
    Mechanism.KPROBE,
    Mechanism.KRETPROBE,
    Mechanism.KPROBE_MULTI,
    Mechanism.FENTRY,
    Mechanism.FEXIT,
    Mechanism.FMOD_RET,
}
_OF_LIBBPF = {"LINUX_KERNEL_VERSION", "LINUX_HAS_BPF_COOKIE", "LINUX_HAS_SYSCALL_WRAPPER"}
"""Externs of ``.kconfig`` whose values libbpf finds out by itself."""
_FLAVOR = re.compile(r"(.*[^_])___[^_]")
_WEAK = Guard("__weak")


def read_objects(path: str, called: str | None = None) -> list[Consumer]:
    """Read every eBPF object of a file: itself, or those that it carries; none, if it is and has none.

    ``called`` is the path whose name it bears, where that is not the one at which it lies.
    """
    from ksurf import _core

    name = PurePath(called or path).name
    for suffix in (".bpf.o", ".o"):
        name = name.removesuffix(suffix) or name
    try:
        found = _core.bpf_objects(path)
    except _core.ReadError as error:
        return [Consumer(ConsumerKind.BPF_OBJECT, name, path, incomplete=(str(error),))]
    consumers = []
    for number, one in enumerate(found, start=1):
        member = None
        if one.section is not None or one.offset:
            section = "" if one.section is None else f"{one.section} "
            member = f"{section}at offset {one.offset:#x}"
        # Nothing in an object says what its skeleton was called.
        own = name if len(found) == 1 else f"{name}:{number}"
        consumers.append(read_object(one, own, path, member))
    if all(one.offset for one in found):
        spans = [(one.offset, one.offset + len(one.data)) for one in found]
        executable = Path(path).read_bytes() if spans else b""
        consumers = [with_loader(one, executable, spans) for one in consumers]
    return consumers


def read_object(found: BpfObject, name: str, path: str, member: str | None = None) -> Consumer:
    """Read one object: ``name`` is what to call it in a table."""
    from ksurf._core import ReadError

    tables = Tables(found.tables)
    places = Places(tables)
    incomplete = [f"{place}: {reason}" for place, reason in found.incomplete]
    dependencies: list[Dependency] = []
    for row in places.loaded():
        dependencies += _hook(row, places, incomplete)
    dependencies += _maps(tables, places)
    dependencies += _struct_ops(tables, places)
    dependencies += _externs(tables, places, incomplete)
    dependencies += _helpers(tables, places, incomplete)
    dependencies += _contexts(tables, places)
    try:
        dependencies += core_relocation.dependencies(found.data)
    except ReadError as error:
        if not incomplete:  # else it has been told what is wrong with the file
            incomplete.append(str(error))
    programs = tuple(Program(row["name"], row["section"], row["optional"]) for row in places.loaded())
    needed = with_alternatives(joined(dependencies))
    read = ConsumerKind.BPF_OBJECT, name, path, member, programs, needed, tuple(incomplete)
    return Consumer(*read, data=found.data)


class Tables:
    """The tables of an object as rows, each decoded when it is asked for first."""

    def __init__(self, streams: Mapping[str, ArrowStream]) -> None:
        self._streams = streams
        self._rows: dict[str, list[Row]] = {}

    def __getitem__(self, name: str) -> list[Row]:
        if name not in self._rows:
            # Only here: what has no eBPF objects does not wait for it.
            import pyarrow as pa

            self._rows[name] = pa.table(self._streams[name]).to_pylist()
        return self._rows[name]


class Places:
    """Where the instructions of an object come from, and when they are loaded."""

    def __init__(self, tables: Tables) -> None:
        """Take them from the tables of :class:`ksurf._core.BpfObject`."""
        self.programs = tables["programs"]
        self._lines: defaultdict[int, tuple[list[int], list[Row]]] = defaultdict(lambda: ([], []))
        for row in tables["lines"]:
            instructions, rows = self._lines[row["program"]]
            instructions.append(row["instruction"])
            rows.append(row)
        callees: defaultdict[int, set[int]] = defaultdict(set)
        for row in tables["calls"]:
            callees[row["program"]].add(row["callee"])
        self._roots: dict[int, set[int]] = {row["id"]: set() for row in self.programs}
        for root in self.loaded():
            todo = [root["id"]]
            while todo:
                function = todo.pop()
                if root["id"] not in self._roots[function]:
                    self._roots[function].add(root["id"])
                    todo += callees[function]

    def loaded(self) -> Iterator[Row]:
        """The programs; other functions are loaded with those that call them."""
        return (row for row in self.programs if not row["subprogram"])

    def is_loaded(self, function: int) -> bool:
        """Whether any program is, or calls, a function: nothing else gets to the kernel."""
        return bool(self._roots[function])

    def guard(self, function: int) -> Guard | None:
        """What stands before all programs that have the function: the loader's choice (``SEC("?...")``)."""
        roots = [self.programs[root] for root in self._roots[function]]
        if roots and all(root["optional"] for root in roots):
            return Guard(f'SEC("{roots[0]["section"]}")')
        return None

    def use(self, function: int, instruction: int | None, guard: Guard | None = None) -> Use:
        """A place: an instruction, or with ``None`` a program as a whole."""
        instructions, rows = self._lines.get(function, ([], []))
        at = bisect_right(instructions, instruction or 0) - 1
        line: Row = rows[at] if at >= 0 else {}
        return Use(
            program=self.programs[function]["name"],
            file=line.get("file"),
            line=line.get("line"),
            text=(line.get("text") or "").strip() or None,
            instruction=instruction,
            guard=guard or self.guard(function),
        )


def _hook(row: Row, places: Places, incomplete: list[str]) -> Iterator[Dependency]:
    """What a program is, and where it is attached."""
    uses = (places.use(row["id"], None),)
    if row["definition"] is None:
        incomplete.append(f"program {row['name']}: libbpf knows no programs of a section {row['section']!r}")
        return
    yield Dependency(Kind.PROGRAM_TYPE, row["program_type"], uses=uses)
    if row["attach_type"] is not None:
        yield Dependency(Kind.ATTACH_TYPE, row["attach_type"], uses=uses)
    target: str | None = row["target"]
    if target is None:
        return
    mechanism = None if row["mechanism"] is None else Mechanism(row["mechanism"])
    if mechanism in _FUNCTION_MECHANISMS:
        yield Dependency(Kind.FUNCTION, target, mechanism, uses)
    elif mechanism is Mechanism.KSYSCALL:
        yield Dependency(Kind.SYSCALL, target, mechanism, uses)
    elif mechanism is Mechanism.TRACEPOINT:
        system, slash, event = target.partition("/")
        if slash:
            yield Dependency(Kind.TRACEPOINT, f"{system}:{event}", mechanism, uses)
        else:
            incomplete.append(f"program {row['name']}: section {row['section']!r} names no event")
    elif mechanism in {Mechanism.RAW_TP, Mechanism.TP_BTF}:
        yield Dependency(Kind.TRACEPOINT, target, mechanism, uses)
    elif mechanism is Mechanism.LSM:
        yield Dependency(Kind.LSM, target, mechanism, uses)
    elif row["definition"] == "iter":
        yield Dependency(Kind.ITER, target, uses=uses)


def _maps(tables: Tables, places: Places) -> Iterator[Dependency]:
    users: defaultdict[int, list[Use]] = defaultdict(list)
    for row in tables["relocations"]:
        if row["to"] == "map" and places.is_loaded(row["program"]):
            users[row["target"]].append(places.use(row["program"], row["instruction"]))
    for row in tables["maps"]:
        # Variables are in arrays, which every kernel has.
        if row["type_name"] is not None and row["declared"] != "data":
            # The loader makes all maps, and each before any program.
            uses = [Use(text=row["name"]), *(_without_guard(use) for use in users[row["id"]])]
            yield Dependency(Kind.MAP_TYPE, row["type_name"], uses=tuple(uses))


def _without_guard(use: Use) -> Use:
    return Use(use.program, use.file, use.line, use.text, use.instruction)


def _struct_ops(tables: Tables, places: Places) -> Iterator[Dependency]:
    names, guards = {}, {}
    for row in tables["struct_ops"]:
        guard = Guard(f'SEC("{row["section"]}")') if row["optional"] else None
        name = essential_name(row["type"])
        names[row["id"]], guards[row["id"]] = name, guard
        use = Use(text=row["name"], guard=guard)
        yield Dependency(Kind.STRUCT_OPS, name, uses=(use,))
        yield Dependency(Kind.MAP_TYPE, "BPF_MAP_TYPE_STRUCT_OPS", uses=(use,))
    for row in tables["struct_ops_members"]:
        ops, program = row["struct_ops"], row["program"]
        use = Use(guard=guards[ops]) if program is None else places.use(program, None, guards[ops])
        yield Dependency(Kind.STRUCT_OPS, f"{names[ops]}::{row['name']}", uses=(use,))


def _externs(tables: Tables, places: Places, incomplete: list[str]) -> Iterator[Dependency]:
    users: defaultdict[int, list[Row]] = defaultdict(list)
    for row in tables["relocations"]:
        if row["to"] == "extern" and places.is_loaded(row["program"]):
            users[row["target"]].append(row)
    for row in tables["externs"]:
        name, guard = row["name"], _WEAK if row["weak"] else None
        mechanism = None
        if row["sort"] == "kconfig":
            if name in _OF_LIBBPF:
                continue
            if not name.startswith("CONFIG_"):
                incomplete.append(f"extern {name}: no option of the configuration has such a name")
                continue
            kind = Kind.CONFIG
        elif row["sort"] == "function":
            kind, mechanism, name = Kind.KFUNC, Mechanism.KFUNC_CALL, essential_name(name)
        else:
            kind = Kind.KSYM
        uses = tuple(places.use(use["program"], use["instruction"], guard) for use in users[row["id"]])
        # libbpf wants each that is not weak, whether or not a program that it loads has it
        if guard is None:
            uses = tuple(_without_guard(use) for use in uses)
        yield Dependency(kind, name, mechanism, uses or (Use(guard=guard),), expected=row["type"])


def _helpers(tables: Tables, places: Places, incomplete: list[str]) -> Iterator[Dependency]:
    for row in tables["helper_calls"]:
        if not places.is_loaded(row["program"]):
            continue
        use = places.use(row["program"], row["instruction"])
        if row["name"] is None:
            where = f"program {use.program}, instruction {use.instruction}"
            incomplete.append(f"{where}: helper {row['helper']} is of a later kernel than ksurf knows")
        else:
            yield Dependency(Kind.HELPER, row["name"], uses=(use,))


def _contexts(tables: Tables, places: Places) -> Iterator[Dependency]:
    for row in tables["context_loads"]:
        found = context_dependency(places.programs[row["program"]], row)
        if found is not None:
            kind, name, mechanism, expected = found
            use = places.use(row["function"], row["instruction"])
            yield Dependency(kind, name, mechanism, (use,), expected=expected)


def essential_name(name: str) -> str:
    """The name without its flavor: ``task_struct___old`` is ``task_struct`` to CO-RE."""
    found = _FLAVOR.match(name)
    return name if found is None else found[1]
