"""Lists: BCC's macros and methods by what they need of the kernel, and what kernel headers give other names.

Sources: BCC's ``src/cc/export/helpers.h`` (macros) and ``src/cc/frontends/clang/b_frontend_action.cc``
(methods of maps); ``include/net/sock.h``, ``include/net/inet_sock.h`` and the other headers named below.
"""

from __future__ import annotations

__all__ = [
    "CONVERSIONS",
    "HELPER_RESULTS",
    "MACRO_FIELDS",
    "MAP_MACROS",
    "MAP_METHODS",
    "NO_HELPERS",
    "TABLE_TYPES",
]

MAP_MACROS: dict[str, tuple[str | None, int | None, int | None]] = {
    # macro: (type of map, which argument is the key's type, which the leaf's); the first is the name
    "BPF_HASH": ("BPF_MAP_TYPE_HASH", 1, 2),
    "BPF_PERCPU_HASH": ("BPF_MAP_TYPE_PERCPU_HASH", 1, 2),
    "BPF_LRU_HASH": ("BPF_MAP_TYPE_LRU_HASH", 1, 2),
    "BPF_HISTOGRAM": ("BPF_MAP_TYPE_HASH", 1, None),
    "BPF_ARRAY": ("BPF_MAP_TYPE_ARRAY", None, 1),
    "BPF_PERCPU_ARRAY": ("BPF_MAP_TYPE_PERCPU_ARRAY", None, 1),
    "BPF_PERF_OUTPUT": ("BPF_MAP_TYPE_PERF_EVENT_ARRAY", None, None),
    "BPF_PERF_ARRAY": ("BPF_MAP_TYPE_PERF_EVENT_ARRAY", None, None),
    "BPF_RINGBUF_OUTPUT": ("BPF_MAP_TYPE_RINGBUF", None, None),
    "BPF_STACK_TRACE": ("BPF_MAP_TYPE_STACK_TRACE", None, None),
    "BPF_STACK_TRACE_BUILDID": ("BPF_MAP_TYPE_STACK_TRACE", None, None),
    "BPF_PROG_ARRAY": ("BPF_MAP_TYPE_PROG_ARRAY", None, None),
    "BPF_CGROUP_ARRAY": ("BPF_MAP_TYPE_CGROUP_ARRAY", None, None),
    "BPF_CGROUP_STORAGE": ("BPF_MAP_TYPE_CGROUP_STORAGE", None, 1),
    "BPF_LPM_TRIE": ("BPF_MAP_TYPE_LPM_TRIE", 1, 2),
    "BPF_DEVMAP": ("BPF_MAP_TYPE_DEVMAP", None, None),
    "BPF_CPUMAP": ("BPF_MAP_TYPE_CPUMAP", None, None),
    "BPF_XSKMAP": ("BPF_MAP_TYPE_XSKMAP", None, None),
    "BPF_SOCKMAP": ("BPF_MAP_TYPE_SOCKMAP", None, None),
    "BPF_SOCKHASH": ("BPF_MAP_TYPE_SOCKHASH", 1, None),
    "BPF_SK_STORAGE": ("BPF_MAP_TYPE_SK_STORAGE", None, 1),
    "BPF_INODE_STORAGE": ("BPF_MAP_TYPE_INODE_STORAGE", None, 1),
    "BPF_TASK_STORAGE": ("BPF_MAP_TYPE_TASK_STORAGE", None, 1),
    "BPF_ARRAY_OF_MAPS": ("BPF_MAP_TYPE_ARRAY_OF_MAPS", None, None),
    "BPF_HASH_OF_MAPS": ("BPF_MAP_TYPE_HASH_OF_MAPS", None, None),
    "BPF_QUEUE": ("BPF_MAP_TYPE_QUEUE", None, 1),
    "BPF_STACK": ("BPF_MAP_TYPE_STACK", None, 1),
    "BPF_QUEUESTACK": (None, None, 2),
    "BPF_TABLE": (None, 1, 2),
    "BPF_TABLE_PUBLIC": (None, 1, 2),
    "BPF_TABLE_PINNED": (None, 1, 2),
    "BPF_TABLE_SHARED": (None, 1, 2),
    "BPF_F_TABLE": (None, 1, 2),
}

TABLE_TYPES = {
    "extern": None,
    "queue": "BPF_MAP_TYPE_QUEUE",
    "stack": "BPF_MAP_TYPE_STACK",
    "hash": "BPF_MAP_TYPE_HASH",
    "array": "BPF_MAP_TYPE_ARRAY",
    "percpu_hash": "BPF_MAP_TYPE_PERCPU_HASH",
    "percpu_array": "BPF_MAP_TYPE_PERCPU_ARRAY",
    "lru_hash": "BPF_MAP_TYPE_LRU_HASH",
    "lru_percpu_hash": "BPF_MAP_TYPE_LRU_PERCPU_HASH",
    "lpm_trie": "BPF_MAP_TYPE_LPM_TRIE",
    "histogram": "BPF_MAP_TYPE_HASH",
    "prog": "BPF_MAP_TYPE_PROG_ARRAY",
    "perf_output": "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    "perf_array": "BPF_MAP_TYPE_PERF_EVENT_ARRAY",
    "cgroup_array": "BPF_MAP_TYPE_CGROUP_ARRAY",
    "stacktrace": "BPF_MAP_TYPE_STACK_TRACE",
    "devmap": "BPF_MAP_TYPE_DEVMAP",
    "cpumap": "BPF_MAP_TYPE_CPUMAP",
    "hash_of_maps": "BPF_MAP_TYPE_HASH_OF_MAPS",
    "array_of_maps": "BPF_MAP_TYPE_ARRAY_OF_MAPS",
    "sk_storage": "BPF_MAP_TYPE_SK_STORAGE",
    "inode_storage": "BPF_MAP_TYPE_INODE_STORAGE",
    "task_storage": "BPF_MAP_TYPE_TASK_STORAGE",
    "sockmap": "BPF_MAP_TYPE_SOCKMAP",
    "sockhash": "BPF_MAP_TYPE_SOCKHASH",
    "xskmap": "BPF_MAP_TYPE_XSKMAP",
    "ringbuf": "BPF_MAP_TYPE_RINGBUF",
}
"""The first argument of ``BPF_TABLE``."""

_LOOKUP, _UPDATE = "bpf_map_lookup_elem", "bpf_map_update_elem"
MAP_METHODS: dict[str, tuple[str, ...]] = {
    "lookup": (_LOOKUP,),
    "lookup_or_init": (_LOOKUP, _UPDATE),
    "lookup_or_try_init": (_LOOKUP, _UPDATE),
    "increment": (_LOOKUP, _UPDATE),
    "atomic_increment": (_LOOKUP, _UPDATE),
    "update": (_UPDATE,),
    "insert": (_UPDATE,),
    "delete": ("bpf_map_delete_elem",),
    "push": ("bpf_map_push_elem",),
    "pop": ("bpf_map_pop_elem",),
    "peek": ("bpf_map_peek_elem",),
    "perf_submit": ("bpf_perf_event_output",),
    "perf_submit_skb": ("bpf_perf_event_output",),
    "perf_read": ("bpf_perf_event_read",),
    "perf_counter_value": ("bpf_perf_event_read_value",),
    "get_stackid": ("bpf_get_stackid",),
    "call": ("bpf_tail_call",),
    "check_current_task": ("bpf_current_task_under_cgroup",),
    "redirect_map": ("bpf_redirect_map",),
    "ringbuf_output": ("bpf_ringbuf_output",),
    "ringbuf_reserve": ("bpf_ringbuf_reserve",),
    "ringbuf_submit": ("bpf_ringbuf_submit",),
    "ringbuf_discard": ("bpf_ringbuf_discard",),
    "ringbuf_query": ("bpf_ringbuf_query",),
    "sk_storage_get": ("bpf_sk_storage_get",),
    "sk_storage_delete": ("bpf_sk_storage_delete",),
    "inode_storage_get": ("bpf_inode_storage_get",),
    "inode_storage_delete": ("bpf_inode_storage_delete",),
    "task_storage_get": ("bpf_task_storage_get",),
    "task_storage_delete": ("bpf_task_storage_delete",),
    "get_local_storage": ("bpf_get_local_storage",),
    "sock_map_update": ("bpf_sock_map_update",),
    "sock_hash_update": ("bpf_sock_hash_update",),
    "msg_redirect_map": ("bpf_msg_redirect_map",),
    "msg_redirect_hash": ("bpf_msg_redirect_hash",),
    "sk_redirect_map": ("bpf_sk_redirect_map",),
    "sk_redirect_hash": ("bpf_sk_redirect_hash",),
}

NO_HELPERS = frozenset(
    "bpf_log2 bpf_log2l bpf_ntohs bpf_htons bpf_ntohl bpf_htonl bpf_ntohll bpf_htonll bpf_be64_to_cpu "
    "bpf_cpu_to_be64 bpf_usdt_readarg bpf_usdt_readarg_p bpf_pseudo_fd bpf_dext_pkt bpf_dins_pkt "
    "bpf_num_cpus bpf_tail_call_ bpf_perf_event_data bpf_user_pt_regs_t".split()
)
"""What starts like a helper, and is compiled into the program."""

HELPER_RESULTS = {
    "bpf_get_current_task_btf": "struct task_struct *",
    "bpf_sk_fullsock": "struct bpf_sock *",
    "bpf_tcp_sock": "struct bpf_tcp_sock *",
    "bpf_task_pt_regs": "struct pt_regs *",
}

CONVERSIONS = {
    "inet_sk": "struct inet_sock *",
    "inet6_sk": "struct ipv6_pinfo *",
    "inet_csk": "struct inet_connection_sock *",
    "inet_rsk": "struct inet_request_sock *",
    "inet_twsk": "struct inet_timewait_sock *",
    "tcp_sk": "struct tcp_sock *",
    "tcp_rsk": "struct tcp_request_sock *",
    "tcp_twsk": "struct tcp_timewait_sock *",
    "udp_sk": "struct udp_sock *",
    "unix_sk": "struct unix_sock *",
    "raw_sk": "struct raw_sock *",
    "tcp_hdr": "struct tcphdr *",
    "udp_hdr": "struct udphdr *",
    "ip_hdr": "struct iphdr *",
    "ipv6_hdr": "struct ipv6hdr *",
    "eth_hdr": "struct ethhdr *",
    "skb_shinfo": "struct skb_shared_info *",
    "sock_net": "struct net *",
    "file_inode": "struct inode *",
    "d_inode": "struct inode *",
    "file_dentry": "struct dentry *",
    "dev_net": "struct net *",
    "virt_to_page": "struct page *",
    "page_folio": "struct folio *",
}
"""Inline functions of headers by what they return; the compiler has them, a program does not call them."""

MACRO_FIELDS: dict[tuple[str, str], str] = {
    # include/net/sock.h
    ("sock", "sk_node"): "__sk_common.skc_node",
    ("sock", "sk_nulls_node"): "__sk_common.skc_nulls_node",
    ("sock", "sk_refcnt"): "__sk_common.skc_refcnt",
    ("sock", "sk_tx_queue_mapping"): "__sk_common.skc_tx_queue_mapping",
    ("sock", "sk_hash"): "__sk_common.skc_hash",
    ("sock", "sk_portpair"): "__sk_common.skc_portpair",
    ("sock", "sk_num"): "__sk_common.skc_num",
    ("sock", "sk_dport"): "__sk_common.skc_dport",
    ("sock", "sk_addrpair"): "__sk_common.skc_addrpair",
    ("sock", "sk_daddr"): "__sk_common.skc_daddr",
    ("sock", "sk_rcv_saddr"): "__sk_common.skc_rcv_saddr",
    ("sock", "sk_family"): "__sk_common.skc_family",
    ("sock", "sk_state"): "__sk_common.skc_state",
    ("sock", "sk_reuse"): "__sk_common.skc_reuse",
    ("sock", "sk_reuseport"): "__sk_common.skc_reuseport",
    ("sock", "sk_ipv6only"): "__sk_common.skc_ipv6only",
    ("sock", "sk_net_refcnt"): "__sk_common.skc_net_refcnt",
    ("sock", "sk_bound_dev_if"): "__sk_common.skc_bound_dev_if",
    ("sock", "sk_bind_node"): "__sk_common.skc_bind_node",
    ("sock", "sk_prot"): "__sk_common.skc_prot",
    ("sock", "sk_net"): "__sk_common.skc_net",
    ("sock", "sk_v6_daddr"): "__sk_common.skc_v6_daddr",
    ("sock", "sk_v6_rcv_saddr"): "__sk_common.skc_v6_rcv_saddr",
    ("sock", "sk_cookie"): "__sk_common.skc_cookie",
    ("sock", "sk_flags"): "__sk_common.skc_flags",
    ("sock", "sk_rxhash"): "__sk_common.skc_rxhash",
    # include/net/inet_sock.h
    ("inet_sock", "inet_daddr"): "sk.__sk_common.skc_daddr",
    ("inet_sock", "inet_rcv_saddr"): "sk.__sk_common.skc_rcv_saddr",
    ("inet_sock", "inet_dport"): "sk.__sk_common.skc_dport",
    ("inet_sock", "inet_num"): "sk.__sk_common.skc_num",
    ("inet_request_sock", "ir_loc_addr"): "req.__req_common.skc_rcv_saddr",
    ("inet_request_sock", "ir_rmt_addr"): "req.__req_common.skc_daddr",
    ("inet_request_sock", "ir_num"): "req.__req_common.skc_num",
    ("inet_request_sock", "ir_rmt_port"): "req.__req_common.skc_dport",
    ("inet_request_sock", "ir_v6_rmt_addr"): "req.__req_common.skc_v6_daddr",
    ("inet_request_sock", "ir_v6_loc_addr"): "req.__req_common.skc_v6_rcv_saddr",
    # include/uapi/linux/in6.h
    ("in6_addr", "s6_addr"): "in6_u.u6_addr8",
    ("in6_addr", "s6_addr16"): "in6_u.u6_addr16",
    ("in6_addr", "s6_addr32"): "in6_u.u6_addr32",
}
"""Fields that headers define as macros: the kernel's types have them by the name behind."""
