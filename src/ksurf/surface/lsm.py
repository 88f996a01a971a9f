"""LSM hooks: the members of ``union security_list_options``, before and after 6.12's static calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ksurf.dataset.rows import BtfId, Definition
from ksurf.kernel import Kernel
from ksurf.surface.change import Change, PrototypeChanged
from ksurf.surface.declaration import declaration
from ksurf.surface.symbol import SymbolStatus, found

__all__ = [
    "BPF_HOOKS",
    "BPF_HOOKS_DISABLED",
    "HOOKS_UNION",
    "BpfAttachChanged",
    "Hook",
    "compare_hooks",
    "hook_callers",
    "hooks",
    "judge_hook",
]

HOOKS_UNION = "security_list_options"
"""Each member of this union is a hook's prototype (include/linux/lsm_hooks.h)."""
BPF_HOOKS = "bpf_lsm_hooks"
"""The set of functions that BPF programs may attach to (kernel/bpf/bpf_lsm.c)."""
BPF_HOOKS_DISABLED = "bpf_lsm_disabled_hooks"


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook: its prototype, and whether programs of type LSM may attach to it."""

    name: str
    prototype: str
    """``int file_open(struct file *);``: BTF does not name the parameters of pointers to functions."""
    bpf: bool | None
    """Whether the set of BPF's hooks has it; ``None`` where the kernel has no such set."""


@dataclass(frozen=True, slots=True)
class BpfAttachChanged(Change):
    """BPF programs may attach to it on one side only."""

    label = "BPF attachment changed"
    old: str
    new: str


def hooks(union: Definition | None, ids: Iterable[BtfId]) -> dict[str, Hook]:
    """All hooks of one kernel by name, from the union and the sets."""
    held = [row for row in ids if row.set in {BPF_HOOKS, BPF_HOOKS_DISABLED}]
    listed = {row.name.removeprefix("bpf_lsm_") for row in held if row.set == BPF_HOOKS}
    disabled = {row.name.removeprefix("bpf_lsm_") for row in held if row.set == BPF_HOOKS_DISABLED}
    result = {}
    for member in union.members if union else ():
        # Anything else in the union, such as the pointer that all of them share since 6.12, is no hook.
        if member.name is None or member.type is None or "(*)" not in member.type:
            continue
        function = member.type.replace("(*)", "", 1)
        bpf = member.name in listed and member.name not in disabled if listed else None
        text = f"{declaration(' '.join(function.split()), member.name)};"
        result[member.name] = Hook(member.name, text, bpf)
    return result


def hook_callers(hook: str) -> tuple[str, ...]:
    """The functions that may call a hook, by its name alone: ``security_bpf_map_alloc`` calls
    ``bpf_map_alloc_security`` (security/security.c).
    """
    return tuple(dict.fromkeys((f"security_{hook}", f"security_{hook.removesuffix('_security')}")))


def judge_hook(kernel: Kernel, name: str, all_hooks: dict[str, Hook]) -> SymbolStatus[Hook]:
    """Judge a hook on one kernel, given all that the kernel has."""
    own = [all_hooks[name]] if name in all_hooks else []
    return found(kernel, name, (((hook.prototype, hook.bpf), hook, None, None) for hook in own))


def compare_hooks(old: Hook, new: Hook) -> list[Change]:
    """The changes of one hook."""
    changes: list[Change] = []
    if old.prototype != new.prototype:
        changes.append(PrototypeChanged(old.prototype, new.prototype))
    if old.bpf != new.bpf and old.bpf is not None and new.bpf is not None:
        words = {True: "for BPF programs", False: "not for BPF programs"}
        changes.append(BpfAttachChanged(words[old.bpf], words[new.bpf]))
    return changes
