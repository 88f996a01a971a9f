"""Verdicts on Debian's eBPF programs against what a kernel, booted, made of the same programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from ksurf import _core
from ksurf.check.verdict import ConsumerReport, Finding, Outcome
from ksurf.cli.checking import checked
from program_truth import TriedProgram, program_lists, read_programs

if TYPE_CHECKING:
    from material import Material
    from real_kernels import RealKernels

SAMPLE = 40
"""The least number of programs that a kernel must have been asked for."""

SUITES = {"libbpf-tools": "bookworm", "systemd": "stable"}
"""Where the packages of the programs are."""

_NOT_SAID = "its section does not name the file of the function in a process: libbpf asks no kernel"
_FORGOTTEN = (
    "it reads through a pointer that it kept on its stack, where a helper took its key: the verifiers of 6.1 "
    "and 6.12 forget what such a pointer points to (check_stack_range_initialized)"
)
_MOVED = "it moves the pointer to its context before it reads through it, which the verifier of 5.10 refuses"
_ELSEWHERE = "6.1 has the helper bpf_current_task_under_cgroup, but not for programs of cgroup/sysctl"
EXPLAINED = {
    "5.10": {("bashreadline", "printret"): _NOT_SAID, ("bitesize", "block_rq_issue"): _MOVED},
    "6.1": {
        ("bashreadline", "printret"): _NOT_SAID,
        ("biosnoop", "block_rq_complete"): _FORGOTTEN,
        ("systemd-networkd", "sysctl_monitor"): _ELSEWHERE,
    },
    "6.12": {("bashreadline", "printret"): _NOT_SAID, ("biosnoop", "block_rq_complete"): _FORGOTTEN},
    "7.3": {("bashreadline", "printret"): _NOT_SAID},
}
"""By kernel, the programs that it refuses though ksurf finds nothing broken, and why."""

LOADER = "bpf_program__set_autoload"
"""What the loader has to call for a program that is refused as it is, and here each was tried as it is."""

Broken = dict[tuple[str, str | None], list[Finding]]
"""What is broken, by the object and its program, or ``None`` if all of its programs are meant."""

each_list = pytest.mark.parametrize("path", program_lists(), ids=lambda path: path.name)


@each_list
def test_a_list_is_large_enough(path: Path) -> None:
    truth = read_programs(path)
    assert len(truth.programs) >= SAMPLE
    assert len({(program.object, program.name) for program in truth.programs}) == len(truth.programs)
    assert any(program.works for program in truth.programs)


@pytest.mark.network
@each_list
def test_verdicts_are_what_the_kernel_does(
    path: Path, material: Material, real_kernels: RealKernels, note: Callable[[str], None]
) -> None:
    truth = read_programs(path)
    kernel = real_kernels.pull(truth.kernel).kernel
    folders = [str(material.unpacked(name, SUITES[name])) for name in truth.packages]
    page = checked(
        folders,
        selectors=[kernel.id],
        baseline=None,
        policy=None,
        fail_on=None,
        dataset=real_kernels.dataset,
        suggest=False,
    )
    broken: Broken = defaultdict(list)
    for report in page.report.consumers:
        for finding in report.findings:
            if finding.outcome is Outcome.BROKEN or LOADER in finding.consequence:
                for program in _concerned(report, finding):
                    broken[report.consumer.name, program].append(finding)
    names = {report.consumer.name for report in page.report.consumers}
    # Another version of a package may have other programs.
    tried = [program for program in truth.programs if program.object in names]
    explained = EXPLAINED.get(kernel.base_version, {})
    wrong, needless = _compare(tried, broken, explained)
    wrong += [
        f"{program.object}/{program.name}: {said}" for program in tried for said in _when(program, broken)
    ]
    refused = sum(not program.works for program in tried)
    note(
        f"{truth.kernel}: {len(tried)} programs tried, {refused} refused; ksurf says otherwise of "
        f"{len(wrong) + len(explained)}, {len(explained)} of them explained"
    )
    assert (wrong, needless) == ([], [])
    assert len(tried) >= SAMPLE


def _compare(
    tried: list[TriedProgram], broken: Broken, explained: dict[tuple[str, str], str]
) -> tuple[list[str], list[str]]:
    """Tell where the kernel and ksurf disagree: unexpectedly, and not although that was expected."""
    wrong, needless = [], []
    for program in tried:
        key = (program.object, program.name)
        found = [*broken.get(key, ()), *broken.get((program.object, None), ())]
        agrees = program.works is not bool(found)
        if agrees and key in explained:
            needless.append("/".join(key))
        elif not agrees and (found or key not in explained):
            said = [finding.consequence for finding in found]
            wrong.append(f"{'/'.join(key)}: {program.load}, {program.attach}: {program.log}; ksurf: {said}")
    return wrong, needless


def _when(program: TriedProgram, broken: Broken) -> Iterator[str]:
    """What is said of a program to be refused at another time than it was.

    It may be refused for several reasons, at both times.
    """
    told = [finding.consequence for finding in broken.get((program.object, program.name), ())]
    other = "refused at load" if program.load == "ok" else "refused at attach"
    # What is in a function that several programs call may be said of another of these.
    if all(other in text for text in told):
        yield from told


def _concerned(report: ConsumerReport, finding: Finding) -> Iterator[str | None]:
    """The programs that a finding is about: a use may be in a function that several of them call."""
    callers = _callers(report.consumer.path)
    for use in finding.uses:
        if use.program is None:
            yield None
        else:
            yield from callers[use.program]


@cache
def _callers(path: str) -> dict[str, set[str]]:
    """The programs that are loaded with each function of a file's objects, by name; of a program itself."""
    callers: dict[str, set[str]] = defaultdict(set)
    for one in _core.bpf_objects(path):
        functions = {row["id"]: row for row in pa.table(one.tables["programs"]).to_pylist()}
        callees = defaultdict(set)
        for row in pa.table(one.tables["calls"]).to_pylist():
            callees[row["program"]].add(row["callee"])
        for number, row in functions.items():
            todo, seen = [] if row["subprogram"] else [number], set()
            while todo:
                if (function := todo.pop()) not in seen:
                    seen.add(function)
                    todo += callees[function]
            for function in seen:
                callers[functions[function]["name"]].add(row["name"])
    return callers
