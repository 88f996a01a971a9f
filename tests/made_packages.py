"""Debian packages and tar archives, made in memory."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Mapping

__all__ = ["package", "tar", "tar_of"]


def tar(files: Mapping[str, bytes], compression: str = "xz", prefix: str = "") -> bytes:
    """A tar archive with files; ``compression`` is ``xz``, ``gz`` or nothing."""
    members = []
    for name, content in files.items():
        info = tarfile.TarInfo(prefix + name)
        info.size = len(content)
        members.append((info, content))
    return tar_of(members, compression)


def tar_of(members: list[tuple[tarfile.TarInfo, bytes]], compression: str = "xz") -> bytes:
    """A tar archive with any members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    if compression == "xz":
        return lzma.compress(out.getvalue())
    return gzip.compress(out.getvalue()) if compression == "gz" else out.getvalue()


def package(files: Mapping[str, bytes], **control: str) -> bytes:
    """A package with files and a control paragraph. Source: deb(5), ar(5)."""
    paragraph = "".join(f"{name}: {value}\n" for name, value in control.items()).encode()
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar({"./control": paragraph}),
        "data.tar.xz": tar(files, prefix="./"),
    }
    out = b"!<arch>\n"
    for name, content in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode() + content
        out += b"\n" * (len(content) % 2)
    return out
