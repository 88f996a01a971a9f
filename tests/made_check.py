"""A report of a check, made up: every outcome, acceptances, and texts that formats could stumble over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from ksurf.check.cause import Cause
from ksurf.check.consumer import Unreadable
from ksurf.check.dependency import Consumer, ConsumerKind, Dependency, Guard, Kind, Program, Use
from ksurf.check.policy import Acceptance, Policy, apply
from ksurf.check.verdict import ConsumerReport, Finding, Outcome, Report, Suggestion
from ksurf.report.check_layout import Page
from ksurf.selector import Selector
from ksurf.series import group
from ksurf.surface.attach import Mechanism
from made_kernel import kernel

OLD, MIDDLE, NEW = kernel("5.10.1"), kernel("6.1.5"), kernel("6.12.1")
ARM = kernel("6.12.1", arch="arm64")
RT = kernel("6.12.1", flavor="rt")
KERNELS = (OLD, MIDDLE, NEW, ARM, RT)
TODAY = date(2026, 11, 21)

HOOK = Dependency(
    Kind.FUNCTION,
    "blk_account_io_start",
    Mechanism.KPROBE,
    (Use("on_start", "biotop.bpf.c", 45, "int BPF_KPROBE(on_start, struct request *req)"),),
)
FIELD = Dependency(
    Kind.FIELD,
    "inode::i_atime",
    uses=(
        Use("on_read", "src/atime.bpf.c", 7, "\tts = BPF_CORE_READ(inode, i_atime);", 12, 3),
        Use("on_write", "src/atime.bpf.c", 9, None, 4, 5),
    ),
    expected="struct timespec64",
)
SAFE = Dependency(
    Kind.FIELD,
    "task_struct::__state",
    uses=(Use("on_start", "biotop.bpf.c", 60, guard=Guard("bpf_core_field_exists(t->__state)")),),
)
EVENT = Dependency(Kind.TRACEPOINT, "sched:sched_switch", Mechanism.TRACEPOINT, (Use("on_switch"),))
PARAMETER = Dependency(Kind.PARAMETER, "inet_csk_accept::2", uses=(Use("accept"),))
ODD = Dependency(Kind.FUNCTION, "a|b<script>`*_*", Mechanism.FENTRY, (Use(line=3, text="x"),))

BIOTOP = Consumer(
    ConsumerKind.BPF_OBJECT,
    "biotop",
    "build/biotop",
    ".rodata+0x40",
    (
        Program("on_start", "kprobe/blk_account_io_start"),
        Program("on_switch", "?tp/sched/sched_switch", True),
    ),
    (HOOK, FIELD, SAFE, EVENT),
)
ODD_LIST = Consumer(
    ConsumerKind.LIST,
    "odd & <list>",
    "lists/odd list.txt",
    dependencies=(ODD, PARAMETER),
    incomplete=("lists/odd list.txt:9: 'nonsense' is no kind of dependency",),
)
FINE = Consumer(ConsumerKind.BPFTRACE, "vfsstat", "tools.deb", "usr/sbin/vfsstat.bt", dependencies=(EVENT,))

KPROBE = Suggestion(
    "attach to the tracepoint", 'SEC("tp/block/block_io_start")\nint on_start(void *ctx)', "c"
)

POLICY = Policy(
    "ksurf.toml",
    acceptances=(
        Acceptance("function:blk_account_io_start", "biotop copes", (Selector.parse("arm64"),), ("biotop",)),
        Acceptance("field:inode::*", "was to be ported", expires=date(2026, 11, 20)),
        Acceptance("lsm:file_open", "never needed"),
    ),
)


_CAUSES = {
    (Kind.FUNCTION, False): Cause.FUNCTION_INLINED,
    (Kind.FUNCTION, True): Cause.FUNCTION_INLINED_PARTLY,
    (Kind.FIELD, False): Cause.FIELD_ABSENT,
    (Kind.PARAMETER, False): Cause.PARAMETER_CHANGED,
}


def findings(
    dependency: Dependency,
    outcomes: Mapping[object, Outcome],
    *told: object,
    uses: tuple[Use, ...] | None = None,
) -> list[Finding]:
    """Of a dependency on every kernel; OK where nothing is said."""
    made = []
    for one in KERNELS:
        outcome = outcomes.get(one, Outcome.OK)
        if outcome is Outcome.OK:
            made.append(Finding(one, dependency, outcome))
        else:
            consequence, evidence, suggestions = (*told, (), ())[:3]
            made.append(
                Finding(
                    one,
                    dependency,
                    outcome,
                    str(consequence),
                    evidence,  # type: ignore[arg-type]
                    suggestions,  # type: ignore[arg-type]
                    dependency.uses if uses is None else uses,
                    OLD,
                    cause=_CAUSES[dependency.kind, outcome is Outcome.PARTIAL],
                )
            )
    return made


def report() -> Report:
    """Three programs on five kernels."""
    return Report(
        KERNELS,
        (
            ConsumerReport(
                BIOTOP,
                OLD,
                (
                    *findings(
                        HOOK,
                        {MIDDLE: Outcome.BROKEN, ARM: Outcome.BROKEN, RT: Outcome.PARTIAL},
                        "the program is refused at attach: it is inlined everywhere",
                        ("inlined into blk_mq_submit_bio",),
                        (KPROBE,),
                    ),
                    *findings(
                        FIELD,
                        {NEW: Outcome.CHANGED, RT: Outcome.CHANGED},
                        "it may read the wrong thing",
                        ("struct timespec64 i_atime → struct timespec64 __i_atime",),
                        (Suggestion("read the new field where it is"),),
                        uses=FIELD.uses[:1],
                    ),
                    *findings(
                        SAFE, {OLD: Outcome.GUARDED}, "guarded by bpf_core_field_exists(t->__state)", ()
                    ),
                    *findings(EVENT, {}),
                ),
            ),
            ConsumerReport(
                ODD_LIST,
                None,
                (
                    *findings(ODD, dict.fromkeys(KERNELS, Outcome.BROKEN), "no function a|b<script>`*_*"),
                    *findings(
                        PARAMETER, {NEW: Outcome.CHANGED}, "the third parameter is another", ("int → bool",)
                    ),
                ),
            ),
            ConsumerReport(FINE, None, tuple(findings(EVENT, {}))),
        ),
    )


def page(*, policy: Policy = POLICY, fail_on: Outcome = Outcome.BROKEN) -> Page:
    """The report, laid out around the middle kernel."""
    made = report()
    return Page(
        made,
        group(KERNELS, MIDDLE),
        apply(policy, made, TODAY),
        fail_on,
        skipped=2,
        unreadable=(Unreadable("cut.deb", "truncated: ar member at offset 0x84"),),
    )
