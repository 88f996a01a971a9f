"""The kernels of a tree: where a kernel's prepared folder comes from, and the finding of its units with it.

Finding units runs what a tree's Makefiles, and the prepared folder's, do while they are read. That is done
without being told to only where both were verified from an archive's signature down to the file.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ksurf.acquire.config import Options, parse_config, read_config
from ksurf.acquire.debian import Offer
from ksurf.acquire.download import fetch
from ksurf.acquire.http import Http
from ksurf.acquire.source import ConfigSource
from ksurf.dataset.store import Store
from ksurf.errors import InputError, KsurfError, MirrorError, VerificationError
from ksurf.kernel import Kernel
from ksurf.progress import Reporter
from ksurf.source.configure import arch_of, config_text, configure
from ksurf.source.prepare import find_headers, prepare
from ksurf.source.semantic.sweep import forget_before, precompile_common
from ksurf.source.tree import Prepared, SourceTree, Trees
from ksurf.source.unpack import unpack_files

__all__ = [
    "Build",
    "PreparedNow",
    "archive_build",
    "build_folder",
    "config_file",
    "dataset_build",
    "named_kernel",
    "prepare_kernel",
]

_CONFIG_LIMIT = 16 << 20


@dataclass(frozen=True, slots=True)
class Build:
    """What a kernel's units can be found with: a prepared folder, a package with one, or a configuration."""

    path: Path | None
    """A folder, or a package; ``None`` if there is only the configuration."""
    options: Options
    """The configuration, where that is all there is."""
    config: str
    """Where the configuration comes from, for a person."""
    verified: bool


@dataclass(frozen=True, slots=True)
class PreparedNow:
    """A kernel whose units are known now; ``seconds`` is ``None`` if they were known before."""

    prepared: Prepared
    seconds: float | None


def archive_build(http: Http, offer: Offer, reporter: Reporter, *, verified: bool) -> Build | None:
    """Fetch the first of a kernel's packages that can be had; ``None`` if none can."""
    for package in offer.configs:
        try:
            path = fetch(http, package, reporter)
            if package == offer.headers:
                return Build(path, [], f".config of {package.package}", verified)
            config = read_config(ConfigSource(path, package.sha256), offer.kernel.release)
            return Build(None, config.options, package.package, verified)
        except (MirrorError, VerificationError) as error:
            reporter.warn(f"{offer.kernel.release}: {error.message}")
    return None


def dataset_build(store: Store, kernel: Kernel) -> Build | None:
    """Return the configuration that the dataset has of a kernel, if it has one."""
    import pyarrow.parquet as pq

    path = store.directory(kernel.id) / "config.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path, columns=["name", "value"])
    options = [*zip(table["name"].to_pylist(), table["value"].to_pylist(), strict=True)]
    return Build(None, options, f"the dataset's, of {kernel.id}", verified=False) if options else None


def config_file(path: Path) -> tuple[Build, str | None]:
    """Return a configuration that the user names, and the architecture that it is for."""
    config = read_config(ConfigSource(path, is_named=True), None)
    return Build(None, config.options, str(path), verified=False), arch_of(config.options)


def named_kernel(release: str | None, arch: str | None, what: str) -> Kernel:
    """Return a kernel of the user's own; ``what`` is what errors call the thing that it is known by."""
    try:
        if release is None:
            raise ValueError("nothing tells its release")
        return Kernel.from_release(release, arch=arch)
    except ValueError as error:
        raise InputError(f"{what}: {error}", "name it with --release, or a KERNEL that is known") from error


def build_folder(path: Path, reporter: Reporter, release: str | None = None) -> tuple[Build, Kernel]:
    """Return a prepared folder, or a package with one, that the user names, and the kernel that it is of.

    ``release`` wins over what the folder says.
    """
    with _opened(path, reporter) as folder:
        release = release or _first_line(folder / "include/config/kernel.release") or _utsrelease(folder)
        names = (".config", "include/config/auto.conf")
        config = next((found for name in names if (found := folder / name).is_file()), None)
        if config is None:
            raise InputError(f"{path}: it has neither .config nor include/config/auto.conf")
        arch = arch_of(parse_config(config.read_bytes()[:_CONFIG_LIMIT], str(config)))
    kernel = named_kernel(release, arch, str(path))
    return Build(path.resolve(), [], f"{config.name} of {path}", verified=False), kernel


def prepare_kernel(
    trees: Trees,
    tree: SourceTree,
    kernel: Kernel,
    build: Build,
    reporter: Reporter,
    *,
    run_makefiles: bool = False,
    again: bool = False,
) -> PreparedNow:
    """Find the units of a kernel, unless they are known.

    Raises ``InputError`` if that would run Makefiles which nobody vouches for, unless ``run_makefiles``.
    """
    started = time.monotonic()
    if not run_makefiles and not (tree.is_trusted and build.verified) and not _has_commands(build):
        what = tree.id if not tree.is_trusted else build.config
        raise InputError(
            f"{kernel.release}: finding its units runs commands in Makefiles, and {what} is not verified",
            "if you trust it as you would to build it: ksurf source prepare --run-makefiles",
        )
    wait = f"waiting for another ksurf that prepares {kernel.release}"
    with tree.locked(kernel.id, on_wait=lambda: reporter.warn(wait)):
        if not again:
            for known in tree.prepared():
                if known.kernel.id == kernel.id:
                    return PreparedNow(known, None)
        target = tree.units_folder(kernel)
        for left in target.glob(".build-*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        with (
            trees.workspace("headers") as folder,
            _prepared_folder(tree, kernel, build, folder, reporter) as headers,
        ):
            units = prepare(tree.root, headers, target, kernel.arch, reporter)
        forget_before(units, tree.semantic)
        prepared = Prepared(kernel, build.config, len(units))
        tree.note_prepared(prepared)
        # After that: it takes long, and without it pages only take longer.
        precompile_common(units, tree.semantic, reporter)
    return PreparedNow(prepared, time.monotonic() - started)


def _has_commands(build: Build) -> bool:
    """Tell if the commands are written down, so that make is not asked."""
    return build.path is not None and (build.path / "compile_commands.json").is_file()


@contextmanager
def _prepared_folder(
    tree: SourceTree, kernel: Kernel, build: Build, workspace: Path, reporter: Reporter
) -> Iterator[Path]:
    if build.path is None:
        folder = workspace / "configured"
        configure(tree.root, config_text(build.options), folder, kernel.arch, reporter)
        yield folder
        return
    with _opened(build.path, reporter, workspace) as folder:
        yield folder


@contextmanager
def _opened(path: Path, reporter: Reporter, workspace: Path | None = None) -> Iterator[Path]:
    """Look into a prepared folder, or unpack the package that has it for as long as it is looked into."""
    if not path.exists():
        raise InputError(f"{path}: there is nothing")
    if path.is_dir():
        folder = find_headers(path)
        if folder is None:
            raise _not_prepared(path)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix=".ksurf-headers-", dir=workspace) as unpacked:
        unpack_files(path, Path(unpacked, "files"), reporter)
        folder = find_headers(Path(unpacked, "files"))
        if folder is None:
            raise _not_prepared(path)
        yield folder


def _not_prepared(path: Path) -> KsurfError:
    return InputError(
        f"{path}: no prepared folder of a kernel: no include/generated/autoconf.h",
        "what is needed is linux-headers-RELEASE, or a folder in which make prepare was run",
    )


def _first_line(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline(256).strip() or None
    except OSError:
        return None


def _utsrelease(folder: Path) -> str | None:
    line = _first_line(folder / "include/generated/utsrelease.h") or ""
    _, quote, rest = line.partition('"')
    return rest.partition('"')[0] or None if quote else None
