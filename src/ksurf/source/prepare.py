"""Finding a kernel's units without building it.

A kernel's ``linux-headers-*`` package is the prepared folder of the build that made the kernel: its
configuration and the headers made for it. They are copied, and make is asked what it would do there (a dry
run). A dry run compiles nothing, but runs what Makefiles do while they are read (``$(shell ...)``). A
folder that a user has built in is used as it is where it has a ``compile_commands.json``, and copied in the
same way where it has none.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ksurf.errors import InputError
from ksurf.progress import Reporter
from ksurf.source.flags import KBUILD_ARCH, TARGETS, Command, split_words, translate
from ksurf.source.includes import write_includes
from ksurf.source.units import BUILD_FOLDER, Units, group_commands

__all__ = ["KBUILD_ARCH", "find_headers", "prepare"]

# Where the build puts what it makes before it compiles anything.
_GENERATED = ("include/config", "include/generated")
_WITHOUT = ("DEBUG_INFO_BTF", "OBJTOOL", "STACK_VALIDATION", "RUST", "GCC_PLUGINS")
_LAST_LINES = 8
_TIME_LIMIT_S = 900


def find_headers(folder: Path) -> Path | None:
    """Return the prepared folder below an unpacked package, or ``folder`` itself if it is one."""
    candidates = [folder, *sorted((folder / "usr/src").glob("linux-headers-*"))]
    return next((path for path in candidates if (path / "include/generated/autoconf.h").is_file()), None)


def prepare(tree: Path, headers: Path, target: Path, arch: str, reporter: Reporter) -> Units:
    """Find the units of the kernel whose prepared folder is ``headers``, and write their table to ``target``.

    Raises ``InputError`` with what is missing and how to get it. What was in ``target`` is replaced at the
    end.
    """
    tree, headers = tree.resolve(), headers.resolve()
    _check(tree, headers, arch)
    target.mkdir(parents=True, exist_ok=True)
    commands_file = headers / "compile_commands.json"
    if commands_file.is_file():
        build = headers
        commands = list(_database(commands_file, tree, build))
    else:
        build = target / BUILD_FOLDER
        with _beside(target, headers, arch) as work:
            commands = _ask(tree, work, arch, reporter)
        # Make leaves folders and links behind even so; the prepared folder is what was there before.
        with _beside(target, headers, arch) as work:
            if build.exists():
                shutil.rmtree(build)
            work.rename(build)
    units = Units(tree, target, arch, group_commands(commands, arch), build)
    if not len(units):
        raise InputError(
            f"{headers}: make named no file that it would compile", "is it this tree's configuration?"
        )
    write_includes(units, reporter)
    units.save()
    return units


def _check(tree: Path, headers: Path, arch: str) -> None:
    if arch not in TARGETS:
        raise InputError(f"units of {arch} cannot be read", f"known are {', '.join(TARGETS)}")
    if not (tree / "Kbuild").is_file() or not (tree / "scripts/Makefile.build").is_file():
        raise InputError(f"{tree}: not the root of a kernel's source tree")
    if not (tree / "arch" / KBUILD_ARCH[arch]).is_dir():
        raise InputError(f"{tree}: has no arch/{KBUILD_ARCH[arch]}")
    if not (headers / "include/generated/autoconf.h").is_file():
        hint = (
            "unpack the kernel's package linux-headers-<release>, or name a folder that a kernel was built in"
        )
        raise InputError(f"{headers}: has no include/generated/autoconf.h: not a prepared folder", hint)
    if not (headers / f"arch/{KBUILD_ARCH[arch]}/include/generated").is_dir():
        raise InputError(
            f"{headers}: has no arch/{KBUILD_ARCH[arch]}/include/generated: prepared for another one"
        )


def _copy(headers: Path, work: Path, kbuild_arch: str) -> None:
    """Copy what a build makes before it compiles, and make it look finished, so that nothing is configured
    anew."""
    for folder in (*_GENERATED, f"arch/{kbuild_arch}/include/generated"):
        if (headers / folder).is_dir():
            # A link in it may lead anywhere.
            shutil.copytree(headers / folder, work / folder, ignore=_links)
    config = headers / ".config"
    if not config.is_file():
        config = headers / "include/config/auto.conf"
    if not config.is_file():
        raise InputError(f"{headers}: has neither .config nor include/config/auto.conf")
    shutil.copyfile(config, work / ".config")
    auto = work / "include/config/auto.conf"
    if not auto.is_file():
        auto.parent.mkdir(parents=True, exist_ok=True)
        auto.write_text("".join(line for line in config.open() if line.startswith("CONFIG_")))
    (work / "include/config/auto.conf.cmd").write_text("")
    long_ago = 1_577_836_800  # 2020-01-01
    os.utime(work / ".config", (long_ago, long_ago))
    for made in ("include/config/auto.conf", "include/generated/autoconf.h", "include/generated/rustc_cfg"):
        if (work / made).is_file():
            os.utime(work / made)


def _links(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_symlink()]


@contextmanager
def _beside(target: Path, headers: Path, arch: str) -> Iterator[Path]:
    """Give a copy of the prepared folder that is gone afterwards, unless it was renamed."""
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=target))
    try:
        _copy(headers, work, KBUILD_ARCH[arch])
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _ask(tree: Path, work: Path, arch: str, reporter: Reporter) -> list[Command]:
    """Ask make for the commands of the whole kernel, in ``work``."""
    for tool, package in (("make", "make"), ("gcc", "gcc"), ("ld", "binutils")):
        if shutil.which(tool) is None:
            message = f"{tool} is not installed; the kernel's Makefiles ask it what it can do"
            raise InputError(message, f"apt install {package}")
    said: list[str] = []
    # The first goes on where the link of vmlinux would need what is not there, but Linux before 5.14 does
    # not know it.
    for targets in (("./",), ("vmlinux", "modules")):
        commands, said = _dry_run(tree, work, arch, targets, reporter)
        if commands:
            return commands
    raise InputError(f"{tree}: make names no compile commands; it says:\n" + "\n".join(said))


def _dry_run(
    tree: Path, work: Path, arch: str, targets: Sequence[str], reporter: Reporter
) -> tuple[list[Command], list[str]]:
    """Return the commands that make prints, and the last lines that it says."""
    make = [
        *("make", "-C", str(tree), f"O={work}", f"ARCH={KBUILD_ARCH[arch]}", "CC=gcc", "LD=ld", "HOSTCC=gcc"),
        # What would ask for tools that say nothing about C.
        *(f"CONFIG_{name}=" for name in _WITHOUT),
        *("-n", "-k", "--no-print-directory", *targets),
    ]
    # The user's own MAKEFLAGS, KBUILD_* and CROSS_COMPILE would change what is printed.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(work)}
    commands: list[Command] = []
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with (
        tempfile.TemporaryFile() as errors,
        reporter.task("asking make for the compile commands", unit="units") as task,
        _started(make, environment, errors) as output,
    ):
        for line in output:
            if " -c -o " not in line or "-D__KERNEL__" not in line:
                last.append(line.rstrip()[:200])
            elif command := _of_line(line, tree, work):
                commands.append(command)
                task.update(len(commands))
        errors.seek(0)
        said = [line for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return commands, said[-_LAST_LINES:] or list(last)


@contextmanager
def _started(
    command: Sequence[str], environment: dict[str, str], errors: IO[bytes]
) -> Iterator[Iterable[str]]:
    """Run a command in a process group of its own, and end all of it, however this goes on."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
    )
    timer = threading.Timer(_TIME_LIMIT_S, os.killpg, (process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        yield process.stdout
        process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _of_line(line: str, tree: Path, work: Path) -> Command | None:
    """Read the first compile command of a line, which has others around it: traps, echoes and clean-up."""
    start = line.find("gcc -Wp,")
    if start < 0:
        return None
    # Words after the object's source are another command's; the line repeats itself inside quotes.
    words: list[str] = []
    for word in split_words(line[start : line.find(" ; ", start) if " ; " in line[start:] else len(line)]):
        if word in {";", "&&", "||", "|", "&"}:
            break
        words.append(word)
    return translate(words[1:], str(tree), str(work))


def _database(path: Path, tree: Path, build: Path) -> Iterator[Command]:
    """Read a ``compile_commands.json``."""
    try:
        entries = json.loads(path.read_bytes())
        for entry in entries:
            words = entry["arguments"] if "arguments" in entry else split_words(entry["command"])
            words = [*words, "-o", entry.get("output", entry["file"].removesuffix(".c") + ".o")]
            if command := translate(words[1:], str(tree), str(build), entry["directory"]):
                yield command
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a list of compile commands: {error}") from error
