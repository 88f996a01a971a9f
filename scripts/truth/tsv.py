"""Lists of the kernel's source as text."""

import csv
import io
from collections.abc import Iterable, Sequence

__all__ = ["tab_separated"]


def tab_separated(source: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as tab-separated values; ``source`` is named at the head, then the columns."""
    text = io.StringIO()
    text.write(f"# {source}\n")
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
