"""What a file is, told by its bytes: a kind of consumer, an archive, compressed, or none of these."""

from __future__ import annotations

import ast
import mmap
import re
from collections.abc import Callable, Iterator

from ksurf.check.dependency import ConsumerKind

__all__ = ["HEAD_BYTES", "TAR_HEADER_BYTES", "Content", "is_archive", "is_compressed", "is_elf", "kind_of"]

Content = bytes | mmap.mmap
"""The bytes of a file, which are not all read only to look at some."""

HEAD_BYTES = 256 << 10
"""As much of a compressed file as gives the first bytes of what it stands for: zstd's blocks have 128 KiB."""
TAR_HEADER_BYTES = 512

_TEXT_BYTES = 16 << 20
_ELF = b"\x7fELF"
_COMPRESSED = (b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x1f\x8b")
_ELF_HEADER_BYTES = 20
"""Of an ELF header, up to the machine."""
_ET_REL = 1
_EM_BPF = 247


def is_compressed(head: bytes) -> bool:
    """Whether it begins as xz, zstd and gzip do."""
    return head.startswith(_COMPRESSED)


def is_elf(head: bytes) -> bool:
    """Whether it begins as ELF files do."""
    return head.startswith(_ELF)


def is_archive(head: bytes) -> bool:
    """A Debian package, or a tar archive of POSIX's or GNU's making."""
    if head.startswith(b"!<arch>\n"):
        return head[8:].startswith(b"debian-binary")
    return head[257:262] == b"ustar"


def kind_of(data: Content, *, strict: bool = True) -> ConsumerKind | None:
    """What sort of consumer a file's bytes are; ``None`` if none.

    ``strict`` asks of a plain list that every line of it is one of a list; else the first line tells.
    """
    if data[:4] == _ELF:
        return _kind_of_elf(data)
    if not data or len(data) > _TEXT_BYTES or b"\0" in data[:HEAD_BYTES]:
        return None
    text = bytes(data).decode("utf-8", "replace")
    for kind, is_one in _TEXTS.items():
        if is_one(text, strict):
            return kind
    return None


def _kind_of_elf(data: Content) -> ConsumerKind | None:
    if _machine(data, 0) == _EM_BPF:
        return ConsumerKind.BPF_OBJECT
    if len(data) < _ELF_HEADER_BYTES:
        return None
    is_object = int.from_bytes(data[16:18], "big" if data[5] == 2 else "little") == _ET_REL
    # include/linux/module.h, scripts/module.lds.S: only a module has this section. Its name may be the end of
    # that of its relocations.
    if is_object and data.find(b".gnu.linkonce.this_module\0") >= 0:
        return ConsumerKind.MODULE
    at = data.find(_ELF, 1)
    while at >= 0:
        if _machine(data, at) == _EM_BPF:
            return ConsumerKind.BPF_OBJECT
        at = data.find(_ELF, at + 1)
    return None


def _machine(data: Content, at: int) -> int | None:
    """``e_machine`` of an ELF header. Source: elf(5)."""
    header = data[at : at + _ELF_HEADER_BYTES]
    if len(header) < _ELF_HEADER_BYTES:
        return None
    return int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")


_SHEBANG = re.compile(r"#![ \t]*(.*)")
_BCC_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+bcc[ \t]+import\b|import[ \t]+bcc\b)", re.MULTILINE)


def _is_bcc(text: str, strict: bool) -> bool:
    if not _BCC_IMPORT.search(text):
        return False
    shebang = _SHEBANG.match(text)
    if shebang:
        return "python" in shebang[1]
    try:  # a text about Python is none: read, not run
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


# bpftrace's own names of probes, long and short (its language's manual, "Probes"): those with one more part,
# and those with two at least. What CSS has before a colon is among the short ones of these.
_PLAIN = "kprobe kretprobe kfunc kretfunc fentry fexit rawtracepoint iter kr fr rt it k f".split()
_LONG = (
    "tracepoint uprobe uretprobe usdt profile interval software hardware watchpoint asyncwatchpoint self "
    "bench ur aw t u U p i s h w"
).split()
_PROBE = rf"(?:(?:(?:{'|'.join(_PLAIN)})|(?:{'|'.join(_LONG)}):[^\s{{}}:,;]+):[^\s{{}},;]*)"
_PROBES = re.compile(rf"^[ \t]*{_PROBE}(?:\s*,\s*{_PROBE})*+\s*(?:/[^\n]*/\s*)?\{{", re.MULTILINE)
_BEGIN = re.compile(
    rf"\s*+(?:#[ \t]*(?:include|define|undef|if|ifdef|ifndef|else|endif)\b[^\n]*\n\s*+)*+"
    rf"(?:(?:struct|union|enum|config|macro|fn|import|BEGIN|END)\b|{_PROBE})"
)
# A comment without an end goes on to the end: else each that begins would be searched for one.
_COMMENT = re.compile(r"//[^\n]*|/\*(?:.*?\*/|.*)|\"(?:[^\"\\\n]|\\.)*+\"?", re.DOTALL)


def _is_bpftrace(text: str, strict: bool) -> bool:
    if shebang := _SHEBANG.match(text):
        return re.search(r"\bbpftrace\b", shebang[1]) is not None
    if ":" not in text or "{" not in text:
        return False
    code = _COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return _BEGIN.match(code) is not None and _PROBES.search(code) is not None


def _is_list(text: str, strict: bool) -> bool:
    rest = _significant(text)
    first = next(rest, None)
    if first is None or not _may_be_listed(first):
        return False
    lines = [first, *rest]
    # A word that is misspelt costs its line, not the list.
    listed = sum(map(_is_listed, lines))
    meant = all(map(_may_be_listed, lines))
    return meant and listed * 2 >= len(lines) if strict else meant or listed > 0


def _significant(text: str) -> Iterator[str]:
    """The lines that say something."""
    return (line for raw in text.splitlines() if (line := raw.partition("#")[0].strip()))


def _is_listed(line: str) -> bool:
    from ksurf.check.names import WORDS, kind_word

    word, colon, name = line.removeprefix("?").lstrip().partition(":")
    return bool(colon) and kind_word(word) in WORDS and bool(name) and not re.search(r"[\s{}]", name.strip())


_LIKE_LISTED = re.compile(r"\??[a-z_.]+:[^\s{}:/]\S*")


def _may_be_listed(line: str) -> bool:
    """A line of a list, or what may be meant as one: ``kprob:vfs_read``."""
    return _LIKE_LISTED.fullmatch(line) is not None or _is_listed(line)


_TEXTS: dict[ConsumerKind, Callable[[str, bool], bool]] = {
    ConsumerKind.BPFTRACE: _is_bpftrace,
    ConsumerKind.BCC: _is_bcc,
    ConsumerKind.LIST: _is_list,
}
