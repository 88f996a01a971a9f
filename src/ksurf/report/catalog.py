"""The catalog of a dataset's symbols: all names of all kinds in one file, searched as they are typed.

It finds what :func:`ksurf.report.search.search` finds, in that order, in a few milliseconds. Like unpacked
tables (:mod:`ksurf.dataset.unpacked`) it lies in the cache, named after what it was made of.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ksurf import _core
from ksurf.dataset import lookup
from ksurf.dataset.lookup.members import MEMBER_KINDS, members_of
from ksurf.dataset.lookup.table import directory_at
from ksurf.dataset.pool import segments_of
from ksurf.dataset.unpacked.cache import Unpacked
from ksurf.dataset.workspace import sync
from ksurf.errors import DatasetError
from ksurf.kernel import Kernel
from ksurf.report.find import near_names
from ksurf.report.search import SEARCH_KINDS, Hit
from ksurf.surface.kfunc import is_kfunc
from ksurf.surface.lsm import HOOKS_UNION, hooks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Catalog"]

Kernels = Sequence[tuple[Kernel, Path]]

_VERSION = 1
_HEADER = struct.Struct("<8sIIIIQ")
"""Magic, version, how many kinds, the first that is of members, a gap, the length of the file."""
_SUFFIX = ".catalog"
_TYPES = ("struct", "union", "enum", "typedef")
_PLAIN = {"syscall": "syscalls", "export": "exports", "config": "config"}


class Catalog:
    """The names of some kernels' symbols."""

    def __init__(self, path: Path) -> None:
        """Open a file: :class:`OSError` if it cannot be, :class:`ksurf._core.ReadError` if it is damaged."""
        self.path = path
        self._catalog = _core.SymbolCatalog(str(path))
        about = json.loads(self._catalog.about())
        self.kernels: tuple[str, ...] = tuple(about["kernels"])
        """The ids of its kernels, by their bits in :attr:`~ksurf.report.search.Hit.bits`."""
        self._sets = [int(bits, 16) for bits in about["sets"]]

    @classmethod
    def open(cls, unpacked: Unpacked, kernels: Kernels) -> Catalog | None:
        """The catalog of these kernels, if it is there."""
        return _usable(_path(unpacked, kernels))

    @classmethod
    def open_or_make(cls, unpacked: Unpacked, kernels: Kernels) -> Catalog:
        """The catalog of these kernels, made if it is not there; those of other kernels are removed then.

        Raises :class:`~ksurf.errors.DatasetError` if tables cannot be read, and :class:`OSError` if nothing
        can be written.
        """
        path = _path(unpacked, kernels)
        if (found := _usable(path)) is not None:
            return found
        unpacked.written(path, _usable, lambda file: _write(file, kernels))
        for other in unpacked.folder.glob(f"*{_SUFFIX}"):
            if other != path:
                other.unlink(missing_ok=True)
        return cls(path)

    def find(self, text: str, kinds: Collection[str] | None = None, limit: int = 20) -> list[Hit]:
        """The first symbols that :func:`~ksurf.report.search.search` finds; none of an empty text."""
        if "\0" in text:  # stands between the names
            return []
        wanted = text.casefold()
        owner, separator, path = text.rpartition("::")
        for word in ("struct ", "union ", "enum "):
            owner = owner.removeprefix(word)
        parts = (owner.casefold(), path.casefold()) if separator else ("", wanted)
        chosen = SEARCH_KINDS if kinds is None else [kind for kind in SEARCH_KINDS if kind in kinds]
        try:
            numbers = [SEARCH_KINDS.index(kind) for kind in chosen]
            found = self._catalog.find(wanted, *parts, numbers, limit)
        except UnicodeEncodeError:  # half of a surrogate pair, which is in no name
            return []
        return [
            Hit(SEARCH_KINDS[kind], name, self._sets[own].bit_count(), rank, self._sets[own])
            for kind, name, own, rank in found
        ]

    def names(self, kinds: Collection[str]) -> pa.StringArray:
        """All names of some kinds, each once."""
        import pyarrow as pa

        arrays = [pa.array([], pa.string())]
        for kind in kinds:
            found = self._catalog.names(SEARCH_KINDS.index(kind))
            if found is not None and len(found[0]) >= 4:
                count = len(found[0]) // 4 - 1
                array = pa.StringArray.from_buffers(count, *map(pa.py_buffer, found))
                try:
                    array.validate(full=True)
                except ValueError as error:
                    raise DatasetError(f"{self.path}: {error}", "remove it") from error
                arrays.append(array)
        return pa.concat_arrays(arrays).unique()

    def near(self, kind: str, name: str, kernels: Kernels) -> list[str]:
        """The names of a kind that are near another, the nearest first; of fields the kernels are asked."""
        return near_names(kind, kernels, name, self.names)


def _path(unpacked: Unpacked, kernels: Kernels) -> Path:
    digest = hashlib.sha256(b"%d" % _VERSION)
    for name in sorted(unpacked.path_of(directory).name for _, directory in kernels):
        digest.update(f"{name}\n".encode())
    return unpacked.folder / f"{digest.hexdigest()[:16]}{_SUFFIX}"


def _usable(path: Path) -> Catalog | None:
    try:
        return Catalog(path)
    except (OSError, ValueError, KeyError, TypeError, _core.ReadError):
        return None


def _write(path: Path, kernels: Kernels) -> None:
    # By id, as the name of the file does not tell their order.
    kernels = sorted(kernels, key=lambda pair: pair[0].id)
    sets: dict[int, int] = {}
    parts: list[list[bytes]] = []
    for kind in SEARCH_KINDS:
        parts.append(_parts(_gathered(kind, kernels), sets))
    ids = [kernel.id for kernel, _ in kernels]
    about = json.dumps({"kernels": ids, "sets": [f"{bits:x}" for bits in sets]}).encode()
    with path.open("wb") as file:
        _write_parts(file, [about, *(part for own in parts for part in own)])
    sync(path)


def _write_parts(file: IO[bytes], parts: Sequence[bytes]) -> None:
    at = _HEADER.size + 16 * len(parts)
    places = []
    for part in parts:
        at += -at % 8
        places.append((at, len(part)))
        at += len(part)
    members = SEARCH_KINDS.index(MEMBER_KINDS[0])
    file.write(_HEADER.pack(b"KSURFCAT", _VERSION, len(SEARCH_KINDS), members, 0, at))
    for place in places:
        file.write(struct.pack("<QQ", *place))
    for (start, _), part in zip(places, parts, strict=True):
        file.write(bytes(start - file.tell()))
        file.write(part)


def _parts(names: dict[str, int], sets: dict[int, int]) -> list[bytes]:
    """What the file has of one kind: the folded text, where each name starts in it, where each starts among
    the names as they are, these, and the number of each one's set of kernels.
    """
    ordered = sorted((name for name in names if "\0" not in name), key=lambda name: (len(name), name))
    plain = [name.encode() for name in ordered]
    folded = [name.casefold().encode() for name in ordered]
    text = b"\0".join([b"", *folded, b""])
    return [
        text,
        _numbers(accumulate((len(name) + 1 for name in folded), initial=1)),
        _numbers(accumulate(map(len, plain), initial=0)),
        b"".join(plain),
        _numbers(sets.setdefault(names[name], len(sets)) for name in ordered),
    ]


def _numbers(values: Iterable[int]) -> bytes:
    listed = list(values)
    return struct.pack(f"<{len(listed)}I", *listed)


def _gathered(kind: str, kernels: Kernels) -> dict[str, int]:
    """The names of a kind, and a bit for each kernel that has it."""
    if kind in MEMBER_KINDS:
        return _members(kind, kernels)
    found: dict[str, int] = {}
    for number, kernel in enumerate(kernels):
        for name in _names(kind, kernel):
            found[name] = found.get(name, 0) | 1 << number
    return found


def _names(kind: str, kernel: tuple[Kernel, Path]) -> Iterable[str]:
    """The names of a kind on one kernel, as :mod:`ksurf.report.search` takes them."""
    import pyarrow.compute as pc

    tables = directory_at(kernel[1])
    if kind == "function":
        # Functions that are only declared are not there.
        names = tables.table("functions").read(["name"])["name"]
        owned = [tables.table(table).read(["function"])["function"] for table in ("instances", "symbols")]
        ids = pc.unique(_joined(owned)).drop_null()
        return _texts(names.take(ids))
    if kind in _TYPES:
        types = tables.table("types").read(["name", "kind"])
        return _texts(types["name"].filter(pc.equal(types["kind"], kind)))
    if kind in _PLAIN:
        return _texts(tables.table(_PLAIN[kind]).read(["name"])["name"])
    if kind == "tracepoint":
        return lookup.tracepoint_names([kernel])
    if kind == "lsm":
        (rows,) = lookup.types_named([HOOKS_UNION], [kernel], kinds=("union",))[HOOKS_UNION]
        return hooks(rows.types[0].definition, ()) if rows.types else ()
    return {row.name for rows in lookup.btf_ids([kernel]) for row in rows if is_kfunc(row)}


def _joined(columns: Sequence[Any]) -> Any:
    import pyarrow as pa

    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)


def _texts(column: Any) -> list[str]:
    """Each text of a column once."""
    names: list[str] = column.unique().drop_null().to_pylist()
    return names


def _members(kind: str, kernels: Kernels) -> dict[str, int]:
    held: dict[int, int] = {}
    for number, (_, directory) in enumerate(kernels):
        column = directory_at(directory).table("types").read(["definition"])["definition"]
        for key in column.unique().to_pylist():
            held[key] = held.get(key, 0) | 1 << number
    found: dict[str, int] = {}
    for segment in _segments(kernels):
        for key, name in members_of(segment, kind):
            if bits := held.get(key, 0):
                found[name] = found.get(name, 0) | bits
    return found


def _segments(kernels: Kernels) -> Iterator[Path]:
    yield from dict.fromkeys(segment for _, directory in kernels for segment in segments_of(directory))
