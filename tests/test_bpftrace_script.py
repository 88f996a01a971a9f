"""bpftrace scripts: each construct of the language, what is needed of the kernel, and hostile ones."""

from __future__ import annotations

import string
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf.check.bpftrace import KernelTypes, read_script
from ksurf.check.bpftrace.declaration import Type, members, type_from_c
from ksurf.check.bpftrace.reader import SIZE_LIMIT
from ksurf.check.dependency import Condition, Consumer, ConsumerKind, Dependency, Guard, Kind, Program
from ksurf.dataset.store import Store
from ksurf.surface.attach import Mechanism
from made_kernel import kernel, offering_kernel

TYPES = {
    "task_struct::parent": "struct task_struct *",
    "task_struct::se": "struct sched_entity",
    "task_struct::se.vruntime": "u64",
    "task_struct::se.cfs_rq": "struct cfs_rq *",
    "cfs_rq::nr_running": "unsigned int",
    "task_struct::pid": "pid_t",
    "task_struct::comm": "char [16]",
    "request::q": "struct request_queue *",
    "request_queue::disk": "struct gendisk *",
    "gendisk::disk_name": "char [32]",
    "gendisk::part": "struct (anon) *",
    "table::rows": "struct row [4]",
    "table::pointers": "struct row *[4]",
    "row::value": "int",
    "vfs_read::file": "struct file *",
    "vfs_read::return": "ssize_t",
    "file::f_inode": "struct inode *",
    "inode::i_ino": "unsigned long",
    "fget::return": "struct file *",
    "sched_switch::prev": "struct task_struct *",
    "sched:sched_switch::next_comm": "char [16]",
}


def read(text: str, *, types: bool = True) -> Consumer:
    return read_script(
        textwrap.dedent(text), "x.bt", type_of=(lambda kind, name: TYPES.get(name)) if types else None
    )


def needs(text: str, *, types: bool = True) -> list[str]:
    """What a script needs, each as a line: kind and name. It must be read whole."""
    found = read(text, types=types)
    assert found.incomplete == ()
    return [f"{one.kind.value} {one.name}" for one in found.dependencies]


def in_probe(code: str, *, types: bool = True) -> list[str]:
    """What a block needs beside its hook."""
    return [one for one in needs(f"kprobe:f {{ {code} }}", types=types) if one != "function f"]


def one(text: str, kind: Kind) -> Dependency:
    (found,) = [one for one in read(text).dependencies if one.kind is kind]
    return found


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


def test_arguments() -> None:
    assert needs("kprobe:f { arg0 + arg11 }") == ["function f", "parameter f::0", "parameter f::11"]
    assert needs("kprobe:f+4 { arg0 }") == ["function f+4"]
    assert needs("kretprobe:f { retval }") == ["function f"]
    assert needs("kretprobe:f { $r = retval; print(arg0) }") == ["function f"]
    assert needs("rawtracepoint:sched_switch { arg2 }") == [
        "tracepoint sched_switch",
        "tracepoint field sched_switch::2",
    ]
    assert needs("tracepoint:a:x,tracepoint:a:y* { print(args->fd, args.fd) }") == [
        "tracepoint a:x",
        "tracepoint a:y*",
        "tracepoint field a:x::fd",
        "tracepoint field a:y*::fd",
    ]


def test_what_a_users_program_is_called_with_is_its_own() -> None:
    text = """
        struct own { struct task_struct *task; };
        uprobe:/bin/x:f, usdt:/bin/x:p {
            args.a.b->c; $e = (struct event *)arg0; $e->a.b;
            ((struct own *)arg1).task.pid; ((struct task_struct *)curtask)->comm
        }
        """
    assert needs(text) == ["struct own", "field task_struct::pid", "field task_struct::comm"]
    assert needs("uprobe:/bin/x:f, kprobe:f { ((struct row *)arg0).value }")[-1] == "field row::value"


def test_typed_arguments() -> None:
    assert needs("fentry:vfs_read { print(args.file.f_inode->i_ino) }") == [
        "function vfs_read",
        "parameter vfs_read::file",
        "field file::f_inode",
        "field inode::i_ino",
    ]
    assert needs("fexit:fget { retval.f_inode }") == [
        "function fget",
        "parameter fget::return",
        "field file::f_inode",
    ]
    assert needs("rawtracepoint:sched_switch { args.prev->pid }") == [
        "tracepoint sched_switch",
        "tracepoint field sched_switch::prev",
        "field task_struct::pid",
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("((struct request *)arg0)->q->disk->disk_name", "request::q request_queue::disk gendisk::disk_name"),
        ("$t = (struct task_struct *)1; $t.se.vruntime", "task_struct::se.vruntime"),
        (
            "$t = (struct task_struct *)1; $s = $t->se; $s.vruntime",
            "task_struct::se task_struct::se.vruntime",
        ),
        (
            "$t = (struct task_struct *)1; $s = &$t->se; $s->vruntime",
            "task_struct::se task_struct::se.vruntime",
        ),
        ("curtask->se.cfs_rq->nr_running", "task_struct::se.cfs_rq cfs_rq::nr_running"),
        ("curtask.parent.parent.pid", "task_struct::parent task_struct::pid"),
        ("(*curtask).pid", "task_struct::pid"),
        ("$t = (uint64)curtask; ((struct task_struct *)$t)->pid", "task_struct::pid"),
        ("@t[1] = curtask; @t[1].pid", "task_struct::pid"),
        ("@t = curtask; $x = @t; $x.pid", "task_struct::pid"),
        ("@t[curtask, 1] = 2; for ($kv : @t) { $kv.0.0.pid }", "task_struct::pid"),
        ("@t[1] = (1, curtask); for ($kv : @t) { $kv.1.1.pid }", "task_struct::pid"),
        ("$t = (a=1, b=curtask); $t.b.pid", "task_struct::pid"),
        ("$t = (1, curtask); $t[1].pid", "task_struct::pid"),
        ("$t = $x ? curtask : 0; $t.pid", "task_struct::pid"),
        ("$t = curtask + 1; ($t + 1)->pid", "task_struct::pid"),
        ("$t = curtask; $t++; ($t++).pid", "task_struct::pid"),
        ("$t = { let $u = curtask; $u }; $t.pid", "task_struct::pid"),
        ("$t = if (1) { curtask } else { 0 }; $t.pid", "task_struct::pid"),
        ("kptr(curtask).pid", "task_struct::pid"),
        ("let $t : struct task_struct * = 1; $t.pid", "task_struct::pid"),
        ("let $t : typeof(curtask) = 1; $t.pid", "task_struct::pid"),
        ("((typeof(curtask))arg0).pid", "task_struct::pid"),
        ("((typeof(*curtask)*)arg0).pid", "task_struct::pid"),
        ("curtask[1].pid", "task_struct::pid"),
        ("((struct table *)1)->rows[1].value", "table::rows row::value"),
        ("((struct table *)1)->pointers[1]->value", "table::pointers row::value"),
        ("offsetof(struct task_struct, se.vruntime)", "task_struct::se.vruntime"),
        ("offsetof(*curtask, comm)", "task_struct::comm"),
        ("$t = (row_t *)1; $t.value", "row_t::value"),
        ("*curtask.comm", "task_struct::comm"),
    ],
)
def test_fields_through_types_that_the_script_tells(code: str, expected: str) -> None:
    found = [name.removeprefix("field ") for name in in_probe(code) if name.startswith("field ")]
    assert found == expected.split()


def test_a_map_that_a_later_probe_fills() -> None:
    assert needs("kretprobe:f { @t[tid].pid } kprobe:f { @t[tid] = (struct task_struct *)arg0 }") == [
        "function f",
        "function f",
        "field task_struct::pid",
        "parameter f::0",
    ]


def test_what_lies_behind_a_field_is_asked_for_or_named() -> None:
    found = read("kprobe:f {\n  curtask->parent->pid;\n}", types=False)
    assert [one.name for one in found.dependencies] == ["f", "task_struct::parent"]
    assert found.incomplete == (
        "x.bt:2:20: what .pid reads cannot be told: the type of task_struct::parent is the kernel's, "
        "and is not known here",
    )
    assert read("kprobe:f { curtask->parent->pid }").incomplete == ()
    (reason,) = read("kretprobe:f { $r = retval; $r.x.y.z }").incomplete
    assert (
        reason
        == "x.bt:1:31: what .x reads cannot be told: the script does not tell the type that it is read from"
    )


def test_an_iterator_has_a_context() -> None:
    found = read("iter:task { ctx.task.pid }", types=False)
    assert [one.name for one in found.dependencies] == ["task", "bpf_iter__task::task"]


def test_a_type_counts_by_itself_only_where_no_field_of_it_is_read() -> None:
    code = "$s = (struct sock *)arg0; sizeof(union u); (enum e)1; ((struct row *)1).value"
    assert sorted(in_probe(code)) == [
        "enum e",
        "field row::value",
        "parameter f::0",
        "struct sock",
        "union u",
    ]


def test_a_struct_of_the_script_is_a_layout_that_it_assumes() -> None:
    text = """
        struct event {
            u32 a; // first
            struct task_struct *task, *other;
            struct { int x; struct task_struct *deep; } inner;
            char name[16];
        } __attribute__((packed));

        kprobe:f { $e = (struct event *)arg0; $e->a; $e.task->pid; $e.inner.deep.comm; sizeof(struct event) }
        """
    found = read(text)
    assert found.incomplete == ()
    assert [f"{one.kind.value} {one.name}" for one in found.dependencies] == [
        "struct event",
        "function f",
        "parameter f::0",
        "field task_struct::pid",
        "field task_struct::comm",
    ]
    assert found.dependencies[0].expected == (
        "struct event { u32 a; struct task_struct *task, *other; struct { int x; struct task_struct *deep; } "
        "inner; char name[16]; };"
    )


def test_a_struct_for_kernels_without_btf() -> None:
    text = """
        #ifndef BPFTRACE_HAVE_BTF
        #include <linux/sched.h>
        struct cfs_rq { int nr_running; };
        #else
        struct other { int x; };
        #endif
        kprobe:f { $c = (struct cfs_rq *)1; $c.nr_running; ((struct other *)1).x }
        """
    found = {one.name: one for one in read(text).dependencies}
    assert list(found) == ["cfs_rq", "other", "f", "cfs_rq::nr_running"]
    btf = Condition(Kind.CONFIG, "CONFIG_DEBUG_INFO_BTF", False)
    assert found["cfs_rq"].uses[0].guard == Guard("#ifndef BPFTRACE_HAVE_BTF", (btf,))
    other = found["other"].uses[0].guard
    assert other is not None
    assert other.conditions == (Condition(Kind.CONFIG, "CONFIG_DEBUG_INFO_BTF", True),)


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


def test_types_of_a_dataset(tmp_path: Path) -> None:
    made = offering_kernel()
    made.prototype("__traceiter_sched_switch", "int", ("void *", "__data"), ("struct kvm *", "prev"))
    made.write(tmp_path, kernel())
    store = Store(tmp_path)
    types = KernelTypes([(held.kernel, store.directory(held.kernel.id)) for held in store.kernels()])
    assert [types(Kind.FIELD, name) for name in ("kvm::irqfds.items.next", "kvm::irqfds", "kvm::x")] == [
        "struct list_head *",
        "struct (anon)",
        None,
    ]
    names = ("vfs_read::file", "vfs_read::2", "vfs_read::return", "vfs_read::x", "absent::0")
    assert [types(Kind.PARAMETER, name) for name in names] == [
        "struct file *",
        "size_t",
        "ssize_t",
        None,
        None,
    ]
    read = [f"sched:sched_switch::{field}" for field in ("prev_comm", "prev_pid")]
    read += ["sched_switch::prev", "sched_switch::0", "a:b::c"]
    assert [types(Kind.TRACEPOINT_FIELD, name) for name in read] == [
        "char [16]",
        "pid_t",
        "struct kvm *",
        "struct kvm *",
        None,
    ]
    assert types(Kind.FUNCTION, "vfs_read") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("struct sock *", Type("struct sock", "*")),
        ("const struct sock *const *", Type("struct sock", "**")),
        ("void * [2]", Type("void", "*[")),
        ("char [16]", Type("char", "[")),
        ("volatile unsigned char", Type("unsigned char")),
        ("struct (anon)", Type("struct")),
        ("union { int a; struct { int b; } c; } *", Type("union", "*")),
        ("void (*)(struct sock *, int)", None),
        ("", None),
        ("struct task_struct __rcu *", Type("struct task_struct", "*")),
    ],
)
def test_types_in_c(text: str, expected: Type | None) -> None:
    assert type_from_c(text) == expected


def test_members_in_c() -> None:
    assert members(
        """struct a {
            unsigned long x, *y[4];
            const struct b *z;
            union { int u; struct c v; };
            struct { struct d *w; } inner[2];
            int bits : 3;
            void (*call)(int);
        }"""
    ) == {
        "x": Type("unsigned long"),
        "y": Type("unsigned long", "*["),
        "z": Type("struct b", "*"),
        "u": Type("int"),
        "v": Type("struct c"),
        "inner.w": Type("struct d", "*"),
        "inner": Type("struct", "["),
        "bits": Type("int"),
    }
