"""Stories of dependencies that are known from the kernel's history, on kernels as Debian ships them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ksurf.check.cause import Cause
from ksurf.check.dependency import ConsumerKind, Kind
from ksurf.check.judge import judge
from ksurf.check.names import read_list
from ksurf.check.verdict import Finding, Outcome
from ksurf.cli.checking import checked
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel
from material import Material
from real_kernels import RealKernels

pytestmark = pytest.mark.network

SELECTORS = {
    "5.10": "debian:5.10-cloud-amd64",
    "6.1": "debian:6.1-cloud-amd64",
    "6.12": "debian:6.12-cloud-amd64",
    "7.3": "debian:7.3-cloud-amd64",
    "arm64": "debian:6.12-cloud-arm64",
}


class Stories:
    """The kernels of a dataset on which stories are checked."""

    def __init__(self, store: Store, kernels: dict[str, Kernel]) -> None:
        self._store = store
        self.kernels = kernels

    def __call__(self, line: str, consumer: ConsumerKind = ConsumerKind.BPF_OBJECT) -> dict[str, Finding]:
        """What becomes of one line of a list on each kernel, in a consumer of that kind."""
        listed = read_list(line, "story")
        assert not listed.incomplete
        report = judge([replace(listed, kind=consumer)], list(self.kernels.values()), None, self._store)
        labels = {kernel: label for label, kernel in self.kernels.items()}
        return {labels[finding.kernel]: finding for finding in report.findings}


@pytest.fixture(scope="module")
def story(real_kernels: RealKernels) -> Stories:
    kernels = {label: real_kernels.pull(selector).kernel for label, selector in SELECTORS.items()}
    return Stories(Store(real_kernels.dataset), kernels)


def outcomes(found: dict[str, Finding]) -> dict[str, str]:
    return {label: finding.outcome.value for label, finding in found.items()}


def codes(finding: Finding) -> list[str | None]:
    return [suggestion.code for suggestion in finding.suggestions]


def texts(finding: Finding) -> str:
    return "\n".join(suggestion.text for suggestion in finding.suggestions)


def test_blk_account_io_start_was_inlined_and_came_back(story: Stories) -> None:
    found = story("kprobe:blk_account_io_start")
    assert outcomes(found) == {
        "5.10": "ok",
        "6.1": "broken",
        "6.12": "ok",
        "7.3": "ok",
        "arm64": "partial",
    }
    gone = found["6.1"]
    assert gone.consequence.endswith("has no code of its own, it is inlined everywhere")
    assert "blk_mq_submit_bio" in gone.evidence[0]
    assert "blk_mq_submit_bio" in texts(gone)
    assert "blk_execute_rq_nowait" in found["arm64"].consequence


def test_page_cache_readahead_was_renamed_and_then_inlined(story: Stories) -> None:
    old = story("kprobe:__do_page_cache_readahead")
    assert set(outcomes(old).values()) == {"broken"}
    assert "do_page_cache_ra" in texts(old["5.10"])
    new = story("fentry:do_page_cache_ra")
    assert outcomes(new) == {
        "5.10": "partial",
        "6.1": "broken",
        "6.12": "broken",
        "7.3": "partial",
        "arm64": "broken",
    }
    assert "page_cache_ra_order" in new["6.1"].evidence[0]
    assert 'SEC("fentry/page_cache_sync_ra")' in codes(new["6.12"])


def test_inet_csk_accept_takes_its_arguments_in_a_struct(story: Stories) -> None:
    for place in ("0", "sk", "return"):
        assert set(outcomes(story(f"kretprobe:inet_csk_accept::{place}")).values()) == {"ok"}
    flags = story("kprobe:inet_csk_accept::1")
    assert outcomes(flags)["6.1"] == "ok"
    for label in ("6.12", "7.3"):
        finding = flags[label]
        assert finding.outcome is Outcome.CHANGED
        assert finding.baseline is not None
        assert finding.baseline.base_version == "5.10"
        assert "struct proto_accept_arg *arg here" in finding.consequence
    assert outcomes(story("fentry:inet_csk_accept::3"))["6.12"] == "broken"
    assert outcomes(story("kprobe:inet_csk_accept::3"))["6.12"] == "changed"
    script = story("fentry:inet_csk_accept::flags", ConsumerKind.BPFTRACE)
    assert outcomes(script)["6.12"] == "broken"


def test_the_times_of_inodes_were_hidden_and_divided(story: Stories) -> None:
    found = story("field:inode::i_atime")
    assert outcomes(found) == {
        "5.10": "ok",
        "6.1": "ok",
        "6.12": "broken",
        "7.3": "broken",
        "arm64": "broken",
    }
    assert found["6.12"].consequence.endswith("inode has no field i_atime")
    assert "inode::i_atime_sec" in texts(found["6.12"])
    assert "if (bpf_core_field_exists(struct inode, i_atime))" in codes(found["6.12"])
    tool = story("field:inode::i_atime", ConsumerKind.BCC)["6.12"]
    assert any("kernel_struct_has_field" in (code or "") for code in codes(tool))


def test_the_state_of_a_task_got_another_name(story: Stories) -> None:
    found = story("field:task_struct::state")
    assert outcomes(found)["5.10"] == "ok"
    assert outcomes(found)["6.1"] == "broken"
    assert "task_struct::__state" in texts(found["6.1"])
    assert any("unsigned int __state;" in (code or "") for code in codes(found["6.1"]))


def test_kfree_skb_reason_became_inline_for_modules(story: Stories) -> None:
    found = story("export:kfree_skb_reason", ConsumerKind.MODULE)
    assert outcomes(found) == {
        "5.10": "broken",
        "6.1": "ok",
        "6.12": "broken",
        "7.3": "broken",
        "arm64": "broken",
    }
    assert found["5.10"].consequence.endswith("the kernel has no symbol kfree_skb_reason")
    for label in ("6.12", "7.3", "arm64"):
        assert found[label].consequence.endswith("is an inline function of a header, and not exported")
        assert codes(found[label]) == ["#include <linux/skbuff.h>"]


def test_security_bpf_map_alloc_became_create(story: Stories) -> None:
    found = story("kprobe:security_bpf_map_alloc")
    assert outcomes(found)["6.1"] == "ok"
    for label in ("6.12", "7.3", "arm64"):
        assert found[label].outcome is Outcome.BROKEN
        assert "it may be security_bpf_map_create now" in texts(found[label])
        assert codes(found[label])[0] == 'SEC("kprobe/security_bpf_map_create")'


def test_a_name_that_static_functions_share(story: Stories) -> None:
    for finding in story("kprobe:s_next").values():
        assert finding.outcome is Outcome.BROKEN
        assert any("ambiguous" in reason for reason in finding.evidence)
    # The verifier takes one of them, without a word.
    for finding in story("fentry:s_next").values():
        if finding.kernel.arch == "amd64":
            assert (finding.outcome, finding.cause) == (Outcome.CHANGED, Cause.NAME_SHARED)
            assert "ambiguous" in finding.evidence[0]
    multi = story("kprobe.multi:s_next")
    # 5.10 has no kprobe.multi.
    assert outcomes(multi)["5.10"] == "broken"
    assert outcomes(multi)["6.12"] == "partial"
    assert "functions are named s_next" in multi["6.12"].consequence


def test_an_argument_that_is_loaded_and_not_used(
    story: Stories, material: Material, real_kernels: RealKernels
) -> None:
    """filelife takes the second or the third argument of vfs_unlink, by a field that 6.12 renamed."""
    tool = material.unpacked("libbpf-tools") / "usr" / "sbin" / "filelife"
    page = checked(
        [str(tool)],
        selectors=[kernel.id for label, kernel in story.kernels.items() if label != "arm64"],
        baseline=None,
        policy=None,
        fail_on=None,
        dataset=real_kernels.dataset,
        suggest=False,
    )
    found = {
        (finding.dependency.name, finding.kernel): finding
        for one in page.report.consumers
        for finding in one.findings
        if finding.dependency.kind is Kind.PARAMETER
    }

    def told(name: str) -> dict[str, str]:
        known = {label: found.get((name, kernel)) for label, kernel in story.kernels.items()}
        return outcomes({label: finding for label, finding in known.items() if finding is not None})

    assert told("vfs_unlink::2") == {"5.10": "ok", "6.1": "ok", "6.12": "ok", "7.3": "ok"}
    assert told("vfs_unlink::1") == {"5.10": "ok", "6.1": "ok", "6.12": "changed", "7.3": "changed"}
    assert found["vfs_unlink::1", story.kernels["6.1"]].evidence[0] == "loaded, and not used there"


def test_kprobe_multi_is_where_the_kernel_was_built_with_fprobe(story: Stories) -> None:
    multi, option = story("kprobe.multi:vfs_read"), story("config:CONFIG_FPROBE")
    assert multi["5.10"].cause is Cause.NO_KPROBE_MULTI
    assert {multi[label].cause for label in ("6.1", "arm64")} == {Cause.NO_FPROBE}
    assert outcomes(option) == outcomes(multi)
    assert {label for label, outcome in outcomes(multi).items() if outcome == "ok"} == {"6.12", "7.3"}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("bpf_test_init", "isra"), ("__mutex_lock", "constprop"), ("__do_pipe_flags", "part")],
)
def test_a_function_that_is_only_there_with_a_suffix(story: Stories, name: str, suffix: str) -> None:
    for label in ("5.10", "6.1", "6.12", "7.3"):
        finding = story(f"kprobe:{name}")[label]
        assert finding.outcome is Outcome.BROKEN
        assert f"no symbol is named {name}, the compiler left {name}.{suffix}.0" in finding.consequence
        assert f'SEC("kprobe/{name}.{suffix}.0")' in codes(finding)
        assert story(f"kprobe:{name}.{suffix}.0")[label].outcome is not Outcome.BROKEN


def test_a_function_that_must_not_be_instrumented(story: Stories) -> None:
    for finding in story("kprobe:irqentry_enter").values():
        if finding.kernel.arch == "amd64":
            assert finding.outcome is Outcome.BROKEN
            assert finding.evidence == ("kprobes refuse its section (.noinstr.text)",)


def test_the_entry_of_a_system_call_has_the_architectures_name(story: Stories) -> None:
    plain = story("kprobe:sys_openat")
    assert set(outcomes(plain).values()) == {"broken"}
    assert codes(plain["6.12"])[:2] == ['SEC("kprobe/__x64_sys_openat")', 'SEC("ksyscall/openat")']
    assert codes(plain["arm64"])[0] == 'SEC("kprobe/__arm64_sys_openat")'
    own = outcomes(story("kprobe:__x64_sys_openat"))
    assert (own["6.12"], own["arm64"]) == ("ok", "broken")
    assert set(outcomes(story("ksyscall:openat")).values()) == {"ok"}
    old = story("ksyscall:stat")
    assert "ksyscall/newstat" in (codes(old["6.12"])[0] or "")
    assert outcomes(story("ksyscall:open"))["arm64"] == "broken"


@pytest.mark.parametrize(
    ("line", "labels", "successor", "evidence"),
    [
        # The functions that call them tell: one that is called otherwise, or that calls another hook now.
        (
            "lsm:bpf_map_alloc_security",
            ("6.12", "7.3", "arm64"),
            "bpf_map_create",
            "called by security_bpf_map",
        ),
        (
            "lsm:bpf_map_free_security",
            ("6.12", "7.3", "arm64"),
            "bpf_map_free",
            "both called by security_bpf",
        ),
        ("lsm:inode_getsecid", ("7.3",), "inode_getlsmprop", "called by security_inode_getlsmprop"),
        ("lsm:task_getsecid", ("6.1",), "task_getsecid_obj", "same parts"),
        (
            "kfunc:bpf_wq_set_callback_impl",
            ("7.3",),
            "bpf_wq_set_callback",
            "same place kernel/bpf/helpers.c",
        ),
        ("kfunc:cgroup_rstat_updated", ("7.3",), "css_rstat_updated", "same place kernel/cgroup/rstat.c"),
        ("enum:req_opf", ("6.1", "6.12", "7.3"), "req_op", "of the parts the same"),
        ("struct:io_tracker", ("6.1",), "dm_io_tracker", "same parts"),
        ("typedef:xfs_ictimestamp_t", ("6.1", "6.12"), "xfs_log_timestamp_t", "same parts"),
    ],
)
def test_hooks_kfuncs_and_types_that_got_another_name(
    story: Stories, line: str, labels: tuple[str, ...], successor: str, evidence: str
) -> None:
    found = story(line)
    for label in labels:
        assert found[label].outcome is Outcome.BROKEN
        assert f"it may be {successor} now (compared with " in texts(found[label])
        assert evidence in texts(found[label])


@pytest.mark.parametrize(
    ("line", "label"),
    [
        # Its function stays, and calls no hook any more: inode_free_security_rcu takes the same.
        ("lsm:ib_free_security", "6.12"),
        ("lsm:key_free", "6.12"),
        ("lsm:sb_add_mnt_opt", "6.1"),
        # It went to a module for tests; what is left of these names is no kfunc.
        ("kfunc:bpf_kfunc_call_test_destructive", "6.12"),
        # Their values are those of others, their enumerators are not.
        ("enum:oom_status", "6.1"),
        ("enum:fscache_op_trace", "6.1"),
        # Many functions take the same.
        ("typedef:btf_trace_netif_rx_ni_exit", "6.1"),
    ],
)
def test_what_only_looks_like_another_is_not_proposed(story: Stories, line: str, label: str) -> None:
    found = story(line)[label]
    assert found.outcome is Outcome.BROKEN
    assert "it may be" not in texts(found)


def test_an_option_of_the_configuration(story: Stories) -> None:
    assert set(outcomes(story("config:CONFIG_DEBUG_INFO_BTF")).values()) == {"ok"}
    fprobe = story("config:CONFIG_FPROBE")
    assert outcomes(fprobe) == {
        "5.10": "broken",
        "6.1": "broken",
        "6.12": "ok",
        "7.3": "ok",
        "arm64": "broken",
    }
    # It came later, was left out, and is not for that architecture.
    assert fprobe["6.1"].consequence == "the object is refused at load: CONFIG_FPROBE is not set"
    for label in ("5.10", "arm64"):
        assert fprobe[label].consequence.endswith("the kernel's configuration does not name CONFIG_FPROBE")
    assert {fprobe[label].cause for label in ("5.10", "6.1", "arm64")} == {Cause.CONFIG_ABSENT}
    # Whoever reads it when it is loaded has the right value; who only names it is told.
    levels = "config:CONFIG_PGTABLE_LEVELS"
    assert set(outcomes(story(levels)).values()) == {"ok"}
    named = story(levels, ConsumerKind.LIST)
    assert (named["5.10"].outcome, named["6.1"].outcome) == (Outcome.OK, Outcome.CHANGED)
    assert named["6.1"].evidence[-1] == "CONFIG_PGTABLE_LEVELS=5"
    assert named["6.1"].cause is Cause.CONFIG_CHANGED
