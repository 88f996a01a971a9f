"""Plain lists of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ksurf.check.dependency import ConsumerKind, Kind
from ksurf.check.hook import base_name, is_pattern, pattern_expression, split_hook
from ksurf.check.names import WORDS, read_list
from ksurf.surface.attach import Mechanism


@pytest.mark.parametrize(
    ("line", "kind", "name", "mechanism"),
    [
        ("kprobe:vfs_read", Kind.FUNCTION, "vfs_read", Mechanism.KPROBE),
        ("kprobe.multi:vfs_*", Kind.FUNCTION, "vfs_*", Mechanism.KPROBE_MULTI),
        ("fentry: vfs_read", Kind.FUNCTION, "vfs_read", Mechanism.FENTRY),
        ("function:vfs_read", Kind.FUNCTION, "vfs_read", None),
        ("kprobe:vfs_read::0", Kind.PARAMETER, "vfs_read::0", Mechanism.KPROBE),
        ("parameter:vfs_read::return", Kind.PARAMETER, "vfs_read::return", None),
        ("tracepoint:sched:sched_switch", Kind.TRACEPOINT, "sched:sched_switch", Mechanism.TRACEPOINT),
        ("tracepoint:sched:a::b", Kind.TRACEPOINT_FIELD, "sched:a::b", Mechanism.TRACEPOINT),
        ("raw_tp:sched_switch", Kind.TRACEPOINT, "sched_switch", Mechanism.RAW_TP),
        ("ksyscall:openat", Kind.SYSCALL, "openat", Mechanism.KSYSCALL),
        ("struct:task_struct", Kind.STRUCT, "task_struct", None),
        ("struct:task_struct::pid", Kind.FIELD, "task_struct::pid", None),
        ("field:task_struct::se.vruntime", Kind.FIELD, "task_struct::se.vruntime", None),
        ("enum:pid_type::PIDTYPE_PID", Kind.ENUMERATOR, "pid_type::PIDTYPE_PID", None),
        ("struct_ops:tcp_congestion_ops::init", Kind.STRUCT_OPS, "tcp_congestion_ops::init", None),
        ("config:BPF", Kind.CONFIG, "CONFIG_BPF", None),
        ("helper:bpf_map_lookup_elem", Kind.HELPER, "bpf_map_lookup_elem", None),
    ],
)
def test_a_line_is_a_dependency(line: str, kind: Kind, name: str, mechanism: Mechanism | None) -> None:
    consumer = read_list(f"\n  {line}  # why\n", "list")
    (one,) = consumer.dependencies
    assert (one.kind, one.name, one.mechanism) == (kind, name, mechanism)
    assert (one.uses[0].line, one.uses[0].text, one.uses[0].guard) == (2, line, None)
    assert (consumer.kind, consumer.incomplete) == (ConsumerKind.LIST, ())


def test_a_question_mark_is_a_guard() -> None:
    (one,) = read_list("?kprobe:f\nkprobe:f", "list").dependencies
    assert [use.guard is None for use in one.uses] == [False, True]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("kprobes:f", "'kprobes' is no kind of dependency"),
        ("kprobe", "a name is expected after kprobe:"),
        ("kprobe:", "a name is expected after kprobe:"),
        ("kprobe:two words", "a name is expected after kprobe:"),
        ("struct:::pid", "has nothing on one side of ::"),
        ("field:pid", "field:OWNER::NAME is expected"),
        ("tracepoint:sched_switch", "tracepoint:SYSTEM:EVENT is expected"),
        ("x" * 5000, "a line of 5000 characters names nothing"),
    ],
)
def test_a_wrong_line_is_told_by_its_number_and_costs_only_itself(line: str, reason: str) -> None:
    consumer = read_list(f"kprobe:f\n{line}\nkprobe:g\n", "names", "some/names.txt")
    assert [one.name for one in consumer.dependencies] == ["f", "g"]
    assert len(consumer.incomplete) == 1
    assert consumer.incomplete[0].startswith("some/names.txt:2: ")
    assert reason in consumer.incomplete[0]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    read_list(text, "list")


@given(st.sampled_from(sorted(WORDS)), st.text())
def test_any_name_is_read_and_taken_apart(word: str, name: str) -> None:
    for one in read_list(f"{word}:{name}", "list").dependencies:
        split_hook(one.name)
        base_name(one.name)
        if is_pattern(one.name):
            pattern_expression(one.name)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("vfs_read", (None, "vfs_read", None)),
        ("vfs_read+0x10", (None, "vfs_read", 16)),
        ("kvm:vcpu_load+4", ("kvm", "vcpu_load", 4)),
        ("a::b", (None, "a::b", None)),
        ("f+x", (None, "f+x", None)),
    ],
)
def test_hooks_have_modules_and_offsets(text: str, parts: tuple[str | None, str, int | None]) -> None:
    assert tuple(split_hook(text)) == parts


def test_the_function_of_a_hook() -> None:
    assert [base_name(n) for n in ("f", "f.isra.0", "kvm:f+8", ".f", "f.constprop.0+0x8")] == ["f"] * 5


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("vfs_*", "vfs_.*"),
        ("a?b", "a.b"),
        ("a[0-9]", "a[0-9]"),
        ("a[!x]", "a[^x]"),
        ("f.isra.*", None),
        ("^vfs_.*", "(?:vfs_.*).*"),
        ("^vfs_read$", "vfs_read"),
    ],
)
def test_patterns_are_wildcards_or_regular_expressions(text: str, expression: str | None) -> None:
    assert is_pattern(text)
    if expression is not None:
        assert pattern_expression(text) == expression


def test_what_deps_writes_as_json_is_a_list() -> None:
    """The example of docs/commands/deps.md: a mechanism or else a kind, and a name."""
    names = {Kind.TRACEPOINT: "sched:sched_switch", Kind.TRACEPOINT_FIELD: "sched:sched_switch::prev_pid"}
    parts = {Kind.FIELD, Kind.ENUMERATOR, Kind.PARAMETER}
    for kind in Kind:
        name = names.get(kind, "CONFIG_X" if kind is Kind.CONFIG else "a::b" if kind in parts else "a")
        (one,) = read_list(f"{kind.value}:{name}", "list").dependencies
        assert (one.kind, one.name) == (kind, name)
    for mechanism in Mechanism:
        name = "sched:sched_switch" if mechanism is Mechanism.TRACEPOINT else "a"
        (one,) = read_list(f"{mechanism.value}:{name}", "list").dependencies
        assert (one.mechanism, one.name) == (mechanism, name)
