"""What stands before a script's probes: directives of C's preprocessor, definitions of structs, settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ksurf.check.bpftrace.declaration import Type, members, record_name
from ksurf.check.bpftrace.script import Part
from ksurf.check.dependency import Condition, Guard, Kind

__all__ = ["HAVE_BTF", "Preamble", "Record"]

HAVE_BTF = "BPFTRACE_HAVE_BTF"
"""The macro that bpftrace defines where the kernel has BTF. Source: docs/language.md, "BTF Support"."""
_DIRECTIVE = re.compile(r"#\s*(\w+)\s*(.*)", re.DOTALL)
_DEFINE = re.compile(r"([A-Za-z_]\w*)(\(?)\s*(.*)", re.DOTALL)
_COMMENT = re.compile(r"//.*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_ENUMERATOR = re.compile(r"\s*([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Record:
    """A struct, union or enum that the script defines itself."""

    kind: Kind
    name: str
    position: int
    text: str
    members: dict[str, Type | None]
    guard: Guard | None


@dataclass(slots=True)
class Preamble:
    """What the script defines in C, and what it includes."""

    records: list[Record] = field(default_factory=list)
    macros: dict[str, str] = field(default_factory=dict)
    """What names are defined as, those without parameters."""
    names: set[str] = field(default_factory=set)
    """Other names that are defined: macros with parameters, enumerators."""
    headers: bool = False
    """Whether C headers are included, also where the kernel has BTF."""
    _own: dict[str, Record] = field(default_factory=dict)
    _conditions: list[Guard] = field(default_factory=list)

    def own(self, name: str) -> Record | None:
        """The definition that reads go through: the script's, where it has one on kernels with BTF too."""
        return self._own.get(name)

    def add_record(self, part: Part) -> None:
        """Take over a definition in C."""
        named = record_name(part.text)
        if named is None:
            return
        kind = {"struct": Kind.STRUCT, "union": Kind.UNION, "enum": Kind.ENUM}[named[0]]
        held: dict[str, Type | None] = {}
        if kind is Kind.ENUM:
            body = part.text[part.text.find("{") + 1 : part.text.rfind("}")]
            self.names |= {one[1] for one in map(_ENUMERATOR.match, body.split(",")) if one}
        else:
            held = members(part.text)
        text = " ".join(part.text.split()).rstrip("; ") + ";"
        record = Record(kind, named[1], part.start, text, held, self._guard())
        self.records.append(record)
        if not _only_without_btf(record.guard):
            self._own.setdefault(record.name, record)

    def add_directive(self, text: str) -> None:
        """Take over a line for the preprocessor."""
        found = _DIRECTIVE.match(_COMMENT.sub(" ", text))
        if found is None:
            return
        word, rest = found[1], " ".join(found[2].replace("\\\n", " ").split())
        match word:
            case "if" | "ifdef" | "ifndef":
                self._conditions.append(_condition(word, rest))
            case "else" | "elif" if self._conditions:
                self._conditions[-1] = _otherwise(self._conditions[-1], word, rest)
            case "endif" if self._conditions:
                self._conditions.pop()
            case "include" | "import":
                self.headers |= not _only_without_btf(self._guard())
            case "define" if defined := _DEFINE.match(rest):
                if defined[2]:
                    self.names.add(defined[1])
                else:
                    self.macros.setdefault(defined[1], defined[3])
            case _:
                pass

    def _guard(self) -> Guard | None:
        if not self._conditions:
            return None
        conditions = [one for guard in self._conditions for one in guard.conditions]
        return Guard(" ".join(guard.text for guard in self._conditions), tuple(conditions))


def _condition(word: str, rest: str) -> Guard:
    text = f"#{word} {rest}"
    if word != "if":
        return Guard(text, _defined(rest, word == "ifdef"))
    plain = re.fullmatch(r"(!?)\s*defined\s*\(?\s*(\w+)\s*\)?", rest)
    return Guard(text, _defined(plain[2], not plain[1]) if plain else ())


def _defined(name: str, holds: bool) -> tuple[Condition, ...]:
    if name == HAVE_BTF:
        return (Condition(Kind.CONFIG, "CONFIG_DEBUG_INFO_BTF", holds),)
    return (Condition(Kind.CONFIG, name, holds),) if name.startswith("CONFIG_") else ()


def _otherwise(before: Guard, word: str, rest: str) -> Guard:
    if word == "elif":
        return Guard(f"{before.text} #elif {rest}")
    opposite = tuple(Condition(one.kind, one.name, not one.holds) for one in before.conditions)
    return Guard(f"{before.text} #else", opposite if len(opposite) == 1 else ())


def _only_without_btf(guard: Guard | None) -> bool:
    return guard is not None and any(
        one.name == "CONFIG_DEBUG_INFO_BTF" and not one.holds for one in guard.conditions
    )
