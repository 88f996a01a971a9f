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
from ksurf.source.semantic.model import SemanticFile, SymbolKind
from ksurf.source.semantic.reader import read_file
from ksurf.source.semantic.text import FileText
from ksurf.source.units import Unit, Units

__all__ = ["Agreement", "compare"]


@dataclass
class Agreement:
    """Numbers by class; every class but the agreeing ones is a difference, with examples."""

    tokens: Counter[str] = field(default_factory=Counter)
    hints: Counter[str] = field(default_factory=Counter)
    died: list[str] = field(default_factory=list)
    """Files that clangd did not survive."""
    examples: dict[str, list[object]] = field(default_factory=lambda: defaultdict(list))

    def share(self, counts: Counter[str]) -> float:
        return sum(counts[name] for name in ("same", "neither")) / max(1, counts.total())


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
        (text.line_column(text.offsets[at]), text.spelling(at).decode(), text.cursors[at].kind)
        for at in range(len(text))
        # The words of an #include are the name of a file.
        if text.is_identifier(at) and text.cursors[at].kind != CXCursor_InclusionDirective
    ]
    known = {(token.line, token.column): ours.symbols[token.symbol] for token in ours.tokens}
    left_out = {line for lines in ours.inactive for line in range(lines.first, lines.last + 1)}
    answers = clangd.symbols(path, [place for place, _, _ in identifiers])
    for (place, name, kind), theirs in zip(identifiers, answers, strict=True):
        mine = known.get(place)
        if mine is None and not theirs:
            outcome = "neither"
        elif mine is not None and theirs:
            # libclang shows a label's statement, which has no name with clang; clangd shows its declaration.
            is_label = mine.kind is SymbolKind.LABEL and any(usr.endswith(f"@{name}") for usr in theirs)
            outcome = "same" if mine.usr in theirs or is_label else "other symbol"
        elif mine is None:
            outcome = _only_clangd(place[0] in left_out, kind, theirs)
        elif kind == CXCursor_MacroDefinition:
            # clangd looks into no macro's body; we name there what a use of the macro in the file refers to.
            outcome = "in a macro's body"
        elif kind == CXCursor_MemberRef:
            # clangd has nothing for members in offsetof, and so in container_of and list_for_each_entry.
            outcome = "member in offsetof"
        else:
            outcome = "only ours"
        found.tokens[outcome] += 1
        if outcome not in {"same", "neither"}:
            where = f"{file}:{place[0]}:{place[1]}"
            found.examples[outcome].append((where, name, kind, mine and mine.usr, theirs))


def _only_clangd(is_left_out: bool, kind: int, theirs: list[str]) -> str:
    """Why only clangd names a token. It knows a macro by its name wherever that stands."""
    is_macro = any("@macro@" in usr for usr in theirs)
    if is_macro and is_left_out:
        return "macro in lines that are left out"
    if is_macro and kind == CXCursor_PreprocessingDirective:
        return "macro in an #if"
    if is_macro and kind == CXCursor_MacroDefinition:
        return "macro in a macro's body"
    return "macro that is not expanded" if is_macro else "only clangd"


def _hints(found: Agreement, file: str, ours: SemanticFile, theirs: set[tuple[int, int, str]]) -> None:
    mine = {(hint.line, hint.column, hint.name) for hint in ours.hints}
    found.hints["same"] += len(mine & theirs)
    indirect = _in_indirect_calls(ours)
    for hint in mine - theirs:
        # clangd 18 takes parameters' names from a typedef, but not from the prototype of a field itself.
        outcome = "call through a field" if hint[0] in indirect else "only ours"
        found.hints[outcome] += 1
        found.examples[f"hint: {outcome}"].append((file, hint))
    for hint in theirs - mine:
        found.hints["only clangd"] += 1
        found.examples["hint: only clangd"].append((file, hint))


def _in_indirect_calls(ours: SemanticFile) -> set[int]:
    # Arguments stand on the call's line or on the few after it.
    lines = [call.line for call in ours.calls if not call.is_direct]
    return {line + more for line in lines for more in range(6)}


def unit_files(units: Units, folder: str) -> list[str]:
    """The files below a folder that are compiled."""
    found: dict[str, Unit] = {unit.file: unit for unit in units.below([folder]) if not unit.is_generated}
    return sorted(found)
