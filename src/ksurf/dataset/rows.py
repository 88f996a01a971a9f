"""Rows of a kernel's tables about one name, with ids and keys resolved to what a judgement needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, overload

from ksurf.kernel import Kernel

__all__ = [
    "KFUNC_FLAGS",
    "AttachRows",
    "BtfId",
    "CallSite",
    "CallSiteMaker",
    "CallSites",
    "CallTarget",
    "Caller",
    "ConfigOption",
    "Definition",
    "Export",
    "FileRows",
    "Frame",
    "Function",
    "FunctionRows",
    "Instance",
    "Marks",
    "Member",
    "Symbol",
    "Syscall",
    "Tracepoint",
    "TracepointField",
    "TypeRow",
    "TypeRows",
    "TypeUse",
    "WrittenCall",
]


@dataclass(frozen=True, slots=True)
class Function:
    """A row of ``functions``."""

    id: int
    name: str
    linkage_name: str | None
    decl_file: str | None
    decl_line: int | None
    external: bool | None
    declared_inline: bool | None
    prototype: str | None


class Instance(NamedTuple):
    """A row of ``instances``, with its image and unit by name.

    A function of a header has thousands, and more calls: tuples are made in a quarter of the time.
    """

    id: int
    function: int
    image: str
    evidence: str
    """What the image tells about functions: ``dwarf``, ``btf`` or ``symtab``."""
    unit: str | None
    unit_id: int | None
    """Tells units apart whose files are the same: a file may be compiled for two images, or twice for one."""
    inlined: bool | None
    out_of_line: bool
    address: int | None
    byte_size: int | None
    section: str | None
    inline_address: int | None


class Frame(NamedTuple):
    """An inlined call around a call site: the function whose body was put there, and where it was called."""

    function: str
    file: str | None
    line: int | None


class CallSite(NamedTuple):
    """A row of ``call_sites``: a call of the function, inlined or direct."""

    callee: int
    callee_instance: int | None
    caller: str
    """Name of the function whose code holds the call."""
    image: str
    unit: str | None
    unit_id: int | None
    inline: bool
    depth: int
    file: str | None
    line: int | None
    chain: tuple[Frame, ...] | None
    """The inlined calls around it, outermost first; ``None`` if they were not asked for."""


class CallTarget(NamedTuple):
    """What of a call site tells which instance it calls."""

    callee_instance: int | None
    callee: int
    unit_id: int | None
    image: str
    inline: bool


class CallSiteMaker(Protocol):
    """What knows the call sites of a kernel by their rows' numbers."""

    def sites(self, numbers: Sequence[int]) -> list[CallSite]:
        """The call sites."""

    def targets(self, numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The values of a :class:`CallTarget` of each."""

    def inline(self, numbers: Sequence[int]) -> list[bool]:
        """Whether a copy of the callee stands there, of each."""


class CallSites(Sequence[CallSite]):
    """Rows of ``call_sites`` that are made when they are looked at: some functions have ten thousands."""

    _AT_ONCE = 1024

    def __init__(self, numbers: Sequence[int], maker: CallSiteMaker) -> None:
        """Take the rows' numbers in their table, and what knows that table."""
        self._numbers = numbers
        self._maker = maker

    def targets(self) -> Iterator[tuple[Any, ...]]:
        """The values of a :class:`CallTarget` of each, without making it."""
        return self._maker.targets(self._numbers)

    def inline(self) -> list[bool]:
        """Whether a copy of the callee stands there, of each."""
        return self._maker.inline(self._numbers)

    def picked(self, places: Sequence[int]) -> Sequence[CallSite]:
        """Those at some places, which stand in their order."""
        if len(places) == len(self._numbers):
            return self
        return CallSites([self._numbers[place] for place in places], self._maker)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> CallSite: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[CallSite]: ...
    def __getitem__(self, place: int | slice) -> CallSite | Sequence[CallSite]:
        """One of them, or some."""
        if isinstance(place, slice):
            return CallSites(self._numbers[place], self._maker)
        return self._maker.sites([self._numbers[place]])[0]

    def __iter__(self) -> Iterator[CallSite]:
        """All, some at a time."""
        for start in range(0, len(self._numbers), self._AT_ONCE):
            yield from self._maker.sites(self._numbers[start : start + self._AT_ONCE])

    def __eq__(self, other: object) -> bool:
        """They are the same rows, made or not."""
        if not isinstance(other, (CallSites, tuple)):
            return NotImplemented
        return len(self) == len(other) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """As a tuple of them."""
        return repr(tuple(self))


@dataclass(frozen=True, slots=True)
class Symbol:
    """A row of ``symbols``, with its image by name."""

    name: str
    function: int | None
    instance: int | None
    image: str
    section: str | None
    address: int
    byte_size: int | None
    bind: str
    type: str
    ftrace: bool | None = None
    kprobe_blacklist: str | None = None
    error_injection: str | None = None
    init: bool = False


@dataclass(frozen=True, slots=True)
class FunctionRows:
    """Everything that one kernel's tables say about one function name."""

    kernel: Kernel
    name: str
    functions: tuple[Function, ...] = ()
    instances: tuple[Instance, ...] = ()
    call_sites: Sequence[CallSite] = ()
    symbols: tuple[Symbol, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call that stands in a function's text, and how many of its copies became this."""

    function: int
    """The function whose text it is."""
    callee: str
    callee_file: str | None
    """The file that declares the callee."""
    callee_line: int | None
    inline: bool
    file: str | None
    """Where it is written; ``None``: in the file that declares the function."""
    line: int | None
    chain: tuple[str, ...]
    """Functions that are inlined between the function's text and this call, outermost first; empty where the
    text itself makes the call."""
    copies: int
    """Places in the code that came of it."""
    holders: tuple[str, ...]
    """Functions whose code holds these; the first of many."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A function whose code calls another, or holds copies of it."""

    callee: int
    """The function that is called."""
    name: str
    image: str
    unit: str | None
    inline: bool
    copies: int


@dataclass(frozen=True, slots=True)
class FileRows:
    """What one kernel's tables say about the functions of a source file."""

    kernel: Kernel
    file: str | None
    """``None`` if functions were asked for by name."""
    units: int | None
    """Units that are compiled from the file, of which a header has none; ``None`` where no image tells of
    units."""
    functions: tuple[Function, ...] = ()
    instances: tuple[Instance, ...] = ()
    symbols: tuple[Symbol, ...] = ()
    callers: tuple[Caller, ...] = ()
    calls: tuple[WrittenCall, ...] = ()


class Member(NamedTuple):
    """A row of ``members``: a field, a parameter or an enumerator, without its definition's key.

    A comparison of two kernels makes hundreds of thousands, and tuples are made in a quarter of the time.
    """

    depth: int
    name: str | None
    type: str | None
    bit_offset: int | None = None
    byte_size: int | None = None
    bit_size: int | None = None
    value: int | None = None
    tags: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A row of ``definitions`` with its members. Equal keys are equal definitions, on any kernel."""

    key: int
    kind: str
    name: str
    byte_size: int | None
    signed: bool | None
    type: str | None
    tags: str | None
    members: tuple[Member, ...]

    def __hash__(self) -> int:
        """The key's: of all members it would take as long as what is looked up by it."""
        return hash(self.key)


@dataclass(frozen=True, slots=True)
class TypeUse:
    """A row of ``type_uses``, with its image by name: what mentions one of several definitions of a name."""

    definition: int
    """The key of the definition."""
    image: str
    user_kind: str
    user: str


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A row of ``types``, with its image by name and its definition in full."""

    image: str
    evidence: str
    definition: Definition


@dataclass(frozen=True, slots=True)
class TypeRows:
    """Everything that one kernel's tables say about one name of types, of the kinds that were asked for."""

    kernel: Kernel
    name: str
    types: tuple[TypeRow, ...] = ()
    uses: tuple[TypeUse, ...] = ()


@dataclass(frozen=True, slots=True)
class TracepointField:
    """A row of ``tracepoint_fields``."""

    name: str
    type: str
    byte_offset: int
    byte_size: int
    signed: bool


@dataclass(frozen=True, slots=True)
class Tracepoint:
    """A row of ``tracepoints`` with its fields, and its image by name."""

    image: str
    system: str | None
    name: str
    class_: str | None
    tracepoint: str | None
    print_format: str | None
    fields: tuple[TracepointField, ...]


@dataclass(frozen=True, slots=True)
class Syscall:
    """A row of ``syscalls``."""

    abi: str
    number: int
    name: str
    entry: str


@dataclass(frozen=True, slots=True)
class Export:
    """A row of ``exports``, with its image by name."""

    name: str
    image: str
    gpl: bool
    namespace: str | None
    crc: int | None


KFUNC_FLAGS = (
    "KF_ACQUIRE",
    "KF_RELEASE",
    "KF_RET_NULL",
    "KF_KPTR_GET",
    "KF_TRUSTED_ARGS",
    "KF_SLEEPABLE",
    "KF_DESTRUCTIVE",
    "KF_RCU",
    "KF_ITER_NEW",
    "KF_ITER_NEXT",
    "KF_ITER_DESTROY",
    "KF_RCU_PROTECTED",
    "KF_FASTCALL",
    "KF_ARENA_RET",
    "KF_ARENA_ARG1",
    "KF_ARENA_ARG2",
    "KF_IMPLICIT_ARGS",
    "KF_SPINLOCK_SAFE",
    "KF_PERFMON",
)
"""``KF_*`` by bit (include/linux/btf.h). Bits 3 and 4 went as time passed and were not used again."""


@dataclass(frozen=True, slots=True)
class BtfId:
    """A row of ``btf_ids``, with its image by name."""

    set: str
    image: str
    set_flags: int | None
    kind: str
    name: str
    flags: int | None
    program_types: str | None
    registered_as: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigOption:
    """A row of ``config``."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Marks:
    """What tells of a kernel's abilities: some of its symbols and enumerators, where they are there."""

    binds: Mapping[str, str]
    """Functions of vmlinux that were looked for, and their binding."""
    attach_types: frozenset[str]
    """Enumerators of ``enum bpf_attach_type``."""
    btf: bool
    """vmlinux ships BTF."""
    arch: str = ""
    """By Debian's name."""


@dataclass(frozen=True, slots=True)
class AttachRows:
    """What one kernel's tables say about attaching to the code of a function name, beside its symbols."""

    marks: Marks
    name: str
    prototypes: tuple[TypeRow, ...]
    """Functions of that name in the images' BTF."""
    btf_ids: tuple[BtfId, ...]
    """Entries of sets of BTF ids."""
