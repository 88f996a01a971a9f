"""The same facts from a kernel's Parquet files, by plain SQL, in the oracle's terms."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from oracle.reading import Call, Symbol


class Instance(NamedTuple):
    """A row of ``instances`` with the columns of its function and unit."""

    name: str
    unit: str | None
    decl_file: str | None
    decl_line: int | None
    external: bool | None
    inlined: bool | None
    out_of_line: bool
    address: int | None
    inline_address: int | None


class Tables:
    """vmlinux's rows in a kernel of a dataset."""

    def __init__(self, kernel: Path) -> None:
        self._sql = duckdb.connect()
        for file in kernel.glob("*.parquet"):
            self._sql.from_parquet(str(file)).create_view(file.stem)

    def _rows(self, query: str, names: Collection[str]) -> list[tuple[Any, ...]]:
        return self._sql.execute(query, [sorted(names)]).fetchall()

    def instances(self, names: Collection[str]) -> list[Instance]:
        """Instances of functions of these names, each with what its function says."""
        rows = self._rows(
            """
            SELECT f.name, u.path, f.decl_file, f.decl_line, f.external, i.inlined,
                   i.out_of_line, i.address, i.inline_address
            FROM instances i
            JOIN functions f ON f.id = i.function
            JOIN images ON images.id = i.image AND images.name = 'vmlinux'
            LEFT JOIN units u ON u.id = i.unit
            WHERE f.name IN (SELECT unnest($1))
            """,
            names,
        )
        return [Instance(*row) for row in rows]

    def calls(self, names: Collection[str]) -> list[Call]:
        """Calls of functions of these names, without the lines of direct ones, which it does not read."""
        rows = self._rows(
            """
            SELECT callee.name, u.path, caller.name, caller.decl_line, s.depth, s.inline,
                   CASE WHEN s.inline THEN s.file END, CASE WHEN s.inline THEN s.line END
            FROM call_sites s
            JOIN functions callee ON callee.id = s.callee
            JOIN instances i ON i.id = s.caller
            JOIN functions caller ON caller.id = i.function
            JOIN images ON images.id = i.image AND images.name = 'vmlinux'
            JOIN units u ON u.id = i.unit
            WHERE callee.name IN (SELECT unnest($1))
            """,
            names,
        )
        return [Call(*row) for row in rows]

    def symbols(self, names: Collection[str]) -> list[Symbol]:
        """Function symbols whose names before the suffixes are these."""
        rows = self._rows(
            """
            SELECT s.name, s.address, s.byte_size, s.bind
            FROM symbols s JOIN images ON images.id = s.image AND images.name = 'vmlinux'
            WHERE s.type = 'STT_FUNC' AND split_part(s.name, '.', 1) IN (SELECT unnest($1))
            """,
            names,
        )
        return [Symbol(*row) for row in rows]
