"""The same facts from a kernel's Parquet files, by plain SQL, in the oracle's terms."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb
from oracle.reading import Call, Symbol


class Tables:
    """vmlinux's rows in a kernel of a dataset."""

    def __init__(self, kernel: Path) -> None:
        self._sql = duckdb.connect()
        for file in kernel.glob("*.parquet"):
            self._sql.from_parquet(str(file)).create_view(file.stem)

    def _rows(self, query: str, names: Collection[str]) -> list[tuple[Any, ...]]:
        return self._sql.execute(query, [sorted(names)]).fetchall()

    def definitions(self, names: Collection[str]) -> list[dict[str, Any]]:
        """Instances of functions of these names, each with what its function says."""
        result = self._sql.execute(
            """
            SELECT f.name, u.path AS unit, f.decl_file, f.decl_line, f.external, i.inlined,
                   i.out_of_line, i.address, i.inline_address
            FROM instances i
            JOIN functions f ON f.id = i.function
            JOIN images ON images.id = i.image AND images.name = 'vmlinux'
            LEFT JOIN units u ON u.id = i.unit
            WHERE f.name IN (SELECT unnest($1))
            """,
            [sorted(names)],
        )
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def calls(self, names: Collection[str]) -> list[Call]:
        """Calls of functions of these names; the line of a direct call, which the oracle does not read, left out."""
        rows = self._rows(
            """
            SELECT callee.name, u.path, caller.name, caller.decl_line, s.depth, s.inline,
                   s.file, CASE WHEN s.inline THEN s.line END
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
        return [Call(*row[:6], file=row[6] if row[5] else None, line=row[7]) for row in rows]

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
