"""Attachability of what is no function: tracepoints, system calls, LSM hooks and kfuncs that were found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ksurf.dataset import lookup
from ksurf.dataset.rows import TypeRow
from ksurf.report.find import Kernels
from ksurf.surface.attach import (
    HookFacts,
    KfuncFacts,
    Mechanism,
    TracepointFacts,
    Verdict,
    attach_hook,
    attach_kfunc,
    attach_symbols,
    attach_tracepoint,
    features_of,
)
from ksurf.surface.attach_change import by_name
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED
from ksurf.surface.symbol import SymbolStatus
from ksurf.surface.syscall import native_entry
from ksurf.surface.tracepoint import BTF_TRACE

__all__ = ["with_verdicts"]

_Verdicts = dict[Mechanism, Verdict]
_Found = Mapping[str, Sequence[SymbolStatus[Any]]]


def with_verdicts(kind: str, found: _Found, kernels: Kernels) -> dict[str, list[SymbolStatus[Any]]]:
    """The same statuses, in the order of the kernels, with what can be attached or called by each name."""
    if kind not in _JUDGES or not found:
        return {name: list(statuses) for name, statuses in found.items()}
    verdicts = _JUDGES[kind](found, kernels)
    return {
        name: [replace(status, attach=own) for status, own in zip(statuses, verdicts[name], strict=True)]
        for name, statuses in found.items()
    }


def _tracepoints(found: _Found, kernels: Kernels) -> dict[str, list[_Verdicts]]:
    rows_of = {
        name: [[variant.content.row for variant in status.variants] for status in statuses]
        for name, statuses in found.items()
    }
    behind = {row.tracepoint or row.name for held in rows_of.values() for rows in held for row in rows}
    typedefs = lookup.types_named([f"{BTF_TRACE}{one}" for one in behind], kernels, kinds=("typedef",))
    shipped = lookup.images_with_btf(kernels)

    def verdicts(row: Any, at: int) -> _Verdicts:
        types = typedefs[f"{BTF_TRACE}{row.tracepoint or row.name}"][at].types
        event = row.system is not None
        has = _in_btf(types, row.image) if row.image in shipped[at] else None
        return attach_tracepoint(TracepointFacts(event, row.tracepoint is not None or not event, has))

    return {
        name: [by_name([verdicts(row, at) for row in rows]) for at, rows in enumerate(held)]
        for name, held in rows_of.items()
    }


def _in_btf(types: Sequence[TypeRow], image: str) -> bool:
    return any(row.image == image and row.evidence == "btf" for row in types)


def _syscalls(found: _Found, kernels: Kernels) -> dict[str, list[_Verdicts]]:
    abis = lookup.syscall_abis(kernels)
    entries = {
        name: [
            native_entry([variant.content for variant in status.variants], own)
            for status, own in zip(statuses, abis, strict=True)
        ]
        for name, statuses in found.items()
    }
    wanted = sorted({entry for held in entries.values() for entry in held if entry is not None})
    symbols, about = lookup.functions_named(wanted, kernels), lookup.attach_rows(wanted, kernels)

    def verdicts(entry: str | None, at: int) -> _Verdicts:
        if entry is None:
            return {}
        own = symbols[entry][at].symbols
        # libbpf attaches a kprobe to the entry.
        return by_name(
            [
                {Mechanism.KSYSCALL: verdict[Mechanism.KPROBE]}
                for symbol, verdict in zip(own, attach_symbols(own, about[entry][at]), strict=True)
                if (symbol.name, symbol.image) == (entry, "vmlinux")
            ]
        )

    return {name: [verdicts(entry, at) for at, entry in enumerate(held)] for name, held in entries.items()}


def _hooks(found: _Found, kernels: Kernels) -> dict[str, list[_Verdicts]]:
    functions = lookup.types_named([f"bpf_lsm_{name}" for name in found], kernels, kinds=("func",))
    sets = lookup.btf_ids(kernels, sets={BPF_HOOKS, BPF_HOOKS_DISABLED})
    features = [features_of(marks) for marks in lookup.kernel_marks(kernels)]

    def verdicts(name: str, at: int) -> _Verdicts:
        listed = {row.set for row in sets[at] if row.name == f"bpf_lsm_{name}"}
        has = _in_btf(functions[f"bpf_lsm_{name}"][at].types, "vmlinux")
        facts = HookFacts(has, BPF_HOOKS in listed, BPF_HOOKS_DISABLED in listed)
        return {Mechanism.LSM: attach_hook(facts, features[at])}

    return {
        name: [verdicts(name, at) if status.is_present else {} for at, status in enumerate(statuses)]
        for name, statuses in found.items()
    }


def _kfuncs(found: _Found, kernels: Kernels) -> dict[str, list[_Verdicts]]:
    functions = lookup.types_named(list(found), kernels, kinds=("func",))

    def verdicts(name: str, status: SymbolStatus[Any], at: int) -> _Verdicts:
        types = functions[name][at].types
        return by_name(
            [
                {Mechanism.KFUNC_CALL: attach_kfunc(KfuncFacts(_in_btf(types, image), kfunc.program_types))}
                for kfunc, image in ((v.content, image) for v in status.variants for image in v.images)
            ]
        )

    return {
        name: [verdicts(name, status, at) for at, status in enumerate(statuses)]
        for name, statuses in found.items()
    }


_JUDGES: Mapping[str, Callable[[_Found, Kernels], dict[str, list[_Verdicts]]]] = {
    "tracepoint": _tracepoints,
    "syscall": _syscalls,
    "lsm": _hooks,
    "kfunc": _kfuncs,
}
