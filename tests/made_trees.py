"""Small source trees, put into a dataset without unpacking anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ksurf.source.tree import FILES, SourceTree, Trees, usual_id

MAKEFILE = (
    "# SPDX-License-Identifier: GPL-2.0\nVERSION = {}\nPATCHLEVEL = {}\nSUBLEVEL = {}\nEXTRAVERSION ={}\n"
)


def makefile(upstream: str) -> str:
    """The beginning of a kernel's Makefile."""
    plain, _, candidate = upstream.partition("-")
    numbers = [*plain.split("."), "0"][:3]
    return MAKEFILE.format(*numbers, f" -{candidate}" if candidate else "")


def kernel_files(upstream: str = "7.3.4") -> dict[str, bytes]:
    """As little as makes a tree a kernel's."""
    return {
        "Makefile": makefile(upstream).encode(),
        "Kbuild": b"obj-y += kernel/\n",
        "kernel/fork.c": b"int fork(void)\n{\n\treturn 0;\n}\n",
        "include/linux/kernel.h": b"#define KERNEL 1\n",
    }


def put_tree(
    dataset: Path,
    version: str | None = "7.3.4-1",
    upstream: str = "7.3.4",
    *,
    distro: str = "debian",
    files: Mapping[str, bytes] | None = None,
) -> SourceTree:
    """Put a tree into a dataset."""
    trees = Trees(dataset)
    with trees.workspace("made") as folder:
        for name, content in (files if files is not None else kernel_files(upstream)).items():
            path = folder / FILES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return trees.publish(
            folder,
            usual_id(distro, version or upstream),
            distro=distro,
            version=version,
            upstream=upstream,
            origin={"kind": "package" if version else "folder", "verified": version is not None},
            files=4,
            byte_size=1000,
        )
