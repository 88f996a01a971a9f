"""A kernel booted under qemu, without KVM: an initramfs goes in, files come out, by way of a disk."""

import os
import selectors
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    ends without having said that it is done, is an error; then ``say`` hears the end of its console, too.
    """
    machine = MACHINES.get(arch)
    if machine is None:
        raise InputError(f"{arch}: not known how to boot it", f"known are {', '.join(MACHINES)}")
    if shutil.which(machine.program) is None:
        hint = "apt install qemu-system-x86 qemu-system-arm"
        raise InputError(f"{machine.program} is not installed", hint)
    options = [machine.program, *machine.options, "-accel", "tcg", "-smp", "1", "-m", "2048"]
    quiet = ["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    command_line = f"console={machine.console} panic=-1 oops=panic quiet"
    with tempfile.TemporaryDirectory(prefix="ksurf-truth-") as folder:
        disk = Path(folder, "disk")
        disk.touch()
        os.truncate(disk, _DISK_BYTES)
        files = ["-drive", f"file={disk},format=raw,if=virtio", "-append", command_line]
        for name, content in (("kernel", kernel), ("initrd", initrd)):
            Path(folder, name).write_bytes(content)
            files += [f"-{name}", f"{folder}/{name}"]
        start = time.monotonic()
        _wait([*options, *quiet, *files], timeout, say)
        seconds = time.monotonic() - start
        written = dict(_unpacked(disk))
    version = subprocess.run([machine.program, "--version"], capture_output=True, text=True, check=True)
    return Answer(written, seconds, f"{version.stdout.splitlines()[0]}: {' '.join(options)}")


def _unpacked(disk: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(disk) as tar:
            for member in tar:
                if (file := tar.extractfile(member)) is not None:
                    yield member.name.removeprefix("./"), file.read()
    except tarfile.TarError as error:
        raise KsurfError(f"what the kernel wrote to its disk cannot be read: {error}") from error


def _wait(command: list[str], timeout: float, say: Callable[[str], None]) -> None:
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
        for line in console[-_SHOWN_LINES:]:
            say(f"| {line}")
        raise KsurfError(f"the kernel did not tell everything: {why}", "the end of its console is above")


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run qemu; it is gone when the context ends, however that comes about."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for this process, which then ends that one
    ) as process:
        try:
            yield process
        finally:
            process.kill()


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
                with suppress(subprocess.TimeoutExpired):
                    process.wait(left)
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode("utf-8", "replace").strip("\r") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace").strip("\r")
