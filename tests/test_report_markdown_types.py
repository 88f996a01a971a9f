"""The Markdown report on a struct, held against two published ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ksurf.dataset.rows import TypeRows
from ksurf.kernel import Kernel
from ksurf.report.kinds import KINDS, SymbolReport, report
from ksurf.report.markdown import symbol_markdown
from ksurf.series import group
from ksurf.surface.types import judge_type
from made_types import member, rows, struct
from report_shape import misshapen_type

PUBLISHED = Path(__file__).parent / "data" / "reports"
VERSIONS = "4.4 4.8 4.10 4.13 4.15 4.18 5.0 5.3 5.4 5.8 5.11 5.13 5.15 5.19 6.2 6.5 6.8".split()
BASE = "5.4"
_RENAME = re.compile(r"<li>\n<b>Rename proposed\. </b>\n.*\n</li>\n")


def kernel(version: str, *, flavor: str = "generic", arch: str = "amd64") -> Kernel:
    return Kernel(
        distro="ubuntu",
        release=f"{version}.0-26-{flavor}",
        version=f"{version}.0-26.30",
        base_version=version,
        flavor=flavor,
        arch=arch,
    )


LABELS = {
    **{version: kernel(version) for version in VERSIONS},
    **{arch: kernel(BASE, arch=arch) for arch in ("arm64", "armhf", "ppc64el", "riscv64")},
    **{flavor: kernel(BASE, flavor=flavor) for flavor in ("aws", "azure", "gcp", "lowlatency")},
}


def read_back(name: str, text: str) -> SymbolReport:
    """The report of the structs that a published report shows."""
    shown = dict(
        re.findall(r"In <code>(\S+)</code>: ✅</summary>\n\n```c\nstruct \w+ \{\n(.*?)\};\n```", text, re.S)
    )
    statuses = {}
    for label, identity in LABELS.items():
        found = TypeRows(identity, name)
        if label in shown:
            members = [member(line.strip().rstrip(";")) for line in shown[label].splitlines()]
            found = rows(identity, name, ("vmlinux", struct(name, *members)))
        statuses[identity] = judge_type(found)
    return report(KINDS["struct"], name, group(LABELS.values(), kernel(BASE)), statuses)


@pytest.mark.parametrize("name", ["kvm", "kvmppc_ops"])
def test_a_published_report_is_written_again(name: str) -> None:
    text = (PUBLISHED / f"struct-{name}.md").read_text()
    written = symbol_markdown(KINDS["struct"], read_back(name, text))
    # What theirs does not have stands beside what it has.
    assert _RENAME.sub("", written).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("name", ["kvm", "kvmppc_ops"])
def test_published_reports_have_the_shape(name: str) -> None:
    text = (PUBLISHED / f"struct-{name}.md").read_text()
    assert misshapen_type(text) is None
    assert misshapen_type(symbol_markdown(KINDS["struct"], read_back(name, text))) is None


def test_renames_are_proposed_beside_removal_and_addition() -> None:
    text = (PUBLISHED / "struct-kvm.md").read_text()
    written = symbol_markdown(KINDS["struct"], read_back("kvm", text))
    proposed = re.findall(r"<b>Rename proposed\. </b>\n<code>(.*)</code> ➡️ <code>(.*)</code>", written)
    assert sorted(proposed, key=lambda pair: pair[0].rpartition("_")[2]) == [
        ("long int mmu_notifier_count", "long int mmu_invalidate_in_progress"),
        ("long unsigned int mmu_notifier_range_end", "long unsigned int mmu_invalidate_range_end"),
        ("long unsigned int mmu_notifier_seq", "long unsigned int mmu_invalidate_seq"),
        ("long unsigned int mmu_notifier_range_start", "long unsigned int mmu_invalidate_range_start"),
    ]


def made(*definitions: str) -> str:
    """The Differences of a struct from 5.4 to 5.8."""
    statuses = {}
    for version, text in zip(("5.4", "5.8"), definitions, strict=True):
        identity = kernel(version)
        parts = [part.split("@") for part in text.split("; ")]
        members = [member(declared, offset=int(offset), size=8) for declared, offset in parts]
        statuses[identity] = judge_type(rows(identity, "s", ("vmlinux", struct("s", *members))))
    return symbol_markdown(
        KINDS["struct"], report(KINDS["struct"], "s", group(statuses, kernel("5.4")), statuses)
    ).partition("## Differences\n")[2]


def test_fields_that_move_together_are_one_line() -> None:
    text = made("long a@0; long b@8; long c@16", "long new@0; long a@8; long b@16; long c@24")
    assert (
        "<b>Field offset changed. </b>\n"
        "<code>a … c (3 fields): byte 0 … 16</code> ➡️ <code>a … c (3 fields): byte 8 … 24</code>\n"
    ) in text
    text = made("long a@0; long b@8", "long a@8; long b@0")
    assert "<code>a: byte 0</code> ➡️ <code>a: byte 8</code>\n" in text


def test_several_definitions_say_where_they_are() -> None:
    identity = kernel("5.4")
    two = rows(identity, "s", ("xfs", struct("s", "int a")), ("ext4", struct("s", "int b")))
    text = symbol_markdown(
        KINDS["struct"],
        report(KINDS["struct"], "s", group([identity], identity), {identity: judge_type(two)}),
    )
    assert "Collision ⚠️" in text
    assert "**In ext4:**\n\n```c\nstruct s {\n    int b;\n};\n```\n**In xfs:**" in text
    assert misshapen_type(text) is None
