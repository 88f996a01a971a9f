"""A small dataset for the explorer's pages: all kinds of symbols, calls, changes between versions."""

from __future__ import annotations

from pathlib import Path

from made_kernel import MadeKernel, kernel, offering_kernel


def web_kernel(number: int) -> MadeKernel:
    made = offering_kernel(number)
    unit = made.unit("virt/kvm/kvm_main.c")
    fields = [("int", "count", 0, 4), ("int" if number else "long", "state", 8, 8)]
    if number:
        fields.append(("u64", "added", 16, 8))
    made.struct("changing", *fields)
    kick = made.function("kvm_vcpu_kick", "virt/kvm/kvm_main.c", 10, external=True)
    wake = made.function("kvm_vcpu_wake_up", "virt/kvm/kvm_main.c", 30, external=True)
    helper = made.function("kick_helper", "include/linux/kvm_host.h", 5, declared_inline=True)
    ours = made.instance(kick, unit, address=0x1000)
    caller = made.instance(wake, unit, address=0x2000)
    made.instance(helper, unit, inlined=True)
    made.symbol("kvm_vcpu_kick", ours, bind="STB_GLOBAL")
    made.symbol("kvm_vcpu_wake_up", caller, bind="STB_GLOBAL")
    made.call(caller, helper, inline=True, line=31)
    made.call(caller, kick, depth=1, line=6)
    return made


def web_dataset(dataset: Path) -> Path:
    """Two kernels of a series and one of another architecture."""
    web_kernel(0).write(dataset, kernel("6.1.5"))
    web_kernel(1).write(dataset, kernel("6.12.1"))
    web_kernel(1).write(dataset, kernel("6.12.1", arch="arm64"))
    return dataset
