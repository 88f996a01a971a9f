"""Captures: what a kernel wrote, brought into a form that is the same for each boot, and kept small.

Addresses and event ids, which differ from boot to boot, are left out; lists are sorted. ``docs/truth.md``
describes the files, ``tests/truth.py`` reads them.
"""

import json
import lzma
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ksurf.errors import KsurfError

__all__ = ["counts", "write_capture"]

_EVENT_LINE = re.compile(r"([^/:]+/[^/:]+)/format:(.*)")


def write_capture(folder: Path, files: Mapping[str, bytes], about: Mapping[str, object]) -> None:
    """Write the capture of a kernel; ``files`` are those that the init script left."""
    texts = {name: content.decode() for name, content in files.items()}
    lists = {name: canonical(texts[name]) for name, canonical in _CANONICAL.items() if name in texts}
    facts = {
        **about,
        "proc_version": texts["version"].strip(),
        "command_line": texts["cmdline"].strip(),
        "lsm": texts["lsm"].strip().split(","),
        "modules": sorted(line.split()[0] for line in texts["modules"].splitlines()),
        "not_loaded": dict(line.split(" ", 1) for line in sorted(texts.get("not_loaded", "").splitlines())),
    }
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name, text in lists.items():
        content = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
        (folder / f"{name}.txt.xz").write_bytes(content)
    (folder / "about.json").write_text(json.dumps(facts, indent=2) + "\n")  # last: now it is whole


def counts(files: Mapping[str, bytes]) -> dict[str, int]:
    """Return how much of each kind a kernel told, for a person to see at once if something is missing."""
    found = {name: len(content.splitlines()) for name, content in files.items() if name in _CANONICAL}
    if "events" in files:
        found["events"] = len(re.findall(rb"(?m)^[^/]+/[^/]+/format:ID: ", files["events"]))
    found["modules"] = len(files["modules"].splitlines())
    return found


def _names(text: str) -> str:
    return _sorted(text.splitlines())


def _without_addresses(text: str) -> str:
    """``0xffffffff81000000-0xffffffff81000040\tname [module]``: the name stays."""
    return _sorted(line.partition("\t")[2] for line in text.splitlines())


def _with_single_spaces(text: str) -> str:
    return _sorted(line.replace("\t", " ") for line in text.splitlines())


def _sorted(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in sorted(lines))


def _events(text: str) -> str:
    """Group the lines of ``grep '' */*/format`` by event; each begins with name, id and ``format:``."""
    events: dict[str, list[str]] = {}
    for line in text.splitlines():
        found = _EVENT_LINE.fullmatch(line)
        if found is None:
            raise KsurfError(f"not a line of an event's format: {line!r}")
        events.setdefault(found[1], []).append(found[2])
    for name, lines in events.items():
        if not re.match(r"name: .+\nID: \d+\nformat:\n\tfield:", "\n".join(lines)):
            raise KsurfError(f"not the format of an event: {name}: {lines[:4]!r}")
    return "".join(f"== {name}\n" + "\n".join(lines[3:]) + "\n" for name, lines in sorted(events.items()))


_CANONICAL: dict[str, Callable[[str], str]] = {
    "filter_functions": _names,
    "kprobes_blacklist": _without_addresses,
    "error_injection": _with_single_spaces,
    "events": _events,
}
