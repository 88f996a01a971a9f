"""What functions, tracepoints and hooks are called with and return."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ksurf.check.c_type import same_type
from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind
from ksurf.check.facts import Facts, called_by
from ksurf.check.hook import base_name, is_pattern
from ksurf.check.rules.case import FINE, Case, Ruling, broken, changed, few, is_loaded_with, refused
from ksurf.check.verdict import Outcome
from ksurf.surface.attach import Mechanism
from ksurf.surface.change import shown_text
from ksurf.surface.prototype import (
    Param,
    ParamRenamed,
    Prototype,
    compare_prototypes,
    parse_prototype,
)

__all__ = ["argument_ruling", "parameter_rule", "parsed", "prototype_changes"]

_RETURN = "return"
_PLACE = re.compile(r"\d{1,3}")
_WITH_RESULT = {Mechanism.FEXIT, Mechanism.FMOD_RET}
"""Their context has the result behind the arguments (kernel/bpf/btf.c, ``btf_ctx_access``)."""


def parameter_rule(case: Case) -> Ruling:
    """Judge a parameter or the result of a function."""
    function, _, wanted = case.dependency.name.partition("::")
    if is_pattern(function):
        return Ruling(Outcome.OK, "", ("which functions the pattern matches differs: they are not compared",))
    status = case.facts.functions.get(base_name(function))
    if status is None or not status.is_present:
        return broken(Cause.FUNCTION_ABSENT, f"{refused(case)}: the kernel has no function {function}")
    baseline = None if case.baseline is None else _prototypes(case.baseline, function)
    return argument_ruling(case, function, wanted, _prototypes(case.facts, function), baseline)


def _prototypes(facts: Facts, function: str) -> list[Prototype]:
    name = base_name(function)
    return parsed(facts.prototypes.get(name, ()), name)


def parsed(texts: Sequence[str], name: str) -> list[Prototype]:
    """Prototypes taken apart; what cannot be read as one takes no part."""
    found = []
    for text in texts:
        try:
            prototype = parse_prototype(text, name)
        except ValueError:
            continue
        if prototype not in found:
            found.append(prototype)
    return found


def argument_ruling(
    case: Case, function: str, wanted: str, here: Sequence[Prototype], before: Sequence[Prototype] | None
) -> Ruling:
    """Judge an argument, by name or by place from 0, or the result; each side may have several prototypes.

    Where a function has several (static ones that share a name), it is enough if one is as on the baseline.
    """
    if not here:
        return Ruling(Outcome.OK, "", ("its prototype is not known here",))
    expected = case.dependency.expected
    rulings = []
    for prototype in here:
        olds: Sequence[Prototype | None] = before or (None,)
        rulings += [_judge(case, function, wanted, prototype, old, expected) for old in olds]
    return min(rulings, key=lambda ruling: ruling.outcome)


def _judge(
    case: Case, function: str, wanted: str, new: Prototype, old: Prototype | None, expected: str | None
) -> Ruling:
    if wanted == _RETURN:
        return _result(case, function, new, old, expected)
    if _PLACE.fullmatch(wanted):
        return _by_place(case, function, int(wanted), new, old, expected)
    return _by_name(case, function, wanted, new, old, expected)


def _result(case: Case, function: str, new: Prototype, old: Prototype | None, expected: str | None) -> Ruling:
    built = expected is not None and same_type(expected, new.return_type)
    if old is None or built or same_type(old.return_type, new.return_type):
        return FINE
    evidence = (f"{old.return_type} on {_baseline(case)}, {new.return_type} here",)
    if new.return_type == "void":
        return changed(
            Cause.RESULT_CHANGED,
            f"{function} returns nothing here: what is read is what a register held",
            evidence,
        )
    return changed(
        Cause.RESULT_CHANGED, f"{function} returns another type: its value may be read wrongly", evidence
    )


def _by_place(
    case: Case, function: str, place: int, new: Prototype, old: Prototype | None, expected: str | None
) -> Ruling:
    if _is_wrapper(function, new) and (place > 0 or not (expected is None or _is_registers(expected))):
        return changed(
            Cause.ARGUMENTS_IN_REGISTERS,
            f"the arguments of {function} are in the struct pt_regs that it is given, and not read there",
            (_prototype_text(function, new),),
        )
    results = case.dependency.mechanism in _WITH_RESULT
    if results and place == len(new.params) and (old is None or place == len(old.params)):
        return _result(case, function, new, old, expected)
    if results and old is not None and place == len(old.params) and place != len(new.params):
        return changed(
            Cause.RESULT_CHANGED,
            f"the result of {function} is argument {len(new.params)} (from 0) now, not {place}",
            _changes(case, function, old, new),
        )
    if place >= len(new.params) and not _is_variadic(new):
        if old is not None and place >= len(old.params):
            return Ruling(Outcome.OK, "", (f"{function} has {len(new.params)} parameters",))
        evidence = (_prototype_text(function, new),)
        if is_loaded_with(case.dependency.mechanism) or case.dependency.mechanism is Mechanism.RAW_TP:
            # Of a raw tracepoint it is the last argument that is looked at, when it is attached: -EINVAL
            # (kernel/trace/bpf_trace.c, bpf_probe_register, max_ctx_offset).
            return broken(
                Cause.PARAMETER_ABSENT,
                f"{refused(case)}: {function} has no parameter {place} (from 0)",
                evidence,
            )
        return changed(
            Cause.PARAMETER_ABSENT,
            f"{function} has no parameter {place} (from 0): what is read is what a register held",
            evidence,
        )
    if place >= len(new.params):
        return FINE
    param = new.params[place]
    if expected is not None and same_type(expected, param.type):
        return FINE
    if old is None or place >= len(old.params):
        return FINE
    was = old.params[place]
    moved = _place_of(place, old, new)
    if moved == place and same_type(was.type, param.type):
        return FINE
    if moved == place:
        return changed(
            Cause.PARAMETER_CHANGED,
            f"parameter {place} (from 0) of {function} has another type: it may be read wrongly",
            _changes(case, function, old, new),
        )
    where = f"; {was.name or was.text} is parameter {moved} now" if moved is not None else ""
    return changed(
        Cause.PARAMETER_CHANGED,
        f"parameter {place} (from 0) of {function} is another one: {was.text} on {_baseline(case)}, "
        f"{param.text} here{where}",
        _changes(case, function, old, new),
    )


def _is_wrapper(function: str, prototype: Prototype) -> bool:
    """It is the entry of a system call on an architecture that saves the registers first."""
    params = prototype.params
    return called_by(base_name(function)) is not None and len(params) == 1 and _is_registers(params[0].type)


def _is_registers(type_text: str) -> bool:
    return same_type(type_text, "struct pt_regs *")


def _place_of(place: int, old: Prototype, new: Prototype) -> int | None:
    """Where an old parameter is in the new prototype; ``None`` if it is gone."""
    was = old.params[place]
    for at, param in enumerate(new.params):
        if was.name is not None and param.name == was.name:
            return at
    names = {param.name for param in old.params if param.name is not None}
    if place < len(new.params):
        here = new.params[place]
        # One that is known by another place has not come here under another name.
        if (here.name is None or here.name not in names) and same_type(was.type, here.type):
            return place
        if was.name is None or here.name is None:
            return place
    return None


def _by_name(
    case: Case, function: str, name: str, new: Prototype, old: Prototype | None, expected: str | None
) -> Ruling:
    found = next((param for param in new.params if param.name == name), None)
    if found is None:
        if new.params and all(param.name is None for param in new.params):
            return Ruling(Outcome.OK, "", ("the names of its parameters are not known here",))
        what = "the probe is refused" if case.consumer is ConsumerKind.BPFTRACE else refused(case)
        return broken(
            Cause.PARAMETER_ABSENT,
            f"{what}: {function} has no parameter {name}",
            _changes(case, function, old, new) if old is not None else (_prototype_text(function, new),),
        )
    was = None if old is None else next((param for param in old.params if param.name == name), None)
    if was is None or same_type(was.type, found.type):
        return FINE
    if expected is not None and same_type(expected, found.type):
        return FINE
    return changed(
        Cause.PARAMETER_CHANGED,
        f"parameter {name} of {function} has another type: it may be read wrongly",
        (f"{was.text} on {_baseline(case)}, {found.text} here",),
    )


def prototype_changes(old: Prototype, new: Prototype) -> list[str]:
    """Changes that matter to who is called: not other names, and nothing that comes after all that was."""
    if len(new.params) > len(old.params):
        head = Prototype(new.return_type, new.params[: len(old.params)])
        if not prototype_changes(old, head):
            return []
    found = []
    for change in compare_prototypes(old, new):
        if isinstance(change, ParamRenamed):
            continue
        before, after = getattr(change, "old", None), getattr(change, "new", None)
        if isinstance(before, Param) and isinstance(after, Param) and same_type(before.type, after.type):
            continue
        if isinstance(before, str) and isinstance(after, str) and same_type(before, after):
            continue
        shown = " -> ".join(shown_text(side) for side in (before, after) if side is not None)
        found.append(f"{change.label}: {shown}")
    return found


def _changes(case: Case, function: str, old: Prototype, new: Prototype) -> tuple[str, ...]:
    changes = [
        f"{change.label}: {' -> '.join(s for s in (change.before, change.after) if s is not None)}"
        for change in compare_prototypes(old, new)
    ]
    return (
        f"on {_baseline(case)}: {_prototype_text(function, old)}",
        f"here: {_prototype_text(function, new)}",
        *changes[:4],
    )


def _prototype_text(function: str, prototype: Prototype) -> str:
    params = few([param.text for param in prototype.params], limit=16) or "void"
    return f"{prototype.return_type} {function}({params})"


def _is_variadic(prototype: Prototype) -> bool:
    return bool(prototype.params) and prototype.params[-1].type == "..."


def _baseline(case: Case) -> str:
    return case.baseline.kernel.release if case.baseline is not None else "the baseline"
