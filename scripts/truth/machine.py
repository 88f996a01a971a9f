"""A kernel booted under qemu, without KVM: an initramfs goes in, files come out, by way of a disk."""

import os
import selectors
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ksurf.errors import InputError, KsurfError

__all__ = ["MACHINES", "Answer", "Machine", "boot"]

_DISK_BYTES = 256 << 20
_SHOWN_LINES = 25


@dataclass(frozen=True)
class Machine:
    """How qemu is called for an architecture."""

    program: str
    options: tuple[str, ...]
    console: str


MACHINES = {
    # This CPU has SVM, which qemu emulates, so that kvm_amd loads.
    "amd64": Machine("qemu-system-x86_64", ("-machine", "q35", "-cpu", "qemu64,+svm"), "ttyS0"),
    "arm64": Machine("qemu-system-aarch64", ("-machine", "virt", "-cpu", "cortex-a72"), "ttyAMA0"),
}
"""The architectures that can be booted, by Debian's name."""


@dataclass(frozen=True)
class Answer:
    """What a boot gave."""

    files: dict[str, bytes]
    seconds: float
    qemu: str
    """Version and options, without the paths of files."""


def boot(arch: str, kernel: bytes, initrd: bytes, *, timeout: float, say: Callable[[str], None]) -> Answer:
    """Boot, wait until the kernel has written its tar and switched itself off, and return what it wrote.

    ``say`` hears each line that the init script says. A kernel that takes longer than ``timeout`` seconds, or
    ends without having said that it is done, is an error that shows the end of its console.
    """
    machine = MACHINES.get(arch)
    if machine is None:
        raise InputError(f"{arch}: not known how to boot it", f"known are {', '.join(MACHINES)}")
    if shutil.which(machine.program) is None:
        hint = "apt install qemu-system-x86 qemu-system-arm"
        raise InputError(f"{machine.program} is not installed", hint)
    options = [machine.program, *machine.options, "-accel", "tcg", "-smp", "1", "-m", "2048"]
    command_line = f"console={machine.console} panic=-1 oops=panic quiet"
    with tempfile.TemporaryDirectory(prefix="ksurf-truth-") as folder:
        paths = {name: Path(folder, name) for name in ("kernel", "initrd", "disk")}
        paths["kernel"].write_bytes(kernel)
        paths["initrd"].write_bytes(initrd)
        paths["disk"].touch()
        os.truncate(paths["disk"], _DISK_BYTES)
        files: list[str | Path] = [
            "-kernel",
            paths["kernel"],
            "-initrd",
            paths["initrd"],
            "-append",
            command_line,
        ]
        disk = ["-drive", f"file={paths['disk']},format=raw,if=virtio"]
        quiet = ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
        start = time.monotonic()
        _wait([*options, *quiet, *files, *disk], timeout, say)
        seconds = time.monotonic() - start
        with tarfile.open(paths["disk"]) as tar:
            members = [(member.name, tar.extractfile(member)) for member in tar]
            content = {name.removeprefix("./"): file.read() for name, file in members if file is not None}
    version = subprocess.run([machine.program, "--version"], capture_output=True, text=True, check=True)
    return Answer(content, seconds, f"{version.stdout.splitlines()[0]}: {' '.join(options)}")


def _wait(command: list[str | Path], timeout: float, say: Callable[[str], None]) -> None:
    console: list[str] = []
    done = False
    with _running(command) as process:
        for line in _lines(process, timeout):
            console.append(line)
            if line.startswith("truth: "):
                say(line.removeprefix("truth: "))
                done = done or line == "truth: done"
        ended = process.poll() is not None
    if not (done and ended):
        why = "it ended early" if ended else f"it was not done after {timeout:.0f} s"
        tail = "\n".join(f"    {line}" for line in console[-_SHOWN_LINES:])
        raise KsurfError(f"the kernel did not tell everything: {why}; the end of its console:\n{tail}")


@contextmanager
def _running(command: list[str | Path]) -> Iterator[subprocess.Popen[bytes]]:
    """Run qemu; it is gone when the context ends, however that comes about."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _lines(process: subprocess.Popen[bytes], timeout: float) -> Iterator[str]:
    """Yield the console's lines until it is closed and the process has ended, or the time is over."""
    assert process.stdout is not None
    end, rest = time.monotonic() + timeout, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            chunk = os.read(process.stdout.fileno(), 1 << 16)
            if not chunk:
                process.wait()
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace").strip("\r") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace").strip("\r")
