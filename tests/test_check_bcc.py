"""BCC's Python tools: what they attach, what they ask before, and the texts that they put together."""

from __future__ import annotations

import pytest

from ksurf.check.bcc import read_tool
from ksurf.check.bcc.questions import wildcards
from ksurf.check.dependency import Condition, Guard, Kind
from ksurf.surface.attach import Mechanism
from made_bcc import attached, conditions, of, read, tool, use


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
