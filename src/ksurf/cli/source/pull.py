"""``ksurf source pull``: source, and what kernels were built with, from Debian's archive into the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli.options import archive_options, dataset_option, threads_option
from ksurf.cli.source.steps import index, index_option, print_prepared, print_tree
from ksurf.errors import InputError, KsurfError, NotOnMirrorError

if TYPE_CHECKING:
    from ksurf.acquire.debian import Offer, SourceOffer
    from ksurf.acquire.http import Http
    from ksurf.progress import Reporter
    from ksurf.source.tree import SourceTree, Trees

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source pull debian:7.3
  ksurf source pull debian:7.3-cloud-arm64 debian:6.12-amd64
  ksurf source pull 7.3.4+deb13-cloud-arm64 --no-index
"""


@click.command(epilog=_EXAMPLES)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@index_option
@click.option(
    "--prepare/--no-prepare",
    "prepared",
    default=True,
    help="Whether the units of the kernel are found: which files its build compiled, and how.",
)
@click.option("--download-only", is_flag=True, help="Fetch and check the packages, and print where they are.")
@threads_option("index a tree")
@archive_options
@dataset_option
def command(
    selectors: tuple[str, ...],
    indexed: bool,
    prepared: bool,
    download_only: bool,
    threads: int,
    mirrors: tuple[str, ...],
    keyrings: tuple[str, ...],
    unsigned: bool,
    dataset: Path,
) -> None:
    """Fetch source from Debian's archive into the dataset, and prepare kernels of it.

    Of each SELECTOR the newest kernel is meant, as in ksurf pull. The source that it was made of
    (linux-source-*) is fetched, checked, unpacked and indexed, and its units are found with what its build
    made first (linux-headers-*), which needs make and gcc, for any architecture. What is done is not done
    again: called anew after an interruption, it goes on.
    """
    from ksurf.cli.archive import connect
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.cli.wanted import Wanted, arches_of, print_failed
    from ksurf.source.tree import Trees

    reporter = TerminalReporter()
    wanted = [Wanted.parse(text) for text in selectors]
    connection = connect(mirrors, keyrings, unsigned, reporter)
    catalog = connection.archive.catalog(arches=arches_of(wanted))
    verified = connection.suites.verified
    pull = _Pull(connection.http, Trees(dataset), reporter, verified, catalog.sources)
    failed = 0
    for one in wanted:
        try:
            offers = one.among(catalog.kernels)
            if download_only:
                for path in pull.packages(offers[0], prepared=prepared):
                    click.echo(path)
                continue
            offer, tree = pull.tree(offers)
            if indexed:
                index(tree, reporter, threads)
            if prepared:
                pull.prepare(offer, tree)
        except KsurfError as error:
            failed += 1
            print_failed(one, error)
    if failed:
        click.get_current_context().exit(1)


@dataclass(frozen=True)
class _Pull:
    http: Http
    trees: Trees
    reporter: Reporter
    verified: bool
    sources: Sequence[SourceOffer]

    def packages(self, offer: Offer, *, prepared: bool) -> list[Path]:
        """Fetch what the other steps would."""
        from ksurf.acquire.download import fetch
        from ksurf.source.kernels import archive_build

        paths = [fetch(self.http, self._source(offer).package, self.reporter)]
        build = archive_build(self.http, offer, self.reporter, verified=self.verified) if prepared else None
        return [*paths, build.path] if build and build.path else paths

    def tree(self, offers: Sequence[Offer]) -> tuple[Offer, SourceTree]:
        """Bring the source of the newest kernel into the dataset, or what stands in for it."""
        from ksurf.acquire.download import fetch
        from ksurf.source.made import make_tree, offer_id

        for offer in offers:
            source = self._source(offer)
            if (tree := self.trees.find(offer_id(source))) is not None:
                print_tree(tree, is_new=False)
                return offer, tree
            try:
                package = fetch(self.http, source.package, self.reporter)
            except NotOnMirrorError as error:
                if offer is offers[-1]:
                    raise
                self.reporter.warn(f"{error.message}; taking the next older kernel")
                continue
            tree = make_tree(self.trees, source, package, self.reporter, verified=self.verified)
            print_tree(tree, is_new=True)
            return offer, tree
        raise AssertionError("a selector that matches nothing has been refused")

    def prepare(self, offer: Offer, tree: SourceTree) -> None:
        """Find the units of a kernel."""
        from ksurf.source.kernels import PreparedNow, archive_build, prepare_kernel

        for known in tree.prepared():
            if known.kernel.id == offer.kernel.id:
                print_prepared(PreparedNow(known, None))
                return
        build = archive_build(self.http, offer, self.reporter, verified=self.verified)
        if build is None:
            raise InputError(
                f"{offer.kernel.release}: its configuration cannot be had, and so its units are not known",
                f"ksurf source prepare {tree.id} --build names a prepared folder",
            )
        print_prepared(prepare_kernel(self.trees, tree, offer.kernel, build, self.reporter))

    def _source(self, offer: Offer) -> SourceOffer:
        from ksurf.source.made import nearest_source

        source = nearest_source(self.sources, offer.kernel)
        if source is None:
            raise InputError(
                f"{offer.kernel.release}: the archive has no source of {offer.kernel.base_version}",
                "ksurf source add takes a tree or a tarball of yours",
            )
        if source.package.version != offer.kernel.version:
            self.reporter.warn(
                f"{offer.kernel.release}: the archive lacks the source of {offer.kernel.version}; "
                f"taking that of {source.package.version}"
            )
        return source
