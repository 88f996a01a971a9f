"""BCC's macros, written as the C that they stand for: probes become functions, maps are taken out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ksurf.check.bcc.tables import MAP_MACROS, TABLE_TYPES
from ksurf.check.bcc.text import Piece, Text

__all__ = ["Map", "rewritten"]

_USED = re.compile(
    r"\b(BPF_[A-Z_]+|(?:RAW_)?TRACEPOINT_PROBE|(?:MODULE_)?KFUNC_PROBE|(?:MODULE_)?KRETFUNC_PROBE|KMOD_RET"
    r"|LSM_PROBE|container_of)[ \t]*\("
)
_ANNOTATION = re.compile(
    r"\b(?:__user|__kernel|__iomem|__percpu|__rcu|__force|__always_inline|__maybe_unused|__weak|notrace"
    r"|__inline__|__packed|asmlinkage)\b|__attribute__[ \t]*\(\((?:[^()]|\([^()]*\))*\)\)"
)
_PARENTHESES = 32
"""Inside each other, in the arguments of a macro."""
_PREFIXES = {
    "KFUNC_PROBE": "kfunc__",
    "KRETFUNC_PROBE": "kretfunc__",
    "KMOD_RET": "kmod_ret__",
    "LSM_PROBE": "lsm__",
}


@dataclass(frozen=True, slots=True)
class Map:
    """A map that the tool declares."""

    type: str | None
    key: str | None
    leaf: str | None
    position: int


def rewritten(text: Text) -> tuple[Text, dict[str, Map], list[tuple[str, str, int]]]:
    """The text with functions for probes and without maps; the maps; what ``container_of`` names."""
    maps: dict[str, tuple[Map, int]] = {}
    members: list[tuple[str, str, int]] = []
    text = text.spliced(
        (match.start(), match.end(), Text.of(" " * len(match[0])))
        for match in _ANNOTATION.finditer(text.plain)
    )
    changes: list[tuple[int, int, Text]] = []
    moved = end = 0
    for match in _USED.finditer(text.plain):
        if match.start() < end:
            continue
        arguments, after = _arguments(text, match.end())
        if not arguments:
            continue
        new = _probe(match[1], arguments)
        if match[1] in MAP_MACROS:
            declared = _map(match[1], [one.plain.strip() for one in arguments], match.start() + moved)
            if declared is None:
                continue
            maps.setdefault(declared[0], (declared[1], 0))
            new = _blank(text.part(match.start(), after))
        elif match[1] == "container_of" and len(arguments) == 3:
            struct = arguments[1].plain.strip().removeprefix("struct ")
            members.append((struct, arguments[2].plain.strip(), match.start() + moved))
            opening = Text.of(f"((struct {struct} *)(", _line(text, match.start()))
            new = Text.joined([opening, arguments[0], Text.of("))")])
        if new is None:
            continue
        changes.append((match.start(), after, new))
        moved += len(new.plain) - (after - match.start())
        end = after
    return text.spliced(changes), {name: one for name, (one, _) in maps.items()}, members


def _line(text: Text, position: int) -> int | None:
    piece = text.at(position)
    return piece.line if piece else None


def _blank(text: Text) -> Text:
    """As much space, at the same places."""
    return Text(
        tuple(
            Piece("".join(one if one == "\n" else " " for one in piece.text), piece.line, piece.guards)
            for piece in text.pieces
        )
    )


def _probe(name: str, arguments: list[Text]) -> Text | None:
    """The head of the function that a probe's macro makes, as BCC's ``helpers.h`` defines it."""
    if name == "TRACEPOINT_PROBE" and len(arguments) >= 2:
        category, event = (one.plain.strip() for one in arguments[:2])
        function = f"tracepoint__{category}__{event}"
        return _head(arguments[0], f"int {function}(struct {function} *args)")
    if name == "RAW_TRACEPOINT_PROBE":
        name = f"raw_tracepoint__{arguments[0].plain.strip()}"
        return _head(arguments[0], f"int {name}(struct bpf_raw_tracepoint_args *ctx)")
    if name.startswith("MODULE_"):
        name, arguments = name.removeprefix("MODULE_"), arguments[1:]
    prefix = _PREFIXES.get(name)
    if prefix is None or not arguments:
        return None
    parts = [_head(arguments[0], f"int {prefix}{arguments[0].plain.strip()}(")]
    for position, one in enumerate(arguments[1:]):
        parts += ([Text.of(", ")] if position else []) + [one]
    return Text.joined([*parts, Text.of(")")])


def _head(like: Text, written: str) -> Text:
    first = like.pieces[0] if like.pieces else None
    return Text.of(written, first.line if first else None, like.guards)


def _map(macro: str, arguments: list[str], position: int) -> tuple[str, Map] | None:
    kind, key, leaf = MAP_MACROS[macro]
    name = arguments[0]
    if kind is None:
        kind = TABLE_TYPES.get(arguments[0].strip('"'))
        at = 1 if macro == "BPF_QUEUESTACK" else 3
        if len(arguments) <= at:
            return None
        name = arguments[at]

    def type_of(argument: int | None) -> str:
        # Without a type, BCC takes u64.
        return arguments[argument] if argument is not None and len(arguments) > argument else "u64"

    return name, Map(kind, type_of(key), type_of(leaf), position)


def _arguments(text: Text, start: int) -> tuple[list[Text], int]:
    """What stands between the parentheses that are open at ``start``, and where they end."""
    plain = text.plain
    found: list[Text] = []
    depth, first = 1, start
    for at in range(start, min(len(plain), start + 4096)):
        match plain[at]:
            case "(":
                depth += 1
                if depth > _PARENTHESES:
                    break
            case ")":
                depth -= 1
                if depth == 0:
                    return [*found, text.part(first, at)], at + 1
            case "," if depth == 1:
                found.append(text.part(first, at))
                first = at + 1
            case "{" | ";":
                break
    return [], start
