"""The C of BCC's tools: what its parameters, fields, events, helpers and conditions need of the kernel."""

from __future__ import annotations

from ksurf.check.dependency import Condition, Guard, Kind
from made_bcc import conditions, of, read, tool, use


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
