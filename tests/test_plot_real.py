"""Plots of kernels that Debian ships, held against what other commands and the judgements say."""

from __future__ import annotations

import csv
import io
import json
import random
import shlex
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ksurf.dataset.lookup import functions_named, read_tables
from ksurf.plot.model.inlining import TABLES, names_of
from ksurf.surface.function import judge
from real_kernels import RealKernels

pytestmark = pytest.mark.network

OLD, NEW = "6.1-cloud-amd64", "6.12-cloud-amd64"
SAMPLE = 300


def test_churn_is_what_diff_tells(real_kernels: RealKernels, tmp_path: Path) -> None:
    ids = [real_kernels.pull(selector).kernel.id for selector in (OLD, NEW)]
    on = [word for one in ids for word in ("--on", one)]
    rows = json.loads(real_kernels.ksurf("plot", "churn", *on, "--format", "json"))["rows"]
    assert len(rows) == 12
    kinds = json.loads(real_kernels.ksurf("diff", *ids, "--format", "json"))["kinds"]
    told = {one["kind"]: one for one in kinds}
    for row in rows:
        counts = [len(told[row["kind"]][word]) for word in ("added", "removed", "changed")]
        assert [row["added"], row["removed"], row["changed"]] == counts, row["kind"]
    picture = tmp_path / "churn.svg"
    real_kernels.ksurf("plot", "churn", *on, "--kind", "syscall", "--output", str(picture))
    written = {"".join(text.itertext()) for text in ElementTree.parse(picture).getroot().iter()}
    syscalls = next(row for row in rows if row["kind"] == "syscall")
    assert {str(syscalls["added"]), "System calls"} <= written


def test_inlining_is_judged_as_functions_are(real_kernels: RealKernels, note: Callable[[str], None]) -> None:
    kernel, directory = real_kernels.pull(NEW)
    (tables,) = read_tables([directory], TABLES)
    names = names_of(tables)
    inlined = names.inlined()
    every = tables["functions"]["name"].unique().to_pylist()
    chosen = random.Random(kernel.id)
    sample = [*chosen.sample(every, SAMPLE), *chosen.sample(sorted(names.suffixes), SAMPLE // 2)]
    for name, (rows,) in functions_named(list(dict.fromkeys(sample)), [(kernel, directory)]).items():
        status = judge(rows)
        assert status.is_present == (name in inlined), name
        if status.is_present:
            assert status.inline is inlined[name], name
        assert set(status.suffixes) == names.suffixes.get(name, set()), name
    note(f"plots: inlining of {len(set(sample))} functions of {kernel.id} is what each one's judgement is")


def test_inlining_is_what_its_query_tells(real_kernels: RealKernels) -> None:
    kernel, _ = real_kernels.pull(NEW)
    rows = json.loads(real_kernels.ksurf("plot", "inlining", "--on", kernel.id, "--format", "json"))["rows"]
    counts = {row["measure"]: row["functions"] for row in rows}
    inlined, suffixed = dict.fromkeys(row["source"] for row in rows)

    def asked(source: str) -> list[dict[str, str]]:
        text = real_kernels.ksurf(*shlex.split(source)[1:], "--format", "csv")
        return list(csv.DictReader(io.StringIO(text)))

    found = dict.fromkeys(("out of line only", "selectively inlined", "fully inlined", "not told"), 0)
    for line in asked(inlined):
        code = "selectively inlined" if line["code"] == "True" else "fully inlined"
        kind = "out of line only" if line["inlined"] == "False" else code
        found["not told" if line["told"] == "False" else kind] += int(line["names"])
    for line in asked(suffixed):
        found[f".{line['suffix']}" if line["suffix"] else "transformed"] = int(line["names"])
    assert counts == found
    assert sum(counts[kind] for kind in list(counts)[:4]) == rows[0]["of"]


def test_the_growth_of_task_struct_is_what_show_tells(real_kernels: RealKernels) -> None:
    kernel, _ = real_kernels.pull(NEW)
    command = ("plot", "struct-growth", "task_struct", "--on", kernel.id, "--format", "json")
    (row,) = json.loads(real_kernels.ksurf(*command))["rows"]
    (shown,) = json.loads(real_kernels.ksurf(*shlex.split(row["source"])[1:]))["symbols"]
    (definition,) = shown["groups"][0]["kernels"][0]["definitions"]
    assert row["byte_size"] == definition["byte_size"]
    assert 0 < row["hole_bytes"] < row["byte_size"] // 10
