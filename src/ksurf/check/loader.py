"""What an executable tells of how it loads the eBPF objects in it, whose own code is not run and not read.

Executables are stripped and carry libbpf themselves, so that no symbol says which of its functions they call.
What can be seen is what they name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ksurf.check.dependency import Consumer, Dependency, Guard, Kind
from ksurf.surface.attach import Mechanism

__all__ = ["with_loader"]


def with_loader(consumer: Consumer, executable: bytes, objects: Sequence[tuple[int, int]]) -> Consumer:
    """The same, each trace event guarded that the executable itself names beside the objects in it.

    ``objects`` are where they begin and end. libbpf needs no name of an event but that in the object's
    section: who has it once more asks whether the kernel has the event, before it turns the program off.
    """
    outside = b"".join(_outside(executable, objects))
    programs = {program.name for program in consumer.programs}
    return replace(
        consumer, dependencies=tuple(_guarded(one, outside, programs) for one in consumer.dependencies)
    )


def _outside(executable: bytes, objects: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    at = 0
    for start, end in sorted(objects):
        yield executable[at:start]
        at = end
    yield executable[at:]


def _guarded(one: Dependency, outside: bytes, programs: set[str]) -> Dependency:
    if one.kind is not Kind.TRACEPOINT or one.mechanism is not Mechanism.TRACEPOINT:
        return one
    event = one.name.partition(":")[2]
    # Who asks for the entry of a system call means its exit, too.
    asked = [name for name in (event, event.replace("sys_exit_", "sys_enter_")) if name not in programs]
    named = next((name for name in asked if f"\0{name}\0".encode() in outside), None)
    if named is None:
        return one
    guard = Guard(
        f"the executable's own code, which names {named}",
        catch="the loader must turn this program off (bpf_program__set_autoload), which is not looked at",
    )
    return replace(
        one, uses=tuple(use if use.guard is not None else replace(use, guard=guard) for use in one.uses)
    )
