"""What a process gives up before it reads what a stranger sent: memory, time, files, the network, programs.

Nothing of it needs root. Resource limits hold on any Linux. Landlock (since 5.13) takes all writing of files
away, and seccomp takes away processes, programs and sockets; a kernel without one of them still has the rest,
and :func:`missing` tells.

Sources: setrlimit(2), prctl(2), landlock(7) and include/uapi/linux/landlock.h, seccomp(2) and
include/uapi/linux/{seccomp,audit,filter}.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import struct
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Limits", "confine", "missing"]

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
"""Numbers that all architectures have in common."""
_LANDLOCK_CREATE_RULESET_VERSION = 1
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_REMOVE_AND_MAKE = 0b1_1111_1111 << 4
"""``LANDLOCK_ACCESS_FS_REMOVE_DIR`` to ``LANDLOCK_ACCESS_FS_MAKE_SYM``."""
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15
_BIND_AND_CONNECT_TCP = 0b11
_SCOPE_UNIX_SOCKETS_AND_SIGNALS = 0b11

_NICENESS = 10
"""Whoever reads pages goes first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one process may use."""

    address_byte_size: int = 1536 << 20
    """Of addresses (``RLIMIT_AS``): the libraries and the threads' stacks take 0.5 GiB of them."""
    cpu_seconds: int = 20
    """Processor time of all its threads (``RLIMIT_CPU``)."""
    file_byte_size: int = 64 << 20
    """The largest file that it may write (``RLIMIT_FSIZE``); with Landlock, only in memory."""
    open_files: int = 1024
    """``RLIMIT_NOFILE``."""


def confine(limits: Limits) -> None:
    """Take from this process, for good, what it does not need. It must have no other thread yet.

    It ends with the process that started it.
    """
    for what, value in (
        (resource.RLIMIT_AS, limits.address_byte_size),
        (resource.RLIMIT_FSIZE, limits.file_byte_size),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, highest = resource.getrlimit(what)
        value = value if highest == resource.RLIM_INFINITY else min(value, highest)
        resource.setrlimit(what, (value, value))
    # At the first SIGXCPU ends it, which tells its parent why; a second later there is no way around it.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    os.nice(_NICENESS)
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    if _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    _write_no_files(libc)
    _start_nothing(libc)


def missing() -> tuple[str, ...]:
    """What :func:`confine` cannot do on this machine, a sentence each."""
    libc = ctypes.CDLL(None, use_errno=True)
    lacks = []
    if _landlock_version(libc) < 1:
        lacks.append("this kernel has no Landlock: what reads uploads is not kept from writing files")
    # With a filter that is nowhere it says whether it would have looked at it.
    _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER)
    if ctypes.get_errno() != errno.EFAULT or _calls() is None:
        lacks.append("seccomp has no filters here: what reads uploads is not kept from the network")
    return tuple(lacks)


def _prctl(libc: ctypes.CDLL, option: int, *values: int) -> int:
    arguments = (*values, 0, 0, 0, 0)[:4]
    result: int = libc.prctl(option, *(ctypes.c_ulong(value) for value in arguments))
    return result


def _landlock_version(libc: ctypes.CDLL) -> int:
    version: int = libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), _LANDLOCK_CREATE_RULESET_VERSION
    )
    return version


def _write_no_files(libc: ctypes.CDLL) -> None:
    """Landlock: handle all that changes files, and allow it nowhere."""
    version = _landlock_version(libc)
    if version < 1:
        return
    files = _EXECUTE | _WRITE_FILE | _REMOVE_AND_MAKE
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        files |= right if version >= since else 0
    handled = struct.pack("=Q", files)
    if version >= 4:
        handled += struct.pack("=Q", _BIND_AND_CONNECT_TCP)
    if version >= 6:
        handled += struct.pack("=Q", _SCOPE_UNIX_SOCKETS_AND_SIGNALS)
    ruleset = libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET), handled, ctypes.c_size_t(len(handled)), ctypes.c_uint32(0)
    )
    if ruleset < 0 or libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT_SELF), ruleset, ctypes.c_uint32(0)):
        raise OSError(ctypes.get_errno(), "Landlock")
    os.close(ruleset)


@dataclass(frozen=True, slots=True)
class _Calls:
    """The numbers of system calls of an architecture."""

    audit_arch: int
    clone: int
    refused: tuple[int, ...]
    """What starts processes and programs, opens sockets, or reaches into other processes."""
    highest: int = 0xFFFF_FFFF
    """Numbers above are those of another ABI."""


_CLONE3 = 435
_IO_URING_SETUP = 425
"""Its requests do what system calls do, and seccomp does not see them."""
# socket, socketpair, kill, ptrace, execve, execveat of include/uapi/asm-generic/unistd.h
_GENERIC = (198, 199, 129, 117, 221, 281, _IO_URING_SETUP)
_CALLS = {
    # socket, socketpair, fork, vfork, execve, kill, ptrace, execveat of
    # arch/x86/entry/syscalls/syscall_64.tbl; x32's numbers have bit 30
    "x86_64": _Calls(0xC000003E, 56, (41, 53, 57, 58, 59, 62, 101, 322, _IO_URING_SETUP), (1 << 30) - 1),
    "aarch64": _Calls(0xC00000B7, 220, _GENERIC),
    "riscv64": _Calls(0xC00000F3, 220, _GENERIC),
}

_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_JUMP_ANY_BIT = 0x45
_RETURN = 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_FAIL_WITH = 0x00050000
_CLONE_THREAD = 0x00010000


def _calls() -> _Calls | None:
    return _CALLS.get(os.uname().machine)


def _start_nothing(libc: ctypes.CDLL) -> None:
    """seccomp: no process, no program, no socket; threads only."""
    calls = _calls()
    if calls is None:
        return
    code = _filter(calls)
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code), ctypes.addressof(instructions)))
    failed = _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))
    if failed and ctypes.get_errno() != errno.EINVAL:  # which is what a kernel without filters says
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


def _filter(calls: _Calls) -> Sequence[tuple[int, int, int, int]]:
    """Instructions of classic BPF: operation, how far to jump if so and if not, constant."""
    code: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, calls.audit_arch),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_GREATER, 0, 1, calls.highest),
        (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM),
    ]
    for number in calls.refused:
        code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM)]
    # Its flags are in memory, where no filter looks: whoever gets this answer takes clone.
    code += [(_JUMP_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL_WITH | errno.ENOSYS)]
    code += [
        (_JUMP_EQUAL, 0, 3, calls.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _FAIL_WITH | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return code
