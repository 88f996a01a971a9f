"""The differences between two kernels, small and in order, so that each page is cut out of them.

A row is a name that differs: its kind, what became of it, and the first of its changes as they are shown. The
rows lie as Arrow's, with two more orders beside their own, in a file that tells by itself if it is damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from ksurf.report.condense import condensed
from ksurf.surface.change import Change, RenameProposed
from ksurf.surface.diff import KindDiff

__all__ = [
    "FORMAT",
    "RENAMED",
    "SIGNS",
    "SORTS",
    "KindCounts",
    "Pair",
    "Part",
    "Question",
    "Row",
    "Shown",
    "packed",
    "part_of",
    "read_pair",
    "sealed",
    "unsealed",
]

FORMAT = b"ksurf pair 1\n"
"""What the file begins with; then comes the SHA-256 of the rest."""
SIGNS = ("added", "removed", "changed")
"""What may become of a name, by its number in a row."""
RENAMED = "renamed"
"""Asks for what was added or removed, and may only have another name."""
SORTS = ("kind", "name", "-name", "changes", "-changes")
"""The orders: by kind and name; by name; by the number of changes, the most first. ``-`` turns one around."""

_SHOWN = 3
"""Changes that a row shows."""
_SHOWN_ALL = "attachability"
"""The kind of which a row shows all: there are no more than mechanisms."""
_LONGEST = 160
"""Characters of one side of a change that a row shows."""
_BITS = 63
"""Labels that can be asked for; there are half as many."""
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class KindCounts:
    """How much differs among the symbols of a kind."""

    kind: str
    added: int
    removed: int
    changed: int
    unknown: tuple[str, ...] = ()
    """Ids of kernels of which nothing of the kind is known."""

    @property
    def total(self) -> int:
        """All that differs."""
        return self.added + self.removed + self.changed


@dataclass(frozen=True, slots=True)
class Part:
    """A kind's differences; another process may make them."""

    counts: KindCounts
    rows: Any
    """Arrow's table of them, by name."""


_LABELS = "\n"
"""Stands between the labels of one name."""


def part_of(diff: KindDiff) -> Part:
    """Take what the pages show out of a kind's differences."""
    import pyarrow as pa

    counts = KindCounts(diff.kind, len(diff.added), len(diff.removed), len(diff.changed), diff.unknown)
    left = {rename.old: (rename.new, rename) for rename in diff.renames}
    came = {rename.new: (rename.old, rename) for rename in diff.renames}
    found = [
        *((name, 0, (), came.get(name)) for name in diff.added),
        *((name, 1, (), left.get(name)) for name in diff.removed),
        *((entry.name, 2, entry.changes, None) for entry in diff.changed),
    ]
    found.sort(key=lambda row: row[0])
    labels = (
        _LABELS.join(sorted({change.label for change in changes})) if rename is None else RENAMED
        for _, _, changes, rename in found
    )
    incidental = (bool(changes) and all(c.incidental for c in changes) for _, _, changes, _ in found)
    texts = (_text(diff.kind, changes, rename) for _, _, changes, rename in found)
    rows = pa.table(
        {
            "sign": pa.array((sign for _, sign, _, _ in found), pa.int8()),
            "name": pa.array((name for name, _, _, _ in found), pa.string()),
            "changes": pa.array((len(changes) for _, _, changes, _ in found), pa.int32()),
            "labels": pa.array(labels, pa.string()),
            "incidental": pa.array(incidental, pa.bool_()),
            "text": pa.array(texts, pa.string()),
        }
    )
    return Part(counts, rows)


def _text(kind: str, changes: Sequence[Change], rename: tuple[str, RenameProposed] | None) -> str:
    """What a row says beside its name, as JSON; nothing for most."""
    if rename is not None:
        return json.dumps({"rename": [rename[0], round(rename[1].score, 2)]}, ensure_ascii=False)
    if not changes:
        return ""
    shown = list(condensed(changes))
    first = shown if kind == _SHOWN_ALL else shown[:_SHOWN]
    texts = [[change.label, _cut(change.before), _cut(change.after)] for change in first]
    return json.dumps({"changes": texts, "more": len(shown) - len(first)}, ensure_ascii=False)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def packed(parts: Sequence[Part]) -> bytes:
    """Put the kinds, in the order of a report, into the content of a file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pa.concat_tables(part.rows for part in parts)
    combined = rows["labels"].combine_chunks().dictionary_encode()
    combinations = [text.split(_LABELS) if text else [] for text in combined.dictionary.to_pylist()]
    bits = {label: 1 << number for number, label in enumerate(sorted({*chain(*combinations)})[:_BITS])}
    masks = pa.array([sum(bits.get(label, 0) for label in own) for own in combinations], pa.int64())
    kinds = [pa.repeat(pa.scalar(at, pa.int8()), part.rows.num_rows) for at, part in enumerate(parts)]
    table = pa.table(
        {
            "kind": pa.chunked_array(kinds, pa.int8()),
            "sign": rows["sign"],
            "name": rows["name"],
            "folded": pc.utf8_lower(rows["name"]),
            "changes": rows["changes"],
            "labels": masks.take(combined.indices),
            "incidental": rows["incidental"],
            "text": rows["text"].combine_chunks().dictionary_encode(),
        }
    )
    for order, keys in _ORDERS.items():
        table = table.append_column(order, pc.sort_indices(table, keys).cast(pa.int32()))
    about = {"kinds": [asdict(part.counts) for part in parts], "labels": list(bits)}
    table = table.combine_chunks().replace_schema_metadata({"about": json.dumps(about)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sealed(sink.getvalue().to_pybytes())


_ORDERS = {
    "by_name": [("folded", "ascending"), ("name", "ascending"), ("kind", "ascending")],
    "by_changes": [("changes", "descending"), ("folded", "ascending"), ("kind", "ascending")],
}


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are asked for; what is empty asks for all."""

    kind: str = ""
    what: str = ""
    """One of :data:`SIGNS`, :data:`RENAMED`, or the label of a change."""
    text: str = ""
    """A part of the name, in upper or lower case."""
    own: bool = False
    """Leave out what only follows from other changes."""
    sort: str = "kind"


@dataclass(frozen=True, slots=True)
class Row:
    """A name that differs."""

    kind: str
    sign: str
    name: str
    count: int
    """Of changes."""
    changes: tuple[tuple[str, str | None, str | None], ...]
    """The first of them: label, before, after."""
    more: int
    """Further ones; those that say one thing together count once."""
    rename: tuple[str, float] | None
    """What it may be called on the other kernel, and how sure that is, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of rows."""

    total: int
    """All that fit."""
    start: int
    rows: tuple[Row, ...]


class Pair:
    """Two kernels' differences, open."""

    def __init__(self, table: Any, byte_size: int) -> None:
        """Take the table of a file."""
        self._table = table
        self.byte_size = byte_size
        about = json.loads(table.schema.metadata[b"about"])
        self.kinds = tuple(KindCounts(**{**one, "unknown": tuple(one["unknown"])}) for one in about["kinds"])
        self.labels: tuple[str, ...] = tuple(about["labels"])

    @cached_property
    def label_counts(self) -> dict[str, int]:
        """How many names have changes of each kind."""
        import pyarrow.compute as pc

        held = self._table["labels"]
        return {
            label: pc.sum(pc.not_equal(pc.bit_wise_and(held, 1 << number), 0)).as_py() or 0
            for number, label in enumerate(self.labels)
        }

    def ask(self, question: Question, start: int, limit: int) -> Shown:
        """The rows that fit, from one of them on; the last page if there are not so many."""
        import pyarrow as pa
        import pyarrow.compute as pc

        indices = pa.array(range(0), pa.int32())
        mask = self._mask(question)
        name, order = question.sort.lstrip("-"), None
        if name != "kind":
            order = self._table[f"by_{name}"]
            mask = None if mask is None else mask.take(order)
        if mask is not None:
            indices = pc.indices_nonzero(mask)
            total = len(indices)
        else:
            total = self._table.num_rows
        start = max(0, min(start, (total - 1) // limit * limit))
        stop = min(start + limit, total)
        if question.sort.startswith("-"):
            places = range(total - 1 - start, total - 1 - stop, -1)
        else:
            places = range(start, stop)
        chosen = pa.array(places, pa.int64())
        if mask is not None:
            chosen = indices.take(chosen)
        if order is not None:
            chosen = order.take(chosen)
        return Shown(total, start, tuple(self._rows(chosen)))

    def _mask(self, question: Question) -> Any:
        """Which rows fit; ``None`` if all do."""
        import pyarrow.compute as pc

        tests: list[Callable[[], Any]] = []
        table = self._table
        if question.kind:
            kinds = [one.kind for one in self.kinds]
            number = kinds.index(question.kind) if question.kind in kinds else -1
            tests.append(lambda: pc.equal(table["kind"], number))
        if question.what in SIGNS:
            tests.append(lambda: pc.equal(table["sign"], SIGNS.index(question.what)))
        elif question.what:
            bit = 1 << self.labels.index(question.what) if question.what in self.labels else 0
            tests.append(lambda: pc.not_equal(pc.bit_wise_and(table["labels"], bit), 0))
        if question.own:
            tests.append(lambda: pc.invert(table["incidental"]))
        if question.text:
            tests.append(lambda: pc.match_substring(table["folded"], question.text.lower()))
        mask = None
        for test in tests:
            mask = test() if mask is None else pc.and_(mask, test())
        return mask

    def _rows(self, chosen: Any) -> Iterator[Row]:
        columns = ("kind", "sign", "name", "changes", "text")
        taken = self._table.select(columns).take(chosen).to_pydict()
        for kind, sign, name, count, text in zip(*(taken[column] for column in columns), strict=True):
            more = json.loads(text) if text else {}
            changes = tuple((label, before, after) for label, before, after in more.get("changes", ()))
            rename = tuple(more["rename"]) if "rename" in more else None
            yield Row(self.kinds[kind].kind, SIGNS[sign], name, count, changes, more.get("more", 0), rename)


def read_pair(body: memoryview) -> Pair:
    """Open what :func:`unsealed` gives."""
    import pyarrow as pa

    return Pair(pa.ipc.open_file(pa.py_buffer(body)).read_all(), len(body))


def sealed(body: bytes) -> bytes:
    """The content of a file, with its hash in front."""
    return FORMAT + hashlib.sha256(body).digest() + body


def unsealed(content: bytes) -> memoryview | None:
    """What was sealed; ``None`` if it is damaged, or of another format."""
    body = memoryview(content)[len(FORMAT) + _DIGEST :]
    digest = content[len(FORMAT) : len(FORMAT) + _DIGEST]
    whole = content.startswith(FORMAT) and hashlib.sha256(body).digest() == digest
    return body if whole else None
