"""A kernel's version as programs compare it."""

from __future__ import annotations

import re

from ksurf.kernel import Kernel, upstream_version

__all__ = ["VERSION_CODE", "asked_version", "version_code"]

VERSION_CODE = "LINUX_VERSION_CODE"
_ASKED = re.compile(rf"{VERSION_CODE} >= KERNEL_VERSION\((\d+), (\d+), (\d+)\)")


def version_code(kernel: Kernel) -> int:
    """``KERNEL_VERSION(a, b, c)``; libbpf takes a distribution's upstream version, not its release."""
    upstream = upstream_version(kernel.version or kernel.release) or kernel.base_version
    parts = [int(part) for part in re.findall(r"\d+", upstream)]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return _code(major, minor, patch)


def asked_version(name: str) -> int | None:
    """The version code in ``LINUX_VERSION_CODE >= KERNEL_VERSION(a, b, c)``; ``None`` of other texts."""
    found = _ASKED.fullmatch(name)
    return None if found is None else _code(*map(int, found.groups()))


def _code(major: int, minor: int, patch: int) -> int:
    return (major << 16) + (minor << 8) + min(patch, 255)
