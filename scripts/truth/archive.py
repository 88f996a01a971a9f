"""Packages of Debian's archive beside a kernel's debug package: its image, its modules, its source, busybox,
and what has eBPF programs.

The suites, the mirrors and the checks are ksurf's own; only the lists are read for other packages here.
"""

import io
import lzma
import re
import subprocess
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

from ksurf.acquire import apt
from ksurf.acquire.debian import DebianArchive, Offer
from ksurf.acquire.download import download
from ksurf.acquire.http import Http, join, shown
from ksurf.acquire.mirror import apt_mirrors
from ksurf.acquire.release import Release
from ksurf.acquire.suites import Suites
from ksurf.errors import InputError, KsurfError, NotOnMirrorError, VerificationError
from ksurf.kernel import version_key
from ksurf.paths import cache_dir
from ksurf.progress import Reporter
from ksurf.selector import Selector, select

__all__ = ["Archive", "Package", "source_files", "unpacked"]

_WANTED = re.compile(
    r"Package: (busybox-static|libbpf-tools|systemd|linux-(?:image|binary|modules|source)-\d\S*)\n"
)
_FIELD = re.compile(r"(?m)^(Version|Filename|Size|SHA256): (\S+)$")


@dataclass(frozen=True)
class Package:
    """A package as a suite's list describes it."""

    name: str
    version: str
    filename: str
    url: str
    byte_size: int
    sha256: str


class Archive:
    """Debian's archive, as apt is configured on this machine."""

    def __init__(self, reporter: Reporter) -> None:
        """Ask nothing yet."""
        self._http = Http(apt.proxy())
        self._reporter = reporter
        self._suites = Suites(apt_mirrors(apt.read_sources()), self._http, cache_dir(), reporter)
        self._lists: dict[str, list[Package]] = {}
        self._kernels = DebianArchive(self._suites, self._http, cache_dir(), reporter)

    def newest(self, selector: str) -> Offer:
        """Return the newest kernel whose debug package the mirror really has, as ``ksurf pull`` takes it."""
        wanted = Selector.parse(selector).with_defaults("amd64")
        arches = {wanted.arch} if wanted.arch else None
        offers = {offer.kernel: offer for offer in self._kernels.offers(arches=arches)}
        for kernel in reversed(select(offers, [wanted])):
            if any(map(self._http.exists, offers[kernel].debug.urls)):
                return offers[kernel]
        raise NotOnMirrorError(f"{selector}: the mirror has none of the debug packages that its lists name")

    def find(self, name: str, arch: str, suites: Sequence[str], version: str | None = None) -> Package | None:
        """Return a package of these suites, the newest if no version is named, or ``None``."""
        found = [
            package
            for release in self._suites.find()
            if arch in release.packages and any(map(release.is_called, suites))
            for package in self._list(release, arch)
            if package.name == name and version in {None, package.version}
        ]
        return max(found, key=lambda package: version_key(package.version), default=None)

    def _list(self, release: Release, arch: str) -> list[Package]:
        index = release.packages[arch]
        if index.sha256 not in self._lists:
            dists = f"dists/{release.directory}"
            by_hash = f"{dists}/{index.path.rpartition('/')[0]}/by-hash/SHA256/{index.sha256}"
            url = join(release.mirror.url, by_hash if release.by_hash else f"{dists}/{index.path}")
            answer = self._http.fetch(url, index.byte_size)
            if answer.status != 200 or sha256(answer.body).hexdigest() != index.sha256:
                hint = "the mirror may be in the middle of an update: try again in some minutes"
                raise VerificationError(f"{shown(url)}: it is not as the suite's index says", hint)
            text = _decompressed(answer.body, index.path).decode("utf-8", "replace")
            self._lists[index.sha256] = [*_packages(text, release.mirror.url)]
        return self._lists[index.sha256]

    def fetch(self, package: Package) -> Path:
        """Bring a package into the cache, checked."""
        return download(
            self._http,
            [package.url],
            cache_dir() / "packages" / package.filename,
            byte_size=package.byte_size,
            sha256=package.sha256,
            reporter=self._reporter,
        )


def _decompressed(body: bytes, path: str) -> bytes:
    if path.endswith(".xz"):
        return lzma.decompress(body)
    return zlib.decompress(body, wbits=31) if path.endswith(".gz") else body


def _packages(text: str, base: str) -> Iterator[Package]:
    for paragraph in text.split("\n\n"):
        if named := _WANTED.match(paragraph):
            fields = dict(_FIELD.findall(paragraph))
            yield Package(
                name=named[1],
                version=fields["Version"],
                filename=PurePosixPath(fields["Filename"]).name,
                url=join(base, fields["Filename"]),
                byte_size=int(fields["Size"]),
                sha256=fields["SHA256"],
            )


def unpacked(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a package: path without a leading ``./``, and content."""
    try:
        process = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    except FileNotFoundError as error:
        raise InputError("dpkg-deb is not installed", "apt install dpkg") from error
    with process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                for member in tar:
                    if member.isfile() and (file := tar.extractfile(member)) is not None:
                        yield member.name.removeprefix("./"), file.read()
            if process.stdout is not None:
                process.stdout.read()  # what pads the archive
        except tarfile.TarError as error:
            raise KsurfError(f"{package}: {error}") from error
        finally:
            process.kill()


def source_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a ``linux-source`` package: path in the kernel's tree, and content."""
    for path, content in unpacked(package):
        if path.endswith((".tar.xz", ".tar.zst", ".tar.gz")):
            with tarfile.open(fileobj=io.BytesIO(content), mode="r|*") as tar:
                for member in tar:
                    if member.isfile() and (file := tar.extractfile(member)) is not None:
                        yield member.name.partition("/")[2], file.read()
            return
    raise KsurfError(f"{package}: no archive of the kernel's source in it")
