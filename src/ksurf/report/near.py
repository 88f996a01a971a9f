"""Names near one that does not exist: what its user may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["near"]

_RATIO = 0.75
"""How much of two names has to be the same, as difflib counts it: twice what both have, of what they have."""
_PART = 4
"""A name this long counts as near if the other has it as a part."""
_LONGEST = 200
"""No name is longer, and the parts of one grow with the square of its length."""
_OTHER_LETTERS = 4
"""How many kinds of letters may be in one of the names alone."""


def near(name: str, known: pa.StringArray | Iterable[str], limit: int = 5) -> list[str]:
    """Up to ``limit`` of the known names, the nearest first; none if nothing is near.

    Arrow sorts out a quarter of a million names by what is cheap, difflib compares those few that are left.
    """
    from difflib import SequenceMatcher

    if len(name) > _LONGEST:
        return []
    folded = name.casefold().strip("_")
    letters = set(folded)
    matcher = SequenceMatcher(None, "", folded, autojunk=False)
    scored = []
    for other, candidate, contained in _plausible(folded, known):
        if not contained and len(letters ^ set(candidate)) > _OTHER_LETTERS:
            continue
        matcher.set_seq1(candidate)
        ratio = matcher.ratio()
        if ratio >= _RATIO or contained:
            scored.append((-ratio, len(other), other))
    return [other for _, _, other in sorted(scored)[:limit]]


def _plausible(folded: str, known: pa.StringArray | Iterable[str]) -> Iterable[tuple[str, str, bool]]:
    """Names that may be near, each as it is and as it is compared, and whether one is a part of the other."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = known if isinstance(known, pa.Array) else pa.array(list(known), pa.string())
    candidates = pc.utf8_trim(pc.utf8_lower(names), characters="_")
    sizes = pc.utf8_length(candidates)
    alike = pc.less_equal(pc.abs(pc.subtract(sizes, len(folded))), max(8, len(folded)))
    names, candidates, sizes = (column.filter(alike) for column in (names, candidates, sizes))
    # What both have is at most the letters that both have, however often both do.
    common = pa.scalar(0, pa.int32())
    for letter in sorted(set(folded)):
        held = pc.count_substring(candidates, letter)
        common = pc.add(common, pc.min_element_wise(held, folded.count(letter)))
    kept = pc.greater_equal(pc.multiply(common, 2), pc.multiply(pc.add(sizes, len(folded)), _RATIO))
    pieces = {
        folded[start:end]
        for start in range(len(folded) - _PART + 1)
        for end in range(start + _PART, len(folded) + 1)
    }
    contained = pc.is_in(candidates, value_set=pa.array(pieces, pa.string()))
    if len(folded) >= _PART:
        contained = pc.or_(contained, pc.match_substring(candidates, folded))
    kept = pc.or_(kept, contained)
    return zip(*(column.filter(kept).to_pylist() for column in (names, candidates, contained)), strict=True)
