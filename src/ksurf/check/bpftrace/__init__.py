"""bpftrace scripts: what they need of the kernel, from their text.

``script.py`` cuts a script into what stands at its top, ``attach_point.py`` reads where probes are
attached, ``preamble.py`` what is defined in C, ``grammar.lark`` is the language of the code, and ``walk.py``
goes through that and follows types, which ``kernel_types.py`` knows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

from ksurf.check.bpftrace.kernel_types import KernelTypes
from ksurf.check.dependency import Consumer, ConsumerKind, Kind

__all__ = ["KernelTypes", "read_script"]


def read_script(
    script: str | bytes,
    path: str,
    *,
    name: str | None = None,
    member: str | None = None,
    type_of: Callable[[Kind, str], str | None] | None = None,
) -> Consumer:
    """Read a bpftrace script, given its text. It never raises: what cannot be read is in ``incomplete``.

    What it needs:

    - hooks, as :class:`~ksurf.check.dependency.Kind` words them. A kprobe with wildcards has the mechanism
      ``KPROBE`` too; newer versions of bpftrace attach it by ``kprobe.multi`` where the kernel can do that.
      A module that the script names stands before the function: ``kvm:x86_emulate_insn``;
    - arguments: ``argN`` of a kprobe by place, ``args.x`` by name, for each attach point of the probe and
      with its wildcards (``syscalls:sys_enter_*::fd``); ``retval`` where it is typed, which is in ``fexit``;
    - fields that are read through types which the script tells: by casts, through variables, maps, tuples and
      macros, through ``curtask`` and the context of an iterator. A struct that the script defines itself is a
      dependency with the text that it ``expected``; reads go through that definition and are none.
      A type is a dependency by itself only where no field of it is;
    - symbols of ``kaddr()``, types of declared maps, helpers that bpftrace's manual names for a builtin, and,
      where a script includes no headers, enumerators, by their own name: the script does not tell the enum.

    What lies behind a field of the kernel is only known with its type. ``type_of`` tells that, as C text, by
    the kind and name of a dependency: ``type_of(Kind.FIELD, "task_struct::parent")`` is
    ``struct task_struct *``; parameters (``Kind.PARAMETER``, ``vfs_read::file``), what a function returns,
    and fields of events are asked for in the same way: :class:`KernelTypes` answers from a dataset. Without
    it, or where it does not know, the first field is a dependency, and ``incomplete`` names the place behind.
    """
    from ksurf.check.bpftrace.reader import SIZE_LIMIT, read

    own = name if name is not None else PurePath(member or path).name.removesuffix(".bt")
    reason = None
    if len(script) > SIZE_LIMIT:
        reason = f"it is larger than {SIZE_LIMIT} bytes, which no script is"
    elif (b"\0" if isinstance(script, bytes) else "\0") in script:  # type: ignore[operator]
        reason = "it is not text"
    if reason is not None:
        return Consumer(ConsumerKind.BPFTRACE, own, path, member, incomplete=(f"{member or path}: {reason}",))
    text = script.decode(errors="replace") if isinstance(script, bytes) else script
    return read(text, path, own, member, type_of)
