"""LSM hooks of real kernels equal those of their sources, before and after 6.12's change."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

import pytest

from bpf_truth import KERNELS, TrueHook, read_hooks
from ksurf.dataset import lookup
from ksurf.dataset.rows import BtfId, Definition
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED, HOOKS_UNION, Hook, hooks
from real_kernels import Pulled, RealKernels

true_hooks = cache(read_hooks)

# Read in include/linux/lsm_hook_defs.h of each version by a person, with the parameters' names left out.
EVERYWHERE = {
    "file_open": "int file_open(struct file *);",
    "inode_permission": "int inode_permission(struct inode *, int);",
    "task_kill": "int task_kill(struct task_struct *, struct kernel_siginfo *, int, const struct cred *);",
    "bprm_check_security": "int bprm_check_security(struct linux_binprm *);",
    "socket_connect": "int socket_connect(struct socket *, struct sockaddr *, int);",
    "sb_mount": "int sb_mount(const char *, const struct path *, const char *, long unsigned int, void *);",
    "mmap_file": "int mmap_file(struct file *, long unsigned int, long unsigned int, long unsigned int);",
    "bpf_prog": "int bpf_prog(struct bpf_prog *);",
    "key_alloc": "int key_alloc(struct key *, const struct cred *, long unsigned int);",
    "audit_rule_init": "int audit_rule_init(u32, u32, char *, void **, gfp_t);",
    "ib_pkey_access": "int ib_pkey_access(void *, u64, u16);",
    "xfrm_policy_alloc_security": (
        "int xfrm_policy_alloc_security(struct xfrm_sec_ctx **, struct xfrm_user_sec_ctx *, gfp_t);"
    ),
    "vm_enough_memory": "int vm_enough_memory(struct mm_struct *, long int);",
    "locked_down": "int locked_down(enum lockdown_reason);",
    "tun_dev_create": "int tun_dev_create(void);",
}
OLD_XATTR = (
    "int inode_init_security(struct inode *, struct inode *, const struct qstr *, const char **, void **,"
    " size_t *);"
)
XATTR = "int inode_init_security(struct inode *, struct inode *, const struct qstr *, struct xattr *, int *);"
RENAME = "int path_rename(const struct path *, struct dentry *, const struct path *, struct dentry *{flags});"
OLD_SECCTX = "int secid_to_secctx(u32, char **, u32 *);"
BY_HAND: dict[str, dict[str, str | None]] = {
    "5.10": {
        "path_rename": RENAME.format(flags=""),
        "perf_event_open": "int perf_event_open(struct perf_event_attr *, int);",
        "inode_init_security": OLD_XATTR,
        "getprocattr": "int getprocattr(struct task_struct *, char *, char **);",
        "sk_getsecid": "void sk_getsecid(struct sock *, u32 *);",
        "secid_to_secctx": OLD_SECCTX,
        "uring_cmd": None,
        "bpf_prog_load": None,
    },
    "6.1": {
        "path_rename": RENAME.format(flags=", unsigned int"),
        "perf_event_open": "int perf_event_open(struct perf_event_attr *, int);",
        "inode_init_security": OLD_XATTR,
        "getprocattr": "int getprocattr(struct task_struct *, const char *, char **);",
        "sk_getsecid": "void sk_getsecid(struct sock *, u32 *);",
        "secid_to_secctx": OLD_SECCTX,
        "uring_cmd": "int uring_cmd(struct io_uring_cmd *);",
        "bpf_prog_load": None,
    },
    "6.12": {
        "path_rename": RENAME.format(flags=", unsigned int"),
        "perf_event_open": "int perf_event_open(int);",
        "inode_init_security": XATTR,
        "getprocattr": "int getprocattr(struct task_struct *, const char *, char **);",
        "sk_getsecid": "void sk_getsecid(const struct sock *, u32 *);",
        "secid_to_secctx": OLD_SECCTX,
        "uring_cmd": "int uring_cmd(struct io_uring_cmd *);",
        "bpf_prog_load": "int bpf_prog_load(struct bpf_prog *, union bpf_attr *, struct bpf_token *);",
    },
    "7.3": {
        "path_rename": RENAME.format(flags=", unsigned int"),
        "perf_event_open": "int perf_event_open(int);",
        "inode_init_security": XATTR,
        "getprocattr": "int getprocattr(struct task_struct *, const char *, char **);",
        "sk_getsecid": "void sk_getsecid(const struct sock *, u32 *);",
        "secid_to_secctx": "int secid_to_secctx(u32, struct lsm_context *);",
        "uring_cmd": "int uring_cmd(struct io_uring_cmd *);",
        "bpf_prog_load": "int bpf_prog_load(struct bpf_prog *, union bpf_attr *, struct bpf_token *, bool);",
    },
}
# Their conditions (CONFIG_WATCH_QUEUE, CONFIG_KEY_NOTIFICATIONS) are off in Debian's cloud kernels; the last
# is no hook, but the pointer that stands beside all hooks since 6.12.
NOWHERE = ("watch_key", "post_notification", "lsm_func_addr")

# bpf_lsm_disabled_hooks in kernel/bpf/bpf_lsm.c, which 5.10 does not have.
DISABLED = {
    "vm_enough_memory",
    "inode_need_killpriv",
    "inode_getsecurity",
    "inode_listsecurity",
    "inode_copy_up_xattr",
    "getprocattr",
    "setprocattr",
    "key_getsecurity",
    "audit_rule_match",
    "xfrm_decode_session",
    "ismaclabel",
}
CLOSED_TO_BPF: dict[str, set[str]] = {
    "5.10": set(),
    "6.1": DISABLED,
    "6.12": DISABLED | {"getselfattr"},
    "7.3": DISABLED | {"getselfattr", "file_alloc_security"},
}

# kernel/bpf/bpf_lsm_proto.c (7.x) puts a function of its own in place of the hook's: the parameter's name
# tells the verifier that it may be NULL.
RENAMED_PARAMETERS = {("7.3", "mmap_file"): {"file": "file__nullable"}}


class Found(NamedTuple):
    """What a dataset says of a kernel's hooks."""

    version: str
    truth: dict[str, TrueHook]
    hooks: dict[str, Hook]
    ids: tuple[BtfId, ...]
    kernel: Pulled


@pytest.fixture(params=KERNELS, ids="-".join)
def found(request: pytest.FixtureRequest, real_kernels: RealKernels) -> Found:
    version, arch = request.param
    pulled = real_kernels.pull(f"debian:{version}-cloud-{arch}")
    (rows,) = lookup.types_named([HOOKS_UNION], [pulled], kinds=("union",))[HOOKS_UNION]
    (one,) = rows.types
    assert (one.image, one.evidence) == ("vmlinux", "btf")
    (ids,) = lookup.btf_ids([pulled], sets={BPF_HOOKS, BPF_HOOKS_DISABLED})
    return Found(version, true_hooks(version, arch), hooks(one.definition, ids), ids, pulled)


def prototype(hook: TrueHook) -> str:
    """The hook as ksurf writes it: BTF does not name the parameters of pointers to functions."""
    types = ", ".join(parameter.type for parameter in hook.parameters)
    space = "" if hook.returns.endswith("*") else " "
    return f"{hook.returns}{space}{hook.name}({types or 'void'});"


@pytest.mark.parametrize(("version", "arch"), KERNELS)
def test_the_list_has_what_a_person_read_in_the_source(version: str, arch: str) -> None:
    truth = true_hooks(version, arch)
    for name, expected in {**EVERYWHERE, **BY_HAND[version]}.items():
        assert (prototype(truth[name]) if name in truth else None) == expected
    assert not truth.keys() & set(NOWHERE)
    assert len(truth) == {"5.10": 233, "6.1": 243, "6.12": 269, "7.3": 275}[version]


@pytest.mark.network
def test_hooks_are_those_of_the_source(found: Found) -> None:
    ours = {name: hook.prototype for name, hook in found.hooks.items()}
    assert ours == {name: prototype(hook) for name, hook in found.truth.items()}


@pytest.mark.network
def test_the_set_of_hooks_lists_each_of_the_source_once(found: Found) -> None:
    rows = [row for row in found.ids if row.set == BPF_HOOKS]
    assert sorted(row.name for row in rows) == sorted(f"bpf_lsm_{name}" for name in found.truth)
    assert {(row.image, row.kind, row.flags) for row in rows} == {("vmlinux", "func", None)}


@pytest.mark.network
def test_hooks_that_a_person_read_are_found(found: Found) -> None:
    for name, expected in {**EVERYWHERE, **BY_HAND[found.version]}.items():
        assert (found.hooks[name].prototype if name in found.hooks else None) == expected
    assert not found.hooks.keys() & set(NOWHERE)


@pytest.mark.network
def test_hooks_are_open_to_bpf_programs_or_not_as_the_source_says(found: Found) -> None:
    closed = CLOSED_TO_BPF[found.version]
    assert closed <= found.truth.keys()
    assert {name for name, hook in found.hooks.items() if hook.bpf} == found.truth.keys() - closed
    assert all(hook.bpf is not None for hook in found.hooks.values())


@pytest.mark.network
def test_sql_shows_the_same_hooks(found: Found, real_kernels: RealKernels) -> None:
    statement = "SELECT name, prototype, bpf FROM lsm_hooks"
    rows = real_kernels.ksurf("sql", statement, "--format", "json", "--on", found.kernel.kernel.id)
    ours = [Hook(row["name"], row["prototype"], row["bpf"]) for row in json.loads(rows)]
    assert len(ours) == len(found.hooks)
    assert {hook.name: hook for hook in ours} == found.hooks


@pytest.mark.network
def test_functions_that_programs_attach_to_have_the_parameters_of_the_source(found: Found) -> None:
    names = {f"bpf_lsm_{name}": hook for name, hook in found.truth.items()}
    types = lookup.types_named(list(names), [found.kernel], kinds=("func",))
    for function, hook in names.items():
        (one,) = types[function][0].types
        renamed = RENAMED_PARAMETERS.get((found.version, hook.name), {})
        parameters = tuple((renamed.get(name, name), type_) for type_, name in hook.parameters)
        assert (one.definition.type, named_parameters(one.definition)) == (hook.returns, parameters), function


def named_parameters(function: Definition) -> tuple[tuple[str | None, str | None], ...]:
    """Names and types of a function's parameters."""
    return tuple((member.name, member.type) for member in function.members)
