"""``ksurf pull``: kernels from Debian's archive into the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import archive_options, dataset_option, threads_option
from ksurf.errors import KsurfError, MirrorError, NotOnMirrorError, VerificationError

if TYPE_CHECKING:
    from ksurf.acquire.debian import Offer, PackageOffer
    from ksurf.acquire.http import Http
    from ksurf.dataset.store import Store
    from ksurf.progress import Reporter

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf pull debian:6.12-cloud-arm64 debian:7.3-cloud-amd64
  ksurf pull 6.1.0-56-cloud-amd64
"""


@click.command(epilog=_EXAMPLES)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option(
    "--fallback/--no-fallback",
    default=True,
    help="Whether the newest match that the mirror has is taken, with a warning, if it lacks the newest one.",
)
@click.option("--download-only", is_flag=True, help="Fetch and check the packages, and print where they are.")
@click.option("--keep/--no-keep", default=True, help="Whether packages stay in the cache once they are read.")
@threads_option("read a kernel")
@archive_options
@dataset_option
def command(
    selectors: tuple[str, ...],
    fallback: bool,
    download_only: bool,
    keep: bool,
    threads: int,
    mirrors: tuple[str, ...],
    keyrings: tuple[str, ...],
    unsigned: bool,
    dataset: Path,
) -> None:
    """Fetch kernels from Debian's archive into the dataset.

    Of each SELECTOR the newest match is fetched, checked and read, and its configuration with it.

    A selector is words joined by "-": a version, a flavor, an architecture, as in debian:6.12-cloud-arm64.
    Where no flavor is named the default one is meant, and where no architecture is named, this machine's. An
    exact release (uname -r) or a kernel's id is also taken. A kernel that is in the dataset is left as it is.
    """
    from ksurf.cli.archive import connect
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.cli.wanted import Wanted, arches_of, print_failed
    from ksurf.dataset.store import Store

    reporter = TerminalReporter()
    wanted = [Wanted.parse(text) for text in selectors]
    connection = connect(mirrors, keyrings, unsigned, reporter)
    offers = connection.archive.offers(arches=arches_of(wanted))
    pull = _Pull(connection.http, Store(dataset), reporter, fallback, download_only, keep, threads)
    failed = 0
    done: set[str] = set()
    for one in wanted:
        try:
            pull.newest(one.among(offers), done)
        except KsurfError as error:
            failed += 1
            print_failed(one, error)
    if failed:
        click.get_current_context().exit(1)


@dataclass(frozen=True)
class _Pull:
    http: Http
    store: Store
    reporter: Reporter
    fallback: bool
    download_only: bool
    keep: bool
    threads: int

    def newest(self, offers: Sequence[Offer], done: set[str]) -> None:
        """Take the newest of the offers, or what stands in for it; ``done`` are the ids taken before."""
        newest = offers[0]
        if newest.kernel.id in done:
            return
        try:
            self._take(newest)
            done.add(newest.kernel.id)
            return
        except NotOnMirrorError as error:
            stand_in = next(filter(self._can_be_had, offers[1:]), None)
            if stand_in is None:
                raise
            if not self.fallback:
                hint = (
                    f"the newest match that it has is {stand_in.kernel.release}: name that, or use --fallback"
                )
                raise NotOnMirrorError(error.message, hint) from error
            self.reporter.warn(
                f"{error.message}; taking {stand_in.kernel.release}, the newest match that it has"
            )
        if stand_in.kernel.id not in done:
            self._take(stand_in)
            done.add(stand_in.kernel.id)

    def _can_be_had(self, offer: Offer) -> bool:
        return self.store.has(offer.kernel.id) or any(map(self.http.exists, offer.debug.urls))

    def _take(self, offer: Offer) -> None:
        from ksurf.acquire.download import fetch
        from ksurf.acquire.files import megabytes
        from ksurf.acquire.source import ConfigSource, Identity, PackageSource
        from ksurf.cli.built import print_summary
        from ksurf.extract import Built, build, is_present

        if not self.download_only and is_present(self.store, offer.kernel):
            print_summary(Built(offer.kernel, None, 0.0))
            return
        package = fetch(self.http, offer.debug, self.reporter)
        taken = [(offer.debug, package), *self._config(offer)]
        if self.download_only:
            for _, path in taken:
                click.echo(path)
            return
        config = next((ConfigSource(path, found.sha256) for found, path in taken[1:]), None)
        kernel = offer.kernel
        identity = Identity(kernel.release, kernel.version, kernel.distro, kernel.arch, kernel.flavor)
        source = PackageSource(package, identity, offer.debug.sha256, offer.debug.urls[0], config)
        print_summary(build(source, self.store, reporter=self.reporter, threads=self.threads))
        if self.keep:
            size = megabytes(sum(found.byte_size for found, _ in taken))
            stay, them = ("the packages stay", "them") if config else ("the package stays", "it")
            click.echo(f"  {stay} in {package.parent} ({size}; --no-keep removes {them})")
        else:
            for _, path in taken:
                for leftover in (path, path.with_name(f"{path.name}.ok")):
                    leftover.unlink(missing_ok=True)

    def _config(self, offer: Offer) -> list[tuple[PackageOffer, Path]]:
        """Fetch the first package with the kernel's configuration that can be had; it can do without one."""
        from ksurf.acquire.download import fetch

        reason = "the archive lists no package that has it"
        for package in offer.configs:
            try:
                return [(package, fetch(self.http, package, self.reporter))]
            except (MirrorError, VerificationError) as error:
                reason = error.message
        self.reporter.warn(f"{offer.kernel.release}: its configuration cannot be had: {reason}")
        return []
