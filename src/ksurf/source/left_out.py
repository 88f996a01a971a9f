"""Why a kernel's build leaves a file out: the option that a Makefile asks for, and that is not set.

Makefiles are only looked at. What they compute is not found, and then nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["options_set", "why_left_out"]

_RULE = re.compile(r"^[ \t]*[\w./-]+-\$\((?:subst m,y,)?(CONFIG_\w+)\)[ \t]*[:+]?=(.*)$", re.MULTILINE)
_SET = re.compile(r"^(CONFIG_\w+)=", re.MULTILINE)
_MAX_BYTE_SIZE = 4 << 20


def options_set(config: Path) -> frozenset[str] | None:
    """Return the options that a ``.config`` sets to anything; ``None`` if there is no such file."""
    text = _text(config)
    return None if text is None else frozenset(_SET.findall(text))


def why_left_out(root: Path, file: str, options: frozenset[str]) -> str | None:
    """Return the words that say which option is missing; ``None`` if that cannot be seen."""
    path = PurePosixPath(file)
    for folder in path.parents:
        for makefile, wanted in _rules(root, folder, path):
            if wanted and not wanted & options:
                return f"{makefile} asks for {' or '.join(sorted(wanted))}, which is not set"
    return None


def _rules(root: Path, folder: PurePosixPath, path: PurePosixPath) -> Iterator[tuple[str, set[str]]]:
    """The options below which a folder's Makefile names the file's object or a folder that it lies in."""
    inner = path.relative_to(folder)
    names = {str(inner.with_suffix(".o"))}
    names.update(f"{above}/" for above in inner.parents if str(above) != ".")
    for name in ("Kbuild", "Makefile"):
        text = _text(root / folder / name)
        if text is None:
            continue
        lines = text.replace("\\\n", " ")
        wanted = {rule[1] for rule in _RULE.finditer(lines) if names & set(rule[2].split())}
        yield str(folder / name), wanted
        # kbuild reads one of the two.
        return


def _text(path: Path) -> str | None:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTE_SIZE:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
