"""``ksurf source prepare``: which files a kernel's build compiled, and how, without building it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.cli import print_error
from ksurf.cli.options import archive_options, dataset_option
from ksurf.cli.source.steps import print_prepared
from ksurf.errors import InputError, KsurfError, NoSuchKernelError

if TYPE_CHECKING:
    from ksurf.cli.archive import Connection
    from ksurf.dataset.store import Store
    from ksurf.kernel import Kernel
    from ksurf.progress import Reporter
    from ksurf.source.kernels import Build
    from ksurf.source.tree import SourceTree

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf source prepare debian:7.3 7.3-cloud-amd64 7.3-cloud-arm64
  ksurf source prepare mine --build ~/build/linux --run-makefiles
  ksurf source prepare mine --release 7.3.0-mine --config ~/my.config --run-makefiles
"""


@click.command(epilog=_EXAMPLES)
@click.argument("tree", metavar="TREE")
@click.argument("selectors", nargs=-1, metavar="[KERNEL]...")
@click.option(
    "--build",
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="A folder in which make prepare was run, or that with a compile_commands.json, or a linux-headers-* "
    "package; without a KERNEL it says itself whose it is.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The kernel's configuration, also compressed, or a package that has it: a folder is then prepared "
    "by the tree's Makefiles.",
)
@click.option(
    "--release",
    metavar="RELEASE",
    help="What uname -r says on a kernel of your own that --config or --build is of; instead of a KERNEL.",
)
@click.option(
    "--run-makefiles",
    is_flag=True,
    help="Let make read a tree's Makefiles that were not verified: while it reads them, it runs the commands "
    "in them, as your user. Only for a tree that you would build.",
)
@click.option("--again", is_flag=True, help="Do it anew, although the units are known.")
@archive_options
@dataset_option
def command(
    tree: str,
    selectors: tuple[str, ...],
    build: Path | None,
    config: Path | None,
    release: str | None,
    run_makefiles: bool,
    again: bool,
    mirrors: tuple[str, ...],
    keyrings: tuple[str, ...],
    unsigned: bool,
    dataset: Path,
) -> None:
    """Find the units of kernels in a source tree: which files were compiled, and how.

    A KERNEL is one of the dataset, or else of Debian's archive. make is asked what it would do in the folder
    that the kernel's build prepared (linux-headers-*, or --build); it compiles nothing, and needs no
    cross compiler. Where there is only a configuration, a folder is prepared with it first; that compiles
    the tools for that, and needs flex, bison and a compiler for the architecture.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.dataset.store import Store
    from ksurf.source.kernels import build_folder, config_file, named_kernel, prepare_kernel
    from ksurf.source.tree import Trees

    if build is not None and config is not None:
        raise click.UsageError("--build has a configuration; --config names another")
    if (build or config) and len(selectors) + (release is not None) > 1:
        raise click.UsageError("--build and --config are of one kernel")
    if release is not None and not (build or config):
        raise click.UsageError("--release is that of a kernel with --build or --config")
    if build is None and release is None and not selectors:
        raise click.UsageError("name a KERNEL, or its --release, or its prepared folder with --build")
    reporter, trees = TerminalReporter(), Trees(dataset)
    found = trees.named(tree)
    archive = _Archive(mirrors, keyrings, unsigned, reporter)
    kernels = [archive.kernel(text, Store(dataset)) for text in selectors]
    jobs: list[tuple[Kernel, Build | None]] = [(kernel, None) for kernel in kernels]
    if build is not None:
        own, kernel = build_folder(build, reporter, kernels[0].release if kernels else release)
        jobs = [(kernels[0] if kernels else kernel, own)]
    elif config is not None:
        own, arch = config_file(config)
        kernel = kernels[0] if kernels else named_kernel(release, arch, str(config))
        if arch not in {None, kernel.arch}:
            raise InputError(
                f"{config}: it is a configuration for {arch}, and {kernel.release} is {kernel.arch}"
            )
        jobs = [(kernel, own)]
    click.echo(f"{found.id}:")
    failed = 0
    for kernel, one in jobs:
        try:
            _warn_of_version(found, kernel, reporter)
            chosen = one or archive.build(kernel, Store(dataset))
            print_prepared(
                prepare_kernel(
                    trees, found, kernel, chosen, reporter, run_makefiles=run_makefiles, again=again
                )
            )
        except KsurfError as error:
            failed += 1
            print_error(error.message, error.hint)
    if failed:
        click.get_current_context().exit(1)


def _warn_of_version(tree: SourceTree, kernel: Kernel, reporter: Reporter) -> None:
    if kernel.base_version != tree.base_version:
        reporter.warn(f"{kernel.release} is a kernel of {kernel.base_version}, the tree of {tree.upstream}")


@dataclass
class _Archive:
    """Debian's archive, asked only when the dataset does not know."""

    mirrors: Sequence[str]
    keyrings: Sequence[str]
    unsigned: bool
    reporter: Reporter
    _connection: Connection | None = None

    def kernel(self, text: str, store: Store) -> Kernel:
        """The newest kernel of the dataset that a selector means, else of the archive."""
        from ksurf.cli.wanted import Wanted, arches_of
        from ksurf.selector import Selector, select

        kernels = [manifest.kernel for manifest in store.kernels()]
        try:
            return select(kernels, [Selector.parse(text)])[-1]
        except NoSuchKernelError:
            wanted = Wanted.parse(text)
            return wanted.among(self._connect().archive.offers(arches=arches_of([wanted])))[0].kernel

    def build(self, kernel: Kernel, store: Store) -> Build:
        """What the archive has for a kernel, else the configuration that the dataset has."""
        from ksurf.source.kernels import archive_build, dataset_build

        found = None
        if kernel.distro == "debian":
            connection = self._connect()
            for offer in connection.archive.offers(arches={kernel.arch}):
                if offer.kernel.id == kernel.id:
                    verified = connection.suites.verified
                    found = archive_build(connection.http, offer, self.reporter, verified=verified)
        found = found or dataset_build(store, kernel)
        if found is None:
            raise InputError(
                f"{kernel.release}: neither its prepared folder nor its configuration is known",
                "name linux-headers-* or a folder that it was built in with --build, or a file with --config",
            )
        return found

    def _connect(self) -> Connection:
        from ksurf.cli.archive import connect

        if self._connection is None:
            self._connection = connect(self.mirrors, self.keyrings, self.unsigned, self.reporter)
        return self._connection
