"""A folder prepared by the kernel's own Makefiles, of a configuration alone.

That is what is left where nobody ships the prepared folder. It runs what is in the tree: the configuration's
tools and what ``make prepare`` asks for, so that it wants flex, bison and a compiler for the architecture.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ksurf.acquire.config import Options, parse_config
from ksurf.errors import InputError
from ksurf.progress import Reporter
from ksurf.source.flags import TARGETS
from ksurf.source.prepare import KBUILD_ARCH

__all__ = ["arch_of", "config_text", "configure"]

_TIME_LIMIT_S = 1800
_LAST_LINES = 6
_PLAIN = re.compile(r"[ym]|-?[0-9]+|0[xX][0-9A-Fa-f]+")
_TOOLS = {"make": "make", "flex": "flex", "bison": "bison", "gcc": "gcc", "ld": "binutils"}
# In this order: a 32-bit configuration of x86 sets CONFIG_X86 too.
_ARCHES = {
    "CONFIG_X86_64": "amd64",
    "CONFIG_X86_32": "i386",
    "CONFIG_ARM64": "arm64",
    "CONFIG_ARM": "armhf",
    "CONFIG_PPC64": "ppc64el",
    "CONFIG_RISCV": "riscv64",
    "CONFIG_S390": "s390x",
}


def arch_of(options: Options) -> str | None:
    """Return the architecture that a configuration is for, if it is one whose units can be read."""
    chosen = {name for name, value in options if value == "y"}
    return next((arch for option, arch in _ARCHES.items() if option in chosen), None)


def config_text(options: Iterable[tuple[str, str]]) -> str:
    """Write options as a ``.config``.

    Which of them are strings is not kept; what looks like no number is one. make asks for what is missing
    and takes the usual answer.
    """
    lines = []
    for name, value in options:
        if value == "n":
            lines.append(f"# {name} is not set")
        elif _PLAIN.fullmatch(value):
            lines.append(f"{name}={value}")
        else:
            escaped = re.sub(r'(["\\])', r"\\\1", value)
            lines.append(f'{name}="{escaped}"')
    return "\n".join(lines) + "\n"


def configure(tree: Path, config: str, folder: Path, arch: str, reporter: Reporter) -> None:
    """Make ``folder`` a prepared one for the configuration; raises ``InputError`` with what make says."""
    parse_config(config.encode(), "the configuration")
    tools = _compiler(arch)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".config").write_text(config, encoding="utf-8")
    make = [
        *("make", "-C", str(tree.resolve()), f"O={folder.resolve()}", f"ARCH={KBUILD_ARCH[arch]}", *tools),
        # What asks for more tools, and says nothing about C.
        *("CONFIG_OBJTOOL=", "CONFIG_STACK_VALIDATION=", "CONFIG_DEBUG_INFO_BTF=", "CONFIG_RUST="),
        f"-j{os.cpu_count() or 1}",
    ]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(folder)}
    for goal in ("olddefconfig", "prepare"):
        with reporter.task(f"make {goal}"):
            _run([*make, goal], environment, goal)


def _compiler(arch: str) -> list[str]:
    """What make is told of the compiler; raises ``InputError`` if there is none."""
    if arch not in KBUILD_ARCH:
        raise InputError(f"units of {arch} cannot be read", f"known are {', '.join(KBUILD_ARCH)}")
    for tool, package in _TOOLS.items():
        if shutil.which(tool) is None:
            raise InputError(
                f"{tool} is not installed; the kernel's configuration is made with it",
                f"apt install {package}",
            )
    # Debian's names of GNU's targets differ from clang's in one.
    target = "i686-linux-gnu" if arch == "i386" else TARGETS[arch]
    if shutil.which(f"{target}-gcc"):
        return [f"CROSS_COMPILE={target}-"]
    if shutil.which("clang") and shutil.which("ld.lld"):
        return ["LLVM=1"]
    raise InputError(
        f"no compiler for {arch} is installed, which make prepare wants",
        f"apt install gcc-{target.replace('_', '-')}, or clang and lld",
    )


def _run(command: list[str], environment: dict[str, str], goal: str) -> None:
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        _, said = process.communicate(timeout=_TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"make {goal} did not end within {_TIME_LIMIT_S} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
            process.wait()
    if process.returncode:
        lines = [line for line in said.splitlines() if line.strip()][-_LAST_LINES:]
        raise InputError(f"make {goal} failed; it says: " + " / ".join(lines))
