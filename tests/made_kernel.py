"""Kernels made of a few lines: the tables of a dataset without a kernel behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from ksurf.dataset.manifest import Manifest
from ksurf.dataset.schema import TABLES, arrow_schema
from ksurf.dataset.store import Store
from ksurf.kernel import Kernel

__all__ = ["MadeKernel", "bpf_kernel", "kernel", "kvm_kernel", "offering_kernel", "store_with"]


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
    definitions: dict[int, tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=dict)
    """Each definition and its members, by key."""
    tracepoints: list[tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)
    """Each tracepoint and its fields."""
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

    def type(
        self,
        kind: str,
        name: str,
        members: Sequence[Mapping[str, Any]] = (),
        *,
        image: int = 0,
        evidence: str = "btf",
        **more: Any,
    ) -> int:
        """Add a type to an image, by its definition, whose key is returned."""
        listed = [{"position": at, "depth": 0, **member} for at, member in enumerate(members)]
        content = json.dumps([kind, name, more, listed], sort_keys=True)
        key = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "little")
        definition = {"key": key, "kind": kind, "name": name, **more}
        self.definitions[key] = definition, [{"definition": key, **member} for member in listed]
        self.add("types", name=name, kind=kind, image=image, definition=key, evidence=evidence)
        return key

    def struct(self, name: str, *fields: tuple[str, str, int, int], image: int = 0, **more: Any) -> int:
        """Add a struct of fields (type, name, offset and size in bytes)."""
        members = [
            {"type": type_, "name": field, "bit_offset": offset * 8, "byte_size": size}
            for type_, field, offset, size in fields
        ]
        size = max((offset + size for _, _, offset, size in fields), default=0)
        return self.type("struct", name, members, image=image, byte_size=size, **more)

    def enum(self, name: str, values: Mapping[str, int], **more: Any) -> int:
        """Add an enum."""
        members = [{"name": name, "value": value} for name, value in values.items()]
        return self.type("enum", name, members, byte_size=4, signed=False, **more)

    def prototype(self, name: str, returned: str, *parameters: tuple[str, str], **more: Any) -> int:
        """Add a function's prototype, of its parameters (type, name)."""
        members = [{"type": type_, "name": parameter} for type_, parameter in parameters]
        return self.type("func", name, members, type=returned, **more)

    def use(self, key: int, user_kind: str, user: str, *, image: int = 0) -> None:
        """Say what mentions a type."""
        name = self.definitions[key][0]["name"]
        self.add("type_uses", name=name, definition=key, image=image, user_kind=user_kind, user=user)

    def tracepoint(
        self, system: str | None, name: str, *fields: tuple[str, str, int, int], image: int = 0, **more: Any
    ) -> None:
        """Add an event of fields (type, name, offset and size in bytes), or a bare tracepoint."""
        rows = [
            {
                "position": at,
                "type": kind,
                "name": name,
                "byte_offset": offset,
                "byte_size": size,
                "signed": False,
            }
            for at, (kind, name, offset, size) in enumerate(fields)
        ]
        event = {"class": name, "print_format": f'"{name}"'} if system else {}
        self.tracepoints.append(
            ({"image": image, "system": system, "name": name, "tracepoint": name, **event, **more}, rows)
        )

    def btf_id(self, set_: str, name: str, *, image: int = 0, kind: str = "func", **more: Any) -> None:
        """Add an entry of a set."""
        self.add("btf_ids", set=set_, image=image, kind=kind, name=name, **more)

    def add(self, table: str, **values: Any) -> None:
        """Add a row of a table without references into it."""
        self.others.setdefault(table, []).append(values)

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
        tracepoints = sorted(self.tracepoints, key=lambda t: (t[0]["name"], t[0]["system"] or ""))
        pool = sorted(self.definitions.values(), key=lambda d: (d[0]["name"], d[0]["kind"], d[0]["key"]))
        others = {
            name: sorted(rows, key=lambda row: [row[column] for column in TABLES[name].sorted_by])
            for name, rows in self.others.items()
        }
        rows = {
            "images": self.images,
            "units": self.units,
            "functions": functions,
            "instances": instances,
            "call_sites": calls,
            "symbols": symbols,
            "tracepoints": [{"id": number, **t} for number, (t, _) in enumerate(tracepoints)],
            "tracepoint_fields": [
                {"tracepoint": number, **row}
                for number, (_, fields) in enumerate(tracepoints)
                for row in fields
            ],
            "definitions": [definition for definition, _ in pool],
            "members": [member for _, members in pool for member in members],
            **others,
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


def offering_kernel(number: int = 0) -> MadeKernel:
    """Types, tracepoints, system calls, exports, sets and options; ``number`` changes some of them."""
    made = MadeKernel()
    vmlinux, kvm = made.image(), made.image("kvm")
    pointer = "struct list_head *"
    made.struct("list_head", (pointer, "next", 0, 8), (pointer, "prev", 8, 8))
    made.type(
        "struct",
        "kvm",
        [
            {"type": "spinlock_t", "name": "mmu_lock", "bit_offset": 0, "byte_size": 4},
            {"type": "union (anon)", "bit_offset": 64, "byte_size": 8},
            {"type": "int", "name": "nested", "bit_offset": 64, "byte_size": 4, "depth": 1},
            {"type": "struct (anon)", "name": "irqfds", "bit_offset": 128, "byte_size": 24},
            {"type": "spinlock_t", "name": "lock", "bit_offset": 128, "byte_size": 4, "depth": 1},
            {"type": "struct list_head", "name": "items", "bit_offset": 192, "byte_size": 16, "depth": 1},
            {"type": "bool", "name": "flag", "bit_offset": 320 + number, "byte_size": 1, "bit_size": 1},
        ],
        image=kvm,
        byte_size=48,
    )
    twice = [
        made.struct("twin", ("int", "a", 0, 4), ("u64", "b", 8, 8), image=kvm),
        made.struct("twin", ("char *", "a", 0, 8), image=kvm),
    ]
    made.use(twice[0], "struct", "user", image=kvm)
    made.use(twice[1], "func", "use_twin", image=kvm)
    made.type("typedef", "pid_t", type="__kernel_pid_t")
    made.enum("pid_type", {"PIDTYPE_PID": 0, "PIDTYPE_TGID": 1, f"PIDTYPE_{number}": 2})
    made.prototype("vfs_read", "ssize_t", ("struct file *", "file"), ("char *", "buf"), ("size_t", "count"))
    made.prototype("printk", "int", ("const char *", "fmt"))
    made.tracepoint("sched", "sched_switch", ("char", "prev_comm[16]", 8, 16), ("pid_t", "prev_pid", 24, 4))
    made.tracepoint("kvm", "kvm_exit", ("u64", "reason", 8, 8), image=kvm)
    made.tracepoint("other", "kvm_exit", ("int", "x", 8, 4), image=kvm)
    made.tracepoint(None, "sched_bare")
    made.add("syscalls", abi="64", number=4, name="stat", entry="__x64_sys_newstat")
    made.add("syscalls", abi="32", number=106, name="stat", entry="__ia32_compat_sys_newstat")
    made.add("syscalls", abi="64", number=0, name="read", entry="__x64_sys_read")
    made.add("exports", name="kvm_get_kvm", image=kvm, gpl=True, namespace="KVM", crc=0xDEADBEEF)
    made.add("exports", name="vfs_read", image=vmlinux, gpl=False)
    made.btf_id("bpf_lsm_hooks", "bpf_lsm_file_open")
    made.btf_id("task_kfuncs", "bpf_task_acquire", set_flags=1, flags=3, program_types="26")
    made.add("config", name="CONFIG_BPF", value="y")
    made.add("config", name="CONFIG_NUMBER", value=str(number))
    return made


def bpf_kernel(number: int = 0) -> MadeKernel:
    """:func:`offering_kernel`, with what BPF needs of a kernel."""
    made = offering_kernel(number)
    hooks = {"file_open": "int (*)(struct file *)", "task_free": "void (*)(struct task_struct *)"}
    made.type(
        "union",
        "security_list_options",
        [
            *(
                {"name": hook, "type": type_, "bit_offset": 0, "byte_size": 8}
                for hook, type_ in hooks.items()
            ),
            {"name": "lsm_func_addr", "type": "void *", "bit_offset": 0, "byte_size": 8},
        ],
        byte_size=8,
    )
    made.enum(
        "bpf_prog_type", {"BPF_PROG_TYPE_UNSPEC": 0, "BPF_PROG_TYPE_KPROBE": 2, "BPF_PROG_TYPE_TRACING": 26}
    )
    made.enum("bpf_attach_type", {"BPF_TRACE_FENTRY": 24, "BPF_TRACE_KPROBE_MULTI": 42})
    made.type("enum", "wide", [{"name": "TOP", "value": -1}], byte_size=8, signed=False)
    made.struct("tcp_congestion_ops", ("void *", "init", 0, 8))
    data = ("struct tcp_congestion_ops", "data", 64, 8)
    made.struct(
        "bpf_struct_ops_tcp_congestion_ops", ("struct bpf_struct_ops_common_value", "common", 0, 16), data
    )
    made.struct("bpf_struct_ops_link", ("struct bpf_link", "link", 0, 8))
    made.type("typedef", "btf_trace_sched_switch", type="void (*)(void *, bool)")
    made.prototype("bpf_lsm_file_open", "int", ("struct file *", "file"))
    made.prototype("bpf_task_acquire", "struct task_struct *", ("struct task_struct *", "p"))
    made.btf_id("bpf_lsm_hooks", "bpf_lsm_task_free")
    made.btf_id("bpf_lsm_disabled_hooks", "bpf_lsm_task_free")
    made.btf_id("sleepable_lsm_hooks", "bpf_lsm_file_open")
    made.btf_id("old_kfuncs", "bpf_task_acquire", flags=1 << 30 | 32, program_types="2 26 99", set_flags=0)
    made.btf_id("other_set", "nothing_special", set_flags=0, flags=0)
    made.btf_id("hid_fmodret_ids", "hid_bpf_device_event", set_flags=1, flags=0, registered_as="fmod_ret")
    return made


def store_with(dataset: Path, *kernels: Kernel) -> Store:
    """A dataset that has :func:`kvm_kernel` under each of these names."""
    for identity in kernels:
        kvm_kernel().write(dataset, identity)
    return Store(dataset)
