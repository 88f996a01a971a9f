"""BCC's Python tools made of a few lines, and questions to what was read of them."""

from __future__ import annotations

from ksurf.check.bcc import TypeOfField, read_tool
from ksurf.check.dependency import Consumer, Dependency, Guard, Kind, Use
from ksurf.surface.attach import Mechanism

TYPES = {
    ("request", "q"): "struct request_queue *",
    ("request_queue", "disk"): "struct gendisk *",
    ("file", "f_path.dentry"): "struct dentry *",
}


def types(struct: str, path: str) -> str | None:
    return TYPES.get((struct, path))


def read(python: str, *, types: TypeOfField | None = types) -> Consumer:
    return read_tool(python, "tool", type_of_field=types)


def tool(c: str, python: str = "") -> Consumer:
    """A tool with one text, and what it does with it."""
    return read(f'from bcc import BPF\ntext = r"""{c}"""\nb = BPF(text=text)\n{python}\n')


def of(consumer: Consumer, *kinds: Kind) -> dict[str, Dependency]:
    assert consumer.incomplete == ()
    return {one.name: one for one in consumer.dependencies if one.kind in kinds}


def use(consumer: Consumer, kind: Kind, name: str) -> Use:
    (found,) = of(consumer, kind)[name].uses
    return found


def conditions(guard: Guard | None) -> set[tuple[str, bool]]:
    assert guard is not None
    return {(one.name, one.holds) for one in guard.conditions}


def attached(consumer: Consumer) -> set[tuple[Kind, str, Mechanism | None]]:
    kinds = {Kind.FUNCTION, Kind.TRACEPOINT, Kind.SYSCALL, Kind.LSM}
    return {(one.kind, one.name, one.mechanism) for one in consumer.dependencies if one.kind in kinds}
