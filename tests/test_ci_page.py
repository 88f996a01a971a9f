"""What docs/ci.md shows is run as it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest

from made_kernel import kernel, kvm_kernel, offering_kernel
from material import Material

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "ci.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS, SCRIPT = (text for language, text in BLOCKS if language == "sh")
SERVERS = [text for language, text in BLOCKS if language == "yaml"]
NAME = "ksurf-ci.sh"

REPORTS: Mapping[str, Callable[[str], object]] = {
    "ksurf.md": str,
    "ksurf.sarif": json.loads,
    "ksurf.xml": ElementTree.fromstring,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose programs are to be checked, with the script; ksurf is built already."""
    program = tmp_path / ".ksurf" / "ksurf" / ".venv" / "bin" / "ksurf"
    program.parent.mkdir(parents=True)
    # Without the network there is nothing to pull: what was asked for is kept for the test to see.
    program.write_text(
        f'#!/bin/sh\nif [ "$1" = pull ] && [ -n "${{OFFLINE-}}" ]; then echo "$@" >> pulled; exit; fi\n'
        f'exec {shlex.quote(sys.executable)} -m ksurf "$@"\n'
    )
    program.chmod(0o755)
    (tmp_path / NAME).write_text(SCRIPT)
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sh(script: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the current folder, as servers do."""
    # That the script could clone ksurf must not be what a test finds out.
    env = {**os.environ, "KSURF_REPOSITORY": "/nowhere", "NO_COLOR": "1", **more}
    return subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=False)


def made(folder: Path) -> None:
    """Put two kernels into the dataset that the page keeps."""
    dataset = folder / ".ksurf" / "dataset"
    offering_kernel(1).write(dataset, kernel("6.1.5"))
    kvm_kernel().write(dataset, kernel("6.12.1"))


@pytest.mark.parametrize(
    ("names", "status"), [("?kprobe:nowhere\n", 0), ("kprobe:nowhere\n", 1), ("kprob:nowhere\n", 2)]
)
def test_the_script_ends_with_what_was_found(folder: Path, names: str, status: int) -> None:
    made(folder)
    (folder / "build" / "needs").write_text(f"?function:vfs_read\n{names}")
    done = sh(f"sh {NAME}", OFFLINE="1")
    assert (done.returncode, done.stderr) == (status, "")
    assert "1 program on 2 kernels: " in done.stdout
    for name, read in REPORTS.items():
        assert read((folder / name).read_text()), name
    pulls = {line for line in (COMMANDS + SCRIPT).splitlines() if line.startswith("ksurf pull ")}
    assert {f"ksurf {line}" for line in (folder / "pulled").read_text().splitlines()} == pulls


def test_the_commands_run_one_by_one(folder: Path) -> None:
    made(folder)
    (folder / "build" / "needs").write_text("kprobe:nowhere\n")
    place = f'PATH="{folder}/.ksurf/ksurf/.venv/bin:$PATH"; export KSURF_DATASET="{folder}/.ksurf/dataset"; '
    statuses = [sh(place + line, OFFLINE="1").returncode for line in COMMANDS.splitlines()]
    assert statuses == [0, 1]
    assert json.loads((folder / "ksurf.sarif").read_text())["runs"][0]["results"]


def test_a_build_that_was_interrupted_is_begun_anew(folder: Path) -> None:
    """As is one that was kept in another folder, where the environment's paths lead nowhere."""
    ksurf = folder / ".ksurf" / "ksurf"
    (ksurf / ".venv" / "bin" / "ksurf").write_text("#!/nowhere/python\n")
    done = sh(f"sh {NAME}")
    assert done.returncode != 0
    assert "/nowhere" in done.stderr and "does not exist" in done.stderr
    assert not ksurf.exists()


def test_servers_run_the_script_and_take_what_it_writes() -> None:
    assert len(SERVERS) == 2
    for text in SERVERS:
        assert f"sh {NAME}\n" in text
        named = set(re.findall(r"\bksurf\.\w+", text))
        assert named and named <= REPORTS.keys()
    assert {name for name in REPORTS if f"--output {name}" in SCRIPT} == REPORTS.keys()


@pytest.mark.network
def test_the_script_pulls_and_checks_real_programs(
    folder: Path, material: Material, network_cache: Path, note: Callable[[str], None]
) -> None:
    """From nothing but packages, which are not fetched again for each run of the tests."""
    packages = folder / ".ksurf" / "cache" / "packages"
    packages.mkdir(parents=True)
    for package in (network_cache / "packages").glob("*cloud-amd64*"):
        with suppress(OSError):  # else it is fetched
            os.link(package, packages / package.name)
    for name in ("biotop", "runqlat"):
        shutil.copy(material.unpacked("libbpf-tools") / "usr" / "sbin" / name, folder / "build")
    done = sh(f"sh {NAME}")
    assert done.returncode == 0, done.stderr
    assert "2 programs on 2 kernels: " in done.stdout
    for name, read in REPORTS.items():
        assert read((folder / name).read_text()), name
    note(f"the script of docs/ci.md: {done.stdout.splitlines()[-1]}")
