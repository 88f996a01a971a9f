"""Attachability of everything on two kernels, compared: what ``ksurf diff --kind attachability`` says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ksurf.dataset.query import connect, query
from ksurf.dataset.query.connection import literal
from ksurf.kernel import Kernel
from ksurf.surface.attach import Mechanism, Verdict
from ksurf.surface.attach_change import compare_attachability
from ksurf.surface.attach_facts import judge
from ksurf.surface.change import Change
from ksurf.surface.diff import KindDiff, diff_kind

if TYPE_CHECKING:
    from ksurf.dataset.store import Store

__all__ = ["ATTACHABILITY", "attachability_diff"]

ATTACHABILITY = "attachability"
"""The kind."""

# By a name that several symbols bear, the first that can be attached is meant: ksurf.surface.attach_change.
_VERDICTS = """
    SELECT kernel, symbol, mechanism, bool_or(attachable) AS attachable,
           coalesce(min(reason) FILTER (NOT attachable), '') AS reason
    FROM attachability GROUP BY ALL"""

_STATEMENT = f"""
    WITH verdicts AS ({_VERDICTS})
    SELECT o.symbol, o.mechanism, o.attachable, o.reason, n.attachable, n.reason
    FROM verdicts o JOIN verdicts n ON n.symbol = o.symbol AND n.mechanism = o.mechanism
    WHERE o.kernel = {{old}} AND n.kernel = {{new}} AND o.attachable <> n.attachable
    ORDER BY o.symbol"""


def attachability_diff(store: Store, old: Kernel, new: Kernel) -> KindDiff:
    """What can be attached to on one of the kernels only, among all that both have."""
    manifests = [manifest for manifest in store.kernels() if manifest.kernel in {old, new}]
    statement = _STATEMENT.format(old=literal(old.id), new=literal(new.id))
    with connect(store, manifests, statement=statement, judge=judge) as connection:
        rows = [row for batch in query(connection, statement).batches(1 << 16) for row in batch]
    changed = [(name, _changes(list(found))) for name, found in groupby(rows, key=lambda row: str(row[0]))]
    return diff_kind(ATTACHABILITY, (), (), changed)


def _changes(rows: Sequence[Sequence[object]]) -> list[Change]:
    old, new = {}, {}
    for _, name, could, because, can, why in sorted(rows, key=lambda row: _ORDER.index(str(row[1]))):
        mechanism = Mechanism(name)
        old[mechanism] = Verdict(bool(could), str(because))
        new[mechanism] = Verdict(bool(can), str(why))
    return list(compare_attachability(old, new))


_ORDER = [mechanism.value for mechanism in Mechanism]
