"""``ksurf kernels``: what Debian's archive offers."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ksurf.acquire.files import megabytes
from ksurf.cli.options import archive_options, dataset_option, format_option
from ksurf.errors import NoSuchKernelError
from ksurf.kernel import Kernel, arch_name, version_key

if TYPE_CHECKING:
    from ksurf.acquire.debian import Offer

__all__ = ["command"]


@click.command(epilog="\b\nExample:\n  ksurf kernels --version 6.12 --arch arm64 --flavor cloud")
@click.option("--version", "versions", multiple=True, metavar="6.12", help="Only this base or full version.")
@click.option("--arch", "arches", multiple=True, metavar="ARCH", help="Only this architecture.")
@click.option("--flavor", "flavors", multiple=True, metavar="FLAVOR", help="Only this flavor.")
@click.option("--suite", "suites", multiple=True, metavar="SUITE", help="Only this suite, whatever its name.")
@click.option("--newest/--all", help="Only the newest of each base version, flavor and architecture, or all.")
@format_option("table", "json", "csv", text="How to print it.")
@archive_options
@dataset_option
def command(
    versions: tuple[str, ...],
    arches: tuple[str, ...],
    flavors: tuple[str, ...],
    suites: tuple[str, ...],
    newest: bool,
    form: str,
    mirrors: tuple[str, ...],
    keyrings: tuple[str, ...],
    unsigned: bool,
    dataset: Path,
) -> None:
    """List the kernels whose debug packages Debian's archive offers.

    They are listed in version order, over all suites and architectures; an option that is repeated takes any
    of its values. The last column marks those that are in the dataset.
    """
    from ksurf.cli.archive import connect
    from ksurf.cli.reporter import TerminalReporter
    from ksurf.dataset.store import Store

    names = {arch_name(arch) or arch for arch in arches}
    connection = connect(mirrors, keyrings, unsigned, TerminalReporter())
    offered = connection.archive.offers(arches=names or None, suites=suites)
    found = [
        offer
        for offer in offered
        if (not versions or any(map(offer.kernel.is_version, versions)))
        and (not flavors or offer.kernel.flavor in flavors)
    ]
    if newest:
        found = _newest(found)
    if not found:
        raise NoSuchKernelError("the archive offers no such kernel", _what_there_is(offered))
    store = Store(dataset)
    rows = [(offer, store.has(offer.kernel.id)) for offer in found]
    {"table": _print_table, "json": _print_json, "csv": _print_csv}[form](rows)


def _newest(offers: Iterable[Offer]) -> list[Offer]:
    newest: dict[tuple[str, str, str], Offer] = {}
    for offer in offers:  # in version order, so that the last stays
        kernel = offer.kernel
        newest[kernel.base_version, kernel.flavor, kernel.arch] = offer
    return sorted(newest.values(), key=lambda offer: offer.kernel)


def _what_there_is(offers: Sequence[Offer]) -> str | None:
    if not offers:
        return "this mirror has no debug packages for these architectures and suites"

    def listing(what: str) -> str:
        return ", ".join(sorted({str(getattr(offer.kernel, what)) for offer in offers}, key=version_key))

    return (
        f"versions: {listing('base_version')}; flavors: {listing('flavor')}; architectures: {listing('arch')}"
    )


def _print_table(rows: Sequence[tuple[Offer, bool]]) -> None:
    head = ("RELEASE", "PACKAGE", "FLAVOR", "ARCH", "SUITES", "SIZE", "IN DATASET")
    lines = [
        (
            offer.kernel.release,
            str(offer.kernel.version),
            offer.kernel.flavor,
            offer.kernel.arch,
            " ".join(offer.suites),
            megabytes(offer.debug.byte_size),
            "yes" if present else "",
        )
        for offer, present in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for number, line in enumerate([head, *lines]):
        cells = [
            cell.rjust(width) if title == "SIZE" else cell.ljust(width)
            for title, cell, width in zip(head, line, widths, strict=True)
        ]
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _facts(offer: Offer, present: bool) -> dict[str, object]:
    kernel: Kernel = offer.kernel
    return {
        "id": kernel.id,
        "distro": kernel.distro,
        "release": kernel.release,
        "version": kernel.version,
        "base_version": kernel.base_version,
        "flavor": kernel.flavor,
        "arch": kernel.arch,
        "suites": list(offer.suites),
        "byte_size": offer.debug.byte_size,
        "sha256": offer.debug.sha256,
        "urls": list(offer.debug.urls),
        "in_dataset": present,
    }


def _print_json(rows: Sequence[tuple[Offer, bool]]) -> None:
    click.echo(json.dumps([_facts(*row) for row in rows], indent=2))


def _print_csv(rows: Sequence[tuple[Offer, bool]]) -> None:
    facts = [_facts(*row) for row in rows]
    writer = csv.DictWriter(sys.stdout, list(facts[0]), lineterminator="\n")
    writer.writeheader()
    for row in facts:
        lists = {key: " ".join(value) for key, value in row.items() if isinstance(value, list)}
        flags = {key: str(value).lower() for key, value in row.items() if isinstance(value, bool)}
        writer.writerow({**row, **lists, **flags})
