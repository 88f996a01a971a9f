"""Kernels made of a few lines: the tables of a dataset without a kernel behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.schema import TABLES, arrow_schema
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel

__all__ = ["MadeKernel", "kernel", "kvm_kernel", "store_with"]


def kernel(version: str = "6.12.1", *, arch: str = "amd64", flavor: str = "cloud") -> Kernel:
    """A kernel's identity, as Debian would spell it."""
    base = ".".join(version.split(".")[:2])
    return Kernel("debian", f"{version}-{flavor}-{arch}", f"{version}-1", base, flavor, arch)


@dataclass
class MadeKernel:
    """Rows as they are added, numbered in that order; :meth:`tables` puts them into the tables' order."""

    images: list[dict[str, Any]] = field(default_factory=list)
    units: list[dict[str, Any]] = field(default_factory=list)
    functions: list[dict[str, Any]] = field(default_factory=list)
    instances: list[dict[str, Any]] = field(default_factory=list)
    call_sites: list[dict[str, Any]] = field(default_factory=list)
    symbols: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of all other tables, as they lie there."""

    def image(self, name: str = "vmlinux", evidence: str = "dwarf") -> int:
        return _add(self.images, name=name, path=f"boot/{name}", evidence=evidence)

    def unit(self, path: str, image: int = 0) -> int:
        return _add(self.units, image=image, path=path, language="C11", producer="GNU C11")

    def function(
        self, name: str, file: str | None, line: int | None = 1, *, external: bool = False, **more: Any
    ) -> int:
        values = {"declared_inline": False, "prototype": f"void {name}(void);", **more}
        return _add(self.functions, name=name, decl_file=file, decl_line=line, external=external, **values)

    def instance(self, function: int, unit: int, *, address: int | None = None, inlined: bool = False) -> int:
        image = self.units[unit]["image"]
        return _add(
            self.instances,
            function=function,
            image=image,
            unit=unit,
            inlined=inlined,
            out_of_line=address is not None,
            address=address,
            byte_size=None if address is None else 16,
            section=".text" if image and address is not None else None,
            inline_address=64 if inlined else None,
        )

    def call(self, caller: int, callee: int, depth: int = 0, *, inline: bool = False, **more: Any) -> None:
        self.call_sites.append(
            {"caller": caller, "callee": callee, "depth": depth, "inline": inline, "line": 1, **more}
        )

    def symbol(
        self, name: str, instance: int, *, bind: str = "STB_LOCAL", address: int | None = None
    ) -> None:
        own = self.instances[instance]
        _add(
            self.symbols,
            name=name,
            function=own["function"],
            instance=instance if address is None else None,
            image=own["image"],
            section=own["section"],
            address=own["address"] if address is None else address,
            byte_size=16,
            bind=bind,
            type="STT_FUNC",
            init=False,
        )

    def tables(self) -> dict[str, pa.Table]:
        """The rows in the tables' order, with dense ids."""
        functions, new_function = _ordered(
            self.functions, lambda f: (f["name"], f["decl_file"] or "", f["decl_line"] or 0)
        )
        renamed = [{**i, "function": new_function[i["function"]]} for i in self.instances]
        instances, new_instance = _ordered(renamed, lambda i: (i["function"], i["image"], i["unit"]))
        calls = [
            {**c, "caller": new_instance[c["caller"]], "callee": new_function[c["callee"]]}
            for c in self.call_sites
        ]
        symbols = [
            {
                **s,
                "function": new_function[s["function"]],
                "instance": None if s["instance"] is None else new_instance[s["instance"]],
            }
            for s in sorted(self.symbols, key=lambda s: s["name"])
        ]
        rows = {
            "images": self.images,
            "units": self.units,
            "functions": functions,
            "instances": instances,
            "call_sites": calls,
            "symbols": symbols,
            **self.others,
        }
        return {
            name: pa.Table.from_pylist(rows.get(name, []), schema=arrow_schema(table))
            for name, table in TABLES.items()
        }

    def write(self, dataset: Path, identity: Kernel) -> Manifest:
        """Put the kernel into a dataset."""
        return Store(dataset).write(identity, self.tables(), source={"kind": "files"})


def _add(rows: list[dict[str, Any]], **values: Any) -> int:
    rows.append({"id": len(rows), **values})
    return len(rows) - 1


def _ordered(rows: list[dict[str, Any]], key: Any) -> tuple[list[dict[str, Any]], dict[int, int]]:
    ordered = sorted(rows, key=key)
    numbers = {row["id"]: number for number, row in enumerate(ordered)}
    return [{**row, "id": number} for number, row in enumerate(ordered)], numbers


def kvm_kernel() -> MadeKernel:
    """A global function and its callers in two modules, a header's inline, calls inside inlined calls."""
    made = MadeKernel()
    vmlinux, kvm, intel = made.image(), made.image("kvm"), made.image("kvm_intel")
    main = made.unit("virt/kvm/kvm_main.c", kvm)
    vmx = made.unit("arch/x86/kvm/vmx/vmx.c", intel)
    core = made.unit("kernel/sched/core.c", vmlinux)
    kick = made.function(
        "kvm_vcpu_kick",
        "virt/kvm/kvm_main.c",
        2551,
        external=True,
        prototype="void kvm_vcpu_kick(struct kvm_vcpu *vcpu);",
    )
    request = made.function("kvm_make_request", "include/linux/kvm_host.h", 1200, declared_inline=True)
    post = made.function("post", "arch/x86/kvm/vmx/vmx.c", 40)
    outer = made.function("outer", "arch/x86/kvm/vmx/vmx.c", 50)
    wake = made.function("wake_up_process", "kernel/sched/core.c", 10, external=True)
    kick_code = made.instance(kick, main, address=0x44B0)
    made.instance(request, main, inlined=True)
    made.instance(request, vmx, inlined=True)
    made.instance(post, vmx, inlined=True)
    outer_code = made.instance(outer, vmx, address=0x80)
    wake_code = made.instance(wake, core, address=0xFFFFFFFF81000000)
    made.call(kick_code, request, inline=True, line=2560)
    made.call(kick_code, wake, line=2562)
    made.call(outer_code, post, inline=True, line=52)
    made.call(outer_code, request, depth=1, inline=True, line=41)
    made.call(outer_code, kick, depth=1, line=42)
    made.call(outer_code, kick, line=53, file="arch/x86/kvm/vmx/vmx.h")
    made.symbol("kvm_vcpu_kick", kick_code, bind="STB_GLOBAL")
    made.symbol("wake_up_process", wake_code, bind="STB_GLOBAL")
    made.symbol("wake_up_process.cold", wake_code, address=0xFFFFFFFF81000100)
    made.symbol("outer", outer_code)
    return made


def store_with(dataset: Path, *kernels: Kernel) -> Store:
    """A dataset that has :func:`kvm_kernel` under each of these names."""
    for identity in kernels:
        kvm_kernel().write(dataset, identity)
    return Store(dataset)
