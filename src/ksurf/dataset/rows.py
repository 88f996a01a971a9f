"""Rows of a kernel's tables about one function name, with ids resolved to what a judgement needs."""

from __future__ import annotations

from dataclasses import dataclass

from ksurf.kernel import Kernel

__all__ = ["CallSite", "Frame", "Function", "FunctionRows", "Instance", "Symbol"]


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


@dataclass(frozen=True, slots=True)
class Instance:
    """A row of ``instances``, with its image and unit by name."""

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


@dataclass(frozen=True, slots=True)
class Frame:
    """An inlined call around a call site: the function whose body was put there, and where it was called."""

    function: str
    file: str | None
    line: int | None


@dataclass(frozen=True, slots=True)
class CallSite:
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
    call_sites: tuple[CallSite, ...] = ()
    symbols: tuple[Symbol, ...] = ()
