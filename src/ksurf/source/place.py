"""A place in a source tree."""

from typing import NamedTuple

__all__ = ["Place"]


class Place(NamedTuple):
    """Where something stands: ``file`` relative to the tree's root, ``line`` and ``column`` from 1, column
    in bytes.

    A file that the build made, such as ``include/generated/autoconf.h``, is not in the tree: its name is
    relative to the kernel's prepared folder, and ``is_generated`` says so.
    """

    file: str
    line: int
    column: int = 1
    is_generated: bool = False

    def __str__(self) -> str:
        """Return ``file:line``."""
        return f"{self.file}:{self.line}"
