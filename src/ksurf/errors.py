"""The errors that a person is meant to read: one line that says what is wrong, one that says what to do."""

import errno

__all__ = [
    "DatasetError",
    "DiskFullError",
    "InputError",
    "KsurfError",
    "MirrorError",
    "NoSuchKernelError",
    "NotOnMirrorError",
    "VerificationError",
    "is_full",
]


class KsurfError(Exception):
    """Something went wrong that is not a bug of ksurf.

    ``message`` is one line without a full stop; ``hint``, where there is something to do about it, says what.
    ``exit_status`` is what the process ends with.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        """Keep the message and the hint."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(KsurfError):
    """What the user named is not what the command takes: a file, a directory, an option's value."""


class NoSuchKernelError(KsurfError):
    """A selector matches no kernel."""


class MirrorError(KsurfError):
    """An archive could not be reached, or answered nonsense."""


class NotOnMirrorError(MirrorError):
    """The archive's index lists a file that its mirror does not have."""


class VerificationError(KsurfError):
    """A signature, a hash, a size or a path is not what it must be; nothing of that file was used."""


class DiskFullError(KsurfError):
    """A file system has no room left."""


def is_full(error: OSError) -> bool:
    """Tell if there was no room to write; a quota and a limit on the size of files are a full disk, too."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DatasetError(KsurfError):
    """The dataset cannot be read or written."""
