"""BCC's Python tools: each idiom that tools are made of, what cannot be read, and hostile input."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ksurf.check.bcc import TypeOfField, read_tool
from ksurf.check.bcc.guard import Atom, Choices, explore
from ksurf.check.bcc.questions import wildcards
from ksurf.check.bcc.text import Piece, Text
from ksurf.check.dependency import Condition, Consumer, Dependency, Guard, Kind, Use
from ksurf.surface.attach import Mechanism

TYPES = {
    ("request", "q"): "struct request_queue *",
    ("request_queue", "disk"): "struct gendisk *",
    ("file", "f_path.dentry"): "struct dentry *",
}


def types(struct: str, path: str) -> str | None:
    return TYPES.get((struct, path))


def read(python: str, *, types: TypeOfField | None = types) -> Consumer:
    return read_tool(python, "tool", type_of_field=types)


def tool(c: str, python: str = "") -> Consumer:
    """A tool with one text, and what it does with it."""
    return read(f'from bcc import BPF\ntext = r"""{c}"""\nb = BPF(text=text)\n{python}\n')


def of(consumer: Consumer, *kinds: Kind) -> dict[str, Dependency]:
    assert consumer.incomplete == ()
    return {one.name: one for one in consumer.dependencies if one.kind in kinds}


def use(consumer: Consumer, kind: Kind, name: str) -> Use:
    (found,) = of(consumer, kind)[name].uses
    return found


def conditions(guard: Guard | None) -> set[tuple[str, bool]]:
    assert guard is not None
    return {(one.name, one.holds) for one in guard.conditions}


def attached(consumer: Consumer) -> set[tuple[Kind, str, Mechanism | None]]:
    kinds = {Kind.FUNCTION, Kind.TRACEPOINT, Kind.SYSCALL, Kind.LSM}
    return {(one.kind, one.name, one.mechanism) for one in consumer.dependencies if one.kind in kinds}


@pytest.mark.parametrize(
    ("call", "kind", "name", "mechanism"),
    [
        ('b.attach_kprobe(event="vfs_read", fn_name="f")', Kind.FUNCTION, "vfs_read", Mechanism.KPROBE),
        ('b.attach_kprobe("vfs_read", fn_name="f")', Kind.FUNCTION, "vfs_read", Mechanism.KPROBE),
        ('b.attach_kprobe(event=b"vfs_read", fn_name=b"f")', Kind.FUNCTION, "vfs_read", Mechanism.KPROBE),
        ('b.attach_kretprobe(event="vfs_read", fn_name="f")', Kind.FUNCTION, "vfs_read", Mechanism.KRETPROBE),
        ('b.attach_kprobe(event_re="^vfs_.*", fn_name="f")', Kind.FUNCTION, "vfs_*", Mechanism.KPROBE),
        ('b.attach_tracepoint(tp="a:b", fn_name="f")', Kind.TRACEPOINT, "a:b", Mechanism.TRACEPOINT),
        ('b.attach_tracepoint(tp_re="a:b_.*", fn_name="f")', Kind.TRACEPOINT, "a:b_*", Mechanism.TRACEPOINT),
        ('b.attach_raw_tracepoint(tp="b", fn_name="f")', Kind.TRACEPOINT, "b", Mechanism.RAW_TP),
        (
            'b.attach_kprobe(event=b.get_syscall_fnname("openat"), fn_name="f")',
            Kind.SYSCALL,
            "openat",
            Mechanism.KSYSCALL,
        ),
        (
            'n = b.get_syscall_prefix().decode() + "openat"\nb.attach_kretprobe(event=n, fn_name="f")',
            Kind.SYSCALL,
            "openat",
            Mechanism.KSYSCALL,
        ),
    ],
)
def test_calls_that_attach(call: str, kind: Kind, name: str, mechanism: Mechanism) -> None:
    consumer = tool("int f(void *ctx) { return 0; }", call)
    assert attached(consumer) == {(kind, name, mechanism)}
    assert consumer.programs[0].name == "f"
    assert use(consumer, kind, name).program == "f"


@pytest.mark.parametrize(
    "call",
    [
        'b.attach_uprobe(name="c", sym="malloc", fn_name="f")',
        "b.attach_perf_event(ev_type=PerfType.SOFTWARE, ev_config=1, fn_name='f')",
        'b.attach_xdp("lo", f, 0)',
    ],
)
def test_what_attaches_to_nothing_of_the_kernel(call: str) -> None:
    assert attached(tool("int f(void *ctx) { return 0; }", call)) == set()


@pytest.mark.parametrize(
    ("head", "kind", "name", "mechanism"),
    [
        ("int kprobe__vfs_read(struct pt_regs *ctx)", Kind.FUNCTION, "vfs_read", Mechanism.KPROBE),
        ("int kretprobe__vfs_read(struct pt_regs *ctx)", Kind.FUNCTION, "vfs_read", Mechanism.KRETPROBE),
        ("int kprobe__sys_sync(void *ctx)", Kind.SYSCALL, "sync", Mechanism.KSYSCALL),
        ("int kprobe____x64_sys_sync(void *ctx)", Kind.SYSCALL, "sync", Mechanism.KSYSCALL),
        (
            "TRACEPOINT_PROBE(sched, sched_switch)",
            Kind.TRACEPOINT,
            "sched:sched_switch",
            Mechanism.TRACEPOINT,
        ),
        (
            "int tracepoint__sched__sched_switch(struct tracepoint__sched__sched_switch *args)",
            Kind.TRACEPOINT,
            "sched:sched_switch",
            Mechanism.TRACEPOINT,
        ),
        ("RAW_TRACEPOINT_PROBE(sched_switch)", Kind.TRACEPOINT, "sched_switch", Mechanism.RAW_TP),
        ("int raw_tracepoint__sched_switch(void *ctx)", Kind.TRACEPOINT, "sched_switch", Mechanism.RAW_TP),
        ("KFUNC_PROBE(vfs_read, struct file *file)", Kind.FUNCTION, "vfs_read", Mechanism.FENTRY),
        ("KRETFUNC_PROBE(vfs_read, struct file *file, int ret)", Kind.FUNCTION, "vfs_read", Mechanism.FEXIT),
        ("MODULE_KFUNC_PROBE(ext4, ext4_sync_fs)", Kind.FUNCTION, "ext4_sync_fs", Mechanism.FENTRY),
        ("KMOD_RET(__x64_sys_nanosleep, int ret)", Kind.FUNCTION, "__x64_sys_nanosleep", Mechanism.FMOD_RET),
        ("LSM_PROBE(bpf, int cmd)", Kind.LSM, "bpf", Mechanism.LSM),
    ],
)
def test_functions_that_are_attached_by_their_name(
    head: str, kind: Kind, name: str, mechanism: Mechanism
) -> None:
    consumer = tool(f"{head}\n{{ return 0; }}")
    assert attached(consumer) == {(kind, name, mechanism)}
    assert use(consumer, kind, name).line == 2


ASKED = [
    ("BPF.kernel_struct_has_field(b'request', b'rq_disk') == 1", Kind.FIELD, "request::rq_disk", True),
    ("BPF.kernel_struct_has_field('request', 'rq_disk') != 1", Kind.FIELD, "request::rq_disk", False),
    ("BPF.get_kprobe_functions(b'f')", Kind.FUNCTION, "f", True),
    ("len(BPF.get_kprobe_functions(b'^f$')) > 0", Kind.FUNCTION, "f", True),
    ("len(BPF.get_kprobe_functions(b'f')) == 0", Kind.FUNCTION, "f", False),
    ("not BPF.get_kprobe_functions(b'f')", Kind.FUNCTION, "f", False),
    ("BPF.tracepoint_exists('tcp', 'tcp_probe')", Kind.TRACEPOINT, "tcp:tcp_probe", True),
    ("BPF.ksymname('x') != -1", Kind.KSYM, "x", True),
    ("b.ksymname(b.get_syscall_fnname('stat')) == -1", Kind.SYSCALL, "stat", False),
    ("BPF.support_kfunc()", Kind.KSYM, "bpf_trampoline_link_prog", True),
    ("BPF.support_raw_tracepoint()", Kind.KSYM, "bpf_get_raw_tracepoint", True),
]


@pytest.mark.parametrize(("test", "kind", "name", "holds"), ASKED)
@pytest.mark.parametrize("through", ["{test}", "answer", "answer and args.x", "False or answer"])
def test_questions_guard_what_they_decide(
    test: str, kind: Kind, name: str, holds: bool, through: str
) -> None:
    consumer = tool(
        "int f(void *ctx) { return 0; }",
        f"args = parser.parse_args()\nanswer = {test}\nif {through.format(test=test)}:\n"
        "    b.attach_kprobe(event='one', fn_name='f')\n"
        "if not answer:\n    b.attach_kprobe(event='other', fn_name='f')\n",
    )
    one, other = (use(consumer, Kind.FUNCTION, event).guard for event in ("one", "other"))
    assert one is not None
    assert [(found.kind, found.name, found.holds) for found in one.conditions] == [(kind, name, holds)]
    assert conditions(other) == {(name, not holds)}


def test_chains_leave_what_was_asked_before() -> None:
    consumer = tool(
        "",
        "if BPF.get_kprobe_functions(b'a'):\n    n = 'a'\n"
        "elif BPF.get_kprobe_functions(b'b'):\n    n = 'b'\n"
        "else:\n    n = 'c'\n"
        "b.attach_kprobe(event=n, fn_name='f')\n",
    )
    assert conditions(use(consumer, Kind.FUNCTION, "a").guard) == {("a", True)}
    assert conditions(use(consumer, Kind.FUNCTION, "b").guard) == {("a", False), ("b", True)}
    assert conditions(use(consumer, Kind.FUNCTION, "c").guard) == {("a", False), ("b", False)}


def test_a_way_out_guards_what_follows() -> None:
    consumer = tool(
        "",
        "if not BPF.support_kfunc():\n    exit(1)\nb.attach_kprobe(event='f', fn_name='g')\n",
    )
    assert conditions(use(consumer, Kind.FUNCTION, "f").guard) == {("bpf_trampoline_link_prog", True)}


def test_a_tool_needs_what_it_ends_without() -> None:
    consumer = tool(
        "",
        "if BPF.get_kprobe_functions(b'a'):\n    b.attach_kprobe(event='a', fn_name='f')\n"
        "elif BPF.get_kprobe_functions(b'b'):\n    b.attach_kprobe(event='b', fn_name='f')\n"
        "else:\n    print('no')\n    exit()\n"
        "if not BPF.support_kfunc():\n    raise Exception('too old')\n"
        "if BPF.support_lsm():\n    if args.x:\n        exit()\n",
    )
    first, last = of(consumer, Kind.FUNCTION)["b"].uses
    assert conditions(first.guard) == {("a", False), ("b", True)}
    assert (last.line, conditions(last.guard)) == (10, {("a", False)})
    assert of(consumer, Kind.FUNCTION)["a"].uses[0].guard is not None
    assert use(consumer, Kind.KSYM, "bpf_trampoline_link_prog").guard is None
    assert set(of(consumer, Kind.KSYM)) == {"bpf_trampoline_link_prog"}


def test_a_try_copes_and_its_except_is_for_what_failed() -> None:
    consumer = tool(
        "",
        "try:\n    b.attach_kprobe(event='__vfs_read', fn_name='f')\n"
        "except Exception:\n    b.attach_kprobe(event='vfs_read', fn_name='f')\n"
        "try:\n    b.attach_kprobe(event='must', fn_name='f')\n"
        "except Exception:\n    print('no')\n    exit(1)\n",
    )
    assert use(consumer, Kind.FUNCTION, "__vfs_read").guard == Guard("try")
    other = use(consumer, Kind.FUNCTION, "vfs_read").guard
    assert other == Guard("except", (Condition(Kind.FUNCTION, "__vfs_read", False, Mechanism.KPROBE),))
    assert use(consumer, Kind.FUNCTION, "must").guard is None


def test_a_name_that_is_decided_earlier_decides_later() -> None:
    consumer = tool(
        "",
        "n = b.get_syscall_fnname('openat2')\nif b.ksymname(n) == -1:\n    n = None\n"
        "if BPF.support_kfunc():\n    if n:\n        b.attach_kprobe(event='both', fn_name='f')\n"
        "else:\n    if n:\n        b.attach_kprobe(event='one', fn_name='f')\n",
    )
    trampoline = "bpf_trampoline_link_prog"
    assert conditions(use(consumer, Kind.FUNCTION, "both").guard) == {("openat2", True), (trampoline, True)}
    assert conditions(use(consumer, Kind.FUNCTION, "one").guard) == {("openat2", True), (trampoline, False)}


def test_alternatives_of_an_expression_are_needed_where_no_other_is() -> None:
    consumer = tool("", r'b.attach_kprobe(event_re="^f$|^f\.isra\.\d$", fn_name="g")')
    assert conditions(use(consumer, Kind.FUNCTION, "f").guard) == {("f.isra.*", False)}
    assert conditions(use(consumer, Kind.FUNCTION, "f.isra.*").guard) == {("f", False)}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("^vfs_.*", ["vfs_*"]),
        ("vfs_read$", ["vfs_read"]),
        ("vfs_read", ["vfs_read*"]),
        (r"^f\.isra\.\d+$|^g$", ["f.isra.*", "g"]),
        ("^[ab]c?d$", ["*d"]),
        ("(a|b)", ["*"]),
    ],
)
def test_expressions_as_wildcards(expression: str, names: list[str]) -> None:
    assert wildcards(expression) == names


# Texts


def test_placeholders_are_replaced_both_ways() -> None:
    consumer = read(
        "args = parser.parse_args()\n"
        't = """\nint kprobe__f(struct pt_regs *ctx, struct request *rq)\n'
        '{\n    FILTER\n    return rq->__DISK__;\n}\n"""\n'
        "if args.x:\n    t = t.replace('FILTER', 'if (rq->tag == %d) { return 0; }' % args.x)\n"
        "else:\n    t = t.replace('FILTER', '')\n"
        "if BPF.kernel_struct_has_field(b'request', b'rq_disk') == 1:\n"
        "    t = t.replace('__DISK__', 'rq_disk')\n"
        "else:\n    t = t.replace('__DISK__', 'q->disk')\n"
        "if args.ebpf:\n    print(t)\n    exit()\n"
        "b = BPF(text=t)\n"
    )
    fields = of(consumer, Kind.FIELD)
    assert set(fields) == {"request::tag", "request::rq_disk", "request::q", "request_queue::disk"}
    assert use(consumer, Kind.FIELD, "request::tag").guard is None
    assert use(consumer, Kind.FIELD, "request::tag").line == 10
    assert conditions(use(consumer, Kind.FIELD, "request::rq_disk").guard) == {("request::rq_disk", True)}
    assert conditions(use(consumer, Kind.FIELD, "request_queue::disk").guard) == {("request::rq_disk", False)}


def test_texts_are_put_together_in_all_ways_that_tools_know() -> None:
    consumer = read(
        "parts = {'a': {'x': 'return t->a;'}, 'b': 'return t->b;'}\n"
        "head = 'int kprobe__f(struct pt_regs *ctx, struct task_struct *t) {'\n"
        "def body(which):\n    if which == 'a':\n        return parts[which]['x']\n    return parts['b']\n"
        "text = head + body('a') + body('b')\n"
        "for name in ['c', 'd']:\n    text += 'return t->%s;' % name\n"
        "text += 'return t->{0};'.format('e') + f'return t->{\"f\"};'\n"
        "text = '\\n'.join(line for line in (text + '\\nt->no; // DROP\\n').split('\\n')"
        " if 'DROP' not in line)\n"
        "class Tool:\n    def __init__(self, text):\n        self.text = text\n"
        "    def run(self):\n        self.bpf = BPF(text=self.text + '}')\n"
        "def main():\n    Tool(text).run()\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    assert set(of(consumer, Kind.FIELD)) == {f"task_struct::{name}" for name in "abcdef"}


def test_lines_are_those_of_the_python() -> None:
    consumer = read(
        '\ntext = """\nBPF_HASH(h);\\\n\nint kprobe__f(void *ctx)\n{ return 0; }\n"""\nBPF(text=text)\n'
    )
    assert use(consumer, Kind.MAP_TYPE, "BPF_MAP_TYPE_HASH").line == 3
    found = use(consumer, Kind.FUNCTION, "f")
    assert (found.line, found.text) == (5, "int kprobe__f(void *ctx)")
    assert found.file == "tool"


def test_what_the_user_chooses_is_no_need_of_the_tool() -> None:
    consumer = read(
        "args = parser.parse_args()\nb = BPF(text='int f(void *ctx) { return 0; }')\n"
        "for function in args.functions:\n    b.attach_kprobe(event=function, fn_name='f')\n"
        "b.attach_kprobe(event_re='^' + args.pattern.replace('*', '.*') + '$', fn_name='f')\n"
    )
    assert attached(consumer) == set()
    assert consumer.incomplete == ()
    assert [one.section for one in consumer.programs] == ["kprobe/?"]


def test_what_cannot_be_followed_is_named() -> None:
    consumer = read(
        "import other\nb = BPF(text=other.text())\nb.attach_kprobe(event=other.name, fn_name='f')\n"
        "c = BPF(src_file='x.c')\n"
    )
    assert consumer.incomplete == (
        "line 2: the C is put together in a way that is not followed",
        "line 3: what b.attach_kprobe attaches to is not known",
        "line 4: the C is in x.c",
    )


def test_a_tools_own_file_is_read_where_it_is_at_hand() -> None:
    script = "with open('/usr/share/x.c') as f:\n    text = f.read()\nb = BPF(text=text)\n"
    c = {"/usr/share/x.c": b"int kprobe__vfs_read(void *ctx) { return 0; }"}
    assert attached(read_tool(script, "tool", read_file=c.get)) == {
        (Kind.FUNCTION, "vfs_read", Mechanism.KPROBE)
    }
    assert read(script).incomplete == ("line 3: the C is in /usr/share/x.c",)


# C


def test_parameters_by_place() -> None:
    consumer = tool(
        "int kprobe__f(struct pt_regs *ctx, struct file *file, size_t n, int unused)\n"
        "{ return file->f_mode + n; }\n"
        "int g(struct pt_regs *ctx) {\n"
        "    struct sock *sk = (struct sock *)PT_REGS_PARM3(ctx); return helper(ctx); }\n"
        "static int helper(struct pt_regs *ctx) { int ret = PT_REGS_RC(ctx); return ret; }\n"
        "int h(struct pt_regs *ctx) { return helper(ctx); }\n"
        "KRETFUNC_PROBE(k, struct page *page, int ret) { return page->flags + ret; }\n",
        "b.attach_kprobe(event='g', fn_name='g')\nb.attach_kretprobe(event='g', fn_name='h')\n",
    )
    found = {name: one.expected for name, one in of(consumer, Kind.PARAMETER).items()}
    assert found == {
        "f::0": "struct file *",
        "f::1": "size_t",
        "g::2": "struct sock *",
        "g::return": "int",
        "k::0": "struct page *",
        "k::return": "int",
    }


def test_parameters_of_system_calls_are_no_matter() -> None:
    consumer = tool(
        "int f(struct pt_regs *ctx, const char __user *name) { return name[0]; }",
        "b.attach_kprobe(event=b.get_syscall_fnname('openat'), fn_name='f')",
    )
    assert of(consumer, Kind.PARAMETER) == {}


def test_fields_by_type() -> None:
    consumer = tool(
        "struct data_t { u32 pid; struct sock *sk; char name[16]; };\n"
        "BPF_HASH(held, u32, struct sock *);\n"
        "int kprobe__f(struct pt_regs *ctx, struct sock **skp, void *p)\n"
        "{\n"
        "    struct data_t data = {};\n"
        "    u32 key = 0;\n"
        "    struct sock *sk = *skp, **other = held.lookup(&key);\n"
        "    data.pid = sk->__sk_common.skc_num + sk->sk_family;\n"
        "    data.sk = (struct sock *)p;\n"
        "    if (other) data.pid += (*other)->sk_protocol + data.sk->sk_type;\n"
        "    bpf_probe_read_kernel(&data.name, sizeof(data.name), &((struct task_struct *)p)->comm);\n"
        "    data.pid += inet_sk(sk)->inet_sport + offsetof(struct sock, sk_lingertime);\n"
        "    struct tcp_skb_cb *cb = container_of(p, struct tcp_skb_cb, seq);\n"
        "    return cb->tcp_flags;\n"
        "}\n"
    )
    assert set(of(consumer, Kind.FIELD)) == {
        "sock::__sk_common.skc_num",
        "sock::__sk_common.skc_family",
        "sock::sk_protocol",
        "sock::sk_type",
        "sock::sk_lingertime",
        "task_struct::comm",
        "inet_sock::inet_sport",
        "tcp_skb_cb::seq",
        "tcp_skb_cb::tcp_flags",
    }
    assert use(consumer, Kind.FIELD, "task_struct::comm").program == "kprobe__f"


def test_fields_behind_fields_need_a_kernels_types() -> None:
    c = "int kprobe__f(struct pt_regs *ctx, struct request *rq) { return rq->q->disk->major; }"
    assert set(of(tool(c), Kind.FIELD)) == {"request::q", "request_queue::disk", "gendisk::major"}
    blind = read(f'BPF(text="""{c}""")', types=None)
    assert [one.name for one in blind.dependencies if one.kind is Kind.FIELD] == ["request::q"]
    assert blind.incomplete == ("line 1: disk is not followed: no kernel tells what request::q is made of",)


def test_a_copy_of_a_kernels_struct_is_the_kernels() -> None:
    consumer = read(
        'BPF(text="""struct own { int a; };\nstruct mnt_namespace { int count; struct ns_common ns; };\n'
        "int kprobe__f(struct pt_regs *ctx, struct mnt_namespace *m)\n"
        '{ struct own own = {}; struct own *p = &own; return m->ns.inum + p->a; }""")',
        types=lambda struct, path: "struct ns_common" if (struct, path) == ("mnt_namespace", "ns") else None,
    )
    assert set(of(consumer, Kind.FIELD)) == {"mnt_namespace::ns.inum"}


def test_fields_of_events() -> None:
    consumer = tool(
        "struct copied { u64 __pad; int common_pid; char comm[16]; };\n"
        "TRACEPOINT_PROBE(sched, sched_switch) { char c[9]; TP_DATA_LOC_READ_STR(&c, name, 9);\n"
        "    return args->next_pid + args->data_loc_where; }\n"
        "RAW_TRACEPOINT_PROBE(sched_wakeup) { struct task_struct *t = (struct task_struct *)ctx->args[0];\n"
        "    return t->pid; }\n"
        "int f(struct copied *args) { return args->comm[0] + args->common_pid; }\n",
        "b.attach_tracepoint(tp='block:block_rq_issue', fn_name='f')\n",
    )
    assert set(of(consumer, Kind.TRACEPOINT_FIELD)) == {
        "sched:sched_switch::name",
        "sched:sched_switch::next_pid",
        "sched:sched_switch::where",
        "sched_wakeup::0",
        "block:block_rq_issue::comm",
    }
    assert set(of(consumer, Kind.FIELD)) == {"task_struct::pid"}


def test_helpers_and_maps() -> None:
    consumer = tool(
        'BPF_TABLE("lru_hash", u32, u64, table, 10);\nBPF_RINGBUF_OUTPUT(ring, 8);\n'
        "BPF_STACK_TRACE(stacks, 8);\n"
        "static u64 bpf_own(void) { return bpf_ktime_get_ns(); }\n"
        "int kprobe__f(struct pt_regs *ctx) { u32 k = bpf_log2(1); u64 v = bpf_own(); table.increment(k);\n"
        "    ring.ringbuf_output(&v, sizeof(v), 0); return stacks.get_stackid(ctx, 0); }\n"
    )
    assert set(of(consumer, Kind.MAP_TYPE)) == {
        "BPF_MAP_TYPE_LRU_HASH",
        "BPF_MAP_TYPE_RINGBUF",
        "BPF_MAP_TYPE_STACK_TRACE",
    }
    assert set(of(consumer, Kind.HELPER)) == {
        "bpf_ktime_get_ns",
        "bpf_map_lookup_elem",
        "bpf_map_update_elem",
        "bpf_ringbuf_output",
        "bpf_get_stackid",
    }


def test_conditions_of_the_preprocessor() -> None:
    consumer = tool(
        "#define PICK(t, f) t->f\n"
        "int kprobe__f(struct pt_regs *ctx, struct task_struct *t)\n{\n"
        "#ifdef CONFIG_NUMA\n    return t->a;\n"
        "#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0) && !defined(HEADER)\n    return t->b;\n"
        "#else\n    return PICK(t, c);\n#endif\n"
        "#ifdef OWN\n    return t->d;\n#endif\n#ifndef __s390x__\n    return t->e;\n#endif\n}\n",
        "x = '#define OWN'\n",
    )
    assert set(of(consumer, Kind.FIELD)) == {f"task_struct::{name}" for name in "abce"}
    a, b, c = ([one.guard for one in of(consumer, Kind.FIELD)[f"task_struct::{name}"].uses] for name in "abc")
    assert a == [Guard("#ifdef CONFIG_NUMA", (Condition(Kind.CONFIG, "CONFIG_NUMA", True),))]
    (guard,) = b
    assert guard is not None
    version = "LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)"
    assert guard.text == f"#ifndef CONFIG_NUMA and #if {version} and #ifndef HEADER"
    assert conditions(guard) == {("CONFIG_NUMA", False), (version, True)}
    # What HEADER is, no kernel tells.
    assert guard.more
    assert {one.text for one in c if one is not None} == {
        f"#ifndef CONFIG_NUMA and #if !({version})",
        f"#ifndef CONFIG_NUMA and #if {version} and #ifdef HEADER",
    }
    assert use(consumer, Kind.FIELD, "task_struct::e").guard is None
    assert use(consumer, Kind.CONFIG, "CONFIG_NUMA").guard == Guard("#ifdef CONFIG_NUMA")


def test_a_helper_of_one_parameter_reads_the_kernel() -> None:
    consumer = tool(
        "static struct tcphdr *header(const struct sk_buff *skb) { return (void *)skb->head; }\n"
        "int kprobe__f(struct pt_regs *ctx, struct sk_buff *skb)\n"
        "{ struct tcphdr *tcp = header(skb); return tcp->source; }\n"
    )
    assert set(of(consumer, Kind.FIELD)) == {"sk_buff::head", "tcphdr::source"}


def test_headers_of_bcc_and_contexts_are_not_the_kernels() -> None:
    consumer = tool(
        "#include <bcc/proto.h>\n"
        "int filter(struct __sk_buff *skb) {\n"
        "    u8 *cursor = 0;\n"
        "    struct ip_t *ip = cursor_advance(cursor, sizeof(*ip));\n"
        "    return ip->nextp;\n}\n"
        "struct own { u64 a; };\n"
        "int other(struct own *args) { return args->a; }\n"
    )
    assert of(consumer, Kind.FIELD) == {}


def test_what_a_tool_sets_after_a_failure_is_its_way_to_cope() -> None:
    text = "int kprobe__f(struct pt_regs *ctx, struct task_struct *t) { return t->FIELD; }"
    script = f"""
from bcc import BPF
for _ in range(2):
    try:
        b = BPF(text="{text}".replace("FIELD", "a" if not args.old else "b"))
        break
    except Exception:
        args.old = True
"""
    consumer = read_tool(script, "x")
    (second,) = of(consumer, Kind.FIELD)["task_struct::b"].uses
    assert second.guard is not None and "args.old" in second.guard.text
    assert "task_struct::a" in of(consumer, Kind.FIELD)


# What cannot be read, and what wants to do harm


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("print 'hello'\n", "line 1: it is written for Python 2"),
        ("int main() {}\n", "line 1: it is not Python 3"),
        ("\0", ""),
        (b"\xff\xfe\x00", ""),
        ("(" * 10_000, ""),
        ("-" * 100_000 + "1", ""),
        ("x = " + "[" * 5_000 + "]" * 5_000, ""),
        ("a" * (5 << 20), "the file is longer than"),
    ],
)
def test_what_is_no_script(data: str | bytes, reason: str) -> None:
    consumer = read_tool(data, "tool")
    assert consumer.dependencies == ()
    assert consumer.incomplete[0].startswith(reason)


OPTIONS = "".join(f"if args.o{n}:\n    t = t.replace('X{n}', 'return task->f{n};')\n" for n in range(400))
HOSTILE: dict[str, str | bytes] = {
    "options": f"t = 'int kprobe__f(void *ctx) {{ X1 }}'\n{OPTIONS}BPF(text=t)\n",
    "questions": "".join(
        f"if BPF.get_kprobe_functions('f{n}'):\n    b.attach_kprobe(event='f{n}')\n" for n in range(400)
    ),
    "growing text": "t = 'ab'\n"
    + "t = t.replace('a', 'aa').replace('b', 'bb') + t * 10\n" * 60
    + "BPF(text=t)\n",
    "product": "t = 'a' * 10 ** 9 * 10 ** 9\nBPF(text=t)\n",
    "number": f"x = {'9' * 4000} * {'9' * 4000}\nBPF(text='%d' % x)\n",
    "power": "x = 9 ** 9 ** 9\nBPF(text=str(1 << 10 ** 9))\n",
    "recursion": "def f(x):\n    return f(x) + f(x)\nBPF(text=f('a'))\n",
    "loops": "".join(f"{' ' * n}for a{n} in range(200):\n" for n in range(10)) + " " * 10 + "t = 'a'\n",
    "forever": "while True:\n    pass\nBPF(text='int kprobe__f(void *c) { return 0; }')\n",
    "macros": "BPF(text='''"
    + "#define A0 x\n"
    + "".join(f"#define A{n} A{n - 1} A{n - 1} A{n - 1} A{n - 1}\n" for n in range(1, 40))
    + "int f(void) { return A39; }''')\n",
    "macro of itself": "BPF(text='#define A(x) A(x) A(x)\\nint f(void) { return A(A(A(1))); }')\n",
    "conditions": "BPF(text='" + "#ifdef A\\n#if (((((B)\\n" * 3000 + "')\n",
    "deep C": "BPF(text='int f(void) { return " + "(" * 20_000 + "1" + ")" * 20_000 + "; }')\n",
    "deep members": "BPF(text='int f(struct s *s) { return s" + "->a" * 20_000 + "; }')\n",
    "deep blocks": "BPF(text='int f(void) " + "{" * 20_000 + "}" * 20_000 + "')\n",
    "deep struct": "BPF(text='" + "struct { " * 5_000 + "int a;" + "} x;" * 5_000 + "')\n",
    "structs of themselves": "BPF(text='typedef a b; typedef b a; struct s { struct s s; }; "
    "int f(b *x, struct s *s) { return x->y + s->s.s.s; }')\n",
    "parentheses": "BPF(text='" + "BPF_HASH(" * 20_000 + "')\n",
    "comments": "BPF(text='" + "/*" * 50_000 + "')\n",
    "expression": "b.attach_kprobe(event_re='" + "(a*)*|" * 5_000 + "')\n",
    "nested calls": "x = " + "f(" * 80 + "1" + ")" * 80 + "\nBPF(text='int f(void) { return 0; }')\n",
    "many strings": "t = 'x'\n" + "t += 'y'\n" * 20_000 + "BPF(text=t)\n",
    "bytes": b"# -*- coding: latin-1 -*-\nBPF(text='int kprobe__f(void *c) { /* \xff */ return 0; }')\n",
    "text \u00fc": "BPF(text='int kprobe__\u00fc(struct pt_regs *c, struct f\u00fc *x) { return x->b; }')\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tools(name: str) -> None:
    begin = time.process_time()
    assert isinstance(read_tool(HOSTILE[name], "tool"), Consumer)
    # Far from exact: what is exponential takes years.
    assert time.process_time() - begin < 60


def test_nothing_is_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    mark = tmp_path_factory.mktemp("run") / "mark"
    script = f"open({str(mark)!r}, 'w').write('x')\n__import__('os').system('touch {mark}')\nBPF(text='')\n"
    read_tool(script, "tool")
    assert not mark.exists()


WORDS = st.sampled_from(
    "BPF(text=t) t += 'x' = replace('a','b') if args.x: BPF.support_kfunc() else: \n return def f(): ( ) { } "
    'int struct s * -> . ; # #if #ifdef #endif defined TRACEPOINT_PROBE(a,b) """ """ BPF_HASH( '
    "attach_kprobe(event='f') container_of( \\ // /* */ sizeof PT_REGS_PARM1(ctx) kprobe__f".split(" ")
)


@given(st.lists(WORDS, max_size=60).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_any_words_give_a_consumer(words: str) -> None:
    assert isinstance(read_tool(words, "tool"), Consumer)
    consumer = read_tool(f"BPF(text={words!r})\n", "tool", type_of_field=types)
    assert consumer.programs is not None


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_content_gives_a_consumer(content: str | bytes) -> None:
    assert isinstance(read_tool(content, "tool"), Consumer)


PIECES = st.lists(st.builds(Piece, st.text("ab\n", min_size=1, max_size=4), st.integers(1, 9)), max_size=6)


@given(
    PIECES,
    st.text("ab", min_size=1, max_size=2),
    st.text("abc", max_size=3),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_texts_are_strings(pieces: list[Piece], old: str, new: str, start: int, end: int) -> None:
    text = Text(tuple(pieces))
    assert text.replaced(old, Text.of(new)).plain == text.plain.replace(old, new)
    assert text.part(start, end).plain == text.plain[start:end]
    assert [line.plain for line in text.lines()] == text.plain.split("\n")
    for position, character in enumerate(text.plain):
        piece = text.at(position)
        assert piece is not None
        assert character in piece.text


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=6))
def test_each_answer_at_each_place_is_tried(places: list[list[str]]) -> None:
    """A place is reached if all that stands before it is answered with yes."""
    reached: set[tuple[int, int, bool]] = set()

    def run(choices: Choices) -> None:
        for number, names in enumerate(places):
            for depth, name in enumerate(names):
                said, _ = choices.decide(Atom(name, name), (number, depth))
                reached.add((number, depth, said))
                if not said:
                    break

    ways = explore(run, 300)
    assert not ways.left_out
    for number, names in enumerate(places):
        for depth, name in enumerate(names):
            assert (number, depth, True) in reached
            # After its first place, a name's answer is known.
            assert name in names[:depth] or (number, depth, False) in reached
