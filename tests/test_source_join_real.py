"""The join on Debian's own kernels and source, held against binutils, SQL and the names layer."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ksurf.dataset.lookup.written import functions_written
from ksurf.dataset.query import connect
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from ksurf.report.outside import Standing, depended
from ksurf.source.facts import CallOutcome, PageFacts
from ksurf.source.join import page_facts
from ksurf.source.names import NamesIndex
from ksurf.source.outside import needs
from ksurf.source.semantic.layer import Semantics
from ksurf.source.semantic.model import SemanticFile
from ksurf.source.tree import SourceTree
from ksurf.source.units import Units
from oracle.package import take_vmlinux
from real_kernels import RealKernels
from real_sources import CLOUD_AMD64, CLOUD_ARM64, RealSources

pytestmark = pytest.mark.network

READ_WRITE = "fs/read_write.c"
VGIC = "arch/arm64/kvm/vgic/vgic-v4.c"
# Calls that the compiler or inline assembly makes: no call site of DWARF names them.
_ADDED = re.compile(r"__fentry__|(?:__pi_)?__x86_(?:return|indirect)_thunk\w*|__(?:get|put)_user_\w+")
_FILES = 300


class Place(NamedTuple):
    """A line of the file, and the callee."""

    line: int
    callee: str


class Joined(NamedTuple):
    """A file of a real tree with what one real kernel made of it."""

    tree: SourceTree
    kernel: Kernel
    seen: SemanticFile
    facts: PageFacts

    def marked(self, outcome: CallOutcome) -> set[Place]:
        """The lines and callees of which the page says so."""
        return {
            Place(line, mark.callee)
            for line, marks in self.facts.marks.items()
            for mark in marks.calls
            if mark.outcome is outcome and mark.by_line
        }


def joined(sources: RealSources, kernels: RealKernels, selector: str, file: str) -> Joined:
    tree, kernel = sources.pull(selector)
    pulled = kernels.pull(selector)
    assert pulled.kernel == kernel
    units = Units.load(tree.root, tree.units_folder(kernel))
    with Semantics(units, tree.semantic) as semantics:
        seen = semantics.read(file)
    assert isinstance(seen, SemanticFile), seen
    facts = page_facts(file, [(kernel, pulled.tables)], own=[kernel], seen=seen)
    return Joined(tree, kernel, seen, facts)


@pytest.fixture(scope="module")
def read_write(real_sources: RealSources, real_kernels: RealKernels) -> Joined:
    return joined(real_sources, real_kernels, CLOUD_AMD64, READ_WRITE)


@pytest.fixture(scope="module")
def vmlinux(real_kernels: RealKernels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    target = tmp_path_factory.mktemp("image") / "vmlinux"
    take_vmlinux(real_kernels.package(real_kernels.pull(CLOUD_AMD64).kernel), target)
    yield target
    target.unlink()


class Disassembled(NamedTuple):
    """What binutils says of the calls in some functions of one file."""

    direct: dict[Place, str]
    """And a symbol whose code holds the call."""
    inlined: set[Place]
    """Only those copies that hold a call: addr2line tells of the addresses it is asked for."""
    through_pointers: set[int]


def disassembled(image: Path, functions: set[str], file: str) -> Disassembled:
    """Calls, and jumps to the beginnings of other functions, which are calls at a function's end."""
    listed = [line.split() for line in _output("nm", image).splitlines()]
    symbols = sorted((int(word[0], 16), word[2]) for word in listed if len(word) == 3 and word[1] in "tTwW")
    starts = [address for address, _ in symbols]
    found: list[tuple[int, str, str]] = []
    for address, name in symbols:
        if name not in functions:
            continue
        end = starts[bisect_right(starts, address)]
        code = _output("objdump", "-d", "--no-show-raw-insn", f"--start-address={address}",
                       f"--stop-address={end}", image)  # fmt: skip
        for at, operation, callee in re.findall(
            r"^\s*([0-9a-f]+):\s+(call|jmp|j\w+)\s+[0-9a-f]+ <([^>+]+)>", code, re.MULTILINE
        ):
            # A function's part that was moved away is no other function.
            if operation == "call" or (callee != name and ".cold" not in callee):
                found.append((int(at, 16), callee.partition(".")[0], name.partition(".")[0]))
    told = subprocess.run(
        ["addr2line", "-a", "-f", "-i", "-e", image],
        input="".join(f"{address:#x}\n" for address, *_ in found),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    result = Disassembled({}, set(), set())
    for (_, callee, holder), block in zip(found, re.split(r"^0x", told, flags=re.MULTILINE)[1:], strict=True):
        lines = block.strip().split("\n")[1:]
        frames = [(lines[at], _line(lines[at + 1], file)) for at in range(0, len(lines) - 1, 2)]
        innermost = frames[0][1]
        if innermost is not None and "indirect_thunk" in callee:
            result.through_pointers.add(innermost)
        elif innermost is not None and not _ADDED.fullmatch(callee):
            result.direct[Place(innermost, callee)] = holder
        for (inner, _), (_, around) in pairwise(frames):
            if around is not None:
                result.inlined.add(Place(around, inner.partition(".")[0]))
    return result


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _line(place: str, file: str) -> int | None:
    found = re.search(rf"(?:^|/){re.escape(file)}:(\d+)", place)
    return int(found[1]) if found else None


@pytest.mark.skipif(
    not all(map(shutil.which, ("nm", "objdump", "addr2line"))), reason="binutils are not installed"
)
def test_calls_are_those_that_binutils_sees(
    read_write: Joined, real_kernels: RealKernels, vmlinux: Path, note: Callable[[str], None]
) -> None:
    (rows,) = functions_written(READ_WRITE, (), [real_kernels.pull(CLOUD_AMD64)])
    theirs = disassembled(vmlinux, {one.name for one in rows.symbols}, READ_WRITE)
    direct, inlined = read_write.marked(CallOutcome.DIRECT), read_write.marked(CallOutcome.INLINED)
    missed = theirs.direct.keys() - direct
    note(
        f"{READ_WRITE}: binutils see {len(theirs.direct)} direct calls, {len(theirs.inlined)} inlined ones; "
        f"of ours {len(direct)} and {len(inlined)} these are all but {sorted(missed)} "
        f"and {sorted(theirs.inlined - inlined)}; only ours are {sorted(direct - theirs.direct.keys())}"
    )
    assert len(theirs.direct) > 80 and len(theirs.inlined) > 80
    assert theirs.inlined <= inlined
    # Wrappers that the compiler folded together: code with a symbol, of which the debug information has only
    # a declaration (compat_sys_preadv64), so that nothing tells of what it calls.
    told = {holder for call in rows.calls for holder in call.holders}
    assert not {theirs.direct[place] for place in missed} & told
    assert len(missed) <= 0.02 * len(theirs.direct)
    assert len(direct - theirs.direct.keys()) <= 2
    # What the binary calls through a pointer is what the source calls through one.
    pointers = {call.line for call in read_write.seen.calls if not call.is_direct}
    assert theirs.through_pointers and theirs.through_pointers <= pointers


def asked(kernels: RealKernels, kernel: Kernel, statement: str) -> list[tuple[Any, ...]]:
    store = Store(kernels.dataset)
    manifests = [one for one in store.kernels() if one.kernel == kernel]
    return connect(store, manifests).execute(statement).fetchall()


def test_calls_are_those_of_the_tables(
    real_sources: RealSources, real_kernels: RealKernels, note: Callable[[str], None]
) -> None:
    """The views of ``ksurf sql`` find the same calls by another way: all call sites in order."""
    file = "virt/kvm/kvm_main.c"
    made = joined(real_sources, real_kernels, CLOUD_AMD64, file)
    sites = asked(
        real_kernels,
        made.kernel,
        f"SELECT DISTINCT line, callee, inline FROM call_sites WHERE file = '{file}' AND line IS NOT NULL",
    )
    theirs = {(Place(line, callee), inline) for line, callee, inline in sites}
    ours = {(place, False) for place in made.marked(CallOutcome.DIRECT)}
    ours |= {(place, True) for place in made.marked(CallOutcome.INLINED)}
    note(f"{file}: {len(ours)} pairs of line and callee, {len(theirs)} in call_sites")
    assert len(ours) > 900
    assert ours == theirs
    absent = made.marked(CallOutcome.ABSENT)
    assert not absent & {place for place, _ in theirs}
    assert len(absent) < 0.05 * len(ours)


def test_functions_are_linked_to_their_lines(
    real_sources: RealSources, real_kernels: RealKernels, note: Callable[[str], None]
) -> None:
    """DWARF's functions of files in the tree: their line is in a definition, or a macro makes them there."""
    tree, kernel = real_sources.pull(CLOUD_AMD64)
    real_kernels.pull(CLOUD_AMD64)
    rows = asked(
        real_kernels,
        kernel,
        "SELECT decl_file, name, decl_line FROM functions "
        "WHERE decl_file LIKE '%.c' AND decl_line IS NOT NULL",
    )
    files: dict[str, list[tuple[str, int]]] = {}
    for file, name, line in rows:
        if (tree.root / file).is_file():
            files.setdefault(file, []).append((name, line))
    chosen = random.Random(5).sample(sorted(files), _FILES)
    index = NamesIndex.open(tree.names, tree.root)
    linked, by_macro, missed = 0, 0, []
    for file in chosen:
        lines = (tree.root / file).read_text(errors="replace").split("\n")
        around = [
            (one.start_line, one.end_line)
            for one in index.file(file).definitions
            if one.kind not in {"member", "enumerator", "label"}
        ]
        for name, line in files[file]:
            if any(start <= line <= end for start, end in around):
                linked += 1
            elif any(index.definitions(word, ("macro",)) for word in re.findall(r"\w+", lines[line - 1])):
                by_macro += 1
            else:
                missed.append(f"{file}:{line} {name}")
    total = linked + by_macro + len(missed)
    note(
        f"of {total} functions in {_FILES} files {linked} have a definition around their line, "
        f"{by_macro} the use of a macro that makes them; not {missed[:5]}"
    )
    assert linked >= 0.98 * total
    assert linked + by_macro >= 0.99 * total


def test_what_vgic_v4_depends_on(real_sources: RealSources, real_kernels: RealKernels) -> None:
    """The story that published reports tell in pieces: a header's function, one that became one, a struct."""
    made = joined(real_sources, real_kernels, CLOUD_ARM64, VGIC)
    real_kernels.pull("debian:6.12-cloud-arm64")
    real_kernels.pull("debian:6.12-cloud-amd64")
    store = Store(real_kernels.dataset)
    wanted = [
        one.kernel
        for one in store.kernels()
        if one.kernel == made.kernel or (one.kernel.base_version, one.kernel.flavor) == ("6.12", "cloud")
    ]
    places = [(kernel, store.directory(kernel.id)) for kernel in wanted]
    found = {one.need.title: one for one in depended(needs([made.seen], [VGIC]), places, [made.kernel])}
    request = {cell.kernel: cell for cell in found["function kvm_make_request"].cells}
    for kernel in wanted:
        assert [status.value for status in request[kernel].statuses] == ["Duplicate", "Full Inline"]
    kick = {cell.kernel: cell for cell in found["function kvm_vcpu_kick"].cells}
    old = next(kernel for kernel in wanted if kernel.arch == "arm64" and kernel != made.kernel)
    assert [status.value for status in kick[old].statuses] == []
    assert [status.value for status in kick[made.kernel].statuses] == ["Duplicate", "Full Inline"]
    other = next(kernel for kernel in wanted if kernel.arch == "amd64")
    struct = {cell.kernel: cell.standing for cell in found["struct kvm"].cells}
    assert struct == {made.kernel: Standing.SAME, old: Standing.CHANGED, other: Standing.CHANGED}
    forwarding = {cell.kernel: cell.standing for cell in found["function its_unmap_vlpi"].cells}
    assert forwarding[other] is Standing.ABSENT
    assert found["field kvm_kernel_irq_routing_entry::devid"].worst is Standing.SAME
