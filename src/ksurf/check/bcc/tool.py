"""A BCC tool as a consumer: what its Python attaches and what its C needs, brought together."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ksurf.check.bcc.c_program import CFacts, Function, Place, TypeOfField, read_c
from ksurf.check.bcc.guard import Guards, Ways, explore, merged, simplest, within
from ksurf.check.bcc.preprocess import DEFINE, Preprocessed, preprocess
from ksurf.check.bcc.questions import MECHANISMS, syscall_of, wildcards
from ksurf.check.bcc.script import follow
from ksurf.check.bcc.source import Attach, Embedded, ReadFile, Script, Trace
from ksurf.check.bcc.text import CHOSEN, SYSCALL_PREFIX, TooLong
from ksurf.check.dependency import (
    Condition,
    Consumer,
    ConsumerKind,
    Dependency,
    Guard,
    Kind,
    Program,
    Use,
    joined,
)
from ksurf.surface.attach import Mechanism

__all__ = ["read_tool"]

_BYTE_LIMIT = 4 << 20
_SCRIPT_WAYS = 300
_C_WAYS = 40
_C_LIMIT = 2 << 20
"""Characters of C that are read for one tool, over all ways. The largest takes 160 thousand."""

_WITH_RETURN = {"kretfunc", "kmod_ret"}
_LOADED_BY_NAME = re.compile(rf"({'|'.join(MECHANISMS)})__(\w+)\Z")
_EVENT = re.compile(r"(\w+?)__(\w+)\Z")


def read_tool(
    source: Path | str | bytes,
    name: str,
    *,
    path: str | None = None,
    type_of_field: TypeOfField | None = None,
    read_file: ReadFile | None = None,
) -> Consumer:
    """Read a BCC tool: a file, or its text.

    ``type_of_field`` tells the C type of a kernel struct's field, by any kernel that has it; without it,
    members behind a pointer in a kernel struct are not followed, and ``incomplete`` says which.
    ``read_file`` finds the files that come with the tool, if it has its C in one.
    """
    shown = path or (str(source) if isinstance(source, Path) else name)

    def cannot(reason: str) -> Consumer:
        return Consumer(ConsumerKind.BCC, name, shown, incomplete=(reason,))

    if isinstance(source, Path):
        try:
            with source.open("rb") as file:
                data = file.read(_BYTE_LIMIT + 1)
        except OSError as error:
            return cannot(f"the file cannot be read: {error.strerror or error}")
    else:
        data = source.encode("utf-8", "replace") if isinstance(source, str) else source
    if len(data) > _BYTE_LIMIT:
        return cannot(f"the file is longer than {_BYTE_LIMIT} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as error:
        old = isinstance(error.msg, str) and error.msg.startswith("Missing parentheses in call to")
        why = "it is written for Python 2" if old else "it is not Python 3"
        return cannot(f"line {error.lineno or 1}: {why}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return cannot(f"it is not Python that can be read: {error}")
    return _Tool(data, shown, type_of_field, read_file).read(tree, name)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A dependency, and one of the places that need it."""

    kind: Kind
    name: str
    mechanism: Mechanism | None
    expected: str | None
    program: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class _Attached:
    """A function of the C that is attached to something."""

    how: str
    event: str
    function: str
    guards: Guards
    line: int | None


class _Tool:
    def __init__(
        self, data: bytes, path: str, type_of_field: TypeOfField | None, read_file: ReadFile | None
    ) -> None:
        self._data = data
        self._lines = data.split(b"\n")
        self._path = path
        self._type_of_field = type_of_field
        self._read_file = read_file
        self._wanted: dict[_Wanted, dict[Guards, None]] = {}
        self._programs: dict[tuple[str, str, int], dict[Guards, None]] = {}
        self._incomplete: dict[tuple[int, str], None] = {}
        self._known: dict[Embedded, list[CFacts]] = {}
        self._own: set[str] = set()
        self._spent = 0

    def read(self, tree: ast.Module, name: str) -> Consumer:
        self._own = _defined(tree)
        script = Script(tree, self._data, self._read_file)
        ways = explore(lambda choices: follow(script, choices), _SCRIPT_WAYS)
        if ways.left_out:
            self._miss(1, f"the script has more than {_SCRIPT_WAYS} ways; some were not followed")
        for trace in ways.results:
            self._trace(trace)
        programs = [
            Program(function, section, _optional(alternatives))
            for (function, section, _), alternatives in sorted(
                self._programs.items(), key=lambda one: one[0][2]
            )
        ]
        incomplete = [f"line {line}: {what}" for line, what in sorted(self._incomplete)]
        return Consumer(
            ConsumerKind.BCC,
            name,
            self._path,
            programs=tuple(dict.fromkeys(programs)),
            dependencies=joined(self._dependencies()),
            incomplete=tuple(incomplete),
        )

    def _miss(self, line: int | None, what: str) -> None:
        self._incomplete.setdefault((line or 1, what))

    def _want(
        self,
        kind: Kind,
        name: str,
        place: Place,
        *,
        program: str | None = None,
        mechanism: Mechanism | None = None,
        expected: str | None = None,
    ) -> None:
        wanted = _Wanted(kind, name, mechanism, expected, program, place.line)
        self._wanted.setdefault(wanted, {})[place.guards] = None

    def _dependencies(self) -> Iterator[Dependency]:
        for one, alternatives in sorted(self._wanted.items(), key=lambda item: item[0].line or 0):
            uses = tuple(
                Use(one.program, self._path, one.line, self._source(one.line), guard=merged(guards))
                for guards in simplest(alternatives)
            )
            yield Dependency(one.kind, one.name, one.mechanism, uses, expected=one.expected)

    def _source(self, line: int | None) -> str | None:
        if line is None or not 0 < line <= len(self._lines):
            return None
        return self._lines[line - 1][:400].decode("utf-8", "replace").strip()

    # One way through the script

    def _trace(self, trace: Trace) -> None:
        for line, what in trace.missed:
            self._miss(line, what)
        for symbol, line, guards in trace.symbols:
            if not symbol.startswith(SYSCALL_PREFIX):
                self._want(Kind.KSYM, symbol, Place(line, guards))
        for lacking, line, guards in trace.needs:
            self._want(lacking.kind, lacking.name, Place(line, guards), mechanism=lacking.mechanism)
        for embedded in trace.programs:
            for facts in self._facts(embedded):
                self._join(facts, trace)
        if not trace.programs:
            self._join(CFacts(), trace)

    def _facts(self, embedded: Embedded) -> list[CFacts]:
        """What a text needs, once for each way that its conditions may go."""
        if embedded in self._known:
            return self._known[embedded]
        found: list[CFacts] = []
        self._known[embedded] = found
        ways: Ways[Preprocessed]
        try:
            ways = explore(
                lambda choices: preprocess(embedded.text, embedded.macros, self._own, choices), _C_WAYS
            )
        except TooLong:
            self._miss(embedded.line, "the C becomes too long")
            return found
        if ways.left_out:
            self._miss(embedded.line, f"the C has more than {_C_WAYS} ways; some were not followed")
        for one in dict.fromkeys(ways.results):
            self._spent += len(one.text.plain)
            if self._spent > _C_LIMIT:
                self._miss(embedded.line, "the script has more variants of its C than are read")
                break
            facts = read_c(one.text, self._type_of_field)
            found.append(facts)
            for option, line, guards in one.options:
                asked = Guard(f"#ifdef {option}")
                self._want(Kind.CONFIG, option, Place(line, (*guards, asked)))
            self._needs(facts)
        return found

    def _needs(self, facts: CFacts) -> None:
        for need in facts.needs:
            self._want(need.kind, need.name, need.place, program=need.program, expected=need.expected)
        for line, what in facts.unclear:
            self._miss(line, what)
        for (member, name), place in facts.not_followed.items():
            self._miss(place.line, f"{name} is not followed: no kernel tells what {member} is made of")

    def _join(self, facts: CFacts, trace: Trace) -> None:
        """Bring the functions of a text to what they are attached to."""
        attached = [one for call in trace.attached for one in self._called(call)]
        attached += _by_name(facts)
        for one in attached:
            self._attach(one)
            self._from_event(one, facts)

    def _called(self, call: Attach) -> Iterator[_Attached]:
        event = call.event.plain
        if not call.regex or CHOSEN in event:
            yield _Attached(call.how, event, call.function, call.guards, call.line)
            return
        names = wildcards(event)
        for name in names:
            # One that is there is enough: each is needed only where no other is.
            others = tuple(
                Condition(Kind.FUNCTION, other, False, MECHANISMS.get(call.how))
                for other in names
                if other != name
            )
            guards = (*call.guards, Guard(f'event_re="{event}"', others)) if others else call.guards
            yield _Attached(call.how, name, call.function, guards, call.line)

    def _attach(self, one: _Attached) -> None:
        section = f"{one.how}/{'?' if CHOSEN in one.event else one.event.replace(SYSCALL_PREFIX, 'sys_')}"
        key = (one.function, section, one.line or 0)
        self._programs.setdefault(key, {})[one.guards] = None
        if CHOSEN in one.event:
            return
        place, mechanism = Place(one.line, one.guards), MECHANISMS[one.how]
        if (syscall := _syscall(one)) is not None:
            if mechanism in {Mechanism.KPROBE, Mechanism.KRETPROBE}:
                mechanism = Mechanism.KSYSCALL
            self._want(Kind.SYSCALL, syscall, place, program=one.function, mechanism=mechanism)
            return
        kind = {
            Mechanism.TRACEPOINT: Kind.TRACEPOINT,
            Mechanism.RAW_TP: Kind.TRACEPOINT,
            Mechanism.LSM: Kind.LSM,
        }.get(mechanism, Kind.FUNCTION)
        self._want(kind, one.event, place, program=one.function, mechanism=mechanism)

    # What a function takes from where it is attached

    def _from_event(self, one: _Attached, facts: CFacts) -> None:
        function = facts.functions.get(one.function)
        if function is None or CHOSEN in one.event or "*" in one.event or _syscall(one) is not None:
            return
        for reached in _reached(function, facts):
            self._registers(one, reached)
        if one.how == "kprobe":
            self._parameters(one, function, 1)
        elif one.how in {"kfunc", *_WITH_RETURN}:
            self._parameters(one, function, 0)
        elif one.how == "tracepoint":
            first = [parameter.type for parameter in function.parameters[:1]]
            for reached in _reached(function, facts):
                if [parameter.type for parameter in reached.parameters[:1]] == first:
                    self._fields(one, reached)
        elif one.how == "raw_tracepoint":
            for number, place in function.raw:
                self._take(Kind.TRACEPOINT_FIELD, f"{one.event}::{number}", one, place)

    def _take(self, kind: Kind, name: str, one: _Attached, place: Place, expected: str | None = None) -> None:
        both = Place(place.line, within(one.guards, place.guards))
        self._want(kind, name, both, program=one.function, expected=expected)

    def _parameters(self, one: _Attached, function: Function, first: int) -> None:
        last = len(function.parameters) - 1
        for position in sorted(function.used):
            if position < first:
                continue
            expected = function.parameters[position].type.text
            returned = one.how in _WITH_RETURN and position == last
            name = "return" if returned else str(position - first)
            self._take(Kind.PARAMETER, f"{one.event}::{name}", one, function.places[position], expected)

    def _registers(self, one: _Attached, function: Function) -> None:
        for number, expected, place in function.registers:
            if number is None and one.how == "kretprobe":
                self._take(Kind.PARAMETER, f"{one.event}::return", one, place, expected)
            elif number is not None and one.how == "kprobe":
                self._take(Kind.PARAMETER, f"{one.event}::{number}", one, place, expected)

    def _fields(self, one: _Attached, function: Function) -> None:
        if not function.parameters or function.parameters[0].type.base.startswith("struct tracepoint__"):
            return
        for field, place in function.context:
            if not field.startswith(("common_", "__")):
                name = field.removeprefix("data_loc_")
                self._take(Kind.TRACEPOINT_FIELD, f"{one.event}::{name}", one, place)


def _by_name(facts: CFacts) -> Iterator[_Attached]:
    """The functions that BCC attaches because of their names."""
    for function in facts.functions.values():
        match = _LOADED_BY_NAME.match(function.name)
        if match is None:
            continue
        event = match[2]
        if match[1] == "tracepoint":
            parts = _EVENT.match(event)
            if parts is None:
                continue
            event = f"{parts[1]}:{parts[2]}"
        yield _Attached(match[1], event, function.name, function.place.guards, function.place.line)


def _syscall(one: _Attached) -> str | None:
    """The system call whose function something is attached to, where BCC puts its name together."""
    if one.event.startswith(SYSCALL_PREFIX):
        return one.event.removeprefix(SYSCALL_PREFIX)
    by_name = one.how in {"kprobe", "kretprobe"} and _LOADED_BY_NAME.match(one.function)
    return syscall_of(one.event) if by_name else None


def _reached(function: Function, facts: CFacts) -> list[Function]:
    """A function and those that it calls."""
    found = {function.name: function}
    waiting = [function]
    while waiting:
        for name in sorted(waiting.pop().calls):
            if name not in found and name in facts.functions:
                found[name] = facts.functions[name]
                waiting.append(found[name])
    return list(found.values())


def _optional(alternatives: dict[Guards, None]) -> bool:
    """Whether a program may fail to be attached, whatever the kernel has."""
    return all(guards and not any(guard.conditions for guard in guards) for guards in alternatives)


def _defined(tree: ast.Module) -> set[str]:
    """The macros that some text of the script defines."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            found.update(DEFINE.findall(text))
            if text.startswith("-D"):
                found.add(text[2:].partition("=")[0])
    return found
