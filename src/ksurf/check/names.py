"""Plain lists of names: one dependency a line, ``kprobe:vfs_read``, ``struct:task_struct::pid``.

``#`` begins a comment, a ``?`` before the line marks what the consumer can do without, and a word that is not
in :data:`WORDS` is an error of that line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from ksurf.check.dependency import (
    Consumer,
    ConsumerKind,
    Dependency,
    Guard,
    Kind,
    Use,
    joined,
)
from ksurf.surface.attach import Mechanism

__all__ = ["WORDS", "kind_word", "read_list"]

WORDS: Mapping[str, tuple[Kind, Mechanism | None]] = {
    "function": (Kind.FUNCTION, None),
    "kprobe": (Kind.FUNCTION, Mechanism.KPROBE),
    "kretprobe": (Kind.FUNCTION, Mechanism.KRETPROBE),
    "kprobe.multi": (Kind.FUNCTION, Mechanism.KPROBE_MULTI),
    "fentry": (Kind.FUNCTION, Mechanism.FENTRY),
    "fexit": (Kind.FUNCTION, Mechanism.FEXIT),
    "fmod_ret": (Kind.FUNCTION, Mechanism.FMOD_RET),
    "parameter": (Kind.PARAMETER, None),
    "tracepoint": (Kind.TRACEPOINT, Mechanism.TRACEPOINT),
    "raw_tp": (Kind.TRACEPOINT, Mechanism.RAW_TP),
    "tp_btf": (Kind.TRACEPOINT, Mechanism.TP_BTF),
    "syscall": (Kind.SYSCALL, None),
    "ksyscall": (Kind.SYSCALL, Mechanism.KSYSCALL),
    "lsm": (Kind.LSM, Mechanism.LSM),
    "iter": (Kind.ITER, None),
    "struct_ops": (Kind.STRUCT_OPS, None),
    "kfunc": (Kind.KFUNC, Mechanism.KFUNC_CALL),
    "kfunc_call": (Kind.KFUNC, Mechanism.KFUNC_CALL),
    "ksym": (Kind.KSYM, None),
    "struct": (Kind.STRUCT, None),
    "union": (Kind.UNION, None),
    "enum": (Kind.ENUM, None),
    "typedef": (Kind.TYPEDEF, None),
    "field": (Kind.FIELD, None),
    "enumerator": (Kind.ENUMERATOR, None),
    "export": (Kind.EXPORT, None),
    "config": (Kind.CONFIG, None),
    "helper": (Kind.HELPER, None),
    "program_type": (Kind.PROGRAM_TYPE, None),
    "attach_type": (Kind.ATTACH_TYPE, None),
    "map_type": (Kind.MAP_TYPE, None),
    "vermagic": (Kind.VERMAGIC, None),
    "tracepoint_field": (Kind.TRACEPOINT_FIELD, None),
}
"""What a line may begin with, and what it then names."""

_INSIDE = {
    Kind.FUNCTION: Kind.PARAMETER,
    Kind.TRACEPOINT: Kind.TRACEPOINT_FIELD,
    Kind.STRUCT: Kind.FIELD,
    Kind.UNION: Kind.FIELD,
    Kind.TYPEDEF: Kind.FIELD,
    Kind.ENUM: Kind.ENUMERATOR,
}
"""What ``name::part`` is of these."""
_OPTIONAL = Guard("?")
_LINE_LIMIT = 4096
_WORD_LENGTH = 40
"""As much of a word that is no kind as is shown, and compared with those that are."""
_NAME = re.compile(r"\S+")
_SENTENCE = re.compile(r"\S.*")


def kind_word(text: str) -> str:
    """What stands before the colon as it is in :data:`WORDS`: ``program type``, as ``ksurf deps`` writes."""
    return text.strip().replace(" ", "_")


def read_list(text: str, name: str, path: str | None = None) -> Consumer:
    """Read a list. What a line has wrong is told by its number, and costs only that line."""
    found: list[Dependency] = []
    wrong: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        one = _read(written, number)
        if isinstance(one, Dependency):
            found.append(one)
        else:
            wrong.append(f"{path or name}:{number}: {one}")
    return Consumer(
        ConsumerKind.LIST, name, path or name, dependencies=joined(found), incomplete=tuple(wrong)
    )


def _read(written: str, number: int) -> Dependency | str:
    """What a line names, or what is wrong with it."""
    if len(written) > _LINE_LIMIT:
        return f"a line of {len(written)} characters names nothing"
    asked = written.removeprefix("?").lstrip()
    before, colon, rest = asked.partition(":")
    word, rest = kind_word(before), rest.strip()
    if word not in WORDS:
        shown = before[:_WORD_LENGTH]
        alike = get_close_matches(shown, WORDS, 1)
        there_are = f"is it {alike[0]}?" if alike else f"there are {', '.join(WORDS)}"
        return f"{shown!r} is no kind of dependency; {there_are}"
    if not colon or (_SENTENCE if word == "vermagic" else _NAME).fullmatch(rest) is None:
        return f"a name is expected after {word}:"
    kind, mechanism = WORDS[word]
    owner, separator, part = rest.partition("::")
    if separator and not (owner and part):
        return f"{rest!r} has nothing on one side of ::"
    if separator:
        kind = _INSIDE.get(kind, kind)
    elif kind in {Kind.FIELD, Kind.ENUMERATOR, Kind.PARAMETER, Kind.TRACEPOINT_FIELD}:
        return f"{word}:OWNER::NAME is expected"
    if kind is Kind.TRACEPOINT and mechanism is Mechanism.TRACEPOINT and ":" not in rest:
        return "tracepoint:SYSTEM:EVENT is expected, or raw_tp:NAME"
    if kind is Kind.CONFIG and not rest.startswith("CONFIG_"):
        rest = f"CONFIG_{rest}"
    use = Use(line=number, text=written, guard=_OPTIONAL if written.startswith("?") else None)
    return Dependency(kind, rest, mechanism, (use,))
