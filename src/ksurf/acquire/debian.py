"""Debian's archive: which kernels its suites offer, and where each one's packages can be had."""

import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from ksurf.acquire.config import config_packages
from ksurf.acquire.files import write_atomically
from ksurf.acquire.http import ABSENT, CONNECTIONS, Http, join, shown, together
from ksurf.acquire.index import Entry, dump_entries, load_entries, parse_packages
from ksurf.acquire.release import IndexFile, Release
from ksurf.acquire.suites import Suites
from ksurf.errors import KsurfError, MirrorError, NotOnMirrorError, VerificationError
from ksurf.kernel import Kernel, version_key
from ksurf.progress import Reporter

__all__ = ["Catalog", "DebianArchive", "Offer", "PackageOffer", "SourceOffer"]


@dataclass(frozen=True)
class PackageOffer:
    """A package in the archive."""

    package: str
    version: str
    arch: str
    byte_size: int
    sha256: str
    urls: tuple[str, ...]
    """Where it is; several suites may list the same file on several mirrors."""

    @property
    def filename(self) -> str:
        """The package's name as a file, made of checked parts."""
        return f"{self.package}_{self.version.rpartition(':')[2]}_{self.arch}.deb"


@dataclass(frozen=True)
class Offer:
    """A kernel in the archive: its debug package, and where its configuration is."""

    kernel: Kernel
    suites: tuple[str, ...]
    debug: PackageOffer
    configs: tuple[PackageOffer, ...] = ()
    """Packages that have its configuration, the one to prefer first."""

    @property
    def headers(self) -> PackageOffer | None:
        """The package with what its build made before it compiled anything."""
        name = f"linux-headers-{self.kernel.release}"
        return next((package for package in self.configs if package.package == name), None)


@dataclass(frozen=True)
class SourceOffer:
    """A package in the archive with the source of kernels."""

    base_version: str
    suites: tuple[str, ...]
    package: PackageOffer


@dataclass(frozen=True)
class Catalog:
    """What some of an archive's lists offer; both in version order."""

    kernels: list[Offer]
    sources: list[SourceOffer]


class _OutOfStepError(Exception):
    """A list is not on the mirror, or not as the suite's index says."""

    def __init__(self, cause: KsurfError) -> None:
        super().__init__(cause)
        self.cause = cause


class DebianArchive:
    """The archive, seen through its suites. Of each list only the kernels' packages are kept."""

    def __init__(self, suites: Suites, http: Http, cache: Path, reporter: Reporter) -> None:
        """Read the lists of ``suites``."""
        self._suites = suites
        self._http = http
        self._cache = cache / "lists"
        self._reporter = reporter
        # xz takes up to 64 MiB for each list that is being read: no more at a time than there are cores.
        self._parsing = threading.BoundedSemaphore(os.cpu_count() or 1)

    def offers(self, *, arches: Collection[str] | None = None, suites: Sequence[str] = ()) -> list[Offer]:
        """Return the kernels that the archive offers, in version order; see :meth:`catalog`."""
        return self.catalog(arches=arches, suites=suites).kernels

    def catalog(self, *, arches: Collection[str] | None = None, suites: Sequence[str] = ()) -> Catalog:
        """Return what the archive offers: kernels, and source.

        ``arches`` and ``suites`` narrow down what has to be fetched; by default all that there are. A list
        that is not as its suite's index says is left out, with a warning: large mirrors are renewed piece by
        piece. It is an error if that is so of all lists.
        """
        lists = [
            (release, arch)
            for release in self._suites.find(suites)
            for arch in release.packages
            if arches is None or arch in arches
        ]
        new = {
            index.sha256: index.byte_size
            for release, arch in lists
            if not self._path(index := release.packages[arch]).is_file()
        }
        total, waiting = sum(new.values()), dict(new)
        label = "Reading the archive's lists of packages"
        with self._reporter.task(label, total) as task, ThreadPoolExecutor(CONNECTIONS) as pool:

            def read(one: tuple[Release, str]) -> list[Entry] | _OutOfStepError:
                release, arch = one
                try:
                    return self._entries(release, arch)
                except _OutOfStepError as error:
                    return error
                finally:
                    waiting.pop(release.packages[arch].sha256, None)
                    task.update(total - sum(list(waiting.values())))

            found = list(zip(lists, together(pool, read, lists), strict=True))
        failures = [entries for _, entries in found if isinstance(entries, _OutOfStepError)]
        if failures and len(failures) == len(found):
            raise failures[0].cause
        self._warn_of_left_out(found)
        lists_read = [(release, entries) for (release, _), entries in found if isinstance(entries, list)]
        packages = _packages(lists_read)
        return Catalog(_kernels(lists_read, packages), _sources(lists_read, packages))

    def _warn_of_left_out(
        self, found: Sequence[tuple[tuple[Release, str], list[Entry] | _OutOfStepError]]
    ) -> None:
        left_out: dict[str, list[str]] = {}
        for (release, arch), entries in found:
            if isinstance(entries, _OutOfStepError):
                left_out.setdefault(release.name, []).append(arch)
        if left_out:
            names = ", ".join(f"{name} ({', '.join(arches)})" for name, arches in left_out.items())
            self._reporter.warn(
                f"the mirror is out of step with its indexes; left out are its lists of {names}"
            )

    def _entries(self, release: Release, arch: str, *, renewed: bool = False) -> list[Entry]:
        """Return a list's kernels, from the cache if the list has not changed."""
        index = release.packages[arch]
        path = self._path(index)
        if path.is_file() and (cached := load_entries(path.read_bytes())) is not None:
            return cached
        try:
            body = self._fetch(release, index)
        except (VerificationError, NotOnMirrorError) as error:
            # The mirror may have been renewed since the suite's index came into the cache.
            again = None if renewed else self._suites.load(release.mirror, release.directory, renew=True)
            if again is None or again.packages.get(arch) in {None, index}:
                raise _OutOfStepError(error) from error
            return self._entries(again, arch, renewed=True)
        with self._parsing:
            entries = parse_packages(
                body, shown(f"{release.mirror.url}/dists/{release.directory}/{index.path}")
            )
        write_atomically(path, dump_entries(entries))
        return entries

    def _fetch(self, release: Release, index: IndexFile) -> bytes:
        dists = f"dists/{release.directory}"
        paths = [f"{dists}/{index.path}"]
        if release.by_hash:
            # A name of its own for each content: a mirror that is being renewed still has the old one.
            paths.insert(0, f"{dists}/{index.path.rpartition('/')[0]}/by-hash/SHA256/{index.sha256}")
        for path in paths:
            url = join(release.mirror.url, path)
            answer = self._http.fetch(url, index.byte_size)
            if answer.status in ABSENT or (answer.status == 200 and not answer.body and index.byte_size):
                continue
            if answer.status != 200:
                raise MirrorError(f"{shown(url)}: the server answered {answer.status}")
            if (actual := sha256(answer.body).hexdigest()) != index.sha256:
                raise VerificationError(
                    f"{shown(url)}: its SHA256 is {actual}, the suite's index says {index.sha256}",
                    "the mirror may be in the middle of an update: try again in some minutes",
                )
            return answer.body
        raise NotOnMirrorError(
            f"{shown(join(release.mirror.url, paths[-1]))}: the suite's index lists it, the mirror lacks it",
            "the mirror is out of step with itself: try again later, or name another with --mirror",
        )

    def _path(self, index: IndexFile) -> Path:
        return self._cache / f"{index.sha256}.json"


_Packages = dict[tuple[str, str, str], PackageOffer]
"""By name, version and architecture."""


def _packages(found: Sequence[tuple[Release, list[Entry]]]) -> _Packages:
    """The packages of all lists; what has the same content in several is one with several addresses."""
    packages: _Packages = {}
    for release, entries in found:
        for entry in entries:
            key = (entry.package, entry.version, entry.arch)
            url = join(release.mirror.url, entry.filename)
            known = packages.get(key)
            if known is None:
                packages[key] = PackageOffer(*key, entry.byte_size, entry.sha256, (url,))
            elif known.sha256 == entry.sha256:
                packages[key] = replace(known, urls=(*dict.fromkeys((*known.urls, url)),))
    return packages


def _kernels(found: Sequence[tuple[Release, list[Entry]]], packages: _Packages) -> list[Offer]:
    offers: dict[str, Offer] = {}
    for release, entries in found:
        for entry in entries:
            kernel = _kernel(entry)
            debug = packages[entry.package, entry.version, entry.arch]
            if kernel is None or debug.sha256 != entry.sha256:
                continue
            suites = offers[kernel.id].suites if kernel.id in offers else ()
            names = config_packages(kernel.release, kernel.base_version)
            configs = (packages.get((name, entry.version, entry.arch)) for name in names)
            offers[kernel.id] = Offer(
                kernel,
                (*dict.fromkeys((*suites, release.name)),),
                debug,
                tuple(config for config in configs if config is not None),
            )
    return sorted(offers.values(), key=lambda offer: offer.kernel)


def _sources(found: Sequence[tuple[Release, list[Entry]]], packages: _Packages) -> list[SourceOffer]:
    offers: dict[PackageOffer, SourceOffer] = {}
    for release, entries in found:
        for entry in entries:
            package = packages[entry.package, entry.version, entry.arch]
            if entry.source_of is None or package.sha256 != entry.sha256:
                continue
            suites = offers[package].suites if package in offers else ()
            offers[package] = SourceOffer(
                entry.source_of, (*dict.fromkeys((*suites, release.name)),), package
            )
    return sorted(offers.values(), key=lambda offer: version_key(offer.package.version))


def _kernel(entry: Entry) -> Kernel | None:
    if entry.release is None:
        return None
    try:
        return Kernel.from_release(entry.release, version=entry.version, distro="debian", arch=entry.arch)
    except ValueError:
        return None  # "linux-image-6-dbg" and the like: no kernel's release
