"""Lists of packages: of the many in one, the few with kernels' debug information, configurations or source.

Sources: the repository format; deb-control(5). A list is some ten megabytes compressed and holds tens of
thousands of packages, so that only the paragraphs of kernels are looked at, as the text streams by.
"""

import json
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from debian.deb822 import Deb822

from ksurf.errors import VerificationError

__all__ = ["Entry", "dump_entries", "load_entries", "parse_packages"]

_FORMAT = 3
_CHUNK = 1 << 22
_PACKAGE = re.compile(rb"(?m)^Package: linux-(?:image|headers|base|config|source)-\d[^\n]*$")
_NAME = re.compile(r"linux-[a-z]+-\d[A-Za-z0-9.+~-]*")
_DEBUG = re.compile(r"linux-image-(.+)-dbg")
_SOURCE = re.compile(r"linux-source-(\d+\.\d+)")
_VERSION = re.compile(r"(?:\d+:)?[A-Za-z0-9.+~-]+")


@dataclass(frozen=True)
class Entry:
    """A package of a kernel as a list describes it."""

    package: str
    version: str
    arch: str
    filename: str
    """Path below the archive's base; checked to be one."""
    byte_size: int
    sha256: str

    @property
    def release(self) -> str | None:
        """The kernel's release, if this is its debug package."""
        found = _DEBUG.fullmatch(self.package)
        return found[1] if found else None

    @property
    def source_of(self) -> str | None:
        """The base version of the kernels whose source it is, if it is that."""
        found = _SOURCE.fullmatch(self.package)
        return found[1] if found else None


def parse_packages(compressed: bytes, path: str) -> list[Entry]:
    """Return the kernels' debug packages of a list, those of the same build that have configurations, and
    those with source.

    Meta-packages, which only depend on a debug package, are left out. A paragraph that is not as it must be
    raises :class:`~ksurf.errors.VerificationError`, which names it.
    """
    entries: list[Entry] = []
    rest = b""
    try:
        for chunk in _decompressed(compressed, path):
            text = rest + chunk
            end = text.rfind(b"\n\n") + 2 if b"\n\n" in text else 0
            entries += _kernels(text[:end], path)
            rest = text[end:]
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise VerificationError(f"{path}: the list of packages is damaged: {error}") from error
    entries += _kernels(rest, path)
    builds = {(entry.version, entry.arch) for entry in entries if entry.release}
    return [entry for entry in entries if entry.source_of or (entry.version, entry.arch) in builds]


def _decompressed(data: bytes, path: str) -> Iterator[bytes]:
    if path.endswith(".xz"):
        xz = lzma.LZMADecompressor()
        while not xz.eof:
            if not (chunk := xz.decompress(data, _CHUNK)) and xz.needs_input:
                raise EOFError("it ends early")
            data = b""
            yield chunk
    elif path.endswith(".gz"):
        gzip = zlib.decompressobj(wbits=31)
        while data and not gzip.eof:
            yield gzip.decompress(data, _CHUNK)
            data = gzip.unconsumed_tail
        if not gzip.eof:
            raise EOFError("it ends early")
    else:
        yield data


def _kernels(text: bytes, path: str) -> Iterator[Entry]:
    for found in _PACKAGE.finditer(text):
        start = text.rfind(b"\n\n", 0, found.start()) + 1
        end = text.find(b"\n\n", found.end())
        paragraph = Deb822(text[start : end if end >= 0 else len(text)].strip(b"\n"))
        if paragraph["Package"].endswith("-dbg") and "linux-image-" in paragraph.get("Depends", ""):
            continue
        yield _entry(paragraph, path)


def _entry(paragraph: Deb822, path: str) -> Entry:
    package = paragraph["Package"]

    def field(name: str, pattern: str | re.Pattern[str]) -> str:
        value = str(paragraph.get(name, ""))
        if not re.fullmatch(pattern, value):
            raise VerificationError(
                f"{path}: the package {package} has the {name} {value!r}, which is refused"
            )
        return value

    if not _NAME.fullmatch(package):
        raise VerificationError(f"{path}: the package name {package!r} is refused")
    filename = field("Filename", r"[!-~]+\.deb")
    # Absolute, climbing, an address, or with characters that servers and file systems read differently.
    if re.search(r"[\\:?#]|//", filename) or {"/", "..", "."} & {*PurePosixPath(filename).parts}:
        raise VerificationError(
            f"{path}: the package {package} has the Filename {filename!r}, which is refused"
        )
    return Entry(
        package=package,
        version=field("Version", _VERSION),
        arch=field("Architecture", "[a-z0-9-]+"),
        filename=filename,
        byte_size=int(field("Size", r"[1-9]\d{0,14}")),
        sha256=field("SHA256", "[0-9a-f]{64}"),
    )


def dump_entries(entries: list[Entry]) -> bytes:
    """Return the entries of a list as a small file for the cache."""
    return json.dumps({"format": _FORMAT, "entries": [asdict(entry) for entry in entries]}).encode()


def load_entries(content: bytes) -> list[Entry] | None:
    """Read what :func:`dump_entries` wrote; ``None`` if another version of ksurf wrote it."""
    try:
        cached = json.loads(content)
        return [Entry(**entry) for entry in cached["entries"]] if cached["format"] == _FORMAT else None
    except (ValueError, KeyError, TypeError):
        return None
