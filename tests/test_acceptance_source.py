"""A published page of source beside ksurf's own, from Debian's source and configuration.

``tests/data/source`` has, of a page that others published, the lines with hints: the text without them, and
the hints, each with the place in that text. It is of another version of the file, so that lines are compared
by their text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from real_sources import RealSources

pytestmark = pytest.mark.network

PUBLISHED = json.loads((Path(__file__).parent / "data/source/vgic-v4-hints.json").read_text())
FILE = PUBLISHED["file"]
_FUNCTION = re.compile(r"^[a-z][^;=#]*?\b(\w+)\([^;{]*\)\n\{", re.MULTILINE)


def words(text: str) -> str:
    return " ".join(text.split())


def beside_words(text: str, start: int) -> int:
    """Where a character of a line stands once white space is one space, and none at the beginning."""
    return len(words(text[:start] + "x")) - 1


def test_the_published_hints_are_there(real_sources: RealSources, note: Callable[[str], None]) -> None:
    from real_sources import CLOUD_ARM64

    tree, kernel = real_sources.pull(CLOUD_ARM64)
    asked = ("source", "show", FILE, "--kernel", kernel.id, "--format")
    page = json.loads(real_sources.ksurf(*asked, "json"))
    assert (page["layer"]["name"], page["layer"]["problems"]) == ("semantic", [])
    rows = real_sources.ksurf(*asked, "md").splitlines()
    assert rows[1] == "---|---|"
    published = {
        line["text"]: {(h["start"], h["name"]) for h in line["hints"]} for line in PUBLISHED["lines"]
    }
    same = found = 0
    more = []
    for line, row in zip(page["lines"], [rows[0], *rows[2:]], strict=False):
        text, hints = line["text"], line["hints"]
        whole = text
        for hint in reversed(hints):
            whole = f"{whole[: hint['start']]}{hint['name']}: {whole[hint['start'] :]}"
        assert row == f"{line['number']} | {words(whole)} |".replace("|  |", "| |")
        own = {(beside_words(text, hint["start"]), hint["name"]) for hint in hints}
        wanted = published.get(words(text), set())
        assert wanted <= own, f"{FILE}:{line['number']}: {words(text)}"
        same += bool(wanted)
        found += len(wanted)
        more += [f"{line['number']}: {name}" for _, name in sorted(own - wanted)]
    assert same >= 30
    source = (tree.root / FILE).read_text()
    functions = _FUNCTION.findall(source)
    start = rows.index("Definitions") + 1
    assert [row.removeprefix("- ") for row in rows[start : start + len(functions)]] == functions
    assert len(functions) == 17
    note(f"{FILE}: {found} published hints on {same} lines, all there; beside them {len(more)} more")
