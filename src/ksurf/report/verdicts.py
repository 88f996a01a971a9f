"""Attachability of what is no function: tracepoints, system calls, LSM hooks and kfuncs that were found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ksurf.dataset import lookup
from ksurf.dataset.rows import TypeRow
from ksurf.report.find import Kernels
from ksurf.surface.attach import Mechanism, Verdict, attach_symbols, features_of
from ksurf.surface.attach_change import by_name
from ksurf.surface.attach_rows import hook_verdicts, kfunc_verdicts, tracepoint_verdicts
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
    rows = {
        name: [[variant.content.row for variant in status.variants] for status in statuses]
        for name, statuses in found.items()
    }
    behind = {row.tracepoint or row.name for held in rows.values() for own in held for row in own}
    types = _types([f"{BTF_TRACE}{one}" for one in behind], "typedef", kernels)
    shipped = lookup.images_with_btf(kernels)
    return {
        name: [tracepoint_verdicts(*about) for about in zip(held, types, shipped, strict=True)]
        for name, held in rows.items()
    }


def _types(names: Sequence[str], kind: str, kernels: Kernels) -> list[dict[str, tuple[TypeRow, ...]]]:
    """What each kernel defines under these names."""
    found = lookup.types_named(names, kernels, kinds=(kind,))
    return [{name: found[name][at].types for name in names} for at in range(len(kernels))]


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
    types = _types([f"bpf_lsm_{name}" for name in found], "func", kernels)
    sets = lookup.btf_ids(kernels, sets={BPF_HOOKS, BPF_HOOKS_DISABLED})
    features = [features_of(marks) for marks in lookup.kernel_marks(kernels)]
    return {
        name: [
            hook_verdicts(name, types[at], sets[at], features[at]) if status.is_present else {}
            for at, status in enumerate(statuses)
        ]
        for name, statuses in found.items()
    }


def _kfuncs(found: _Found, kernels: Kernels) -> dict[str, list[_Verdicts]]:
    types = _types(list(found), "func", kernels)
    return {
        name: [kfunc_verdicts(*about) for about in zip(statuses, types, strict=True)]
        for name, statuses in found.items()
    }


_JUDGES: Mapping[str, Callable[[_Found, Kernels], dict[str, list[_Verdicts]]]] = {
    "tracepoint": _tracepoints,
    "syscall": _syscalls,
    "lsm": _hooks,
    "kfunc": _kfuncs,
}
