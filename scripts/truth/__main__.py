"""Make the data that ksurf's tables are compared with: what real kernels say of themselves.

``python scripts/truth --help`` tells the commands; docs/truth.md tells what they make.
"""

import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from archive import Archive, Package, source_files, unpacked
from bpf import Hook, Kfunc, StructOps, compiled, hooks, kfuncs, struct_ops, wanted_bpf_sources
from built import built
from capture import counts, write_capture
from initramfs import initramfs
from ksurf.acquire.debian import Offer
from ksurf.cli import print_error, run
from ksurf.cli.reporter import TerminalReporter
from ksurf.errors import KsurfError, NotOnMirrorError
from ksurf.paths import default_dataset
from machine import Answer, boot
from modules import Module, in_order, is_module, read_module
from programs import HERE, PACKAGES, Loader, TriedProgram, objects, tried
from syscalls import as_text, tables, wanted_sources
from tsv import tab_separated

KERNELS = (
    "debian:5.10-cloud-amd64",
    "debian:6.1-cloud-amd64",
    "debian:6.12-cloud-amd64",
    "debian:7.3-cloud-amd64",
    "debian:6.12-cloud-arm64",
)
"""The kernels that are booted when none is named."""

DATA = Path(__file__).parents[2] / "tests" / "data" / "truth"


@click.group(help=__doc__)
def group() -> None:
    """Hold the commands."""


@group.command("boot")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--again", is_flag=True, help="Boot also kernels whose capture is there already.")
@click.option("--timeout", default=600.0, show_default=True, help="How many seconds a kernel may take.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=DATA, help="Where captures are written."
)
def boot_command(selectors: tuple[str, ...], again: bool, timeout: float, folder: Path) -> None:
    """Boot the newest kernel that each SELECTOR matches under qemu, and record its lists.

    A selector is one of ksurf pull. Without one, the usual kernels are booted.
    """
    archive = Archive(TerminalReporter())
    for selector in selectors or KERNELS:
        offer = archive.newest(selector)
        target = folder / offer.kernel.id
        if (target / "about.json").exists() and not again:
            click.echo(f"{offer.kernel.id}: its capture is there already (--again makes it anew)")
            continue
        _record(archive, offer, target, timeout)


@group.command("syscalls")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=DATA, help="Where tables are written."
)
def syscalls_command(selectors: tuple[str, ...], folder: Path) -> None:
    """Write the tables of system calls that the source of each SELECTOR's newest kernel has.

    Without a selector, those of the usual kernels are written.
    """
    archive = Archive(TerminalReporter())
    offers = [archive.newest(selector) for selector in selectors or KERNELS]
    for base_version, offer in {offer.kernel.base_version: offer for offer in offers}.items():
        package = _source_package(archive, offer)
        sources = wanted_sources(source_files(archive.fetch(package)))
        folder.mkdir(parents=True, exist_ok=True)
        for arch, lines in tables(sources).items():
            target = folder / f"syscalls-{base_version}-{arch}.tsv"
            target.write_text(as_text(f"{package.name} {package.version}", lines))
            click.echo(f"{target.name}: {len(lines)} lines, from {package.name} {package.version}")


@group.command("bpf")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    default=default_dataset,
    help="Where the kernels are pulled to.",
)
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=DATA, help="Where lists are written."
)
def bpf_command(selectors: tuple[str, ...], dataset: Path, folder: Path) -> None:
    """Write the LSM hooks, kfuncs and struct_ops that the source of each SELECTOR's newest kernel has.

    The kernel is pulled into the dataset: its configuration and its units say what of the source was
    compiled. Without a selector, those of the usual kernels are written.
    """
    archive = Archive(TerminalReporter())
    for offer in [archive.newest(selector) for selector in selectors or KERNELS]:
        kernel = offer.kernel
        if run(["pull", kernel.id, "--dataset", str(dataset)]):
            raise KsurfError(f"{kernel.id} is not in {dataset}, and cannot be pulled")
        config, units = built(dataset, kernel.id)
        package = _source_package(archive, offer)
        sources = wanted_bpf_sources(source_files(archive.fetch(package)))
        texts = compiled(sources, config, units)
        source = f"{package.name} {package.version}, as {kernel.release} is configured"
        folder.mkdir(parents=True, exist_ok=True)
        for name, columns, rows in (
            ("hooks", Hook._fields, hooks(sources, config)),
            ("kfuncs", Kfunc._fields, kfuncs(sources, texts)),
            ("struct_ops", StructOps._fields, struct_ops(texts)),
        ):
            target = folder / f"{name}-{kernel.base_version}-{kernel.arch}.tsv"
            target.write_text(tab_separated(source, columns, rows))
            click.echo(f"{target.name}: {len(rows)} lines, from {source}")


@group.command("programs")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--again", is_flag=True, help="Boot also kernels whose list is there already.")
@click.option("--timeout", default=1800.0, show_default=True, help="How many seconds a kernel may take.")
@click.option(
    "--to", "folder", type=click.Path(path_type=Path), default=DATA, help="Where lists are written."
)
def programs_command(selectors: tuple[str, ...], again: bool, timeout: float, folder: Path) -> None:
    """Boot the newest kernel that each SELECTOR matches, and load and attach Debian's eBPF programs there.

    Without a selector, those of the usual kernels are booted that are of this machine's architecture.
    """
    archive = Archive(TerminalReporter())
    for offer in [archive.newest(selector) for selector in selectors or KERNELS]:
        kernel = offer.kernel
        target = folder / f"programs-{kernel.base_version}-{kernel.arch}.tsv"
        if target.exists() and not again:
            click.echo(f"{kernel.id}: its programs were tried already (--again tries them anew)")
            continue
        if kernel.arch != HERE:
            click.echo(f"{kernel.id}: its programs are not tried: the loader is built for {HERE} here")
            continue
        packages = [_package(archive, name, kernel.arch, suite) for name, suite in PACKAGES]
        found = {name: data for package in packages for name, data in _objects(archive, package).items()}
        loader = Loader()
        files = {"bin/load": loader.content, **{f"objects/{name}": data for name, data in found.items()}}
        answer = _boot(archive, _Image(archive, offer), timeout, files)
        rows = tried(answer.files["programs"].decode())
        named = ", ".join(f"{package.name} {package.version}" for package in packages)
        date = datetime.now(UTC).date().isoformat()
        folder.mkdir(parents=True, exist_ok=True)
        source = f"{kernel.id}: {named}; libbpf {loader.libbpf}; {date}"
        target.write_text(tab_separated(source, TriedProgram._fields, rows))
        click.echo(f"{target.name}: {len(rows)} programs of {len(found)} objects; {answer.seconds:.0f} s")


def _objects(archive: Archive, package: Package) -> dict[str, bytes]:
    return objects(unpacked(archive.fetch(package)))


def _source_package(archive: Archive, offer: Offer) -> Package:
    kernel = offer.kernel
    name = f"linux-source-{kernel.base_version}"
    package = archive.find(name, kernel.arch, offer.suites, kernel.version)
    if package is None:
        raise NotOnMirrorError(f"{kernel.id}: the archive has its debug package, but not its source")
    return package


def _record(archive: Archive, offer: Offer, target: Path, timeout: float) -> None:
    kernel = offer.kernel
    image = _Image(archive, offer)
    answer = _boot(archive, image, timeout)
    about = {
        "kernel": kernel.id,
        "release": kernel.release,
        "arch": kernel.arch,
        "packages": {package.name: package.version for package in image.packages},
        "qemu": answer.qemu,
        "boot_seconds": round(answer.seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
    }
    write_capture(target, answer.files, about)
    told = ", ".join(f"{number} {name}" for name, number in counts(answer.files).items())
    click.echo(f"{kernel.id}: {told}; {answer.seconds:.0f} s; written to {target}")


class _Image:
    """What the packages of a kernel hold for its boot."""

    def __init__(self, archive: Archive, offer: Offer) -> None:
        self.kernel = offer.kernel
        self.packages = _image_packages(archive, offer)
        files = [file for package in self.packages for file in unpacked(archive.fetch(package))]
        vmlinuz = [content for path, content in files if Path(path).name.startswith("vmlinuz")]
        if len(vmlinuz) != 1:
            raise KsurfError(f"{self.kernel.id}: its packages hold {len(vmlinuz)} boot images, not one")
        self.vmlinuz = vmlinuz[0]
        self.modules: list[Module] = in_order(
            read_module(path, content) for path, content in files if is_module(path)
        )
        self.config = {path: content for path, content in files if path.startswith("boot/config-")}
        """Where libbpf looks for the configuration, which externs of programs ask for."""


def _boot(
    archive: Archive, image: _Image, timeout: float, files: Mapping[str, bytes] | None = None
) -> Answer:
    kernel = image.kernel
    click.echo(f"{kernel.id}: booting, with {len(image.modules)} modules to load")
    initrd = initramfs(_busybox(archive, kernel.arch), image.modules, {**image.config, **(files or {})})
    answer = boot(kernel.arch, image.vmlinuz, initrd, timeout=timeout, say=_say)
    if f"Linux version {kernel.release} " not in answer.files["version"].decode():
        raise KsurfError(f"{kernel.id}: another kernel was booted: {answer.files['version'].decode()}")
    return answer


def _say(line: str) -> None:
    click.echo(f"  {line}")


def _image_packages(archive: Archive, offer: Offer) -> list[Package]:
    """Return the packages with the boot image and the modules, of the very build that ksurf reads."""
    kernel = offer.kernel
    found = [
        package
        for kind in ("image", "binary", "modules")  # since 7.x the image only depends on the other two
        if (
            package := archive.find(
                f"linux-{kind}-{kernel.release}", kernel.arch, offer.suites, kernel.version
            )
        )
    ]
    if not found:
        raise NotOnMirrorError(f"{kernel.id}: the archive has its debug package, but not the kernel itself")
    return found


def _package(archive: Archive, name: str, arch: str, suite: str) -> Package:
    package = archive.find(name, arch, [suite])
    if package is None:
        raise NotOnMirrorError(f"the archive has no {name} for {arch} in {suite}")
    return package


def _busybox(archive: Archive, arch: str) -> bytes:
    package = _package(archive, "busybox-static", arch, "stable")
    for path, content in unpacked(archive.fetch(package)):
        if path.endswith("bin/busybox"):
            return content
    raise KsurfError(f"{package.name}: no busybox in it")


def main() -> None:
    """Run, and end with one line where something is wrong."""
    # So that qemu is stopped on the way out, as it is after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        group()
    except KsurfError as error:
        print_error(error.message, error.hint)
        sys.exit(error.exit_status)


main()
