"""Facts made up for the rules: what a kernel says of a dependency, in a few words."""

from __future__ import annotations

from typing import Any

from ksurf.check.dependency import ConsumerKind, Dependency, Kind
from ksurf.check.facts import Facts, Syscalls
from ksurf.check.rules import Case, Ruling, judge_case
from ksurf.check.verdict import Outcome
from ksurf.dataset.rows import (
    AttachRows,
    BtfId,
    CallSite,
    Definition,
    Function,
    FunctionRows,
    Instance,
    Marks,
    Symbol,
    Syscall,
    Tracepoint,
    TracepointField,
    TypeRow,
)
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism, features_of
from ksurf.surface.export import judge_export
from ksurf.surface.field import judge_field
from ksurf.surface.function import FunctionStatus, judge
from ksurf.surface.tracepoint import judge_tracepoint
from made_kernel import kernel

OLD, NEW = kernel("6.1.0"), kernel("6.12.0")
MARKS = Marks(
    {
        "arch_prepare_bpf_trampoline": "STB_GLOBAL",
        "register_ftrace_direct": "STB_GLOBAL",
        "register_fprobe_ips": "STB_GLOBAL",
        "number_of_same_symbols": "STB_LOCAL",
        "bpf_lsm_file_open": "STB_GLOBAL",
    },
    frozenset({"BPF_TRACE_KPROBE_MULTI"}),
    True,
)
FEATURES = features_of(MARKS)


def facts(on: Kernel = NEW, **known: Any) -> Facts:
    return Facts(on, known.pop("features", FEATURES), **known)


def function(
    name: str = "f",
    *symbols: str | Symbol,
    inlined_into: tuple[str, ...] = (),
    code: int = 1,
    file: str | None = "kernel/f.c",
    image: str = "vmlinux",
    external: bool = True,
    ids: tuple[BtfId, ...] = (),
    on: Kernel = NEW,
    marks: Marks = MARKS,
) -> FunctionStatus:
    """A function with symbols (names stand for plain ones), inlined into callers, in so many pieces."""
    own = Function(0, name, None, file, 1, external, False, None)
    instances = [
        Instance(at, 0, image, "dwarf", None, at, bool(inlined_into), at < code, at + 1, 16, None, None)
        for at in range(max(1, code))
    ]
    calls = [CallSite(0, 0, caller, image, None, 99, True, 0, None, None, None) for caller in inlined_into]
    made = [
        s
        if isinstance(s, Symbol)
        else symbol(s, image=image, instance=at if at < code else None, address=at + 1)
        for at, s in enumerate(symbols)
    ]
    rows = FunctionRows(on, name, (own,), tuple(instances), tuple(calls), tuple(made))
    btf = TypeRow(image, "btf", Definition(1, "func", name, None, None, "void", None, ()))
    return judge(rows, AttachRows(marks, name, (btf,), ids))


def absent(name: str = "f", on: Kernel = NEW) -> FunctionStatus:
    return judge(FunctionRows(on, name), AttachRows(MARKS, name, (), ()))


def symbol(
    name: str,
    *,
    image: str = "vmlinux",
    instance: int | None = None,
    address: int = 1,
    bind: str = "STB_GLOBAL",
    ftrace: bool = True,
    size: int = 16,
    **more: Any,
) -> Symbol:
    return Symbol(name, 0, instance, image, None, address, size, bind, "STT_FUNC", ftrace=ftrace, **more)


def event(
    *fields: tuple[str, str, int, int],
    system: str | None = "sched",
    name: str = "sched_switch",
    image: str = "vmlinux",
    prototype: Definition | None = None,
    on: Kernel = NEW,
) -> Any:
    """A status of an event of fields (type, name, offset, size); ``prototype`` is of its probes' caller."""
    listed = tuple(TracepointField(n, t, offset, size, False) for t, n, offset, size in fields)
    row = Tracepoint(image, system, name, name, name, "", listed)
    known = {} if prototype is None else {f"__traceiter_{name}": prototype}
    return judge_tracepoint(on, name, [row], known)


def types(*definitions: Definition, image: str = "vmlinux") -> dict[str, tuple[TypeRow, ...]]:
    found: dict[str, tuple[TypeRow, ...]] = {}
    for one in definitions:
        found[one.name] = (*found.get(one.name, ()), TypeRow(image, "btf", one))
    return found


def with_field(name: str, *definitions: Definition, on: Kernel = NEW, image: str = "vmlinux") -> Facts:
    """Facts about a field, of these definitions."""
    held = types(*definitions, image=image)
    pairs = {key: [(row.image, row.definition) for row in rows] for key, rows in held.items()}
    return facts(on, types=held, fields={name: judge_field(on, name, pairs)})


def with_export(name: str, *rows: Any, on: Kernel = NEW, **more: Any) -> Facts:
    return facts(on, exports={name: judge_export(on, name, rows)}, **more)


def syscalls(*rows: tuple[int, str, str]) -> Syscalls:
    return Syscalls(tuple(Syscall("64", number, name, entry) for number, name, entry in rows))


def rule(
    kind: Kind,
    name: str,
    here: Facts,
    *,
    mechanism: Mechanism | None = None,
    consumer: ConsumerKind = ConsumerKind.BPF_OBJECT,
    before: Facts | None = None,
    **more: Any,
) -> Ruling:
    ruling = judge_case(Case(Dependency(kind, name, mechanism, **more), consumer, here, before))
    assert (ruling.outcome is Outcome.OK) == (ruling.cause is None), "what is not ok has a cause"
    return ruling
