"""Attachability, as SQL tells it, against what the same kernels said when they were booted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ksurf.dataset.query import connect, query
from ksurf.dataset.store import Store
from ksurf.surface.attach_facts import judge
from real_kernels import RealKernels
from truth import Function, Truth, captures, read_truth

pytestmark = pytest.mark.network

AGREEMENT = 0.999
"""The least share of symbols of which both say the same."""

_STATEMENT = """
    SELECT DISTINCT s.image, s.name, s.section, s.address, a.mechanism, a.attachable, a.reason
    FROM symbols s JOIN attachability a ON a.kernel = s.kernel AND a.image = s.image AND a.symbol = s.name
    WHERE a.mechanism IN ('kprobe', 'kprobe.multi', 'fentry')"""


class Place(NamedTuple):
    """Where a symbol points; several may point to one place, of which the kernel prints one."""

    image: str
    section: str | None
    address: int


class Judged(NamedTuple):
    """A booted kernel, and for each place of it the names and the verdicts on each mechanism."""

    truth: Truth
    names: Mapping[Place, set[Function]]
    verdicts: Mapping[Place, Mapping[str, set[tuple[bool, str]]]]
    """Several for one mechanism where the name is ambiguous: a verdict is about a name."""


@pytest.fixture(scope="module", params=captures(), ids=lambda folder: folder.name)
def judged(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Judged:
    folder: Path = request.param
    truth = read_truth(folder)
    pulled = real_kernels.pull(truth.kernel)
    store = Store(real_kernels.dataset)
    manifests = [manifest for manifest in store.kernels() if manifest.kernel == pulled.kernel]
    names: dict[Place, set[Function]] = defaultdict(set)
    verdicts: dict[Place, dict[str, set[tuple[bool, str]]]] = defaultdict(lambda: defaultdict(set))
    with connect(store, manifests, statement=_STATEMENT, judge=judge) as connection:
        for batch in query(connection, _STATEMENT).batches(1 << 16):
            for image, name, section, address, mechanism, attachable, reason in batch:
                if image == "vmlinux" or image in truth.modules:
                    place = Place(image, section, address)
                    names[place].add(Function(name, None if image == "vmlinux" else image))
                    verdicts[place][mechanism].add((attachable, reason or ""))
    return Judged(truth, names, verdicts)


def agree(
    judged: Judged,
    note: Callable[[str], None],
    mechanism: str,
    listed: Iterable[Function],
    is_contradicted: Callable[[bool, str, bool], bool],
) -> None:
    """Demand that hardly a place contradicts the list; ``is_contradicted`` gets verdict, reason, listed."""
    known = set(listed)
    wrong = [
        place
        for place, verdicts in judged.verdicts.items()
        for is_listed in [bool(judged.names[place] & known)]
        if all(is_contradicted(*verdict, is_listed) for verdict in verdicts[mechanism])
    ]
    share = 1 - len(wrong) / len(judged.verdicts)
    shown = ", ".join(sorted(min(judged.names[place]).name for place in wrong)[:12])
    note(f"{judged.truth.kernel} {mechanism}: {share:.4%} of {len(judged.verdicts):,} agree; not {shown}")
    assert share >= AGREEMENT


def test_kprobes(judged: Judged, note: Callable[[str], None]) -> None:
    def is_contradicted(attachable: bool, reason: str, is_listed: bool) -> bool:
        # Refused for another reason, a function may be on the blacklist or not.
        return is_listed if attachable else reason.startswith("kprobes refuse") and not is_listed

    agree(judged, note, "kprobe", judged.truth.kprobes_blacklist, is_contradicted)


@pytest.mark.parametrize("mechanism", ["kprobe.multi", "fentry"])
def test_what_stands_on_ftrace(judged: Judged, note: Callable[[str], None], mechanism: str) -> None:
    def is_contradicted(attachable: bool, reason: str, is_listed: bool) -> bool:
        return not is_listed if attachable else "ftrace has no place" in reason and is_listed

    agree(judged, note, mechanism, judged.truth.filter_functions, is_contradicted)
