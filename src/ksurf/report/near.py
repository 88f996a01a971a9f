"""Names near one that does not exist: what its user may have meant."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["near"]


def near(name: str, known: Iterable[str], limit: int = 5) -> list[str]:
    """Up to ``limit`` of the known names, the nearest first; none if nothing is near.

    A hundred thousand names are sorted out by what is cheap first: a common part, then letters in common.
    """
    from difflib import SequenceMatcher

    folded = name.casefold().strip("_")
    letters = set(folded)
    scored = []
    for other in known:
        candidate = other.casefold().strip("_")
        if abs(len(candidate) - len(folded)) > max(8, len(folded)):
            continue
        contained = len(folded) > 3 and (folded in candidate or (len(candidate) > 3 and candidate in folded))
        if not contained and len(letters ^ set(candidate)) > 4:
            continue
        matcher = SequenceMatcher(None, folded, candidate, autojunk=False)
        if not contained and matcher.quick_ratio() < 0.75:
            continue
        ratio = matcher.ratio()
        if ratio >= 0.75 or contained:
            scored.append((-ratio, len(other), other))
    return [other for _, _, other in sorted(scored)[:limit]]
