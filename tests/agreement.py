"""How far the semantic layer and clangd say the same of files of the kernel: token by token, hint by hint."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clangd_server import Clangd, ClangdDiedError, Command, serve
from ksurf.source.semantic.clang import arguments_of, parse
from ksurf.source.semantic.kinds import (
    CXCursor_InclusionDirective,
    CXCursor_MacroDefinition,
    CXCursor_MemberRef,
    CXCursor_PreprocessingDirective,
)
from ksurf.source.semantic.model import SemanticFile, Symbol, SymbolKind
from ksurf.source.semantic.reader import read_file
from ksurf.source.semantic.text import FileText
from ksurf.source.units import Unit, Units

__all__ = ["Agreement", "compare"]

AGREEING = ("same", "neither", "neither in lines that are left out")
_Spans = Sequence[tuple[tuple[int, int], tuple[int, int]]]
"""Where something begins and ends, by line and column."""


@dataclass
class Agreement:
    """Numbers by class; every class but the agreeing ones is a difference, with examples."""

    tokens: Counter[str] = field(default_factory=Counter)
    hints: Counter[str] = field(default_factory=Counter)
    died: list[str] = field(default_factory=list)
    """Files that clangd did not survive."""
    examples: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))

    def share(self, counts: Counter[str]) -> float:
        return sum(counts[name] for name in AGREEING) / max(1, counts.total())


def compare(units: Units, files: Sequence[str], folder: Path) -> Agreement:
    """Compare files of the tree, each seen through its own unit."""
    found = Agreement()
    for file in files:
        unit = units.of_file(file)[0]
        path, arguments = units.path(unit), arguments_of(units, unit)
        with parse(units, path, arguments) as parsed:
            ours, text = read_file(parsed, path, unit.object), FileText(parsed, path)
        # A server of its own for each: it would also know what other files define, and it dies of some.
        with serve(folder, [Command(path, arguments)]) as clangd:
            try:
                clangd.open(path)
                hints = set(clangd.hints(path))
                _tokens(found, file, ours, text, clangd, path)
            except ClangdDiedError:
                found.died.append(file)
                continue
            _hints(found, file, ours, hints)
    return found


def _tokens(
    found: Agreement, file: str, ours: SemanticFile, text: FileText, clangd: Clangd, path: Path
) -> None:
    identifiers = [
        # The words of an #include are the name of a file.
        at
        for at in range(len(text))
        if text.is_identifier(at) and text.cursors[at].kind != CXCursor_InclusionDirective
    ]
    places = [text.line_column(text.offsets[at]) for at in identifiers]
    known = {(token.line, token.column): ours.symbols[token.symbol] for token in ours.tokens}
    left_out = {line for lines in ours.inactive for line in range(lines.first, lines.last + 1)}
    arguments = _arguments(ours)
    for at, place, theirs in zip(identifiers, places, clangd.symbols(path, places), strict=True):
        mine, name, kind = known.get(place), text.spelling(at).decode(), text.cursors[at].kind
        if mine is None and not theirs:
            outcome = "neither in lines that are left out" if place[0] in left_out else "neither"
        elif mine is None:
            outcome = _only_clangd(place, kind, theirs, left_out, arguments)
        elif not theirs:
            outcome = _only_ours(text, at, place, kind, arguments)
        # libclang shows a label's statement, which has no name with clang; clangd shows its declaration.
        elif mine.usr in theirs or (mine.kind is SymbolKind.LABEL and _ends(theirs, f"@{name}")):
            outcome = "same"
        else:
            outcome = _other(text, at, mine, kind, theirs)
        found.tokens[outcome] += 1
        if outcome not in AGREEING:
            where = f"{file}:{place[0]}:{place[1]}"
            found.examples[outcome].append((where, name, kind, mine and mine.usr, theirs))


def _ends(usrs: list[str], end: str) -> bool:
    return any(usr.endswith(end) for usr in usrs)


def _only_clangd(
    place: tuple[int, int], kind: int, theirs: list[str], left_out: set[int], arguments: _Spans
) -> str:
    """Why only clangd names a token. It knows a macro by its name wherever that stands."""
    if not any("@macro@" in usr for usr in theirs):
        return "only clangd"
    if any(usr.startswith("c:@macro@__") for usr in theirs):
        return "built-in macro"
    if place[0] in left_out:
        return "macro in lines that are left out"
    if kind == CXCursor_PreprocessingDirective:
        return "macro in an #undef"
    if kind == CXCursor_MacroDefinition:
        return "macro in a macro's body"
    return "macro in a macro's argument" if _is_within(place, arguments) else "only clangd"


def _only_ours(text: FileText, at: int, place: tuple[int, int], kind: int, arguments: _Spans) -> str:
    """Why only the semantic layer names a token."""
    if kind == CXCursor_MacroDefinition:
        return "in a macro's body"
    if _is_designator(text, at):
        return "designator"
    if kind == CXCursor_MemberRef:
        return "member in offsetof"
    return "in a macro's argument" if _is_within(place, arguments) else "only ours"


def _other(text: FileText, at: int, mine: Symbol, kind: int, theirs: list[str]) -> str:
    """Why the two say different things."""
    if _is_designator(text, at) and text.spelling(at + 1) in {b".", b"["}:
        return "designators in a row"
    if kind == CXCursor_MacroDefinition and mine.kind is SymbolKind.MACRO:
        return "macro defined twice"
    if mine.kind is SymbolKind.FIELD and _ends(theirs, f"@macro@{mine.name}"):
        return "member named like a macro"
    return "other symbol"


def _is_designator(text: FileText, at: int) -> bool:
    """Tell if a token is the member in ``.member = value``, in ``.member.inner = value`` too."""
    while text.is_identifier(at):
        dot = text.last_before(text.offsets[at])
        at = text.last_before(text.offsets[dot]) if dot >= 0 and text.spelling(dot) == b"." else -1
        if at < 0:
            return False
    return text.spelling(at) in {b"{", b",", b"("}


def _hints(found: Agreement, file: str, ours: SemanticFile, theirs: set[tuple[int, int, str]]) -> None:
    mine = {(hint.line, hint.column, hint.name) for hint in ours.hints}
    found.hints["same"] += len(mine & theirs)
    indirect, arguments = _in_indirect_calls(ours), _arguments(ours)
    macros = {
        (token.line, token.column)
        for token in ours.tokens
        if ours.symbols[token.symbol].kind is SymbolKind.MACRO
    }
    agreed = {hint[:2] for hint in mine & theirs}
    for hint in (mine - theirs) | (theirs - mine):
        place, is_ours = hint[:2], hint in mine
        if is_ours and place[0] in indirect:
            outcome = "call through a field"
        elif hint[2] == "&":
            outcome = "va_list"
        elif not is_ours and place in agreed:
            outcome = "second name"
        elif not is_ours and place in macros:
            outcome = "at a macro's name"
        elif is_ours and _is_within(place, arguments):
            outcome = "in a macro's argument"
        else:
            outcome = "only ours" if is_ours else "only clangd"
        found.hints[outcome] += 1
        found.examples[f"hint: {outcome}"].append((file, hint))


def _arguments(ours: SemanticFile) -> _Spans:
    """Where uses of macros stand that have arguments, without the macro's name."""
    return [
        ((use.line, use.column + use.byte_length), (use.end_line, use.end_column))
        for use in ours.expansions
        if (use.end_line, use.end_column) > (use.line, use.column + use.byte_length)
    ]


def _is_within(place: tuple[int, int], spans: _Spans) -> bool:
    return any(first <= place < end for first, end in spans)


def _in_indirect_calls(ours: SemanticFile) -> set[int]:
    # Arguments stand on the call's line or on the few after it.
    lines = [call.line for call in ours.calls if not call.is_direct]
    return {line + more for line in lines for more in range(6)}


def unit_files(units: Units, folder: str) -> list[str]:
    """The files below a folder that are compiled."""
    found: dict[str, Unit] = {unit.file: unit for unit in units.below([folder]) if not unit.is_generated}
    return sorted(found)
