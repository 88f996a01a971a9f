"""What depends on the kernel, for the tests: packages of Debian's archive, fetched as kernels are."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
from functools import cache
from pathlib import Path

from debian.deb822 import Deb822

from ksurf.acquire import apt
from ksurf.acquire.debian import DebianArchive
from ksurf.acquire.download import download
from ksurf.acquire.http import Http, join
from ksurf.acquire.index import _decompressed
from ksurf.acquire.mirror import apt_mirrors
from ksurf.acquire.suites import Suites
from ksurf.progress import Silent

SUITE = "bookworm"
"""Its tools are known by version; a newer suite would change what the tests count."""


class Material:
    """Packages below ``folder``, which is kept between runs of the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cache  # noqa: B019  # there is one object per session
    def package(self, name: str, suite: str = SUITE, arch: str = "amd64") -> Path:
        """The package's file, as the suite has it now."""
        paragraph, urls = self._paragraph(name, suite, arch)
        target = self.folder / "material" / Path(paragraph["Filename"]).name
        size, sha256 = int(paragraph["Size"]), paragraph["SHA256"]
        return download(_http(), urls, target, byte_size=size, sha256=sha256, reporter=Silent())

    @cache  # noqa: B019
    def unpacked(self, name: str, suite: str = SUITE, arch: str = "amd64") -> Path:
        """The folder with the package's files."""
        package = self.package(name, suite, arch)
        folder = package.with_name(package.name.removesuffix(".deb"))
        if not folder.is_dir():
            # Another run of the tests may unpack it at the same time.
            own = folder.with_name(f".{folder.name}.{os.getpid()}")
            data = next(body for member, body in ar_members(package) if member.startswith("data.tar"))
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                extract(tar, own)
            try:
                own.rename(folder)
            except OSError:
                shutil.rmtree(own)
        return folder

    def _paragraph(self, name: str, suite: str, arch: str) -> tuple[Deb822, list[str]]:
        pattern = re.compile(rb"^Package: " + re.escape(name.encode()) + rb"$.*?^$", re.MULTILINE | re.DOTALL)
        for release, text in self._lists(suite, arch):
            if found := pattern.search(text):
                paragraph = Deb822(found[0])
                return paragraph, [join(release, paragraph["Filename"])]
        raise AssertionError(f"{suite} has no package {name} for {arch}")

    @cache  # noqa: B019
    def _lists(self, suite: str, arch: str) -> list[tuple[str, bytes]]:
        """The suite's lists of packages, and the address that each counts from."""
        cache, http = self.folder, _http()
        suites = Suites(apt_mirrors(apt.read_sources()), http, cache, Silent())
        archive = DebianArchive(suites, http, cache, Silent())
        lists = []
        for release in suites.find([suite]):
            index = release.packages[arch]
            text = b"".join(_decompressed(archive._fetch(release, index), index.path))
            lists.append((release.mirror.url, text + b"\n"))
        return lists


def extract(tar: tarfile.TarFile, folder: Path, below: tuple[str, ...] = ("",)) -> None:
    """Unpack what lies below some folders of it, without what would lead out, and without devices.

    Python 3.11 has filters for that from 3.11.4 on only.
    """
    for member in tar:
        plain = member.name.removeprefix("./")
        names = [plain, member.linkname] if member.islnk() else [plain]
        outside = any(name.startswith("/") or ".." in Path(name).parts for name in names)
        absolute_link = member.issym() and member.linkname.startswith("/")
        if plain.startswith(below) and not (outside or absolute_link or member.isdev()):
            tar.extract(member, folder, set_attrs=not member.isdir())


@cache
def _http() -> Http:
    return Http(apt.proxy())


def ar_members(path: Path) -> list[tuple[str, bytes]]:
    """The members of an ar archive. Source: ar(5)."""
    data, members, at = path.read_bytes(), [], 8
    assert data.startswith(b"!<arch>\n")
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode().strip().rstrip("/"), int(data[at + 48 : at + 58])
        members.append((name, data[at + 60 : at + 60 + size]))
        at += 60 + size + size % 2
    return members
