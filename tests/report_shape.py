"""The shape of a Markdown report: each line is of one kind, and the kinds follow a grammar."""

from __future__ import annotations

import re

_STATUS = "Duplicate|Collision|Full Inline|Selective Inline|Transformation"
_COLLISION = "Unique (?:Global|Static)|Static Duplication|(?:Static|Global)-(?:Static|Global) Collision"
_LINES = {
    "_": "",
    "T": r"# Function: <code>\w+</code>",
    "S": "## Status",
    "G": "<b>(?:Regular|Arch|Flavor)</b>",
    "u": "<ul>",
    "U": "</ul>",
    "l": "<li>",
    "L": "</li>",
    "A": r"In <code>[^<]+</code>: Absent ⚠️",
    "d": "<details>",
    "s": rf"<summary>In <code>[^<]+</code>: (?:✅|(?:{_STATUS})(?:, (?:{_STATUS}))* ⚠️)</summary>",
    "D": "</details>",
    "c": "```c",
    "p": r".+\);",
    "f": "```",
    "C": rf"\*\*Collision:\*\* (?:{_COLLISION})",
    "I": r"\*\*Inline:\*\* (?:No|Selective|Full)",
    "X": r"\*\*Transformation:\*\* (?:True|False)",
    "N": r"\*\*Instances:\*\*",
    "i": r"In \S+(?: \[\w+\])? \([0-9a-f]+\)",
    "o": r"Location: \S+:\d+",
    "n": "Inline: (?:True|False)",
    "v": "Inline callers:",
    "w": "Direct callers:",
    "y": r"  - \S+:\S+",
    "B": r"\*\*Symbols:\*\*",
    "b": r"[0-9a-f]+-[0-9a-f]+: \S+ \(STB_\w+\)",
    "E": "## Differences",
    "h": "<summary>Changed between <code>[^<]+</code> and <code>[^<]+</code> ⚠️</summary>",
    "k": r"<b>[A-Z][a-z ]+\. </b>",
    "j": "<code>[^<]+</code>(?: ➡️ <code>[^<]+</code>)?",
    "q": "No changes between <code>[^<]+</code> and <code>[^<]+</code> ✅",
}
_INSTANCE = "fion(?:vy+)?(?:wy+)?f"
_PRESENT = f"ds_(?:cp+f_)?C_I_X_N_(?:{_INSTANCE})+(?:B_fb+f)?D"
_GROUP = f"Gu(?:l(?:A|{_PRESENT})L)+U"
_DIFFERENCES = "Gu(?:l(?:q|dhu(?:lkjL)+UD)L)*U"
_REPORT = re.compile(f"T_S(?:{_GROUP})*_E(?:{_DIFFERENCES})*_*")


# A type's report has C text instead of instances and symbols.
_TYPE_LINES = {
    **{kind: _LINES[kind] for kind in "_SGulULAdDcfEhkjq"},
    "T": r"# (?:Struct|Union|Enum|Typedef): <code>\w+</code>",
    "s": "<summary>In <code>[^<]+</code>: (?:✅|Collision ⚠️)</summary>",
    "W": r"\*\*In .+:\*\*",
    "a": r"(?:typedef )?(?:struct|union|enum)(?: \w+)? \{",
    "m": r"    +(?:\S.*)?[;,{]",
    "z": r"\}.*;",
    "t": r"typedef .+;",
}
_TYPE_PRESENT = "ds_(?:W_)?(?:c(?:am*z|t)f(?:W_)?)+D"
_TYPE_GROUP = f"Gu(?:l(?:A|{_TYPE_PRESENT})L)+U"
_TYPE_REPORT = re.compile(f"T_S(?:{_TYPE_GROUP})*_E(?:{_DIFFERENCES})*_*")


def misshapen(report: str) -> str | None:
    """Where a report on a function leaves the shape; ``None`` if it keeps it."""
    return _misshapen(report, _LINES, _REPORT)


def misshapen_type(report: str) -> str | None:
    """Where a report on a struct, a union, an enum or a typedef leaves the shape."""
    return _misshapen(report, _TYPE_LINES, _TYPE_REPORT)


def _misshapen(report: str, lines: dict[str, str], grammar: re.Pattern[str]) -> str | None:
    kinds = ""
    for number, line in enumerate(report.splitlines(), 1):
        kind = next((kind for kind, pattern in lines.items() if re.fullmatch(pattern, line)), None)
        if kind is None:
            return f"line {number} is of no known kind: {line!r}"
        kinds += kind
    if grammar.fullmatch(kinds):
        return None
    return f"the lines are of known kinds, but in another order: {kinds}"
