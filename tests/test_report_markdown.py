"""The Markdown report, held against two published ones: the same facts in, the same text out."""

from __future__ import annotations

from pathlib import Path

from ksurf.dataset.rows import CallSite, Function, FunctionRows, Instance, Symbol
from ksurf.kernel import Kernel
from ksurf.report.function import FunctionReport, report
from ksurf.report.markdown import function_markdown
from ksurf.series import group
from ksurf.surface.function import judge

PUBLISHED = Path(__file__).parent / "data" / "reports"
VERSIONS = "4.4 4.8 4.10 4.13 4.15 4.18 5.0 5.3 5.4 5.8 5.11 5.13 5.15 5.19 6.2 6.5 6.8".split()
BASE = "5.4"


def kernel(version: str, *, flavor: str = "generic", arch: str = "amd64") -> Kernel:
    return Kernel(
        distro="ubuntu",
        release=f"{version}.0-26-{flavor}",
        version=f"{version}.0-26.30",
        base_version=version,
        flavor=flavor,
        arch=arch,
    )


KERNELS = [
    *(kernel(version) for version in VERSIONS),
    *(kernel(BASE, arch=arch) for arch in ("arm64", "armhf", "ppc64el", "riscv64")),
    *(kernel(BASE, flavor=flavor) for flavor in ("aws", "azure", "gcp", "lowlatency")),
]
ARM64 = kernel(BASE, arch="arm64")


def made(name: str, rows: FunctionRows) -> FunctionReport:
    statuses = {k: judge(rows if k == rows.kernel else FunctionRows(k, name)) for k in KERNELS}
    return report(name, group(KERNELS, kernel(BASE)), statuses)


def call(caller: str, unit: str, unit_id: int, *, inline: bool) -> CallSite:
    return CallSite(0, None, caller, "vmlinux", unit, unit_id, inline, 0, None, None, None)


def instance(number: int, unit: str, *, address: int | None, inline_address: int | None) -> Instance:
    return Instance(
        id=number,
        function=0,
        image="vmlinux",
        evidence="dwarf",
        unit=unit,
        unit_id=number,
        inlined=inline_address is not None,
        out_of_line=address is not None,
        address=address,
        byte_size=None,
        section=None,
        inline_address=inline_address,
    )


def test_a_global_function_with_direct_callers() -> None:
    name = "kvm_vcpu_kick"
    callers = {
        "arm.c": [
            "kvm_arch_vcpu_ioctl_vcpu_init",
            "kvm_vm_ioctl_irq_line",
            "kvm_arch_vcpu_ioctl_set_mpstate",
        ],
        "psci.c": ["kvm_hvc_call_handler", "kvm_psci_0_2_call"],
        "vgic/vgic.c": [
            "vgic_kick_vcpus",
            "kvm_vgic_sync_hwstate",
            "vgic_queue_irq_unlock",
            "vgic_queue_irq_unlock",
        ],
        "vgic/vgic-v4.c": ["vgic_v4_doorbell_handler", "vgic_v4_doorbell_handler"],
        "pmu.c": ["kvm_pmu_perf_overflow", "kvm_pmu_perf_overflow"],
    }
    rows = FunctionRows(
        ARM64,
        name,
        functions=(
            Function(
                0,
                name,
                None,
                "virt/kvm/kvm_main.c",
                2551,
                True,
                False,
                "void kvm_vcpu_kick(struct kvm_vcpu *vcpu);",
            ),
        ),
        instances=(instance(0, "virt/kvm/kvm_main.c", address=0xFFFF8000100BA7A8, inline_address=None),),
        call_sites=tuple(
            call(caller, f"virt/kvm/arm/{file}", number, inline=False)
            for number, (file, names) in enumerate(callers.items(), 1)
            for caller in names
        ),
        symbols=(Symbol(name, 0, 0, "vmlinux", None, 0xFFFF8000100BA7A8, 0xCC, "STB_GLOBAL", "STT_FUNC"),),
    )
    assert function_markdown(made(name, rows)) == (PUBLISHED / f"function-{name}.md").read_text()


def test_a_headers_function_that_is_inlined_everywhere() -> None:
    name = "kvm_make_request"
    copies: list[tuple[str, int, list[str]]] = [
        ("kvm_main.c", 0xFFFF8000100B7474, ["kvm_vcpu_check_block", "kvm_make_vcpus_request_mask"]),
        (
            "arm/arm.c",
            0xFFFF8000100C4644,
            [
                "kvm_arch_vcpu_ioctl_vcpu_init",
                "kvm_vm_ioctl_irq_line",
                "kvm_arch_vcpu_ioctl_run",
                "kvm_arch_vcpu_ioctl_set_mpstate",
            ],
        ),
        ("arm/psci.c", 0xFFFF8000100CE598, ["kvm_hvc_call_handler", "kvm_psci_0_2_call"]),
        (
            "arm/vgic/vgic.c",
            0xFFFF8000100DD480,
            [
                "vgic_kick_vcpus",
                "kvm_vgic_sync_hwstate",
                "vgic_queue_irq_unlock",
                "vgic_queue_irq_unlock",
            ],
        ),
        ("arm/vgic/vgic-v4.c", 0xFFFF8000100E0798, ["vgic_v4_doorbell_handler"]),
        ("arm/pmu.c", 0xFFFF8000100EEB54, ["kvm_pmu_perf_overflow"]),
    ]
    prototype = "void kvm_make_request(int req, struct kvm_vcpu *vcpu);"
    rows = FunctionRows(
        ARM64,
        name,
        functions=(Function(0, name, None, "include/linux/kvm_host.h", 1200, False, True, prototype),),
        instances=tuple(
            instance(number, f"virt/kvm/{file}", address=None, inline_address=address)
            for number, (file, address, _) in enumerate(copies)
        ),
        call_sites=tuple(
            call(caller, f"virt/kvm/{file}", number, inline=True)
            for number, (file, _, callers) in enumerate(copies)
            for caller in callers
        ),
    )
    assert function_markdown(made(name, rows)) == (PUBLISHED / f"function-{name}.md").read_text()


def changed(old: str, new: str) -> str:
    """The Differences of a function whose prototype changed from 5.4 to 5.8."""
    name = "f"
    statuses = {}
    for k, prototype in ((kernel("5.4"), old), (kernel("5.8"), new)):
        function = Function(0, name, None, "fs/f.c", 1, True, False, prototype)
        symbol = Symbol(name, 0, 0, "vmlinux", None, 16, 4, "STB_GLOBAL", "STT_FUNC")
        rows = FunctionRows(
            k,
            name,
            (function,),
            (instance(0, "fs/f.c", address=16, inline_address=None),),
            symbols=(symbol,),
        )
        statuses[k] = judge(rows)
    text = function_markdown(report(name, group(statuses, kernel("5.4")), statuses))
    return text.partition("## Differences\n")[2]


def test_no_change_is_said() -> None:
    same = "int f(int a);"
    assert changed(same, same) == (
        "<b>Regular</b>\n<ul>\n<li>\n"
        "No changes between <code>5.4</code> and <code>5.8</code> ✅\n</li>\n</ul>\n"
    )


def test_each_change_is_listed_with_what_it_was() -> None:
    text = changed("int f(struct a *x, int gone);", "long int f(struct b *x, char new_one);")
    assert text.startswith(
        "<b>Regular</b>\n<ul>\n<li>\n<details>\n"
        "<summary>Changed between <code>5.4</code> and <code>5.8</code> ⚠️</summary>\n<ul>\n<li>\n<b>"
    )
    assert "<b>Param added. </b>\n<code>char new_one</code>\n" in text
    assert "<b>Param removed. </b>\n<code>int gone</code>\n" in text
    assert "<b>Param type changed. </b>\n<code>struct a *x</code> ➡️ <code>struct b *x</code>\n" in text
    assert "<b>Return type changed. </b>\n<code>int</code> ➡️ <code>long int</code>\n" in text
    assert text.endswith("</li>\n</ul>\n</details>\n</li>\n</ul>\n")


def test_names_cannot_break_the_markup() -> None:
    name = "<core::str as Debug>::fmt"
    k = kernel("5.4")
    rows = FunctionRows(k, name, (Function(0, name, None, None, None, True, None, None),), symbols=())
    text = function_markdown(report(name, group([k], k), {k: judge(rows)}))
    assert text.startswith("# Function: <code>&lt;core::str as Debug&gt;::fmt</code>\n")
