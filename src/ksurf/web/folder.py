"""Folders of files that can be made again: in some number, those that were not used for longest go first."""

from __future__ import annotations

from pathlib import Path

__all__ = ["forget_oldest"]


def forget_oldest(folder: Path, files: int, byte_size: int | None = None, keep: str = "") -> None:
    """Remove the oldest of a folder's files while there are more, or more bytes, than may be.

    The file named ``keep`` stays, and so do those that begin with ``lock``. Other processes may do the same.
    Raises ``OSError`` if the folder cannot be read.
    """
    found = []
    for path in folder.iterdir():
        try:
            status = path.stat()
        except OSError:
            continue  # somebody else has removed it
        if not path.name.startswith("lock"):
            found.append((path.name == keep, status.st_mtime, status.st_size, path))
    left, total = len(found), sum(size for _, _, size, _ in found)
    for is_kept, _, size, path in sorted(found):
        if is_kept or (left <= files and (byte_size is None or total <= byte_size)):
            break
        path.unlink(missing_ok=True)
        left, total = left - 1, total - size
