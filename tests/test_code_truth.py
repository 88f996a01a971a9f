"""What the symbols say of their code agrees with what the same kernels said when they were booted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from real_kernels import RealKernels
from truth import Function, Truth, captures, read_truth

pytestmark = pytest.mark.network

AGREEMENT = 0.999
"""The least share of functions of which both say the same."""


class Symbol(NamedTuple):
    """What is compared of a symbol."""

    ftrace: bool | None
    kprobe_blacklist: str | None
    error_injection: str | None
    init: bool
    place: tuple[str | None, int]


class Booted(NamedTuple):
    """A kernel as it was booted, and as it is in the dataset."""

    truth: Truth
    symbols: dict[Function, list[Symbol]]


@pytest.fixture(scope="module", params=captures(), ids=lambda folder: folder.name)
def booted(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Booted:
    folder: Path = request.param
    truth = read_truth(folder)
    tables = real_kernels.pull(truth.kernel).tables
    images = pq.read_table(tables / "images.parquet", columns=["name"])["name"].to_pylist()
    symbols = defaultdict(list)
    for row in pq.read_table(tables / "symbols.parquet").to_pylist():
        image = images[row["image"]]
        if image != "vmlinux" and image not in truth.modules:
            continue
        function = Function(row["name"], None if image == "vmlinux" else image)
        symbols[function].append(
            Symbol(
                row["ftrace"],
                row["kprobe_blacklist"],
                row["error_injection"],
                row["init"],
                (row["section"], row["address"]),
            )
        )
    return Booted(truth, symbols)


def report(note: Callable[[str], None], what: str, wrong: list[Function], count: int) -> None:
    """Say how far both agree, and demand enough of it."""
    share = 1 - len(wrong) / count
    note(f"{what}: {share:.4%} of {count:,} agree; not {', '.join(map(str, wrong[:20]))}")
    assert share >= AGREEMENT


def aliases(booted: Booted) -> dict[tuple[str | None, str | None, int], set[Function]]:
    """The names of each place: the kernel prints one of them."""
    found = defaultdict(set)
    for function, symbols in booted.symbols.items():
        for symbol in symbols:
            found[function.module, *symbol.place].add(function)
    return found


def test_ftrace(booted: Booted, note: Callable[[str], None]) -> None:
    truth, symbols = booted
    listed = set(truth.filter_functions)
    named = aliases(booted)
    wrong = sorted(
        function for function in listed if not any(symbol.ftrace for symbol in symbols.get(function, ()))
    )
    for function, found in symbols.items():
        for symbol in found:
            names = named[function.module, *symbol.place]
            if symbol.ftrace and not symbol.init and not names & listed:
                wrong.append(function)
    report(note, f"{truth.kernel} ftrace", wrong, len(symbols))


def test_kprobes(booted: Booted, note: Callable[[str], None]) -> None:
    truth, symbols = booted
    listed = set(truth.kprobes_blacklist)
    named = aliases(booted)
    known = [function for function in listed if function in symbols]
    wrong = sorted(function for function in known if not any(s.kprobe_blacklist for s in symbols[function]))
    for function, found in symbols.items():
        for symbol in found:
            names = named[function.module, *symbol.place]
            if symbol.kprobe_blacklist and not symbol.init and not names & listed:
                wrong.append(function)
    report(note, f"{truth.kernel} kprobes", wrong, len(symbols))
    # The list is short: agreement over all symbols alone would say little of it.
    assert len(wrong) <= max(2, len(known) // 100), wrong


def test_error_injection(booted: Booted) -> None:
    truth, symbols = booted
    listed = {entry.function: f"EI_ETYPE_{entry.kind}" for entry in truth.error_injection or ()}
    found = {
        function: symbol.error_injection
        for function, all_of_name in symbols.items()
        for symbol in all_of_name
        if symbol.error_injection
    }
    if truth.error_injection is None:
        assert found == {}
    assert {function: found.get(function) for function in listed} == listed
