"""bpftrace scripts that are broken, cut off, damaged, or meant to do harm."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf.check.bpftrace import read_script
from ksurf.check.bpftrace.reader import SIZE_LIMIT
from ksurf.check.dependency import Consumer, ConsumerKind
from made_bpftrace import read


def test_an_error_costs_only_its_part() -> None:
    found = read("kprobe:f {\n  $x = ;\n}\nkprobe:g { curtask.pid }\nkprobe:h /1 +/ { arg0 }\nkprobe:i { (")
    assert [one.name for one in found.dependencies] == ["f", "g", "h", "i", "task_struct::pid", "h::0"]
    first, second, third = found.incomplete
    assert first.startswith("x.bt:2:8: expected ( or ")
    assert first.endswith("found ';'")
    assert second.startswith("x.bt:5:14: expected ( or ")
    assert second.endswith("found its end")
    assert third == "x.bt:6:12: ( is not closed"


def test_a_brace_that_is_missing_costs_only_its_part() -> None:
    found = read("kprobe:f\n{\n  if (1) {\n    arg0;\n}\n\nkprobe:g\n{\n  arg1;\n}\n")
    assert [one.name for one in found.dependencies] == ["f", "g", "g::1"]
    assert found.incomplete == ("x.bt:2:1: { is not closed",)
    found = read("kprobe:f\n{\n  print((1);\n}\nkprobe:g { }")
    assert [one.name for one in found.dependencies] == ["f", "g"]
    assert found.incomplete == ("x.bt:4:1: } closes (",)


def test_what_is_no_script() -> None:
    for script, reason in [
        (b"\x7fELF\0", "it is not text"),
        (b" " * (SIZE_LIMIT + 1), f"it is larger than {SIZE_LIMIT} bytes, which no script is"),
    ]:
        assert read_script(script, "a/b.bt", member="c.bt").incomplete == (f"c.bt: {reason}",)
    assert read_script(b"", "empty.bt") == Consumer(ConsumerKind.BPFTRACE, "empty", "empty.bt")
    assert read_script(b'#!/usr/bin/env bpftrace\nBEGIN { print("\xff") }', "x.bt", name="y").name == "y"


@pytest.mark.parametrize(
    "text",
    [
        "kprobe:f { " + "(" * 20_000 + "1" + ")" * 20_000 + " }",
        "kprobe:f " + "{" * 20_000 + "}" * 20_000,
        "kprobe:f { $a = " + "!" * 20_000 + "1; }",
        "kprobe:f { $a = 1" + "+1" * 20_000 + "; }",
        "kprobe:f { $a = " + "1?" * 5_000 + "1" + ":1" * 5_000 + "; }",
        "kprobe:f { if (1) {1} " + "else if (1) {1}" * 3_000 + " }",
        "kprobe:f { curtask" + ".parent" * 10_000 + " }",
        "".join(f"#define A{i} A{i + 1} + A{i + 1}\n" for i in range(500)) + "kprobe:f { A0 }",
        "".join(f"macro m{i}(x) {{ m{i + 1}(x); m{i + 1}(x); }}\n" for i in range(100))
        + "kprobe:f { m0(curtask) }",
        "macro a(x) { a(x) b(x) } macro b(x) { a(x) }\nkprobe:f { a(1) }",
        "kprobe:f { $a = (curtask, 1); " + "$a = ($a, $a); " * 200 + "m($a) } macro m(x) { x }",
        ",".join(f"kprobe:f{i}" for i in range(5_000)) + " { " + "arg0;\n" * 100 + " }",
        "}" * 20_000,
        '"' * 20_001,
        "/*" * 20_000,
        "kprobe:" + ":/" * 20_000,
        "kprobe:f " + "/" * 20_000,
        "struct a {" * 5_000,
        "struct a {" * 2_000 + "int x;" + "} y;" * 2_000,
        "struct a { int " + "*" * 20_000 + "x; };",
        "struct a {} " + "__attribute__ (((" * 5_000,
        "kprobe:f { (struct" + " " * 50_000 + "x *)arg0 }",
        "#if 1\n" * 5_000 + "struct a { int x; };",
    ],
    ids=lambda text: text[:24],
)
def test_scripts_that_nobody_writes_come_to_an_end(text: str) -> None:
    # If any of them took more than time in the order of its length, that would be hours.
    assert read(text).name == "x"


SCRIPT = """#!/usr/bin/env bpftrace
#ifndef BPFTRACE_HAVE_BTF
#include <linux/sched.h>
#endif
#define N 10
struct event { int a; char b[16]; };
config = { missing_probes = warn }
let @m = lruhash(10);
macro pid_of(task) { task.pid }
kprobe:vfs_*, kretprobe:"f" /pid == 1 && @start[tid]/ {
    $t = (struct task_struct *)arg0; @x[$t->se.vruntime, "a\\n"] = hist(nsecs / 1e6);
    if ($t.pid > N) { for ($kv : @x) { print($kv.0); } } else { unroll(3) { $i++; } }
}
tracepoint:sched:sched_switch { $c = args->next_comm; printf("%s %d", str($c), pid_of(curtask)) }
"""


@given(st.integers(0, len(SCRIPT)))
@settings(max_examples=300, deadline=None)
def test_truncated_scripts_are_read_as_far_as_they_go(end: int) -> None:
    read(SCRIPT[:end])


@given(st.integers(0, len(SCRIPT)), st.text(string.printable, max_size=6), st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_damaged_scripts_are_read_as_far_as_they_go(at: int, inserted: str, removed: int) -> None:
    read(SCRIPT[:at] + inserted + SCRIPT[at + removed :])


@given(
    st.lists(
        st.sampled_from([*"{}()[]/:;,.*$@#=+-!?\"'\n\\ ", "kprobe", "if", "struct", "x", "1", "//", "/*"])
    )
)
@settings(max_examples=300, deadline=None)
def test_any_pieces_are_read(pieces: list[str]) -> None:
    read("".join(pieces))


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read(content: bytes) -> None:
    read_script(content, "x.bt")


def test_the_whole_script_is_read() -> None:
    assert read(SCRIPT).incomplete == ()
