"""The process that compares two kernels for the pages: ``python -m ksurf.web.pair_job``.

It is a process of its own, so that what takes seconds holds up no other answer, and works at low priority.
Of those that come to one cache folder one works at a time; the others wait, and find it done perhaps.
"""

from __future__ import annotations

import gc
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Sequence, Set
from functools import partial
from pathlib import Path

from ksurf.atomic import write_whole
from ksurf.beside import beside
from ksurf.dataset.lock import FileLock
from ksurf.dataset.store import Store
from ksurf.errors import KsurfError
from ksurf.kernel import Kernel
from ksurf.web.folder import forget_oldest

__all__ = ["arguments", "main"]

_NICE = 5
_KEPT_FILES = 200
_KEPT_BYTES = 1 << 29
_LEVEL = 4
"""Of gzip."""


def arguments(job: str, dataset: Path, old: Kernel, new: Kernel, target: Path) -> list[str]:
    """The command that does a job, ``pair`` or ``json``, whose result is a file.

    Modules are looked for where ksurf's are (``-P``), not in the folder that the server was started in.
    """
    return [sys.executable, "-P", "-m", "ksurf.web.pair_job", job, str(dataset), old.id, new.id, str(target)]


def main(words: Sequence[str]) -> int:
    """Do one job; the exit status. What went wrong is written to standard error, as one line."""
    job, dataset, old, new, named = words
    target = Path(named)
    os.nice(_NICE)
    try:
        with FileLock(target.parent / "lock"):
            if not target.exists():
                content = _json(dataset, old, new) if job == "json" else _pair(Path(dataset), old, new)
                write_whole(target, content)
                forget_oldest(target.parent, _KEPT_FILES, _KEPT_BYTES, keep=target.name)
    except (KsurfError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _pair(dataset: Path, old: str, new: str) -> bytes:
    from ksurf.report.attachability import ATTACHABILITY, attachability_diff
    from ksurf.report.everything import DIFF_KINDS, POOLED_KINDS, differences
    from ksurf.web.pair_file import Part, packed, part_of

    # What is made lives until the end, which is near.
    gc.disable()
    store = Store(dataset)
    held = {manifest.kernel.id: manifest.kernel for manifest in store.kernels()}
    try:
        places = [(held[one], store.directory(one)) for one in (old, new)]
    except KeyError as error:
        raise KsurfError(f"the kernel {error.args[0]} is not in the dataset any more") from error
    kinds = (*DIFF_KINDS, ATTACHABILITY)

    def parts(some: Set[str]) -> list[Part]:
        found = differences(places[0], places[1], [kind for kind in DIFF_KINDS if kind in some])
        if ATTACHABILITY in some:
            found.append(attachability_diff(*places))
        return [part_of(diff) for diff in found]

    # One after the other, each with memory of its own: both together would need twice as much.
    made: list[Part] = []
    for some in ({*kinds} - POOLED_KINDS, POOLED_KINDS):
        with beside(partial(parts, some)) as result:
            made += result()
    return packed(sorted(made, key=lambda part: kinds.index(part.counts.kind)))


def _json(dataset: str, old: str, new: str) -> bytes:
    """What the command prints, compressed."""
    from ksurf.web.pair_file import sealed

    command = [
        sys.executable,
        "-P",
        "-m",
        "ksurf",
        "diff",
        old,
        new,
        "--dataset",
        dataset,
        "--format",
        "json",
    ]
    packed = io.BytesIO()
    with (
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process,
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=_LEVEL, mtime=0) as stream,
    ):
        assert process.stdout is not None
        while piece := process.stdout.read(1 << 20):
            stream.write(piece)
    if process.returncode:
        raise KsurfError("the comparison could not be written")
    return sealed(packed.getvalue())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
