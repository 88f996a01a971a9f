"""Types in bpftrace scripts: what is read through them, as far as the script or a kernel tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ksurf.check.bpftrace import KernelTypes
from ksurf.check.bpftrace.declaration import Type, members, type_from_c
from ksurf.check.dependency import Condition, Guard, Kind
from ksurf.dataset.store import Store
from made_bpftrace import in_probe, needs, read
from made_kernel import kernel, offering_kernel


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
