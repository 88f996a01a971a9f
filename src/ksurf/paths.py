"""Where ksurf keeps things: the dataset under the user's data folder, downloads under the cache folder."""

import os
from pathlib import Path

__all__ = ["cache_dir", "default_dataset"]


def default_dataset() -> Path:
    """Return the dataset used when none is named: ``KSURF_DATASET``, else ``ksurf`` in XDG's data folder."""
    named = os.environ.get("KSURF_DATASET")
    return Path(named).expanduser() if named else _xdg("XDG_DATA_HOME", ".local/share") / "ksurf"


def cache_dir() -> Path:
    """Return where downloads are kept: ``KSURF_CACHE``, else ``ksurf`` in XDG's cache folder."""
    named = os.environ.get("KSURF_CACHE")
    return Path(named).expanduser() if named else _xdg("XDG_CACHE_HOME", ".cache") / "ksurf"


def _xdg(variable: str, fallback: str) -> Path:
    # The XDG base directory specification: a relative path in these variables is to be ignored.
    value = Path(os.environ.get(variable, ""))
    return value if value.is_absolute() else Path.home() / fallback
