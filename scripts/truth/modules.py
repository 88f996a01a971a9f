"""Modules worth loading: those that say something to whoever attaches, and what they need, in order.

Source: include/linux/module.h and scripts/mod/modpost.c (what is in ``.modinfo``), modules.dep(5).
"""

import io
import lzma
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ksurf.errors import KsurfError

__all__ = ["Module", "in_order", "is_module", "read_module"]

_FILE = re.compile(r"(?:.*/)?([^/]+)\.ko(\.xz|\.gz|)")

_TELLING = ("_ftrace_events", ".BTF_ids", "_error_injection_whitelist", "_kprobe_blacklist")
"""Sections of modules with tracepoints, kfuncs, injectable functions, and functions closed to kprobes."""

_ALWAYS = (
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "ext4",
    "nf_tables",
    "nf_conntrack",
    "kvm_amd",
    "md_mod",
    "overlay",
)
"""The disk's driver first; the others are modules that people attach to, although no section tells."""


@dataclass(frozen=True)
class Module:
    """A module's file, and what it says of itself."""

    name: str
    content: bytes
    depends: tuple[str, ...]
    before: tuple[str, ...]
    """What it likes to have loaded before, by name or alias."""
    aliases: tuple[str, ...]
    is_telling: bool


def is_module(path: str) -> bool:
    """Tell if a package's file is a module."""
    return _FILE.fullmatch(path) is not None


def read_module(path: str, content: bytes) -> Module:
    """Read a module, decompressing it."""
    found = _FILE.fullmatch(path)
    if found is None:
        raise KsurfError(f"{path}: not a module")
    try:
        if found[2] == ".xz":
            content = lzma.decompress(content)
        elif found[2] == ".gz":
            content = zlib.decompress(content, wbits=31)
        elf = ELFFile(io.BytesIO(content))
        modinfo = elf.get_section_by_name(".modinfo")
        lines = modinfo.data().decode("utf-8", "replace").split("\0") if modinfo else []
        telling = any(elf.get_section_by_name(name) for name in _TELLING)
    except (lzma.LZMAError, zlib.error, ELFError) as error:
        raise KsurfError(f"{path}: {error}") from error
    facts = [(key, value) for key, _, value in (line.partition("=") for line in lines)]
    return Module(
        name=_plain(found[1]),
        content=content,
        depends=tuple(
            _plain(name) for key, value in facts if key == "depends" for name in value.split(",") if name
        ),
        before=tuple(name for key, value in facts if key == "softdep" for name in _before(value)),
        aliases=tuple(value for key, value in facts if key == "alias"),
        is_telling=telling,
    )


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _before(softdep: str) -> list[str]:
    """Return the words between ``pre:`` and ``post:``."""
    found = re.search(r"\bpre:(.*?)(?:\bpost:|$)", softdep)
    return found[1].split() if found else []


def in_order(modules: Iterable[Module]) -> list[Module]:
    """Return the modules to load, each after those that it needs."""
    named = {module.name: module for module in modules}
    aliases: dict[str, list[str]] = {}
    for module in named.values():
        for alias in module.aliases:
            aliases.setdefault(alias, []).append(module.name)
    order: dict[str, Module] = {}
    telling = sorted(module.name for module in named.values() if module.is_telling)
    for name in (*_ALWAYS, *telling):
        _append(name, named, aliases, order, set())
    return [*order.values()]


def _append(
    name: str,
    named: Mapping[str, Module],
    aliases: Mapping[str, list[str]],
    order: dict[str, Module],
    pending: set[str],
) -> None:
    module = named.get(name)
    if module is None or name in order or name in pending:  # built in; loaded; or a soft circle
        return
    pending.add(name)
    wished = (other for word in module.before for other in (_plain(word), *aliases.get(word, ())))
    for other in (*module.depends, *wished):
        _append(other, named, aliases, order, pending)
    order[name] = module
