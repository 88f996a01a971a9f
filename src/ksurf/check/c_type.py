"""Types as C text: whether two mean the same to who reads a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["alias_names", "both_integers", "longer_array", "resolved", "same_integer", "same_type"]

_WORDS = re.compile(
    r"\b(?:const|volatile|restrict|__rcu|__user|__percpu|__kernel|__bitwise|__seg_gs|__seg_fs)\b"
)
_FLAVOR = re.compile(r"(\w)___\w+")
_INTEGERS = {
    name: canonical
    for canonical, names in {
        "u8": "__u8 uint8_t u_char unsigned_char bool _Bool",
        "s8": "__s8 int8_t char signed_char",
        "u16": "__u16 uint16_t unsigned_short short_unsigned_int unsigned_short_int __le16 __be16 __sum16",
        "s16": "__s16 int16_t short short_int",
        "u32": "__u32 uint32_t unsigned unsigned_int uint u_int __le32 __be32",
        "s32": "__s32 int32_t int signed_int",
        "u64": "__u64 uint64_t unsigned_long_long long_long_unsigned_int __le64 __be64",
        "s64": "__s64 int64_t long_long long_long_int",
        "ulong": "unsigned_long long_unsigned_int uintptr_t",
        "long": "long_int",
    }.items()
    for name in (canonical, *names.split())
}
"""Names of the same integer. Those as wide as a pointer stand apart: they differ by architecture."""
_ARRAY = re.compile(r"(.+?) \[ (\d* ?)\]")
_NAMES = re.compile(r"(?:(struct|union|enum) )?([A-Za-z_]\w*)")
_DEPTH_LIMIT = 8
_SPELLED = re.compile(r"(?:\b(?:unsigned|signed|short|long|int|char)\b\s*)+")


def same_type(old: str, new: str) -> bool:
    """Whether the texts name the same type, qualifiers and flavors (``x___old``) aside.

    Typedefs of plain integers are the integers: ``__u32`` is ``unsigned int``.
    """
    return old == new or _canonical(old) == _canonical(new)


def same_integer(old: str, new: str) -> bool:
    """Whether both are integers, and signed or not alike: they are the same where they are as long."""
    integers = _INTEGERS.values()
    before, after = _canonical(old), _canonical(new)
    return before in integers and after in integers and (before[0] == "u") is (after[0] == "u")


def both_integers(old: str, new: str) -> bool:
    """Whether both are integers, of whatever length."""
    integers = _INTEGERS.values()
    return _canonical(old) in integers and _canonical(new) in integers


def longer_array(old: str, new: str) -> bool:
    """Whether the new type is an array of the same elements, and has all that the old one had.

    A length of 0 or 1, or none, is how C has written arrays whose length is told elsewhere.
    """
    before, after = _ARRAY.fullmatch(_canonical(old)), _ARRAY.fullmatch(_canonical(new))
    if before is None or after is None or before[1] != after[1]:
        return False
    lengths = [int(found[2] or 0) for found in (before, after)]
    return min(lengths) <= 1 or lengths[0] <= lengths[1]


def alias_names(text: str) -> set[str]:
    """The names in a type's text that may be typedefs."""
    return {
        name for tag, name in _NAMES.findall(_canonical(text)) if not tag and name not in _INTEGERS.values()
    }


def resolved(text: str, targets: Mapping[str, str]) -> str:
    """The text with typedefs replaced by what they stand for, where that can be written in their place.

    A pointer to a function can stand only for the whole of a text: a star goes into its midst.
    """
    for _ in range(_DEPTH_LIMIT):
        found = [
            name
            for name in alias_names(text) & targets.keys()
            if "(" not in targets[name] or name == _canonical(text)
        ]
        if not found:
            break
        for name in found:
            text = targets[name].join(re.split(rf"\b{name}\b", text))
    return text


def _canonical(text: str) -> str:
    text = _FLAVOR.sub(r"\1", _WORDS.sub(" ", text))
    text = _SPELLED.sub(lambda found: "_".join(found[0].split()) + " ", text)
    words = re.findall(r"\w+|[^\w\s]", text)
    return " ".join(_INTEGERS.get(word, word) for word in words)
