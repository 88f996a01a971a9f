"""bpftrace scripts: each construct of the language, and what is needed of the kernel."""

from __future__ import annotations

import pytest

from ksurf.check.dependency import Condition, ConsumerKind, Kind, Program
from ksurf.surface.attach import Mechanism
from made_bpftrace import in_probe, needs, read


@pytest.mark.parametrize(
    "block",
    [
        "",
        ";",
        "exit()",
        "exit();",
        "$x = 1; $x += 2; $x -= 1; $x *= 3; $x /= 2; $x %= 2; $x &= 1; $x |= 1; $x ^= 1; $x <<= 1; $x >>= 1",
        "$x = 0; $x++; ++$x; $x--; --$x; @++; @a[1]--; ++@b;",
        "@ = count(); @x = count(); @[pid, comm] = hist(1); @y[(1, 2)] = 3; delete(@y[1, 2]); clear(@);",
        "if (1) { exit() } else if (2) { exit() } else if (3) { 1 } else { 2 }",
        "if ($x == 1) { } if !$x { } $y = 1;",
        "while ($i < 10) { $i++; if ($i == 5) { break; } continue }",
        "unroll(3) { @a = 1 } unroll (5) { }",
        "for ($kv : @map) { print($kv.0); print($kv.1.2) } for ($i : 0..ncpus) { continue; }",
        "for $i : 0..$n { } for $kv : @m { }",
        "return; return 1;",
        "let $x; let $y = 1; let $z : uint32; let $p : struct foo * = curtask; let $t: typeof($x) = 1",
        '$t = (1, "a", (2, 3)); $u = (1,); $v = (); $w = (color="green", size=2); $w.size',
        "$x = (uint8)1; $y = (int8[8])12345; $z = (uint8[])$y; $q = (typeof($x))2; $r = (typeof($x)*)3",
        "sizeof(uint32); sizeof(struct task_struct); sizeof($x + 1); sizeof(uint32*[10])",
        "$x = 1 + 2 * 3 - 4 / 5 % 6 & 7 | 8 ^ 9 << 1 >> 2; $y = 1 && 0 || !1",
        "$z = ~1 == -1 != 2 <= 3 >= 4 < 5 > 6",
        "$x = $a ? 1 : $b ? 2 : 3; $y = $a ?: 4; $c ? print(1) : print(2)",
        "$x = 0xff + 0XFF + 0755 + 1e6 + 1_000_000 + 123UL + 5ull + 10ms + 1s + 3us + 1m",
        r'printf("a \"b\" // no comment /* nor here */ { %d\n", 1); print("\x41\101")',
        "$x = { let $y = 1; $y }; _ = has_key(@a, 1); { $z = 1 } ",
        "$x = if (1) { 2 } else { 3 }; if comptime (is_str($x)) { 1 } else { 2 }",
        "if comptime is_array($x) { }",
        'print(str($1)); print($#); print(getopt("a", 1));',
        "greet!(); greet!(1, 2)",
        '$x = *(uint64 *)arg0; $y = **(int64**)reg("sp") + 16; $z = &$x; $m = &@a',
        "$x = (pid)*tid; $y = (cpu) - 1; $z = (arg0) & 1",
        "print(args); print(config.max_strlen)",
        "/* a\n comment */ $x = 1; // another { \n $y = 10 / 5 /* / */ / 1;",
        "if (1) { 1 } /* x */ ; /**/",
        "offsetof(struct task_struct, se.vruntime); $x.if; $x.for = 1",
    ],
)
def test_code_of_any_version_is_read_whole(block: str) -> None:
    found = read(f"BEGIN {{ {block} \n}}", types=False)
    assert [reason for reason in found.incomplete if "the script does not tell" not in reason] == []


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("kprobe:vfs_read", ("function", "vfs_read", Mechanism.KPROBE)),
        ("k:vfs_read", ("function", "vfs_read", Mechanism.KPROBE)),
        ("kprobe:vfs_*", ("function", "vfs_*", Mechanism.KPROBE)),
        ("kprobe:vfs_rea[dx]?", ("function", "vfs_rea[dx]?", Mechanism.KPROBE)),
        ("kprobe:vfs_read+0x10", ("function", "vfs_read+0x10", Mechanism.KPROBE)),
        ('kprobe:"vfs_read"', ("function", "vfs_read", Mechanism.KPROBE)),
        ('kprobe:"vfs_read"+4', ("function", "vfs_read+4", Mechanism.KPROBE)),
        ("kprobe:kvm:x86_emulate_insn", ("function", "kvm:x86_emulate_insn", Mechanism.KPROBE)),
        ("fentry:kvm:kvm_*", ("function", "kvm:kvm_*", Mechanism.FENTRY)),
        ("kprobe:lookup_fast.constprop.*", ("function", "lookup_fast.constprop.*", Mechanism.KPROBE)),
        ("name=kprobe:f", ("function", "f", Mechanism.KPROBE)),
        ("kretprobe:vfs_read", ("function", "vfs_read", Mechanism.KRETPROBE)),
        ("kr:f", ("function", "f", Mechanism.KRETPROBE)),
        ("kfunc:vfs_read", ("function", "vfs_read", Mechanism.FENTRY)),
        ("fentry:vmlinux:vfs_read", ("function", "vfs_read", Mechanism.FENTRY)),
        ("f:vfs_read", ("function", "vfs_read", Mechanism.FENTRY)),
        ("kretfunc:f", ("function", "f", Mechanism.FEXIT)),
        ("fexit:f", ("function", "f", Mechanism.FEXIT)),
        ("fr:f", ("function", "f", Mechanism.FEXIT)),
        ("tracepoint:sched:sched_switch", ("tracepoint", "sched:sched_switch", Mechanism.TRACEPOINT)),
        ("t:xhci-hcd:xhci_*", ("tracepoint", "xhci-hcd:xhci_*", Mechanism.TRACEPOINT)),
        ("rawtracepoint:sched_switch", ("tracepoint", "sched_switch", Mechanism.RAW_TP)),
        ("rt:vmlinux:sched_switch", ("tracepoint", "sched_switch", Mechanism.RAW_TP)),
        ("iter:task", ("iter", "task", None)),
        ("it:task_file:/sys/fs/bpf/files", ("iter", "task_file", None)),
    ],
)
def test_a_hook_of_the_kernel(head: str, expected: tuple[str, str, Mechanism | None]) -> None:
    found = read(head + " { }")
    assert found.incomplete == ()
    assert [(one.kind.value, one.name, one.mechanism) for one in found.dependencies] == [expected]


@pytest.mark.parametrize(
    "head",
    [
        "BEGIN",
        "END",
        "begin",
        "end",
        "interval:s:1",
        "i:1s",
        "interval:1000000000",
        "profile:hz:99",
        "p:ms:10",
        "hardware:cache-misses:1e6",
        "h:cpu-cycles:",
        "software:faults:100",
        "s:cpu:",
        "watchpoint:0x10000000:8:rw",
        "w:0xffff:8:w",
        "asyncwatchpoint:0x10:8:w",
        "watchpoint:increment+arg1:4:w",
        "self:signal:SIGUSR1",
        "bench:lhist",
        "test:okay",
        "uprobe:/bin/bash:readline",
        "u:./a.out:main.foo",
        "uprobe:/usr/lib/*/libc.so.6:malloc",
        "uprobe:/usr//lib/x:f",
        "uprobe:libssl.so.3:SSL_write",
        'uprobe:/bin/app:cpp:"ns::f(int, char)"',
        "uprobe:/bin/bash@readline.c:362",
        "uprobe:/bin/bash:0x1234",
        "uretprobe:/bin/bash:readline",
        "ur:/bin/bash:readline",
        "usdt:/root/tick:loop",
        "U:*:ns:loop",
        "usdt:/bin/x:[ns]:p",
        "fentry:bpf:123:prog",
    ],
)
def test_a_probe_that_names_nothing_of_the_kernel(head: str) -> None:
    found = read(head + " { @ = count(); print(arg0); }")
    assert (found.incomplete, found.dependencies) == ((), ())
    assert found.programs == (Program(head, head),)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("kprobe", "x.bt:1:1: expected a name, found 'kprobe'"),
        ("nothing:f", "x.bt:1:1: expected a probe, found 'nothing:f'"),
        ("kprobe:f,,kprobe:g", "x.bt:1:10: expected a probe"),
        ("tracepoint:sched", "x.bt:1:1: expected tracepoint:category:event"),
        ("kprobe:a:b:c", "x.bt:1:1: expected a module and a name"),
        ("kprobe:0xffffffff81000000", "x.bt:1:1: it is attached at an address: what is there differs"),
        ("kprobe:$1", "x.bt:1:1: what it is attached to is only told when it is run"),
        ("k*:f", "x.bt:1:1: which kinds of probes the wildcard stands for is only told when it is run"),
        ("kprobe:a(b)", "x.bt:1:1: expected a name, found 'a(b)'"),
    ],
)
def test_a_probe_that_cannot_be_read(head: str, reason: str) -> None:
    assert read(head + " { }").incomplete[0].startswith(reason)


def test_several_attach_points_and_a_predicate() -> None:
    found = read(
        """
        kprobe:vfs_read, // the first
        kprobe:vfs_write
        /pid == 1 && comm != "x / {"/ // why
        {
            @[arg2] = count();
        }
        """
    )
    assert found.incomplete == ()
    text = "kprobe:vfs_read,kprobe:vfs_write"
    assert found.programs == (Program(text, text),)
    assert [(d.name, d.uses[0].line, d.uses[0].program) for d in found.dependencies] == [
        ("vfs_read", 2, text),
        ("vfs_write", 3, text),
        ("vfs_read::2", 6, text),
        ("vfs_write::2", 6, text),
    ]
    assert found.dependencies[2].uses[0].text == "@[arg2] = count();"
    assert (found.kind, found.name, found.path) == (ConsumerKind.BPFTRACE, "x", "x.bt")


def test_a_predicate_may_touch_what_is_around_it() -> None:
    assert needs("kprobe:f/arg0 / 2 == 1/{ }") == ["function f", "parameter f::0"]


def test_macros_of_the_preprocessor() -> None:
    text = "#define TASK ((struct task_struct *)arg0)\n#define N 5\nkprobe:f {\n  TASK->pid + N }"
    found = read(text)
    assert [(one.name, one.uses[0].line) for one in found.dependencies] == [
        ("f", 3),
        ("f::0", 4),
        ("task_struct::pid", 4),
    ]


def test_macros_of_the_language() -> None:
    text = """
        macro pid_of(task) { task.pid }
        macro keep(@m, $t) { @m[1] = $t; }
        macro current { curtask }
        kprobe:f { pid_of(curtask); $p = current().parent; keep(@x, $p); @x[1].comm; current.se.vruntime }
        """
    assert needs(text) == [
        "function f",
        "field task_struct::pid",
        "field task_struct::parent",
        "field task_struct::comm",
        "field task_struct::se.vruntime",
    ]


def test_functions_of_the_language() -> None:
    text = (
        "fn add($t : struct task_struct *, $n : int64) : int64 { return $t.pid + $n; }\nBEGIN { add(1, 2) }"
    )
    found = read(text)
    assert [(one.name, one.uses[0].program) for one in found.dependencies] == [("task_struct::pid", "fn add")]


def test_symbols_helpers_maps_and_enumerators() -> None:
    text = """
        let @a = lruhash(100);
        kprobe:f { kaddr("avenrun"); override(1); path(1); TCP_CLOSE }
        """
    assert needs(text) == [
        "function f",
        "map type BPF_MAP_TYPE_LRU_HASH",
        "ksym avenrun",
        "helper bpf_override_return",
        "config CONFIG_BPF_KPROBE_OVERRIDE",
        "helper bpf_d_path",
        "enumerator TCP_CLOSE",
    ]
    assert in_probe("jiffies; cgroup; signal; $x = (path=1)") == [
        "helper bpf_jiffies64",
        "helper bpf_get_current_cgroup_id",
    ]
    assert needs("#include <net/tcp.h>\nkprobe:f { TCP_CLOSE }") == ["function f"]
    assert needs("#define TCP_CLOSE 7\nkprobe:f { TCP_CLOSE }") == ["function f"]
    assert needs("enum e { TCP_CLOSE = 7, B_C };\nkprobe:f { TCP_CLOSE + B_C }") == ["enum e", "function f"]


def test_probes_that_may_be_missing() -> None:
    found = read("config = { max_map_keys = 10; missing_probes = warn; }\nkprobe:f { curtask.pid }")
    assert found.programs == (Program("kprobe:f", "kprobe:f", optional=True),)
    hook, field = found.dependencies
    guard = hook.uses[0].guard
    assert guard is not None and guard.text == "config = { missing_probes = warn }"
    assert guard.catch is not None and "a single attach point" in guard.catch
    assert field.uses[0].guard is None
    assert read("config = { missing_probes = error }\nkprobe:f { }").programs[0].optional is False
    assert read('config = { BPFTRACE_MISSING_PROBES = "ignore" }\nkprobe:f { }').programs[0].optional is True


def test_an_attach_point_of_several_needs_one_of_the_others() -> None:
    first, second, field = read("kprobe:f, kprobe:f, kr:m:g { @ = arg0 }").dependencies
    hooks = [Condition(Kind.FUNCTION, "f", True, Mechanism.KPROBE)]
    hooks.append(Condition(Kind.FUNCTION, "m:g", True, Mechanism.KRETPROBE))
    for one, other in ((first, hooks[1]), (second, hooks[0])):
        guard = one.uses[0].guard
        assert guard is not None and guard.instead == (other,) and guard.conditions == ()
        assert guard.text == "the other attach points of kprobe:f,kprobe:f,kr:m:g"
        assert guard.catch is not None and "0.24" in guard.catch
    assert field.uses[0].guard is None
    (alone,) = read("kprobe:f, kprobe:f { }").dependencies
    assert alone.uses[0].guard is None


def test_an_attach_point_that_is_nothing_of_the_kernel_is_always_there() -> None:
    (hook,) = read("kprobe:f, interval:s:1 { }").dependencies
    guard = hook.uses[0].guard
    assert guard is not None and guard.instead == ()


def test_a_setting_lets_any_attach_point_be_missing() -> None:
    for one in read('config = { missing_probes = "ignore" } kprobe:f, kprobe:g { }').dependencies:
        guard = one.uses[0].guard
        assert guard is not None and (guard.instead, guard.catch) == ((), None)


def test_what_is_decided_when_it_is_compiled_guards() -> None:
    found = read(
        """
        kprobe:f {
            if comptime (kfunc_exist("bpf_task_from_pid")) { curtask.pid } else { curtask.comm }
            if (pid == 1) { curtask.parent }
        }
        """
    )
    by_name = {one.name: one.uses[0].guard for one in found.dependencies}
    there, missing = by_name["task_struct::pid"], by_name["task_struct::comm"]
    assert there is not None
    assert missing is not None
    assert there.conditions == (Condition(Kind.KFUNC, "bpf_task_from_pid", True),)
    assert missing.conditions == (Condition(Kind.KFUNC, "bpf_task_from_pid", False),)
    assert by_name["task_struct::parent"] is None


def test_imports() -> None:
    assert needs('import "stdlib/x"; import "types.h"; kprobe:f { }') == ["function f"]
    (reason,) = read('import "helpers.bt";\nkprobe:f { }').incomplete
    assert reason == 'x.bt:1:1: what it imports, "helpers.bt", is not read with it'
