"""A compile command of the kernel's build, as clang's front end wants it.

Only what decides which text is compiled, and what its types are, is kept. The list says what that is, and
everything else is code generation, warnings or files that are written, which nobody reads here.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = [
    "BUILD",
    "COMPILER",
    "KBUILD_ARCH",
    "TARGETS",
    "TREE",
    "Command",
    "is_own",
    "split_words",
    "translate",
]

TREE = "{tree}"
"""Stands in arguments for the tree's root, so that a dataset can be moved."""
BUILD = "{build}"
"""Stands in arguments for the prepared folder."""
COMPILER = "{compiler}"
"""Stands for the folder of the headers that a compiler brings (``stdarg.h``): gcc's own are for gcc."""

TARGETS = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armhf": "arm-linux-gnueabihf",
    "i386": "i686-linux-gnu",
    "ppc64el": "powerpc64le-linux-gnu",
    "riscv64": "riscv64-linux-gnu",
    "s390x": "s390x-linux-gnu",
}
"""Clang's target of each architecture."""

KBUILD_ARCH = {
    "amd64": "x86",
    "arm64": "arm64",
    "armhf": "arm",
    "i386": "x86",
    "ppc64el": "powerpc",
    "riscv64": "riscv",
    "s390x": "s390",
}
"""The folder of each architecture below ``arch/``."""

# Options whose value is a file or a folder.
_PATHS = ("-I", "-isystem", "-iquote", "-idirafter", "-include", "-imacros")
_KEPT = re.compile(
    r"""
    -[DU].*                                   # macros
    | -nostdinc
    | -std=.*                                 # which language
    | -O.*                                    # __OPTIMIZE__, which headers ask for
    | -f(?:no-)?(?:short-wchar|unsigned-char|signed-char|short-enums|ms-extensions|builtin(?:-\w+)?)
    | -ffreestanding | -fhosted
    | -f(?:no-)?(?:pic|PIC|pie|PIE)           # __PIC__
    | -fsanitize=(?:kernel-)?address          # __SANITIZE_ADDRESS__, by __has_feature
    | -m(?:16|32|64|x32)                      # the size of long and of pointers
    | -m(?:little|big)-endian
    | -m(?:general-regs-only|soft-float|hard-float|float-abi=.*|thumb|arm)
    | -mabi=.*
    | -mno-(?:sse\w*|mmx|3dnow|avx\w*|80387|altivec|vsx)
    """,
    re.VERBOSE,
)
# What is kept although it looks like the above, or dropped although it does, and why.
_DROPPED = re.compile(
    r"""
    -mabi=(?:lp64|aapcs-linux)                # clang's own default under another name, or unknown to it
    | -fno-builtin-wcslen                     # says nothing about types
    """,
    re.VERBOSE,
)

_WORD = re.compile(r"""(?:[^\s"'\\;&|]+|"(?:\\.|[^"\\])*"|'[^']*'|\\.)+|;|&&|\|\|?|&""", re.DOTALL)
_QUOTED = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)""", re.DOTALL)


class Command(NamedTuple):
    """What one command compiles; paths begin with :data:`TREE` or :data:`BUILD` where they lie below
    these."""

    source: str
    object: str
    arguments: list[str]


def split_words(line: str) -> list[str]:
    """Split a line of shell as the shell does, without running or expanding anything; ``;`` is a word of
    its own."""
    words = _WORD.findall(line)
    return [_unquoted(word) if "'" in word or '"' in word or "\\" in word else word for word in words]


def _unquoted(word: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found[1] is not None:
            return found[1]
        return found[3] if found[3] is not None else re.sub(r'\\([$`"\\\n])', r"\1", found[2])

    return _QUOTED.sub(plain, word)


def translate(words: list[str], tree: str, build: str, directory: str | None = None) -> Command | None:
    """Read a command's words, without the compiler; ``None`` if it does not compile C to an object.

    ``directory`` is where relative paths count from, the prepared folder if nothing is said.
    """
    here = directory or build
    kept: list[str] = []
    source = target = None
    compiles = False
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word in {"-o", "-MF", "-MT", "-MQ", "-x", "--param", "-arch", "-Xassembler"}:
            value = words[at] if at < len(words) else ""
            at += 1
            if word == "-o":
                target = value
        elif option := next((option for option in _PATHS if word.startswith(option)), None):
            if word == option:
                value = words[at] if at < len(words) else ""
                at += 1
            else:
                value = word[len(option) :].removeprefix("=")
            kept += _path_option(option, _located(value, tree, build, here))
        elif word in {"-D", "-U"}:
            kept.append(word + (words[at] if at < len(words) else ""))
            at += 1
        elif word.startswith("-"):
            compiles = compiles or word == "-c"
            if _KEPT.fullmatch(word) and not _DROPPED.fullmatch(word):
                kept.append(word)
        elif word.endswith(".c"):
            source = word
    if not (compiles and source and target):
        return None
    place = _located(target, tree, build, here)
    name = place.partition("/")[2] if place.startswith((TREE, BUILD)) else target
    return Command(_located(source, tree, build, here), name, kept)


def _path_option(option: str, value: str) -> list[str]:
    if not value.startswith((TREE, BUILD)):
        # Only a compiler's own headers lie outside, and only folders are asked for there.
        return ["-isystem", COMPILER] if option == "-isystem" else []
    return [option + value] if option == "-I" else [option, value]


def _located(path: str, tree: str, build: str, directory: str) -> str:
    whole = path if path.startswith("/") else f"{directory}/{path}"
    parts: list[str] = []
    for part in PurePosixPath(whole).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    plain = "/" + "/".join(parts)
    # The prepared folder may lie in the tree, or the tree in it: the longer name is the closer one.
    for root, mark in sorted(((tree, TREE), (build, BUILD)), key=lambda pair: -len(pair[0])):
        if plain == root or plain.startswith(root + "/"):
            return mark + plain[len(root) :]
    return plain


def is_own(argument: str) -> bool:
    """Tell if an argument belongs to one unit alone: its own name and its module's."""
    return argument.startswith(("-DKBUILD_", "-D__KBUILD_"))
