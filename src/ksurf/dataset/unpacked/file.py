"""An unpacked file: a header, tables and orders as Arrow streams, and a list of these, in that order.

The header says how long the file is and where the list lies, and has both their checksum: what is cut off, or
overwritten there, is refused. A file is written once, under another name, and never changes.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from ksurf.dataset.unpacked.layout import VERSION
from ksurf.dataset.unpacked.table import UnpackedTable

__all__ = ["DamagedFileError", "UnpackedFile", "write_file"]

_HEADER = struct.Struct("<8sQQQI")
"""Magic, length of the file, place and length of the list of contents, CRC-32 of the list and of these."""
_MAGIC = b"ksurf-u%d" % VERSION
_ALIGNED = 64
"""Bytes: what Arrow recommends for the start of memory."""


class DamagedFileError(ValueError):
    """Not an unpacked file of this layout, or not whole."""


class UnpackedFile:
    """A mapped file with its tables."""

    def __init__(self, path: Path) -> None:
        """Map a file: :class:`OSError` if it cannot be read, :class:`DamagedFileError` if it is not whole."""
        import pyarrow as pa

        with path.open("rb") as file:
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise DamagedFileError(f"{path}: it is empty") from error
        self._places = _contents(path, mapped)
        self._path = path
        self._mapped = mapped
        self._memory = pa.py_buffer(mapped)
        names = [part for part in self._places if "." not in part]
        self._tables = {name: UnpackedTable(self._batch(name), self._orders(name), name) for name in names}

    def table(self, name: str) -> UnpackedTable | None:
        """A table, if the file has it."""
        return self._tables.get(name)

    def release(self) -> None:
        """Give back the memory that holds what was read; it is read again when it is asked for."""
        self._mapped.madvise(mmap.MADV_DONTNEED)

    def _orders(self, name: str) -> dict[str, Any]:
        return {
            part.partition(".")[2]: place and self._batch(part).column(0)
            for part, place in self._places.items()
            if part.startswith(f"{name}.")
        }

    def _batch(self, part: str) -> Any:
        import pyarrow as pa

        start, length = self._places[part]
        try:
            with pa.ipc.open_stream(pa.BufferReader(self._memory.slice(start, length))) as reader:
                batch = reader.read_next_batch()
                batch.validate()
        except (OSError, ValueError, StopIteration) as error:
            raise DamagedFileError(f"{self._path}: {part}: {error}") from error
        return batch


def _contents(path: Path, mapped: mmap.mmap) -> dict[str, Any]:
    """Where the parts of a file lie."""
    try:
        magic, size, start, length, checksum = _HEADER.unpack_from(mapped)
    except struct.error as error:
        raise DamagedFileError(f"{path}: {error}") from error
    if magic != _MAGIC or size != len(mapped) or start + length != size:
        raise DamagedFileError(f"{path}: it is not of this layout, or not whole")
    listed = mapped[start:size]
    if zlib.crc32(listed, zlib.crc32(mapped[: _HEADER.size - 4])) != checksum:
        raise DamagedFileError(f"{path}: its list of contents is damaged")
    places: dict[str, Any] = json.loads(listed)
    return places


def write_file(file: IO[bytes], parts: Iterable[tuple[str, Any]]) -> None:
    """Write record batches by the names of tables, and orders by those of table and column.

    ``call_sites.callee`` is a batch of one column, the rows in that order, or ``None`` if they stand in it.
    """
    import pyarrow as pa

    file.write(bytes(_HEADER.size))
    places: dict[str, tuple[int, int] | None] = {}
    for name, batch in parts:
        if batch is None:
            places[name] = None
            continue
        file.write(bytes(-file.tell() % _ALIGNED))
        start = file.tell()
        with pa.ipc.new_stream(file, batch.schema) as writer:
            writer.write_batch(batch)
        places[name] = (start, file.tell() - start)
    listed = json.dumps(places).encode()
    start = file.tell()
    file.write(listed)
    header = _HEADER.pack(_MAGIC, start + len(listed), start, len(listed), 0)[:-4]
    file.seek(0)
    file.write(header + struct.pack("<I", zlib.crc32(listed, zlib.crc32(header))))
