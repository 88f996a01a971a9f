"""Types as C text: whether two mean the same to who reads a value."""

from __future__ import annotations

import re

__all__ = ["same_type"]

_WORDS = re.compile(r"\b(?:const|volatile|restrict|__rcu|__user|__percpu|__kernel|__bitwise)\b")
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
_SPELLED = re.compile(r"(?:\b(?:unsigned|signed|short|long|int|char)\b\s*)+")


def same_type(old: str, new: str) -> bool:
    """Whether the texts name the same type, qualifiers and flavors (``x___old``) aside.

    Typedefs of plain integers are the integers: ``__u32`` is ``unsigned int``.
    """
    return old == new or _canonical(old) == _canonical(new)


def _canonical(text: str) -> str:
    text = _FLAVOR.sub(r"\1", _WORDS.sub(" ", text))
    text = _SPELLED.sub(lambda found: "_".join(found[0].split()) + " ", text)
    words = re.findall(r"\w+|[^\w\s]", text)
    return " ".join(_INTEGERS.get(word, word) for word in words)
