"""One file in two trees, or as two kernels compiled it: by lines, and by what it defines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ksurf.source.line_diff import Run, aligned, in_order
from ksurf.source.page import Page, PageDefinition
from ksurf.source.semantic.model import LineRange

if TYPE_CHECKING:
    from ksurf.source.names import NamesIndex

__all__ = ["Comparison", "DefinitionChange", "DefinitionDiff", "LeftOut", "compare", "with_other_files"]


class DefinitionChange(StrEnum):
    """What became of a definition."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"
    """Its text is the same, and it stands elsewhere among the others."""
    LEFT_OUT = "left out"
    """Its text is there, and the new side's configuration leaves it out."""
    LET_IN = "let in"
    """Its text was there, and the old side's configuration left it out."""


@dataclass(frozen=True, slots=True)
class DefinitionDiff:
    """One definition that is not the same on both sides."""

    change: DefinitionChange
    name: str
    kind: str
    old_line: int | None
    new_line: int | None
    old_signature: str | None
    new_signature: str | None
    other_file: str | None = None
    """The one file that defines it on the side where this one does not."""

    @property
    def signature_changed(self) -> bool:
        """Both sides have it, and not only its body differs."""
        return (
            None not in {self.old_signature, self.new_signature} and self.old_signature != self.new_signature
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Lines that are the same on both sides, and that one configuration leaves out."""

    by_new: bool
    """The new side's configuration leaves them out; else the old side's."""
    old: LineRange
    new: LineRange


@dataclass(frozen=True, slots=True)
class Comparison:
    """The file on both sides; ``None`` where a side does not have it."""

    old: Page | None
    new: Page | None
    runs: tuple[Run, ...]
    definitions: tuple[DefinitionDiff, ...]
    """In the order of the new side; what only the old side has stands where it was."""
    left_out: tuple[LeftOut, ...]
    """Known only if both sides show the semantic layer."""

    @property
    def is_same(self) -> bool:
        """Nothing differs, as far as it is known."""
        return not self.left_out and not self.definitions and all(run.same for run in self.runs)


def compare(old: Page | None, new: Page | None) -> Comparison:
    """Compare two pages of whole files."""
    before = [line.text for line in old.lines] if old else []
    after = [line.text for line in new.lines] if new else []
    runs = aligned(before, after)
    return Comparison(
        old,
        new,
        tuple(runs),
        tuple(_definitions(old, new, runs)),
        tuple(_left_out(old, new, runs)) if old and new else (),
    )


def with_other_files(
    found: Comparison, file: str, old: NamesIndex | None, new: NamesIndex | None
) -> Comparison:
    """Say of what was removed, and of what was added, which other file has it on the other side."""

    def told(diff: DefinitionDiff) -> DefinitionDiff:
        index = {DefinitionChange.REMOVED: new, DefinitionChange.ADDED: old}.get(diff.change)
        if index is None:
            return diff
        files = {
            one.place.file
            for one in index.definitions(diff.name)
            if not one.is_declaration and (one.kind == diff.kind or diff.kind not in _SURE)
        }
        files.discard(file)
        return replace(diff, other_file=files.pop()) if len(files) == 1 else diff

    return replace(found, definitions=tuple(map(told, found.definitions)))


_SURE = {"function", "struct", "union", "enum", "typedef", "macro"}
"""Kinds that both layers call the same."""


def _definitions(old: Page | None, new: Page | None, runs: Sequence[Run]) -> Iterable[DefinitionDiff]:
    ours, theirs = (old.definitions if old else ()), (new.definitions if new else ())
    pairs, only_old, only_new = _paired(ours, theirs)
    same = [(mine, other) for mine, other in pairs if _text(old, mine) == _text(new, other)]
    kept = {same[index] for index in in_order([theirs.index(other) for _, other in same])}
    found: list[tuple[float, DefinitionDiff]] = []
    for mine, other in pairs:
        if (mine, other) in kept:
            continue
        change = DefinitionChange.MOVED if (mine, other) in set(same) else DefinitionChange.CHANGED
        found.append((other.line, _diff(change, mine, other)))
    to_new, to_old = _lines_beside(runs)
    for mine in only_old:
        line = to_new.get(mine.line)
        is_left_out = new is not None and line is not None and new.lines[line - 1].is_inactive
        change = DefinitionChange.LEFT_OUT if is_left_out else DefinitionChange.REMOVED
        place = line if line is not None else _near(to_new, mine.line)
        found.append((place - 0.5, _diff(change, mine, None, new_line=line if is_left_out else None)))
    for other in only_new:
        line = to_old.get(other.line)
        is_let_in = old is not None and line is not None and old.lines[line - 1].is_inactive
        change = DefinitionChange.LET_IN if is_let_in else DefinitionChange.ADDED
        found.append((other.line, _diff(change, None, other, old_line=line if is_let_in else None)))
    return [diff for _, diff in sorted(found, key=lambda item: item[0])]


def _paired(
    ours: Sequence[PageDefinition], theirs: Sequence[PageDefinition]
) -> tuple[list[tuple[PageDefinition, PageDefinition]], list[PageDefinition], list[PageDefinition]]:
    """Put definitions of one kind and name together, the first to the first; then say what is left over."""
    waiting: defaultdict[tuple[str, str], list[PageDefinition]] = defaultdict(list)
    for other in reversed(theirs):
        waiting[other.kind, other.name].append(other)
    pairs, only_old = [], []
    for mine in ours:
        same = waiting[mine.kind, mine.name]
        if same:
            pairs.append((mine, same.pop()))
        else:
            only_old.append(mine)
    left = {id(other) for others in waiting.values() for other in others}
    return pairs, only_old, [other for other in theirs if id(other) in left]


def _text(page: Page | None, found: PageDefinition) -> list[str]:
    """The words of a definition's source; how lines are broken and indented does not count."""
    lines = page.lines[found.first_line - 1 : found.last_line] if page else ()
    return " ".join(line.text for line in lines).split()


def _diff(
    change: DefinitionChange,
    mine: PageDefinition | None,
    other: PageDefinition | None,
    *,
    old_line: int | None = None,
    new_line: int | None = None,
) -> DefinitionDiff:
    either = other or mine
    assert either is not None
    return DefinitionDiff(
        change,
        either.name,
        either.kind,
        mine.line if mine else old_line,
        other.line if other else new_line,
        mine.signature if mine else None,
        other.signature if other else None,
    )


def _lines_beside(runs: Sequence[Run]) -> tuple[dict[int, int], dict[int, int]]:
    """Which line of the other side is the same, both ways, from 1."""
    to_new = {
        run.old + at + 1: run.new + at + 1 for run in runs if run.same for at in range(run.old_end - run.old)
    }
    return to_new, {new: old for old, new in to_new.items()}


def _near(to_new: dict[int, int], line: int) -> int:
    """The line of the new side behind which an old one would stand."""
    for before in range(line - 1, 0, -1):
        if before in to_new:
            return to_new[before] + 1
    return 0


def _left_out(old: Page, new: Page, runs: Sequence[Run]) -> Iterable[LeftOut]:
    if not (old.is_semantic and new.is_semantic):
        return
    for run in runs:
        if not run.same:
            continue
        start = run.old
        while start < run.old_end:
            shift = run.new - run.old
            mine, other = old.lines[start].is_inactive, new.lines[start + shift].is_inactive
            end = start + 1
            while end < run.old_end and (mine, other) == (
                old.lines[end].is_inactive,
                new.lines[end + shift].is_inactive,
            ):
                end += 1
            if mine != other:
                yield LeftOut(other, LineRange(start + 1, end), LineRange(start + shift + 1, end + shift))
            start = end
