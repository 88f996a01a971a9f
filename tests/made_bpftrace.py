"""bpftrace scripts read as tests want them, on a kernel of which some types are known."""

from __future__ import annotations

import textwrap

from ksurf.check.bpftrace import read_script
from ksurf.check.dependency import Consumer, Dependency, Kind

TYPES = {
    "task_struct::parent": "struct task_struct *",
    "task_struct::se": "struct sched_entity",
    "task_struct::se.vruntime": "u64",
    "task_struct::se.cfs_rq": "struct cfs_rq *",
    "cfs_rq::nr_running": "unsigned int",
    "task_struct::pid": "pid_t",
    "task_struct::comm": "char [16]",
    "request::q": "struct request_queue *",
    "request_queue::disk": "struct gendisk *",
    "gendisk::disk_name": "char [32]",
    "gendisk::part": "struct (anon) *",
    "table::rows": "struct row [4]",
    "table::pointers": "struct row *[4]",
    "row::value": "int",
    "vfs_read::file": "struct file *",
    "vfs_read::return": "ssize_t",
    "file::f_inode": "struct inode *",
    "inode::i_ino": "unsigned long",
    "fget::return": "struct file *",
    "sched_switch::prev": "struct task_struct *",
    "sched:sched_switch::next_comm": "char [16]",
}


def read(text: str, *, types: bool = True) -> Consumer:
    return read_script(
        textwrap.dedent(text), "x.bt", type_of=(lambda kind, name: TYPES.get(name)) if types else None
    )


def needs(text: str, *, types: bool = True) -> list[str]:
    """What a script needs, each as a line: kind and name. It must be read whole."""
    found = read(text, types=types)
    assert found.incomplete == ()
    return [f"{one.kind.value} {one.name}" for one in found.dependencies]


def in_probe(code: str, *, types: bool = True) -> list[str]:
    """What a block needs beside its hook."""
    return [one for one in needs(f"kprobe:f {{ {code} }}", types=types) if one != "function f"]


def one(text: str, kind: Kind) -> Dependency:
    (found,) = [one for one in read(text).dependencies if one.kind is kind]
    return found
