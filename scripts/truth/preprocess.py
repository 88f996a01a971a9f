"""The C preprocessor of the machine, for tables that only it can read out of the kernel's sources."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from ksurf.errors import InputError, KsurfError

__all__ = ["preprocessed"]


def preprocessed(name: str, text: str, options: Sequence[str]) -> str:
    """Return ``text``, which is made of the file ``name``, preprocessed without the system's headers.

    Raises ``InputError`` without a compiler, ``KsurfError`` where it refuses the text.
    """
    command = ["cc", "-E", "-P", "-nostdinc", *options, "-"]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError("there is no C compiler (cc)", "apt install gcc") from error
    if done.returncode != 0:
        raise KsurfError(f"{name}: the C preprocessor failed: {done.stderr}")
    return done.stdout
