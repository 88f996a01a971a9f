"""The first file system of the kernel: busybox, the script that records, modules, and what is to be loaded.

Source: Documentation/driver-api/early-userspace/buffer-format.rst (``newc`` archives).
"""

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from modules import Module

__all__ = ["initramfs"]

_FOLDERS = ("bin", "boot", "dev", "modules", "objects", "out", "proc", "sys")


def initramfs(busybox: bytes, modules: Sequence[Module], others: Mapping[str, bytes] | None = None) -> bytes:
    """Return the archive; modules are loaded in their order. ``others`` are more files, by path."""
    order = "".join(f"{module.name}\n" for module in modules)
    files: Mapping[str, bytes] = {
        "init": (Path(__file__).parent / "init").read_bytes(),
        "bin/busybox": busybox,
        "modules/order": order.encode(),
        **{f"modules/{module.name}.ko": module.content for module in modules},
        **(others or {}),
    }
    parts = [_entry(name, stat.S_IFDIR | 0o755) for name in _FOLDERS]
    # The console must be there before the script can mount devtmpfs: char device 5:1.
    parts.append(_entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)))
    parts += [_entry(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    return b"".join([*parts, _entry("TRAILER!!!", 0)])


def _entry(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    path = name.encode() + b"\0"
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
