"""A bpftrace script as a consumer: its probes, and what they need of the kernel."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lark import Token, Tree

from ksurf.check.bpftrace.attach_point import AttachPoint, Provider, attach_points
from ksurf.check.bpftrace.declaration import type_from_c
from ksurf.check.bpftrace.grammar import Failure, Start, parse
from ksurf.check.bpftrace.needs import Full, TypeOf
from ksurf.check.bpftrace.preamble import Preamble
from ksurf.check.bpftrace.script import Part, PartKind, Script, cut
from ksurf.check.bpftrace.value import Value
from ksurf.check.bpftrace.walk import Code, Macro, Walk
from ksurf.check.dependency import (
    Condition,
    Consumer,
    ConsumerKind,
    Dependency,
    Guard,
    Kind,
    Program,
    joined,
)
from ksurf.surface.attach import Mechanism

__all__ = ["POINTS_LIMIT", "SIZE_LIMIT", "read"]

SIZE_LIMIT = 1 << 18
"""Bytes of a script. The longest tool that bpftrace ships has some ten thousand."""
POINTS_LIMIT = 1024
"""Attach points of one probe; bpftrace attaches no more than that by default (``max_probes``)."""
_REASONS_LIMIT = 50
_OTHERS_LIMIT = 64
"""Attach points that are asked for in place of one. No script names so many one by one."""
# Source: bpftrace's docs/migration_guide.md, "Probe Attachment Failure Exits the Program", and what
# docs/language.md of 0.21 to 0.23 says of the setting missing_probes.
_SEVERAL = 'bpftrace up to 0.23 warns and goes on, and since 0.24 stops, unless missing_probes is "warn"'
_SINGLE = "bpftrace leaves it out since 0.24, and up to 0.23 stops where a single attach point is missing"
_HOOKS = {
    Provider.KPROBE: (Kind.FUNCTION, Mechanism.KPROBE),
    Provider.KRETPROBE: (Kind.FUNCTION, Mechanism.KRETPROBE),
    Provider.FENTRY: (Kind.FUNCTION, Mechanism.FENTRY),
    Provider.FEXIT: (Kind.FUNCTION, Mechanism.FEXIT),
    Provider.TRACEPOINT: (Kind.TRACEPOINT, Mechanism.TRACEPOINT),
    Provider.RAWTRACEPOINT: (Kind.TRACEPOINT, Mechanism.RAW_TP),
    Provider.ITER: (Kind.ITER, None),
}


@dataclass(slots=True)
class _Probe:
    text: str
    points: list[AttachPoint]
    codes: list[Code]


@dataclass(slots=True)
class _Parsed:
    """A script, parsed, and what could not be."""

    script: Script
    file: str
    preamble: Preamble = field(default_factory=Preamble)
    probes: list[_Probe] = field(default_factory=list)
    macros: dict[str, Macro] = field(default_factory=dict)
    functions: list[tuple[str, dict[str, Value], Code]] = field(default_factory=list)
    maps: list[tuple[str, str, int]] = field(default_factory=list)
    missing: str | None = None
    """The setting ``missing_probes``, where it lets the script go on without a probe."""
    reasons: dict[str, None] = field(default_factory=dict)

    def fail(self, position: int, reason: str) -> None:
        line, column = self.script.place(min(position, len(self.script.text)))
        self.reasons.setdefault(f"{self.file}:{line}:{column}: {reason}")


def read(text: str, path: str, name: str, member: str | None, type_of: TypeOf | None) -> Consumer:
    """Read a script's text."""
    parsed = _parse(text, member or path)
    walk = _walk(parsed, type_of)
    dependencies = _without_implied(joined(walk.found))
    reasons = [*parsed.reasons, *walk.unread]
    if len(reasons) > _REASONS_LIMIT:
        reasons[_REASONS_LIMIT:] = [f"{parsed.file}: and {len(reasons) - _REASONS_LIMIT} more places"]
    programs = tuple(
        Program(one.text, one.text, optional=parsed.missing is not None) for one in parsed.probes
    )
    return Consumer(
        ConsumerKind.BPFTRACE,
        name,
        path,
        member,
        tuple(dict.fromkeys(programs)),
        dependencies,
        tuple(reasons),
    )


def _parse(text: str, file: str) -> _Parsed:
    parsed = _Parsed(Script(text), file)
    for part in cut(text):
        if part.error is not None:
            parsed.fail(*part.error)
        match part.kind:
            case PartKind.DIRECTIVE:
                parsed.preamble.add_directive(part.text)
            case PartKind.RECORD:
                parsed.preamble.add_record(part)
            case PartKind.ITEM if part.error is None:
                _item(parsed, part)
            case PartKind.PROBE:
                _probe(parsed, part)
    return parsed


def _tree(parsed: _Parsed, start: int, text: str, what: Start) -> Code | None:
    try:
        return Code(parse(text, what), start)
    except Failure as error:
        parsed.fail(start + error.position, error.reason)
        return None


def _item(parsed: _Parsed, part: Part) -> None:
    code = _tree(parsed, part.start, part.text, "item")
    if code is None:
        return
    item = code.tree.children[0] if isinstance(code.tree, Tree) else None
    assert isinstance(item, Tree)
    tokens = [one for one in item.children if isinstance(one, Token)]
    match item.data:
        case "config":
            for setting in item.children:
                assert isinstance(setting, Tree)
                key, value = (str(one) for one in setting.children)
                plain = key.lower().removeprefix("bpftrace_")
                if plain == "missing_probes" and value.strip('"') in {"warn", "ignore"}:
                    parsed.missing = f"config = {{ {key} = {value} }}"
        case "import_":
            parsed.preamble.headers = True
            # The standard library is a part of bpftrace; a header may stand for any type, as an include does.
            if not tokens[0].startswith('"stdlib/') and not tokens[0].endswith('.h"'):
                parsed.fail(part.start, f"what it imports, {tokens[0]}, is not read with it")
        case "map_declaration":
            parsed.maps.append((str(tokens[0]), str(tokens[1]), part.start))
        case "macro":
            name, *parameters = tokens
            body = item.children[-1]
            parsed.macros[str(name)] = Macro(tuple(map(str, parameters)), Code(body, part.start))
        case "fn":
            arguments = {
                str(one.children[0]): _declared(one.children[1])
                for one in item.children
                if isinstance(one, Tree) and one.data == "argument"
            }
            parsed.functions.append((str(tokens[0]), arguments, Code(item.children[-1], part.start)))


def _declared(node: Tree[Token] | Token) -> Value:
    first = node.children[0] if isinstance(node, Tree) else node
    return type_from_c(first) if isinstance(first, Token) else None


def _probe(parsed: _Parsed, part: Part) -> None:
    points = attach_points(part.text)
    if part.error is None or part.block is not None:
        for point in points:
            if point.error is not None:
                parsed.fail(part.start + point.position, point.error)
    if len(points) > POINTS_LIMIT:
        parsed.fail(part.start, f"it has more than {POINTS_LIMIT} attach points; the others are left out")
        del points[POINTS_LIMIT:]
    codes = []
    if part.predicate is not None:
        codes.append(_tree(parsed, *part.predicate, "expression"))
    if part.block is not None and part.error is None:
        codes.append(_tree(parsed, *part.block, "block"))
    text = ",".join(one.text for one in points)
    held = [replace(one, position=part.start + one.position) for one in points if one.error is None]
    if held:
        parsed.probes.append(_Probe(text, held, [one for one in codes if one is not None]))


def _walk(parsed: _Parsed, type_of: TypeOf | None) -> Walk:
    """Go through the script: once for what its maps hold, which a later probe may tell, and once for all."""
    first = Walk(parsed.script, parsed.file, parsed.preamble, type_of, macros=parsed.macros)
    walk = replace(first, found={}, unread={})
    for one in (first, walk):
        try:
            _go(parsed, one)
        except Full as error:
            parsed.fail(0, f"{error}: what is beyond that is not told")
    return walk


def _go(parsed: _Parsed, walk: Walk) -> None:
    """Hooks first: they are known also if the code is too large."""
    for record in parsed.preamble.records:
        walk.need(record.kind, record.name, record.position, guard=record.guard, expected=record.text)
    for probe in parsed.probes:
        _hooks(parsed, walk, probe)
    for name, kind, position in parsed.maps:
        walk.declared_map(name, kind, position)
    for name, arguments, body in parsed.functions:
        walk.function(name, dict(arguments), body)
    for probe in parsed.probes:
        walk.probe(probe.points, probe.text, probe.codes)


def _hooks(parsed: _Parsed, walk: Walk, probe: _Probe) -> None:
    named = [(point, _condition(point)) for point in probe.points]
    hooks = list(dict.fromkeys(hook for _, hook in named))
    for point, hook in named:
        if hook is None:
            continue
        guard = None
        if parsed.missing is not None:
            guard = Guard(parsed.missing, catch=_SINGLE if len(hooks) == 1 else None)
        elif len(hooks) > 1:
            # What is not of the kernel can be attached on each: nothing has to be asked then.
            others = (
                [] if None in hooks else [other for other in hooks if other is not None and other != hook]
            )
            instead = tuple(others[:_OTHERS_LIMIT])
            guard = Guard(f"the other attach points of {probe.text}", instead=instead, catch=_SEVERAL)
        walk.need(
            hook.kind,
            hook.name,
            point.position,
            mechanism=hook.mechanism,
            program=probe.text,
            guard=guard,
        )


def _condition(point: AttachPoint) -> Condition | None:
    """That the kernel has what a probe is attached to; ``None`` where that is nothing of the kernel."""
    if point.name is None or point.provider not in _HOOKS:
        return None
    kind, mechanism = _HOOKS[point.provider]
    name = f"{point.module}:{point.name}" if kind is Kind.FUNCTION and point.module else point.name
    return Condition(kind, name, True, mechanism)


def _without_implied(dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
    """Leave out types that are only named to read fields of them: the fields say as much."""
    owners = {one.name.partition("::")[0] for one in dependencies if one.kind is Kind.FIELD}
    return tuple(
        one
        for one in dependencies
        if one.kind not in {Kind.STRUCT, Kind.UNION} or one.expected is not None or one.name not in owners
    )
