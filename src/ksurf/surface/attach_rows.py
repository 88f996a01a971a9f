"""Attachability of tracepoints, LSM hooks and kfuncs, from the rows about them on one kernel."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ksurf.dataset.rows import BtfId, Tracepoint, TypeRow
from ksurf.surface.attach import (
    Features,
    HookFacts,
    KfuncFacts,
    Mechanism,
    TracepointFacts,
    Verdict,
    attach_hook,
    attach_kfunc,
    attach_tracepoint,
)
from ksurf.surface.attach_change import by_name
from ksurf.surface.kfunc import Kfunc
from ksurf.surface.lsm import BPF_HOOKS, BPF_HOOKS_DISABLED
from ksurf.surface.symbol import SymbolStatus
from ksurf.surface.tracepoint import BTF_TRACE

__all__ = ["hook_verdicts", "kfunc_verdicts", "tracepoint_verdicts"]

Types = Mapping[str, Sequence[TypeRow]]
"""What images define, by name."""


def tracepoint_verdicts(
    rows: Iterable[Tracepoint], types: Types, shipped: Collection[str]
) -> dict[Mechanism, Verdict]:
    """Judge a name by its events and tracepoints; ``shipped`` are the images that ship BTF.

    Of ``types`` the typedefs ``btf_trace_*`` of the tracepoints are looked at.
    """

    def facts(row: Tracepoint) -> TracepointFacts:
        typedef = _in_btf(types, f"{BTF_TRACE}{row.tracepoint or row.name}", "typedef", row.image)
        event = row.system is not None
        known = typedef if row.image in shipped else None
        return TracepointFacts(event, row.tracepoint is not None or not event, known)

    return by_name(attach_tracepoint(facts(row)) for row in rows)


def hook_verdicts(
    name: str, types: Types, ids: Iterable[BtfId], features: Features
) -> dict[Mechanism, Verdict]:
    """Judge an LSM hook; of ``types`` and ``ids`` those of its function ``bpf_lsm_*`` are looked at."""
    function = f"bpf_lsm_{name}"
    listed = {row.set for row in ids if row.name == function}
    described = _in_btf(types, function, "func", "vmlinux")
    facts = HookFacts(described, BPF_HOOKS in listed, BPF_HOOKS_DISABLED in listed)
    return {Mechanism.LSM: attach_hook(facts, features)}


def kfunc_verdicts(status: SymbolStatus[Kfunc], types: Types) -> dict[Mechanism, Verdict]:
    """Judge a kfunc by the images that offer it; of ``types`` its functions are looked at."""
    return by_name(
        {
            Mechanism.KFUNC_CALL: attach_kfunc(
                KfuncFacts(_in_btf(types, status.name, "func", image), variant.content.program_types)
            )
        }
        for variant in status.variants
        for image in variant.images
    )


def _in_btf(types: Types, name: str, kind: str, image: str) -> bool:
    return any(
        row.image == image and row.evidence == "btf" and row.definition.kind == kind
        for row in types.get(name, ())
    )
