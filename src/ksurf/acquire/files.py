"""Files in the cache: written aside and renamed, and clear words when there is no room for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ksurf.atomic import write_whole
from ksurf.errors import DiskFullError, KsurfError, is_full

__all__ = ["megabytes", "room", "write_atomically"]

_HINT = "free some room, or name another folder with KSURF_CACHE"


def megabytes(byte_size: int) -> str:
    """Spell a size for a person: ``319.9 MB``."""
    return f"{byte_size / 1e6:.1f} MB"


@contextmanager
def room(folder: Path, hint: str | None = None) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into one line that names the folder."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DiskFullError(
                f"{folder}: no room left to write ({error.strerror})", hint or _HINT
            ) from error
        raise KsurfError(f"{error.filename or folder}: {error.strerror or error}") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that no other process ever sees half of it."""
    with room(path.parent):
        write_whole(path, content)
