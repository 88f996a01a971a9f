"""Trace events of real kernels equal what the same kernels show in ``events/*/*/format`` when they run."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from real_kernels import Pulled, RealKernels
from truth import Event, Field, Truth, captures, read_truth

pytestmark = pytest.mark.network


class Row(NamedTuple):
    """What is compared of an event."""

    fields: tuple[Field, ...]
    print_fmt: str | None


@cache
def ours(tables: Path) -> dict[tuple[str | None, str], dict[str, Any]]:
    """Return the rows of ``tracepoints`` by system and name, with their fields and images."""
    images = {row["id"]: row["name"] for row in pq.read_table(tables / "images.parquet").to_pylist()}
    rows = pq.read_table(tables / "tracepoints.parquet").to_pylist()
    for row in rows:
        row["image"] = images[row["image"]]
        row["fields"] = []
    for row in pq.read_table(tables / "tracepoint_fields.parquet").to_pylist():
        name, bracket, dimensions = row["name"].partition("[")
        shown = f"{row['type']}{bracket}{dimensions}"
        rows[row["tracepoint"]]["fields"].append(
            Field(shown, name, row["byte_offset"], row["byte_size"], row["signed"])
        )
    return {(row["system"], row["name"]): row for row in rows}


def row(event: Event) -> Row:
    """Return what a running kernel shows of an event."""
    return Row(event.fields, event.print_fmt)


@pytest.fixture(params=captures(), ids=lambda folder: folder.name, scope="module")
def kernel(request: pytest.FixtureRequest, real_kernels: RealKernels) -> tuple[Truth, Pulled]:
    return read_truth(request.param), real_kernels.pull(request.param.name)


def test_events_are_those_of_the_running_kernel(kernel: tuple[Truth, Pulled]) -> None:
    truth, pulled = kernel
    running = {"vmlinux", *truth.modules}
    found = {
        key: Row(tuple(event["fields"]), event["print_format"])
        for key, event in ours(pulled.tables).items()
        if key[0] is not None and event["image"] in running
    }
    expected = {key: row(event) for key, event in truth.events.items()}
    assert found.keys() - expected.keys() == set()
    assert expected.keys() - found.keys() == set()
    differences = {key: (found[key], expected[key]) for key in expected if found[key] != expected[key]}
    assert differences == {}


def test_events_have_classes_and_tracepoints(kernel: tuple[Truth, Pulled]) -> None:
    _, pulled = kernel
    rows = ours(pulled.tables)
    switch = rows["sched", "sched_switch"]
    assert (switch["class"], switch["tracepoint"]) == ("sched_switch", "sched_switch")
    wakeup = rows["sched", "sched_wakeup"]
    assert (wakeup["class"], wakeup["tracepoint"]) == ("sched_wakeup_template", "sched_wakeup")
    enter = rows["syscalls", "sys_enter_openat"]
    assert (enter["class"], enter["tracepoint"], enter["image"]) == ("syscall_enter", None, "vmlinux")
    assert rows["kvm", "kvm_userspace_exit"]["tracepoint"] == "kvm_userspace_exit"
    assert all(row["class"] for row in rows.values() if row["system"] is not None)


def test_tracepoints_without_events_are_found(kernel: tuple[Truth, Pulled]) -> None:
    """``DECLARE_TRACE`` alone: include/trace/events/sched.h."""
    _, pulled = kernel
    rows = ours(pulled.tables)
    bare = {name: row for (system, name), row in rows.items() if system is None}
    assert {"pelt_cfs_tp", "pelt_se_tp", "sched_overutilized_tp"} <= bare.keys()
    for name, row in bare.items():
        assert (row["tracepoint"], row["fields"], row["class"]) == (name, [], None)
    events = {row["tracepoint"] for row in rows.values() if row["system"] is not None}
    assert not events & bare.keys()


def test_nothing_was_left_out(kernel: tuple[Truth, Pulled]) -> None:
    _, pulled = kernel
    manifest = json.loads((pulled.tables / "manifest.json").read_text())
    reasons = [image["reason"] for image in manifest["incomplete"]]
    assert [text for text in reasons if text.startswith(("trace", "enumerators", "system calls"))] == []
