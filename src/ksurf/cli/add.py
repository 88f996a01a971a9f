"""``ksurf add``: kernels from this machine's disk, or the running one, into the dataset."""

from dataclasses import replace
from pathlib import Path

import click

from ksurf.acquire.host import host_source
from ksurf.acquire.local import local_sources
from ksurf.acquire.source import ConfigSource, Identity, Source
from ksurf.cli import print_error
from ksurf.cli.built import print_summary
from ksurf.cli.options import dataset_option, threads_option
from ksurf.errors import InputError, KsurfError

__all__ = ["command"]

_EXAMPLES = """\b
Examples:
  ksurf add linux-image-6.1.0-50-amd64-dbg_6.1.176-1_amd64.deb
  ksurf add linux-image-unsigned-5.4.0-26-generic-dbgsym_5.4.0-26.30_amd64.ddeb
  ksurf add linux-image-6.12.1-amd64-dbg_6.12.1-1_amd64.deb --config /boot/config-6.12.1-amd64
  ksurf add ~/src/linux --distro mine
  ksurf add --host
"""


@click.command(epilog=_EXAMPLES)
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--host", is_flag=True, help="Read the running kernel.")
@click.option("--release", metavar="RELEASE", help="What uname -r says on it, if that cannot be told.")
@click.option("--distro", metavar="NAME", help="Whose kernel it is: debian, ubuntu, or any name of yours.")
@click.option(
    "--arch", metavar="ARCH", help="Its architecture: amd64, arm64, ..., also as uname -m spells it."
)
@click.option("--flavor", metavar="FLAVOR", help="Its flavor: generic, cloud, or any name of yours.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Its configuration: a .config, also compressed, or a package that has it (linux-headers-*).",
)
@threads_option("read a kernel")
@dataset_option
def command(
    paths: tuple[Path, ...],
    host: bool,
    release: str | None,
    distro: str | None,
    arch: str | None,
    flavor: str | None,
    config: Path | None,
    threads: int,
    dataset: Path,
) -> None:
    """Read kernels from this machine into the dataset.

    A PATH is a debug package (a Debian -dbg .deb, an Ubuntu .ddeb), a vmlinux, or a directory tree with a
    vmlinux and its modules. What they are is told from what is in them; the options correct it.
    """
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.dataset.store import Store
    from ksurf.extract import build

    if not paths and not host:
        raise click.UsageError("name a package, a vmlinux or a directory, or use --host")
    if len(paths) + host > 1 and release is not None:
        raise click.UsageError("--release can be the name of one kernel only")
    if len(paths) + host > 1 and config is not None:
        raise click.UsageError("--config can be that of one kernel only")
    named = Identity(release=release, distro=distro, arch=arch, flavor=flavor)
    reporter, store = TerminalReporter(), Store(dataset)
    failed = 0
    for path in (*paths, *([None] if host else [])):
        try:
            sources: list[Source] = [host_source()] if path is None else [*local_sources(path)]
            if config is not None:
                sources = [_with_config(sources, config)]
        except KsurfError as error:
            failed += 1
            print_error(error.message, error.hint)
            continue
        for source in sources:
            try:
                print_summary(build(source, store, named=named, reporter=reporter, threads=threads))
            except KsurfError as error:
                failed += 1
                print_error(error.message, error.hint)
    if failed:
        click.get_current_context().exit(1)


def _with_config(sources: list[Source], config: Path) -> Source:
    if len(sources) > 1:
        raise InputError(f"{config}: of which of the {len(sources)} kernels?", "add one kernel at a time")
    return replace(sources[0], config=ConfigSource(config, is_named=True))
