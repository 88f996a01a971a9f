"""eBPF programs that a booted kernel is asked to load: the objects of packages, and the loader that asks.

``load.c`` is the loader. It is linked statically, so that the kernel's first file system needs nothing else.
"""

import platform
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ksurf._core import bpf_objects
from ksurf.errors import InputError, KsurfError

__all__ = ["HERE", "PACKAGES", "Loader", "TriedProgram", "objects", "tried"]

PACKAGES = (("libbpf-tools", "bookworm"), ("systemd", "stable"))
"""Whose programs are tried, and the suites: those that tests know by version; bookworm's systemd has none."""

_ELF = b"\x7fELF"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
HERE = _MACHINES.get(platform.machine())
"""This machine's architecture, as Debian calls it; the loader is built for it."""
_LIBRARIES = (("-lbpf", "-lelf", "-lz"), ("-lbpf", "-lelf", "-lz", "-lzstd"))  # libelf has zstd since 0.189


class TriedProgram(NamedTuple):
    """A program, and what became of it."""

    object: str
    program: str
    section: str
    load: str
    """``ok``, or the error: ``-EINVAL``."""
    attach: str
    """As ``load``; ``none`` where libbpf does not attach by itself, empty where loading failed."""
    log: str
    """The last lines of what libbpf said."""


class Loader:
    """The loader."""

    def __init__(self) -> None:
        """Build it with this machine's compiler and libbpf."""
        with tempfile.TemporaryDirectory(prefix="ksurf-truth-") as folder:
            program = Path(folder, "load")
            _build(program)
            said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
            self.libbpf = said.stdout.strip().removeprefix("v")
            """The version of libbpf that is in it."""
            self.content = program.read_bytes()


def _build(program: Path) -> None:
    source = Path(__file__).parent / "load.c"
    errors = ""
    for libraries in _LIBRARIES:
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-static", source, "-o", program, *libraries]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise InputError("there is no C compiler (gcc)", "apt install gcc") from error
        if done.returncode == 0:
            return
        errors = errors or done.stderr
    raise KsurfError(f"the loader cannot be built: {errors}", "apt install libbpf-dev libelf-dev zlib1g-dev")


def objects(files: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    """Return the eBPF objects in a package's executables, named as ksurf names them in a table."""
    found = {}
    with tempfile.NamedTemporaryFile(prefix="ksurf-truth-") as file:
        for path, content in files:
            if content.startswith(_ELF):
                file.seek(0)
                file.truncate()
                file.write(content)
                file.flush()
                inside = bpf_objects(file.name)
                for number, one in enumerate(inside, start=1):
                    name = PurePosixPath(path).name
                    found[name if len(inside) == 1 else f"{name}:{number}"] = one.data
    return found


def tried(text: str) -> list[TriedProgram]:
    """Read what the loader printed, in the order of names."""
    lines = [line.split("\t") for line in text.splitlines()]
    if wrong := next((line for line in lines if len(line) != len(TriedProgram._fields)), None):
        raise KsurfError(f"not a line of the loader: {wrong!r}")
    return sorted(TriedProgram(*line) for line in lines)
