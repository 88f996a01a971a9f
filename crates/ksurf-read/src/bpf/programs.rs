//! What the name of a section says of the programs in it: what they are, and where they are attached.
//!
//! Source: `Documentation/bpf/libbpf/program_types.rst`, and `section_defs` of libbpf, which the table follows.

/// What libbpf makes of a section's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The name begins with `?`: the program is loaded only if the loader says so.
    pub optional: bool,
    /// What is before the target, as the table has it: `kprobe.multi`. `None` for a name that libbpf does not know.
    pub definition: Option<&'static str>,
    /// `BPF_PROG_TYPE_KPROBE`.
    pub program_type: Option<&'static str>,
    /// `BPF_TRACE_FENTRY`, where the kernel is told when the program is loaded.
    pub attach_type: Option<&'static str>,
    pub sleepable: bool,
    /// How it gets to its target, if that is something of the kernel that can be attached to: `fentry`.
    pub mechanism: Option<&'static str>,
    /// What is behind the first `/`: `vfs_read`, `sched/sched_switch`.
    pub target: Option<String>,
}

/// One line of libbpf's table.
struct Definition {
    name: &'static str,
    /// Whether a target may follow the name.
    target: bool,
    program_type: &'static str,
    attach_type: Option<&'static str>,
    mechanism: Option<&'static str>,
}

impl Definition {
    const fn to(name: &'static str, program_type: &'static str, attach_type: &'static str) -> Definition {
        let attach_type = if attach_type.is_empty() { None } else { Some(attach_type) };
        Definition { name, target: true, program_type, attach_type, mechanism: None }
    }

    const fn bare(name: &'static str, program_type: &'static str, attach_type: &'static str) -> Definition {
        Definition { target: false, ..Definition::to(name, program_type, attach_type) }
    }

    const fn by(self, mechanism: &'static str) -> Definition {
        Definition { mechanism: Some(mechanism), ..self }
    }
}

const KPROBE: &str = "BPF_PROG_TYPE_KPROBE";
const TRACING: &str = "BPF_PROG_TYPE_TRACING";
const LSM: &str = "BPF_PROG_TYPE_LSM";
const SCHED_CLS: &str = "BPF_PROG_TYPE_SCHED_CLS";
const XDP: &str = "BPF_PROG_TYPE_XDP";
const SK_SKB: &str = "BPF_PROG_TYPE_SK_SKB";
const SK_REUSEPORT: &str = "BPF_PROG_TYPE_SK_REUSEPORT";
const RAW_TRACEPOINT: &str = "BPF_PROG_TYPE_RAW_TRACEPOINT";
const RAW_TRACEPOINT_WRITABLE: &str = "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE";
const CGROUP_SKB: &str = "BPF_PROG_TYPE_CGROUP_SKB";
const CGROUP_SOCK: &str = "BPF_PROG_TYPE_CGROUP_SOCK";
const CGROUP_SOCK_ADDR: &str = "BPF_PROG_TYPE_CGROUP_SOCK_ADDR";
const CGROUP_SOCKOPT: &str = "BPF_PROG_TYPE_CGROUP_SOCKOPT";

/// A name matches the first line whose name it is, or which allows a target that follows a `/`. `.s` (may sleep) and
/// `.frags` (takes packets of several pieces) are taken off before where the base name stands in [`SLEEPABLE`] or is `xdp`.
const DEFINITIONS: &[Definition] = &[
    Definition::bare("socket", "BPF_PROG_TYPE_SOCKET_FILTER", ""),
    Definition::bare("sk_reuseport/migrate", SK_REUSEPORT, "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE"),
    Definition::bare("sk_reuseport", SK_REUSEPORT, "BPF_SK_REUSEPORT_SELECT"),
    Definition::to("kprobe", KPROBE, "").by("kprobe"),
    Definition::to("kretprobe", KPROBE, "").by("kretprobe"),
    Definition::to("kprobe.multi", KPROBE, "BPF_TRACE_KPROBE_MULTI").by("kprobe.multi"),
    Definition::to("kretprobe.multi", KPROBE, "BPF_TRACE_KPROBE_MULTI").by("kprobe.multi"),
    Definition::to("kprobe.session", KPROBE, "BPF_TRACE_KPROBE_SESSION").by("kprobe.multi"),
    Definition::to("uprobe", KPROBE, ""),
    Definition::to("uretprobe", KPROBE, ""),
    Definition::to("uprobe.multi", KPROBE, "BPF_TRACE_UPROBE_MULTI"),
    Definition::to("uretprobe.multi", KPROBE, "BPF_TRACE_UPROBE_MULTI"),
    Definition::to("uprobe.session", KPROBE, "BPF_TRACE_UPROBE_SESSION"),
    Definition::to("ksyscall", KPROBE, "").by("ksyscall"),
    Definition::to("kretsyscall", KPROBE, "").by("ksyscall"),
    Definition::to("usdt", KPROBE, ""),
    Definition::bare("tc/ingress", SCHED_CLS, "BPF_TCX_INGRESS"),
    Definition::bare("tc/egress", SCHED_CLS, "BPF_TCX_EGRESS"),
    Definition::bare("tcx/ingress", SCHED_CLS, "BPF_TCX_INGRESS"),
    Definition::bare("tcx/egress", SCHED_CLS, "BPF_TCX_EGRESS"),
    Definition::bare("tc", SCHED_CLS, ""),
    Definition::bare("classifier", SCHED_CLS, ""),
    Definition::bare("action", "BPF_PROG_TYPE_SCHED_ACT", ""),
    Definition::bare("netkit/primary", SCHED_CLS, "BPF_NETKIT_PRIMARY"),
    Definition::bare("netkit/peer", SCHED_CLS, "BPF_NETKIT_PEER"),
    Definition::to("tracepoint", "BPF_PROG_TYPE_TRACEPOINT", "").by("tracepoint"),
    Definition::to("tp", "BPF_PROG_TYPE_TRACEPOINT", "").by("tracepoint"),
    Definition::to("raw_tracepoint", RAW_TRACEPOINT, "").by("raw_tp"),
    Definition::to("raw_tp", RAW_TRACEPOINT, "").by("raw_tp"),
    Definition::to("raw_tracepoint.w", RAW_TRACEPOINT_WRITABLE, "").by("raw_tp"),
    Definition::to("raw_tp.w", RAW_TRACEPOINT_WRITABLE, "").by("raw_tp"),
    Definition::to("tp_btf", TRACING, "BPF_TRACE_RAW_TP").by("tp_btf"),
    Definition::to("fentry", TRACING, "BPF_TRACE_FENTRY").by("fentry"),
    Definition::to("fexit", TRACING, "BPF_TRACE_FEXIT").by("fexit"),
    Definition::to("fmod_ret", TRACING, "BPF_MODIFY_RETURN").by("fmod_ret"),
    Definition::to("fsession", TRACING, "BPF_TRACE_FSESSION").by("fentry"),
    Definition::to("fentry.multi", TRACING, "BPF_TRACE_FENTRY_MULTI").by("fentry"),
    Definition::to("fexit.multi", TRACING, "BPF_TRACE_FEXIT_MULTI").by("fexit"),
    Definition::to("fsession.multi", TRACING, "BPF_TRACE_FSESSION_MULTI").by("fentry"),
    Definition::to("freplace", "BPF_PROG_TYPE_EXT", ""),
    Definition::to("lsm", LSM, "BPF_LSM_MAC").by("lsm"),
    Definition::to("lsm_cgroup", LSM, "BPF_LSM_CGROUP").by("lsm"),
    Definition::to("iter", TRACING, "BPF_TRACE_ITER"),
    Definition::bare("syscall", "BPF_PROG_TYPE_SYSCALL", ""),
    Definition::bare("xdp/devmap", XDP, "BPF_XDP_DEVMAP"),
    Definition::bare("xdp/cpumap", XDP, "BPF_XDP_CPUMAP"),
    Definition::bare("xdp", XDP, "BPF_XDP"),
    Definition::bare("perf_event", "BPF_PROG_TYPE_PERF_EVENT", ""),
    Definition::bare("lwt_in", "BPF_PROG_TYPE_LWT_IN", ""),
    Definition::bare("lwt_out", "BPF_PROG_TYPE_LWT_OUT", ""),
    Definition::bare("lwt_xmit", "BPF_PROG_TYPE_LWT_XMIT", ""),
    Definition::bare("lwt_seg6local", "BPF_PROG_TYPE_LWT_SEG6LOCAL", ""),
    Definition::bare("sockops", "BPF_PROG_TYPE_SOCK_OPS", "BPF_CGROUP_SOCK_OPS"),
    Definition::bare("sk_skb/stream_parser", SK_SKB, "BPF_SK_SKB_STREAM_PARSER"),
    Definition::bare("sk_skb/stream_verdict", SK_SKB, "BPF_SK_SKB_STREAM_VERDICT"),
    Definition::bare("sk_skb/verdict", SK_SKB, "BPF_SK_SKB_VERDICT"),
    Definition::bare("sk_skb", SK_SKB, ""),
    Definition::bare("sk_msg", "BPF_PROG_TYPE_SK_MSG", "BPF_SK_MSG_VERDICT"),
    Definition::bare("lirc_mode2", "BPF_PROG_TYPE_LIRC_MODE2", "BPF_LIRC_MODE2"),
    Definition::bare("flow_dissector", "BPF_PROG_TYPE_FLOW_DISSECTOR", "BPF_FLOW_DISSECTOR"),
    Definition::bare("cgroup_skb/ingress", CGROUP_SKB, "BPF_CGROUP_INET_INGRESS"),
    Definition::bare("cgroup_skb/egress", CGROUP_SKB, "BPF_CGROUP_INET_EGRESS"),
    Definition::bare("cgroup/skb", CGROUP_SKB, ""),
    Definition::bare("cgroup/sock_create", CGROUP_SOCK, "BPF_CGROUP_INET_SOCK_CREATE"),
    Definition::bare("cgroup/sock_release", CGROUP_SOCK, "BPF_CGROUP_INET_SOCK_RELEASE"),
    Definition::bare("cgroup/sock", CGROUP_SOCK, "BPF_CGROUP_INET_SOCK_CREATE"),
    Definition::bare("cgroup/post_bind4", CGROUP_SOCK, "BPF_CGROUP_INET4_POST_BIND"),
    Definition::bare("cgroup/post_bind6", CGROUP_SOCK, "BPF_CGROUP_INET6_POST_BIND"),
    Definition::bare("cgroup/bind4", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET4_BIND"),
    Definition::bare("cgroup/bind6", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET6_BIND"),
    Definition::bare("cgroup/connect4", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET4_CONNECT"),
    Definition::bare("cgroup/connect6", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET6_CONNECT"),
    Definition::bare("cgroup/connect_unix", CGROUP_SOCK_ADDR, "BPF_CGROUP_UNIX_CONNECT"),
    Definition::bare("cgroup/sendmsg4", CGROUP_SOCK_ADDR, "BPF_CGROUP_UDP4_SENDMSG"),
    Definition::bare("cgroup/sendmsg6", CGROUP_SOCK_ADDR, "BPF_CGROUP_UDP6_SENDMSG"),
    Definition::bare("cgroup/sendmsg_unix", CGROUP_SOCK_ADDR, "BPF_CGROUP_UNIX_SENDMSG"),
    Definition::bare("cgroup/recvmsg4", CGROUP_SOCK_ADDR, "BPF_CGROUP_UDP4_RECVMSG"),
    Definition::bare("cgroup/recvmsg6", CGROUP_SOCK_ADDR, "BPF_CGROUP_UDP6_RECVMSG"),
    Definition::bare("cgroup/recvmsg_unix", CGROUP_SOCK_ADDR, "BPF_CGROUP_UNIX_RECVMSG"),
    Definition::bare("cgroup/getpeername4", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET4_GETPEERNAME"),
    Definition::bare("cgroup/getpeername6", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET6_GETPEERNAME"),
    Definition::bare("cgroup/getpeername_unix", CGROUP_SOCK_ADDR, "BPF_CGROUP_UNIX_GETPEERNAME"),
    Definition::bare("cgroup/getsockname4", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET4_GETSOCKNAME"),
    Definition::bare("cgroup/getsockname6", CGROUP_SOCK_ADDR, "BPF_CGROUP_INET6_GETSOCKNAME"),
    Definition::bare("cgroup/getsockname_unix", CGROUP_SOCK_ADDR, "BPF_CGROUP_UNIX_GETSOCKNAME"),
    Definition::bare("cgroup/sysctl", "BPF_PROG_TYPE_CGROUP_SYSCTL", "BPF_CGROUP_SYSCTL"),
    Definition::bare("cgroup/getsockopt", CGROUP_SOCKOPT, "BPF_CGROUP_GETSOCKOPT"),
    Definition::bare("cgroup/setsockopt", CGROUP_SOCKOPT, "BPF_CGROUP_SETSOCKOPT"),
    Definition::bare("cgroup/dev", "BPF_PROG_TYPE_CGROUP_DEVICE", "BPF_CGROUP_DEVICE"),
    Definition::to("struct_ops", "BPF_PROG_TYPE_STRUCT_OPS", ""),
    Definition::bare("sk_lookup", "BPF_PROG_TYPE_SK_LOOKUP", "BPF_SK_LOOKUP"),
    Definition::bare("netfilter", "BPF_PROG_TYPE_NETFILTER", "BPF_NETFILTER"),
];

/// Those whose name may go on with `.s`.
const SLEEPABLE: &[&str] = &[
    "uprobe",
    "uretprobe",
    "uprobe.multi",
    "uretprobe.multi",
    "uprobe.session",
    "usdt",
    "fentry",
    "fexit",
    "fmod_ret",
    "fsession",
    "fentry.multi",
    "fexit.multi",
    "fsession.multi",
    "lsm",
    "iter",
    "struct_ops",
];

/// Reads a section's name. One that goes on behind a `/` where libbpf wants nothing is taken as older versions and
/// other loaders take it: as that kind of program, with a name of its own.
pub fn attachment(section: &str) -> Attachment {
    let (optional, name) = match section.strip_prefix('?') {
        Some(name) => (true, name),
        None => (false, section),
    };
    let (kind, target) = match name.split_once('/') {
        Some((kind, target)) => (kind, Some(target)),
        None => (name, None),
    };
    let may_sleep = kind.strip_suffix(".s").filter(|base| SLEEPABLE.contains(base));
    let base = may_sleep.or(kind.strip_suffix(".frags").filter(|base| *base == "xdp")).unwrap_or(kind);
    let exact = || {
        DEFINITIONS.iter().find(|definition| match definition.name.split_once('/') {
            Some((kind, rest)) => kind == base && target == Some(rest),
            None => definition.name == base && (definition.target || target.is_none()),
        })
    };
    let loose = || DEFINITIONS.iter().find(|definition| definition.name == base);
    let Some(found) = exact().or_else(loose) else {
        return Attachment { optional, ..Attachment::default() };
    };
    Attachment {
        optional,
        definition: Some(found.name),
        program_type: Some(found.program_type),
        attach_type: found.attach_type,
        sleepable: may_sleep.is_some() || found.name == "syscall",
        mechanism: found.mechanism,
        target: target.filter(|target| found.target && !target.is_empty()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(section: &str) -> (&'static str, &'static str, &'static str, String) {
        let a = attachment(section);
        let flags = match (a.optional, a.sleepable) {
            (true, true) => "?s",
            (true, false) => "?",
            (false, true) => "s",
            (false, false) => "",
        };
        let kind = a.program_type.map_or("", |name| name.strip_prefix("BPF_PROG_TYPE_").unwrap());
        (flags, kind, a.attach_type.unwrap_or(""), a.target.unwrap_or_default())
    }

    #[test]
    fn names_with_a_target() {
        let t = str::to_owned;
        assert_eq!(short("kprobe/vfs_read"), ("", "KPROBE", "", t("vfs_read")));
        assert_eq!(short("kprobe"), ("", "KPROBE", "", t("")));
        assert_eq!(short("kprobe/"), ("", "KPROBE", "", t("")));
        assert_eq!(short("?kretprobe.multi/vfs_*"), ("?", "KPROBE", "BPF_TRACE_KPROBE_MULTI", t("vfs_*")));
        assert_eq!(short("tp/sched/sched_switch"), ("", "TRACEPOINT", "", t("sched/sched_switch")));
        assert_eq!(short("raw_tp.w/bpf_test"), ("", "RAW_TRACEPOINT_WRITABLE", "", t("bpf_test")));
        assert_eq!(short("?fentry.s/do_exit"), ("?s", "TRACING", "BPF_TRACE_FENTRY", t("do_exit")));
        assert_eq!(short("fmod_ret/security_file_open").2, "BPF_MODIFY_RETURN");
        assert_eq!(short("lsm.s/bprm_check_security"), ("s", "LSM", "BPF_LSM_MAC", t("bprm_check_security")));
        assert_eq!(short("lsm_cgroup/socket_bind").2, "BPF_LSM_CGROUP");
        assert_eq!(short("iter.s/task"), ("s", "TRACING", "BPF_TRACE_ITER", t("task")));
        assert_eq!(short("uprobe.multi.s//bin/sh:main").3, "/bin/sh:main");
        assert_eq!(short("struct_ops.s/init"), ("s", "STRUCT_OPS", "", t("init")));
        assert_eq!(short("fexit/tun:tun_net_xmit").3, "tun:tun_net_xmit");
    }

    #[test]
    fn names_without_a_target() {
        let t = String::new;
        assert_eq!(short("xdp"), ("", "XDP", "BPF_XDP", t()));
        assert_eq!(short("xdp.frags/devmap"), ("", "XDP", "BPF_XDP_DEVMAP", t()));
        assert_eq!(short("xdp.frags"), ("", "XDP", "BPF_XDP", t()));
        assert_eq!(short("tc/ingress"), ("", "SCHED_CLS", "BPF_TCX_INGRESS", t()));
        assert_eq!(short("tc"), ("", "SCHED_CLS", "", t()));
        assert_eq!(short("sk_reuseport/migrate").2, "BPF_SK_REUSEPORT_SELECT_OR_MIGRATE");
        assert_eq!(short("cgroup/connect4").2, "BPF_CGROUP_INET4_CONNECT");
        assert_eq!(short("cgroup_skb/egress"), ("", "CGROUP_SKB", "BPF_CGROUP_INET_EGRESS", t()));
        assert_eq!(short("syscall"), ("s", "SYSCALL", "", t()));
        // as other loaders have it
        assert_eq!(short("classifier/from_container"), ("", "SCHED_CLS", "", t()));
    }

    #[test]
    fn names_of_nothing_known() {
        for name in
            ["", "?", "/", "kprobes/x", "kprobe.s/x", "fentry.s.s/x", "tp_btf.s/x", "cgroup/new", ".text"]
        {
            let found = attachment(name);
            assert_eq!((found.definition, found.target), (None, None), "{name}");
        }
        assert!(attachment("?whatever").optional);
    }

    #[test]
    fn what_may_sleep_is_in_the_table() {
        for name in SLEEPABLE {
            assert!(DEFINITIONS.iter().any(|definition| definition.name == *name), "{name}");
        }
    }
}
