"""ksurf against the slow reading, for functions drawn at random from the vmlinux of a real 6.12 kernel.

Symbols are compared in full. Definitions and calls are compared in the units that were read: of most
functions all units that speak of them, of those that hundreds of units call some. The summary says how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import pytest

from ksurf.dataset.lookup import functions_named
from ksurf.dataset.rows import FunctionRows
from ksurf.surface.function import judge
from oracle import judgement
from oracle.dataset import Tables
from oracle.package import take_vmlinux
from oracle.reading import Definition, Image, Symbol
from oracle.sample import STRATA, Sample, draw
from real_kernels import Pulled, RealKernels

pytestmark = pytest.mark.network

SELECTOR = "debian:6.12-cloud-amd64"
SEED = 20260117
Fact = TypeVar("Fact")


@pytest.fixture(scope="module")
def kernel(real_kernels: RealKernels) -> Pulled:
    return real_kernels.pull(SELECTOR)


@pytest.fixture(scope="module")
def image(real_kernels: RealKernels, kernel: Pulled) -> Image:
    vmlinux = real_kernels.folder / f"vmlinux-{kernel.kernel.release}"
    if not vmlinux.exists():
        take_vmlinux(real_kernels.package(kernel.kernel), vmlinux)
    return Image(vmlinux)


@pytest.fixture(scope="module")
def sample(image: Image, kernel: Pulled, note: Callable[[str], None]) -> Sample:
    sample = draw(image, SEED)
    note(f"oracle, {kernel.kernel.release}: {sample}")
    return sample


@pytest.fixture(scope="module")
def tables(kernel: Pulled) -> Tables:
    return Tables(kernel.tables)


def same(expected: Iterable[Fact], found: Iterable[Fact]) -> None:
    """Compare as multisets, and show only what differs."""
    wanted, got = Counter(expected), Counter(found)
    assert wanted, "the slow reading found nothing to compare"
    missing, extra = list((wanted - got).elements()), list((got - wanted).elements())
    assert not missing and not extra, (
        f"{len(missing)} missing: {missing[:3]}; {len(extra)} extra: {extra[:3]}"
    )


def read_units(sample: Sample) -> set[str]:
    return {unit.path for unit in sample.units.values()}


@pytest.fixture(scope="module")
def symbols(image: Image, sample: Sample) -> list[Symbol]:
    return [symbol for symbol in image.symbols() if symbol.base in sample.names]


@pytest.fixture(scope="module")
def drawn(sample: Sample, symbols: list[Symbol]) -> list[Definition]:
    """The definitions of the functions drawn, those without code of their own completed from the symbols."""
    definitions = [d for unit in sample.units.values() for d in unit.definitions if d.name in sample.names]
    taken = {(d.name, address) for d in definitions for address in d.addresses}
    left = [s for s in symbols if s.name in sample.complete and (s.name, s.address) not in taken]
    folded = Counter((d.name, d.decl_file, d.decl_line) for d in definitions if d.folded)
    completed = []
    for d in definitions:
        # A symbol that is left over is that of the only definition without code.
        if d.folded and folded[d.name, d.decl_file, d.decl_line] == 1:
            own = [s.address for s in left if s.name == d.name and (s.bind != "STB_LOCAL") == d.external]
            completed.append(replace(d, addresses=tuple(own)))
        else:
            completed.append(d)
    # Without code, copies or a symbol, the compiler or the linker has dropped it.
    return [d for d in completed if d.addresses or d.inlined]


def test_every_kind_of_function_is_in_the_sample(sample: Sample) -> None:
    assert len(sample.names) == sum(STRATA.values()) == 200
    assert len(sample.complete) >= 150


def test_symbols(symbols: list[Symbol], sample: Sample, tables: Tables) -> None:
    same(symbols, tables.symbols(sample.names))


def test_instances_and_their_places(drawn: list[Definition], sample: Sample, tables: Tables) -> None:
    units = read_units(sample)
    same(
        [(d.name, d.unit, d.decl_file, d.decl_line, d.external, d.inlined, bool(d.addresses)) for d in drawn],
        [
            (i.name, i.unit, i.decl_file, i.decl_line, i.external, i.inlined, i.out_of_line)
            for i in tables.instances(sample.names)
            if i.unit in units
        ],
    )


def test_functions_read_in_full_are_nowhere_else(sample: Sample, tables: Tables) -> None:
    units = read_units(sample)
    elsewhere = [i for i in tables.instances(sample.complete) if i.unit is not None and i.unit not in units]
    assert not elsewhere


def test_addresses(drawn: list[Definition], sample: Sample, tables: Tables) -> None:
    instances = {(i.name, i.unit, i.decl_file, i.decl_line): i for i in tables.instances(sample.names)}
    for d in drawn:
        instance = instances[d.name, d.unit, d.decl_file, d.decl_line]
        if d.addresses:
            assert instance.address in d.addresses, d
        else:
            assert instance.address is None, d
        assert instance.inline_address == min(d.inline_addresses, default=None), d


def test_calls(sample: Sample, tables: Tables) -> None:
    units = read_units(sample)
    same(
        [call for unit in sample.units.values() for call in unit.calls if call.callee in sample.names],
        [call for call in tables.calls(sample.names) if call.unit in units],
    )


def test_collision_and_inline_kind(
    drawn: list[Definition], symbols: list[Symbol], sample: Sample, kernel: Pulled
) -> None:
    # A name that no unit speaks of is one of assembler without debug information.
    names = sorted(sample.complete & {definition.name for definition in drawn})
    assert len(names) >= 120
    found = functions_named(names, [kernel])
    for name in names:
        definitions = [definition for definition in drawn if definition.name == name]
        own = [symbol for symbol in symbols if symbol.base == name]
        (rows,) = found[name]
        status = judge(only_vmlinux(rows))
        assert status.collision is not None and status.inline is not None, name
        assert status.collision.value == judgement.collision(definitions, own), name
        assert status.inline.value == judgement.inline(definitions, own), name


def only_vmlinux(rows: FunctionRows) -> FunctionRows:
    """What the slow reading has read: modules may well have functions of the same name."""
    instances = tuple(instance for instance in rows.instances if instance.image == "vmlinux")
    symbols = tuple(symbol for symbol in rows.symbols if symbol.image == "vmlinux")
    return replace(rows, instances=instances, symbols=symbols, call_sites=())
