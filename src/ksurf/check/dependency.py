"""What a consumer needs of the kernel: the words that every reader of consumers and every verdict shares."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from ksurf.dataset.rows import Definition
from ksurf.surface.attach import Mechanism

__all__ = [
    "Condition",
    "Consumer",
    "ConsumerKind",
    "Dependency",
    "Guard",
    "Kind",
    "Program",
    "Use",
    "joined",
]


class Kind(Enum):
    """What is needed. The values of those that ``ksurf show`` knows are its words."""

    FUNCTION = "function"
    """A function to attach to; the name may have wildcards (``vfs_*``), and an offset (``vfs_read+0x10``)."""
    PARAMETER = "parameter"
    """What a function is called with or returns: ``inet_csk_accept::sk``, by place ``inet_csk_accept::0``
    (from 0), and ``inet_csk_accept::return``."""
    TRACEPOINT = "tracepoint"
    """``sched:sched_switch`` by its event; ``sched_switch`` where it is attached to as a raw tracepoint."""
    TRACEPOINT_FIELD = "tracepoint field"
    """A field of an event, or an argument of a raw tracepoint: ``sched:sched_switch::next_pid``,
    ``sched_switch::2``."""
    SYSCALL = "syscall"
    """By the name that users know: ``openat``."""
    LSM = "lsm"
    ITER = "iter"
    """What a BPF iterator goes over: ``task``."""
    STRUCT_OPS = "struct_ops"
    """A struct of operations that BPF may implement: ``tcp_congestion_ops``; a member of it:
    ``tcp_congestion_ops::cong_control``."""
    KFUNC = "kfunc"
    KSYM = "ksym"
    """A variable, or a function's address: ``bpf_prog_active``."""
    STRUCT = "struct"
    UNION = "union"
    ENUM = "enum"
    TYPEDEF = "typedef"
    FIELD = "field"
    """``task_struct::pid``, nested paths too: ``task_struct::se.vruntime``."""
    ENUMERATOR = "enumerator"
    """``bpf_map_type::BPF_MAP_TYPE_RINGBUF``."""
    EXPORT = "export"
    VERMAGIC = "vermagic"
    """What a module says of the kernel that it was built for: ``6.12.117-amd64 SMP preempt mod_unload``."""
    CONFIG = "config"
    """With its prefix: ``CONFIG_HZ``."""
    HELPER = "helper"
    """``bpf_get_current_task_btf``."""
    PROGRAM_TYPE = "program type"
    """``BPF_PROG_TYPE_LSM``."""
    ATTACH_TYPE = "attach type"
    """``BPF_TRACE_FENTRY``."""
    MAP_TYPE = "map type"
    """``BPF_MAP_TYPE_RINGBUF``."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a kernel has or has not, as a consumer asks it before it goes one way or the other."""

    kind: Kind
    name: str
    holds: bool
    """What the answer must be for the guarded place to be reached."""
    mechanism: Mechanism | None = None

    # A version is asked for as a configuration's option, ``LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)``.


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands between a kernel without the thing and the place that needs it."""

    text: str
    """As the consumer writes it: ``BPF.kernel_struct_has_field("task_struct", "__state")``, ``__weak``,
    ``SEC("?kprobe/...")``."""
    conditions: tuple[Condition, ...] = ()
    """All must hold for the place to be reached. Empty where that cannot be told from the kernel: the
    consumer then copes by itself (a weak symbol, an optional program, a ``try``)."""
    more: bool = False
    """Beside the conditions something is asked that cannot be told from the kernel."""
    instead: tuple[Condition, ...] = ()
    """The consumer copes only where one of these holds, with that in place of the thing: another attach point
    of the same probe, another program for the same function. Empty where it needs nothing in its place."""
    catch: str | None = None
    """What coping takes, or costs, in words; ``None`` if nothing."""

    @property
    def asked(self) -> tuple[Condition, ...]:
        """All that a kernel has to be asked."""
        return self.conditions + self.instead


@dataclass(frozen=True, slots=True)
class Use:
    """One place in a consumer that needs something."""

    program: str | None = None
    """The BPF program, probe or function that it is in."""
    file: str | None = None
    """The source file, as the consumer names it; ``None`` if it does not tell."""
    line: int | None = None
    """Counted from 1."""
    text: str | None = None
    """The source line, where the consumer carries it."""
    instruction: int | None = None
    """Of a BPF program: the number of its instruction, from its start, counted from 0."""
    relocation: int | None = None
    """Of an eBPF object: the number of the CO-RE relocation."""
    guard: Guard | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that a consumer needs of the kernel."""

    kind: Kind
    name: str
    mechanism: Mechanism | None = None
    """How it is attached to or called; ``None`` where it is only read."""
    uses: tuple[Use, ...] = ()
    crc: int | None = None
    """Of an export: the CRC of the prototype that the module was built with (``CONFIG_MODVERSIONS``); of a
    version magic: one of them, where the module has any."""
    gpl: bool | None = None
    """Of an export: whether the module's license lets it use what is for the GPL only."""
    namespaces: tuple[str, ...] | None = None
    """Of an export: those that the module imports, and ``module:NAME`` for the module itself."""
    expected: str | None = None
    """C text of what it was built with, where it tells: a type, a prototype, an enumerator's value."""
    layout: tuple[Definition, ...] = field(default=(), repr=False)
    """Of a type: its definition where a module was built, and those of the types that it holds."""


@dataclass(frozen=True, slots=True)
class Program:
    """Something of a consumer that is loaded by itself: a BPF program, a probe."""

    name: str
    section: str | None = None
    """As libbpf, bpftrace or BCC spell where it belongs: ``kprobe/vfs_read``, ``tracepoint:sched:*``."""
    optional: bool = False
    """It is loaded only if the consumer chooses so (``SEC("?...")``), or may fail to."""


class ConsumerKind(Enum):
    """What sort of thing depends on the kernel."""

    BPF_OBJECT = "eBPF object"
    BPFTRACE = "bpftrace script"
    BCC = "BCC tool"
    MODULE = "module"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Something that depends on the kernel, and what it needs."""

    kind: ConsumerKind
    name: str
    """Short, for a table: ``execsnoop``."""
    path: str
    """Of the file, as it was given or found."""
    member: str | None = None
    """Where in that file: the path in an archive, the section and offset of an embedded object."""
    programs: tuple[Program, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    incomplete: tuple[str, ...] = ()
    """What could not be read, each with its place and the reason; empty if it was read whole."""
    data: bytes | None = field(default=None, repr=False, compare=False)
    """The bytes of an eBPF object, in which its relocations are resolved."""


def joined(dependencies: Iterable[Dependency]) -> tuple[Dependency, ...]:
    """The same, each thing once with all its uses, in the order in which they first came."""
    found: dict[tuple[object, ...], Dependency] = {}
    for one in dependencies:
        key = (one.kind, one.name, one.mechanism, one.crc, one.gpl, one.namespaces, one.expected, one.layout)
        held = found.get(key)
        found[key] = one if held is None else replace(held, uses=held.uses + one.uses)
    return tuple(found.values())
